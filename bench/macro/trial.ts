// One trial of one peer, in a process of its own: `trial PEER TASK-JSON`, or `trial curve TASK-JSON` for pagefold's
// convergence curve, `trial curve-still` for that of guests that hold still, `trial running-PEER` for guests that run. Prints
// what came of it as JSON.

import { createHash } from 'node:crypto'
import { PEERS } from '../peers/index.ts'
import type { Merged, Peer, RunningTrial, Task, Trial, WrittenTrial } from '../peers/peer.ts'
import { runCurve } from './curve.ts'

/** What is merged at some moment, as it travels between processes: a digest of who shares with whom, page by page. */
export interface MergedReport extends Omit<Merged, 'places'> {
  readonly digest: string
}

/** A scan after guests have written. */
export interface WrittenReport extends Omit<WrittenTrial, 'after' | 'settled'> {
  readonly after: MergedReport
  readonly settled: MergedReport
}

/** A trial. */
export interface TrialReport extends Omit<Trial, 'places' | 'written'>, MergedReport {
  readonly written?: readonly WrittenReport[]
}

async function runTrial(peerName: string, task: Task): Promise<TrialReport> {
  const { written, ...trial } = await peerOf(peerName).run(task)
  const rows = written?.map((row) => ({ ...row, after: reported(row.after), settled: reported(row.settled) }))
  return { ...reported(trial), ...(rows === undefined ? {} : { written: rows }) }
}

function reported<Told extends Merged>({ places, ...told }: Told): Omit<Told, 'places'> & { digest: string } {
  const bytes = new Uint8Array(places.buffer, places.byteOffset, places.byteLength)
  return { ...told, digest: createHash('sha256').update(bytes).digest('hex').slice(0, 32) }
}

/** The same of scans while guests run. */
export interface RunningReport extends Omit<RunningTrial, 'merged'> {
  readonly merged: MergedReport
}

async function runRunning(peerName: string, task: Task): Promise<RunningReport> {
  const { merged, ...trial } = await peerOf(peerName).running!(task)
  return { ...trial, merged: reported(merged) }
}

function peerOf(name: string): Peer {
  const peer = PEERS.find((one) => one.name === name)
  if (peer === undefined) throw new Error(`no peer "${name}"`)
  return peer
}

async function resultOf(what: string, task: Task): Promise<unknown> {
  const policy = ({ curve: 'running', 'curve-still': 'still' } as const)[what]
  if (policy !== undefined) return runCurve(task, policy)
  const [, running] = /^running-(.+)$/.exec(what) ?? []
  return running === undefined ? runTrial(what, task) : runRunning(running, task)
}

const [what, json] = process.argv.slice(2)
console.log(JSON.stringify(await resultOf(what!, JSON.parse(json!) as Task)))
