// A bare arena for tests of the core: no host, no mms.

import { Arena, type ArenaPlan } from '../../src/core/arena.ts'
import { CHECKSUMS, type ChecksumName, INDEXES, type IndexName } from '../../src/options.ts'

export function bareArena(
  options: { frames?: number; mappings?: number; index?: IndexName; checksum?: ChecksumName } = {},
): Promise<Arena> {
  const plan: ArenaPlan = {
    frames: options.frames ?? 16,
    mappings: options.mappings ?? 1024,
    index: INDEXES[options.index ?? 'hash'],
    checksum: CHECKSUMS[options.checksum ?? 'xxh3'],
  }
  return Arena.create(plan)
}
