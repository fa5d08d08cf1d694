// One trial of one peer, in a process of its own: `trial PEER TASK-JSON`, or `trial curve TASK-JSON` for pagefold's
// convergence curve, `trial curve-still` for that of guests that hold still. Prints what came of it as JSON.

import { createHash } from 'node:crypto'
import { PEERS } from '../peers/index.ts'
import type { Merged, Task, Trial, WrittenTrial } from '../peers/peer.ts'
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

async function runTrial(peerName: string, taskJson: string): Promise<TrialReport> {
  const peer = PEERS.find(({ name }) => name === peerName)
  if (peer === undefined) throw new Error(`no peer "${peerName}"`)
  const { written, ...trial } = await peer.run(JSON.parse(taskJson) as Task)
  const rows = written?.map((row) => ({ ...row, after: reported(row.after), settled: reported(row.settled) }))
  return { ...reported(trial), ...(rows === undefined ? {} : { written: rows }) }
}

function reported<Told extends Merged>({ places, ...told }: Told): Omit<Told, 'places'> & { digest: string } {
  const bytes = new Uint8Array(places.buffer, places.byteOffset, places.byteLength)
  return { ...told, digest: createHash('sha256').update(bytes).digest('hex').slice(0, 32) }
}

const [what, json] = process.argv.slice(2)
const policy = ({ curve: 'running', 'curve-still': 'still' } as const)[what!]
const result =
  policy === undefined ? await runTrial(what!, json!) : await runCurve(JSON.parse(json!) as Task, policy)
console.log(JSON.stringify(result))
