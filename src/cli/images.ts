// What every command does with the images it is told of: says what is to be known about how they were read, and whether they
// are too many.

import type { Image } from '../images/index.ts'
import { PAGE_SIZE, PagefoldError } from '../index.ts'
import { MAX_IMAGE_PAGES } from '../lab/index.ts'
import { bytes, count } from './format.ts'
import { complain } from './output.ts'
import { inOptions } from './usage.ts'

/** Says on stderr what was remarkable about files. */
export function sayNotes(images: readonly Image[]): void {
  for (const note of images.flatMap((image) => image.notes)) complain(inOptions(note))
}

/** Throws ENOMEM for images that no host holds at once. */
export function expectToFit(images: readonly Image[]): void {
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  if (pages <= MAX_IMAGE_PAGES) return
  const size = (some: number): string => `${count(some)} pages (${bytes(some * PAGE_SIZE)})`
  throw new PagefoldError(
    'ENOMEM',
    `the images are ${size(pages)}, and at most ${size(MAX_IMAGE_PAGES)} can be merged at once, all that 32 bits address: ` +
      'name fewer of them, or take a part of a raw one, as in `head -c 3G FILE | pagefold scan -`; ' +
      '`pagefold census` says what merging them would come to, whatever their size',
  )
}
