// A diff snapshot, as Firecracker writes it: a sparse file with the pages that changed, whose holes are what was in the
// snapshot before.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Image } from '../image.ts'
import { type ImageFile, refuse } from './file.ts'
import type { Extent } from './holes.ts'
import { piecesWithin } from './search.ts'

/** Puts the data of `diff` over `base`; the image owns both. Throws EINVAL if they are not of one size. */
export function withBase(diff: ImageFile, data: readonly Extent[], base: Image): Image {
  if (base.pages * PAGE_SIZE !== diff.size) {
    throw refuse(diff, `has ${diff.size / PAGE_SIZE} pages, its base ${base.source} has ${base.pages}`)
  }
  const pieces = data.map(({ offset, length }) => ({ at: offset, length, offset }))
  return {
    source: diff.path,
    format: 'raw',
    pages: base.pages,
    absent: 0,
    notes: base.notes,
    addressOf: (page) => page * PAGE_SIZE,
    read(first, count, into) {
      base.read(first, count, into)
      const start = first * PAGE_SIZE
      const end = start + count * PAGE_SIZE
      piecesWithin(pieces, start, end, (low, high, offset) => {
        diff.read(offset, into.subarray(low - start, high - start))
      })
    },
    close() {
      diff.close()
      base.close()
    },
  }
}
