// The program of a helper thread: the core on the scan's own arena, and nothing else. It is bundled into a text of its own
// (scripts/embed.mjs), which src/core/helpers.ts has the platform run, so it finds what it is given by itself.

import {
  HEADER_HELPERS,
  HELPERS_ASLEEP,
  HELPERS_BELL,
  HELPERS_CLOSING,
  HELPERS_STATE,
} from '../../assembly/abi.ts'
import { checksumOn, ownTable } from './own.ts'

/** What a helper is given: the compiled core, the module of an embedder's checksum if it is that, and the arena's memory. */
export interface HelperData {
  readonly module: WebAssembly.Module
  readonly own: WebAssembly.Module | undefined
  readonly memory: WebAssembly.Memory
}

const STATE = (HEADER_HELPERS + HELPERS_STATE) / 4
const BELL = (HEADER_HELPERS + HELPERS_BELL) / 4

const threads = globalThis.process?.getBuiltinModule?.('node:worker_threads')
if (threads?.parentPort) begin(threads.workerData, () => threads.parentPort!.postMessage('ready'))
else addEventListener('message', ({ data }) => begin(data, () => self.postMessage('ready')), { once: true })

function begin({ module, own, memory }: HelperData, ready: () => void): void {
  const table = ownTable()
  if (own !== undefined) table.set(0, checksumOn(own, memory))
  const { exports } = new WebAssembly.Instance(module, { env: { memory, table } })
  ready()
  help(memory, exports.hashAhead as (from: number) => number)
}

/** What a helper thread does with its life: sleeps until it is called, hashes until it may sleep, ends when told to. */
function help(memory: WebAssembly.Memory, hashAhead: (from: number) => number): void {
  const words = new Int32Array(memory.buffer)
  let at = 0
  for (;;) {
    const bell = Atomics.load(words, BELL)
    const state = Atomics.load(words, STATE)
    if (state === HELPERS_CLOSING) return
    // Not at all if somebody has rung since the bell was read.
    if (state === HELPERS_ASLEEP) Atomics.wait(words, BELL, bell)
    else at = hashAhead(at)
  }
}
