// A sample of images, so that what is tried on them many times over takes memory of known size.

import type { Image } from '../../image.ts'

/** Pages side by side that are taken together: neighbours in memory are often alike. */
const RUN_PAGES = 16

/**
 * Images of together at most `limit` pages: these, or runs of their pages spread evenly over each, as many of each as its share.
 * They read from the images and are not to be closed.
 */
export function sampleOf(images: readonly Image[], limit: number): readonly Image[] {
  const total = images.reduce((sum, image) => sum + image.pages, 0)
  if (total <= limit) return images
  return images.flatMap((image) => {
    const pages = Math.floor((image.pages * limit) / total)
    return pages === 0 ? [] : [new Sample(image, pages)]
  })
}

class Sample implements Image {
  readonly source: string
  readonly format: string
  readonly pages: number
  readonly notes: readonly string[] = []
  private readonly image: Image

  constructor(image: Image, pages: number) {
    this.source = image.source
    this.format = image.format
    this.image = image
    this.pages = pages
  }

  addressOf(page: number): number {
    return this.image.addressOf(this.pageOf(page))
  }

  read(first: number, count: number, into: Uint8Array): void {
    const bytes = into.length / count
    for (let done = 0; done < count; ) {
      const run = Math.min(count - done, RUN_PAGES - ((first + done) % RUN_PAGES))
      this.image.read(this.pageOf(first + done), run, into.subarray(done * bytes, (done + run) * bytes))
      done += run
    }
  }

  close(): void {}

  /** Run by run, the first at the beginning of the image and the last, which may be shorter, at its end: never one page twice. */
  private pageOf(page: number): number {
    const last = Math.ceil(this.pages / RUN_PAGES) - 1
    const run = Math.floor(page / RUN_PAGES)
    const room = this.image.pages - (this.pages - last * RUN_PAGES)
    return (last === 0 ? 0 : Math.floor((run * room) / last)) + (page % RUN_PAGES)
  }
}
