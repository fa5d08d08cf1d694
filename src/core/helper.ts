// The program of a helper thread (see helpers.ts): the core on the scan's own arena, hashing pages ahead of the scan and
// sleeping when there are none.

import { parentPort, workerData } from 'node:worker_threads'
import { AHEAD_BELL, AHEAD_CLOSING, AHEAD_END, AHEAD_SLEEPERS, HEADER_AHEAD } from '../../assembly/abi.ts'
import { instantiateCore } from './wasm.ts'

const BELL = (HEADER_AHEAD + AHEAD_BELL) / 4
const END = (HEADER_AHEAD + AHEAD_END) / 4
const SLEEPERS = (HEADER_AHEAD + AHEAD_SLEEPERS) / 4
const CLOSING = (HEADER_AHEAD + AHEAD_CLOSING) / 4

const memory = workerData as WebAssembly.Memory
const core = await instantiateCore(memory)
const words = new Int32Array(memory.buffer)
parentPort!.postMessage('ready')

let at = 0
while (Atomics.load(words, CLOSING) === 0) {
  const bell = Atomics.load(words, BELL)
  const before = at
  at = core.hashAhead(at)
  if (at !== before) continue
  Atomics.add(words, SLEEPERS, 1)
  // Whoever offered pages before this helper could be seen to sleep has not rung for it; who has rung since ends the wait.
  if (Atomics.load(words, END) === at) Atomics.wait(words, BELL, bell)
  Atomics.sub(words, SLEEPERS, 1)
}
