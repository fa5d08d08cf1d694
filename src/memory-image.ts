// The memory of a WebAssembly instance, of whatever module, as an image: read where it lies whenever it is asked for, and copied nowhere as a
// whole.

import { PAGE_SIZE } from '../assembly/abi.ts'
import { bytesOf, expectWasmMemory, sizeOf, type WasmMemory } from './core/wasm-memory.ts'
import { expectBytes, expectInteger, expectOptions, expectString, mistake } from './errors.ts'
import type { Image } from './image.ts'

/** What part of a memory is an image, and what it is called. */
export interface MemoryImageOptions {
  /** What it is called in results. Default: `memory`. */
  readonly name?: string
  /** The first byte: where an emulator keeps its guest, say. A multiple of 4096. Default: 0. */
  readonly offset?: number
  /** How many bytes, a multiple of 4096. Default: to the end, as it is now. */
  readonly bytes?: number
}

/**
 * An image of a `WebAssembly.Memory`: what it holds when it is read. When the memory grows the image does not, and is read on. Throws
 * TypeError, RangeError for what lies outside of it.
 */
export function memoryImage(memory: WasmMemory, options: MemoryImageOptions = {}): Image {
  expectWasmMemory('memory', memory)
  const known = { name: true, offset: true, bytes: true } as const
  const plan = expectOptions('memoryImage', options, known)
  const { name: source = 'memory', offset = 0 } = plan
  expectString('name', source)
  const held = sizeOf(memory)
  expectWhole('offset', expectInteger('offset', offset, 0, held))
  const bytes = plan.bytes ?? Math.floor((held - offset) / PAGE_SIZE) * PAGE_SIZE
  expectWhole('bytes', expectInteger('bytes', bytes, 0, held - offset))
  const pages = bytes / PAGE_SIZE
  return {
    source,
    format: 'wasm',
    pages,
    notes: [],
    addressOf: (page) => offset + page * PAGE_SIZE,
    read(first, count, into) {
      expectInteger('first', first, 0, pages)
      expectInteger('count', count, 0, pages - first)
      expectBytes('into', into)
      into.set(bytesOf(memory, offset + first * PAGE_SIZE, count * PAGE_SIZE))
    },
    close() {},
  }
}

function expectWhole(what: string, bytes: number): void {
  if (bytes % PAGE_SIZE === 0) return
  throw mistake(new RangeError(`Expected \`${what}\` to be a multiple of ${PAGE_SIZE}, got ${bytes}`))
}
