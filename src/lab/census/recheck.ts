// What `verify` does: reads pages that were taken for equal once more, and compares their bytes.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { PagefoldError } from '../../errors.ts'
import type { Image } from '../../image.ts'

export class Recheck {
  /** Pages whose bytes were compared. */
  verified = 0
  private readonly images: readonly Image[]
  private readonly firsts: readonly number[]
  private readonly page = new Uint8Array(PAGE_SIZE)
  private readonly other = new Uint8Array(PAGE_SIZE)
  private image = 0

  /** `firsts`: the first page of each image among those of all. */
  constructor(images: readonly Image[], firsts: readonly number[]) {
    this.images = images
    this.firsts = firsts
  }

  /** Throws EUCLEAN if two pages that have one fingerprint are not equal. Memory that is in use may have changed, and is left out. */
  readonly compare = (page: number, first: number): void => {
    if (!this.read(page, this.page) || !this.read(first, this.other)) return
    this.expectEqual(page, first)
  }

  /** The same of a page that is taken for one of zeros. */
  expectZeros(page: number): void {
    if (!this.read(page, this.page)) return
    this.other.fill(0)
    this.expectEqual(page, undefined)
  }

  private expectEqual(page: number, first: number | undefined): void {
    this.verified++
    for (let i = 0; i < PAGE_SIZE; i++) {
      if (this.page[i] === this.other[i]) continue
      const what = first === undefined ? 'and zeros' : `and page ${first}`
      throw new PagefoldError(
        'EUCLEAN',
        `page ${page} of all ${what} have one fingerprint and differ; if nobody wrote to the images meanwhile, take another key`,
      )
    }
  }

  private read(page: number, into: Uint8Array): boolean {
    while (page < this.firsts[this.image]!) this.image--
    while (page >= this.firsts[this.image]! + this.images[this.image]!.pages) this.image++
    const image = this.images[this.image]!
    if (image.gone !== undefined) return false
    image.read(page - this.firsts[this.image]!, 1, into)
    return true
  }
}
