// The plan of `demo`, which is older than the mixes: counters that a kernel once counted on its pages stand in the tests,
// so they never change.

import { type Laid, STREAM } from './layout.ts'
import { Names } from './names.ts'
import type { SynthParameters } from './parameters.ts'
import { CLASS, emptyPlan, KIND, type Plan } from './plan.ts'
import { shuffle, xorshift } from './random.ts'

const ZERO = 0.12
/** Pages that every image has one of: a common kernel and libraries. */
const SHARED = 0.4
/** Pages that occur several times inside one image, and how often. */
const REPEATED = 0.08
const COPIES = 4

/** The second seed of the order of pages. */
const ORDER_STREAM = 0x9e3779b9

/** Lays out `demo`. A content's number is 0 for zeros, up to `pages` if all images have it, else above. */
export function layOutDemo(parameters: SynthParameters, pages: number, images: number, seed: number): Laid {
  const plan = emptyPlan(pages, images)
  for (let image = 0; image < images; image++) {
    const firstPage = image * pages
    const ids = shuffle(contentsOf(pages, image), xorshift(seed * 31 + image, ORDER_STREAM))
    plan.ids.set(ids, firstPage)
    nameClasses(plan, firstPage)
  }
  const names = new Names(plan, parameters, seed, STREAM.filled, (images + 2) * pages)
  return { plan, names }
}

function contentsOf(pages: number, image: number): Uint32Array {
  const contents = new Uint32Array(pages)
  const zeroEnd = Math.round(pages * ZERO)
  const sharedEnd = zeroEnd + Math.round(pages * SHARED)
  const repeatedEnd = sharedEnd + Math.round(pages * REPEATED)
  const own = (image + 1) * pages
  for (let page = zeroEnd; page < pages; page++) {
    if (page < sharedEnd) contents[page] = page + 1
    else if (page < repeatedEnd) contents[page] = own + Math.floor((page - sharedEnd) / COPIES)
    else contents[page] = own + page
  }
  return contents
}

function nameClasses({ pages, ids, kinds, classes }: Plan, firstPage: number): void {
  const repeated = Math.round(pages * REPEATED) / COPIES
  for (let page = firstPage; page < firstPage + pages; page++) {
    const id = ids[page]!
    kinds[page] = id === 0 ? KIND.zero : KIND.demo
    const own = firstPage + pages
    const duplicate = id <= pages || (id >= own && id < own + repeated)
    classes[page] = id === 0 ? CLASS.zero : duplicate ? CLASS.duplicate : CLASS.unique
  }
}
