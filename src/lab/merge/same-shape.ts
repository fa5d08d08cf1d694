// Whether images can be the same guests at two moments.

import { PagefoldError } from '../../errors.ts'
import type { Image } from '../../image.ts'

/** Throws EINVAL unless `later`, if it is anything, has an image of as many pages for each of `images`. */
export function expectSameShape(images: readonly Image[], later: readonly Image[]): void {
  if (later.length === 0) return
  if (later.length !== images.length) {
    throw new PagefoldError(
      'EINVAL',
      `--then names ${later.length} images, the first moment has ${images.length}`,
    )
  }
  for (const [i, image] of images.entries()) {
    const after = later[i]!
    if (after.pages === image.pages) continue
    const pages = `${after.pages} pages, ${image.source} has ${image.pages}`
    throw new PagefoldError('EINVAL', `${after.source}: ${pages}: not the same guest at a later moment`)
  }
}
