// The program of a thread that reads pages and makes their fingerprints. It is bundled into a text of its own (scripts/embed.mjs), which
// readers.ts has the platform run, so it finds what it is given by itself.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { Place } from '../../image.ts'
import { type CensusKey, Fingerprinter, PRINT_WORDS } from './binary.ts'

/** What a reader is given: the compiled binary, the key, and where its work comes from. */
export interface ReaderData {
  readonly module: WebAssembly.Module
  readonly key: CensusKey
  readonly port: MessagePort
}

/** Pages to read, or their bytes; either is undefined. */
export interface ReaderTask {
  readonly count: number
  readonly places: readonly Place[] | undefined
  readonly bytes: Uint8Array | undefined
}

/** Their fingerprints, and the bytes back; or why a file could not be read. */
export type ReaderAnswer =
  | { readonly prints: Uint32Array; readonly bytes: Uint8Array | undefined }
  | { readonly failed: string; readonly offset: number }

const builtin = globalThis.process?.getBuiltinModule
const threads = builtin?.('node:worker_threads')
if (threads?.parentPort) begin(threads.workerData, () => threads.parentPort!.postMessage('ready'))
else addEventListener('message', ({ data }) => begin(data, () => self.postMessage('ready')), { once: true })

function begin({ module, key, port }: ReaderData, ready: () => void): void {
  const fingerprinter = new Fingerprinter(module, key)
  port.onmessage = ({ data }) => {
    const { answer, transfer } = answerTo(fingerprinter, data as ReaderTask)
    port.postMessage(answer, transfer)
  }
  ready()
}

function answerTo(
  fingerprinter: Fingerprinter,
  { count, places, bytes }: ReaderTask,
): { answer: ReaderAnswer; transfer: ArrayBuffer[] } {
  const prints = new Uint32Array(count * PRINT_WORDS)
  const transfer = [prints.buffer, ...(bytes === undefined ? [] : [bytes.buffer as ArrayBuffer])]
  for (let first = 0; first < count; first += Fingerprinter.pages) {
    const some = Math.min(Fingerprinter.pages, count - first)
    const start = first * PAGE_SIZE
    const pages = fingerprinter.pages.subarray(0, some * PAGE_SIZE)
    if (bytes === undefined) {
      const failed = readPlaces(places!, start, pages)
      if (failed !== undefined) return { answer: failed, transfer: [] }
    } else pages.set(bytes.subarray(start, start + pages.length))
    prints.set(fingerprinter.take(some), first * PRINT_WORDS)
  }
  return { answer: { prints, bytes }, transfer }
}

/** Fills `into` with what goes to `start` and behind it. Returns what went wrong. */
function readPlaces(places: readonly Place[], start: number, into: Uint8Array): ReaderAnswer | undefined {
  const { readSync } = builtin!('node:fs')
  let written = 0
  for (const { at, length, fd, offset } of places) {
    const low = Math.max(at - start, 0)
    const high = Math.min(at + length - start, into.length)
    if (low >= high) continue
    into.fill(0, written, low)
    for (let done = low; done < high; ) {
      const from = offset + (start + done - at)
      try {
        const got = readSync(fd, into, done, high - done, from)
        if (got === 0) return { failed: 'it ends there; did it shrink?', offset: from }
        done += got
      } catch (error) {
        return { failed: (error as NodeJS.ErrnoException).code ?? String(error), offset: from }
      }
    }
    written = high
  }
  into.fill(0, written)
  return undefined
}
