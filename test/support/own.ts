// Checksums of one's own for tests: good ones, and one for each way of being wrong. Modules are written as text.

import binaryen from 'assemblyscript/binaryen'
import type { JsChecksum, WasmChecksum } from '../../src/index.ts'

/** FNV-1a by words of 32 bits, seeded: good enough to find equal pages. */
export function wordHash(page: Uint8Array, seed: bigint): number {
  const words = new Uint32Array(page.buffer, page.byteOffset, 1024)
  let hash = (0x811c9dc5 ^ Number(seed & 0xffff_ffffn)) | 0
  for (let at = 0; at < 1024; at++) hash = Math.imul(hash ^ words[at]!, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** One in JavaScript, with whatever is to be wrong about it. */
export function js(wrong: Partial<JsChecksum> = {}): JsChecksum {
  return { name: 'mine', bits: 32, hash: (page) => wordHash(page, 0n), ...wrong }
}

/** The loop of a module's checksum: FNV-1a by words of 64 bits, which starts from `$h`. */
const LOOP = `
  (loop $words
    (local.set $h (i64.mul (i64.xor (local.get $h) (i64.load (i32.add (local.get $at) (local.get $i))))
                           (i64.const 0x9e3779b97f4a7c15)))
    (local.set $h (i64.xor (local.get $h) (i64.shr_u (local.get $h) (i64.const 29))))
    (br_if $words (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 8))) (i32.const 4096))))`

export interface Text {
  memory?: string
  imports?: string
  /** What stands beside the function. */
  beside?: string
  type?: string
  locals?: string
  body?: string
  bits?: string
  keyed?: string
}

/** A module as text: a good one, but for what is given. */
export function wat({
  memory = '1 65536 shared',
  imports = '',
  beside = '',
  type = '(param $at i32) (param $seed i64) (result i64)',
  locals = '(local $h i64) (local $i i32)',
  body = `${LOOP} (local.get $h)`,
  bits = '(global (export "bits") i32 (i32.const 64))',
  keyed = '',
}: Text = {}): string {
  return `(module (import "env" "memory" (memory ${memory})) ${imports} ${beside} ${bits} ${keyed}
    (func (export "checksum") ${type} ${locals} ${body}))`
}

/** The parts of a keyed one. */
export const KEYED: Text = {
  keyed: '(global (export "keyed") i32 (i32.const 1))',
  body: `(local.set $h (i64.mul (local.get $seed) (i64.const 0x2545f4914f6cdd1d))) ${LOOP} (local.get $h)`,
}

export { LOOP }

export function assembled(text: string): Uint8Array {
  const module = binaryen.parseText(text)
  module.setFeatures(binaryen.Features.All)
  const bytes = module.emitBinary()
  module.dispose()
  return bytes
}

export function wasm(text: Text = {}, name = 'mine'): WasmChecksum {
  return { name, module: assembled(wat(text)) }
}
