// The core's exports and nothing else.

import { ABI_VERSION } from './abi'

export { checkTree } from './check'
export { checksum, digest } from './checksum'
export { hashAhead } from './helper'
export { clearPage, comparePages, copyPage, isZeroPage, pagesIdentical } from './page'
export { erase, first, insert, next, replace } from './rbtree'
export { resample } from './sampled'
export { search, searchBelow } from './search'
export { forgetUnstable, passSettled } from './settled'
export { slabAlloc, slabFree, takePages, touchPages } from './slab'
export { checksumChanged, hashWindow, takeBack } from './window'

/** The layout this binary was compiled with; `src/core` refuses any other. */
export function abiVersion(): u32 {
  return ABI_VERSION
}
