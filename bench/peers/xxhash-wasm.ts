// What a JavaScript user does today to hash a page: the package xxhash-wasm, called once a page. Each call copies the
// page into the package's own memory and brings the result back as a BigInt.

import { optional } from '../optional.ts'

/** A function from a page to its 64-bit XXH64. */
export async function xxhashWasm(): Promise<(page: Uint8Array) => bigint> {
  const { h64Raw } = await (await optional('xxhash-wasm'))()
  return (page) => h64Raw(page)
}
