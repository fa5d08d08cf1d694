// The strategies a host can be created with, by name. One line each: the ABI number is the strategy.

import { CHECKSUM_XXH3, CHECKSUM_XXH64, INDEX_CONTENT, INDEX_HASH } from '../assembly/abi.ts'

/** Page checksums. `xxh64` is Linux's; the low 32 bits of any decide whether a page has changed. */
export const CHECKSUMS = { xxh64: CHECKSUM_XXH64, xxh3: CHECKSUM_XXH3 } as const

/** The order of the stable and the unstable tree: `content` is Linux's memcmp order, `hash` orders by checksum. */
export const INDEXES = { content: INDEX_CONTENT, hash: INDEX_HASH } as const

export type ChecksumName = keyof typeof CHECKSUMS
export type IndexName = keyof typeof INDEXES

export const CHECKSUM_NAMES = Object.keys(CHECKSUMS) as ChecksumName[]
export const INDEX_NAMES = Object.keys(INDEXES) as IndexName[]
