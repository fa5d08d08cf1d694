// What a report shows of the pages: what became of each, and what a later moment changed.

import type { Image } from '../images/index.ts'
import { type MergeOptions, type PageStates, pageStates } from '../lab/index.ts'
import type { Change } from '../report/index.ts'

/** Looks when `mergeImages` says that there is something to see. */
export class SeenPages {
  /** What became of each page, by moment. */
  private readonly moments: PageStates[] = []
  private readonly firsts: readonly number[]
  private readonly written: Uint8Array

  constructor(images: readonly Image[]) {
    let all = 0
    this.firsts = images.map(({ pages }) => {
      all += pages
      return all - pages
    })
    this.written = new Uint8Array(all)
  }

  readonly inspect = (...[host, ranges, moment]: Parameters<NonNullable<MergeOptions['inspect']>>): void => {
    this.moments[moment] = pageStates(host, ranges)
  }

  readonly onWrite = (image: number, page: number): void => {
    this.written[this.firsts[image]! + page] = 1
  }

  get pages(): PageStates {
    return this.moments.at(-1)!
  }

  get change(): Change | undefined {
    const [before, after] = this.moments
    return after === undefined ? undefined : { before: before!, written: this.written }
  }
}
