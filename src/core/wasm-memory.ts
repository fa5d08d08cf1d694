// The memory of a WebAssembly instance, of whatever module, as far as it is looked at here.

import { mistake } from '../errors.ts'

/** What is used of a `WebAssembly.Memory`. */
export interface WasmMemory {
  /** Its bytes; others after it has grown. */
  readonly buffer: ArrayBufferLike
  /** Makes it larger. */
  grow(delta: number): number
}

/** Is it a WebAssembly.Memory? By name: a frame or a context of its own has classes of its own. */
export function isWasmMemory(source: unknown): source is WasmMemory {
  return Object.prototype.toString.call(source) === '[object WebAssembly.Memory]'
}

/** Throws TypeError for anything else. */
export function expectWasmMemory(name: string, memory: unknown): void {
  if (isWasmMemory(memory)) return
  throw mistake(new TypeError(`Expected \`${name}\` to be a WebAssembly.Memory, got ${typeof memory}`))
}

/** How many bytes it has now. */
export function sizeOf({ buffer }: WasmMemory): number {
  return buffer.byteLength
}

/** Bytes of it, as they lie. Not to be kept: when it grows they are gone. */
export function bytesOf({ buffer }: WasmMemory, at: number, length: number): Uint8Array {
  return new Uint8Array(buffer, at, length)
}
