// Helper threads: they take checksums of pages that the scan is about to visit, so that it finds them done. What is
// merged, and what is counted, is the same with any number of them; see assembly/helper.ts for why.

import type { Worker } from 'node:worker_threads'
import { AHEAD_CLOSING, HEADER_AHEAD } from '../../assembly/abi.ts'
import type { Arena } from './arena.ts'
import { callHelpers } from './views.ts'
import { besideCore } from './wasm.ts'

/** Starts so many helpers on an arena. They keep no process alive. Rejects with what kept one from starting. */
export async function startHelpers({ memory }: Arena, count: number): Promise<void> {
  if (count === 0) return
  const { Worker } = await import('node:worker_threads')
  const ready = Array.from({ length: count }, () => {
    const worker = new Worker(besideCore('./helper.js'), { workerData: memory })
    worker.unref()
    return becomesReady(worker)
  })
  await Promise.all(ready)
}

/** Has every helper end. */
export function stopHelpers({ memory }: Arena): void {
  const i32 = new Int32Array(memory.buffer)
  Atomics.store(i32, (HEADER_AHEAD + AHEAD_CLOSING) / 4, 1)
  callHelpers(i32)
}

function becomesReady(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}
