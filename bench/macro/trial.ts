// One trial of one peer, in a process of its own: `trial PEER TASK-JSON`, or `trial curve TASK-JSON` for pagefold's
// convergence curve, `trial curve-still` for that of guests that hold still. Prints what came of it as JSON.

import { createHash } from 'node:crypto'
import { PEERS } from '../peers/index.ts'
import type { Task, Trial } from '../peers/peer.ts'
import { runCurve } from './curve.ts'

/** A trial as it travels between processes. */
export interface TrialReport extends Omit<Trial, 'places'> {
  /** Of who shares with whom, page by page. */
  readonly digest: string
}

async function runTrial(peerName: string, taskJson: string): Promise<TrialReport> {
  const peer = PEERS.find(({ name }) => name === peerName)
  if (peer === undefined) throw new Error(`no peer "${peerName}"`)
  const { places, ...trial } = await peer.run(JSON.parse(taskJson) as Task)
  const digest = createHash('sha256').update(new Uint8Array(places.buffer)).digest('hex').slice(0, 32)
  return { ...trial, digest }
}

const [what, json] = process.argv.slice(2)
const policy = ({ curve: 'running', 'curve-still': 'still' } as const)[what!]
const result =
  policy === undefined ? await runTrial(what!, json!) : await runCurve(JSON.parse(json!) as Task, policy)
console.log(JSON.stringify(result))
