// Which pages keep still: read once, all of them are taken to. Read at two moments, a page whose fingerprint differs is volatile, and one
// that is gone by then too.

import { PRINT_WORDS, samePrint } from './binary.ts'
import type { CensusPlan } from './options.ts'
import { fingerprintsOf, type Making, type Stretch, stretchFor } from './readers.ts'

/** Pages, and which of them are volatile: a 1 says so. */
export interface Steady {
  readonly stretch: Stretch
  readonly volatile: Uint8Array | undefined
}

/** Words of a fingerprint that are kept of a page between two readings. */
const KEPT_WORDS = 2

/** All pages of the images of a census, in their order. Throws what `fingerprintsOf` does. */
export async function* steadyPages(
  { images, later = [], againAfter, key, workers, pages }: CensusPlan,
  module: WebAssembly.Module,
): AsyncGenerator<Steady> {
  const making: Making = { module, key, workers, stretch: stretchFor([...images, ...later]) }
  if (againAfter !== undefined) {
    yield* twice(() => fingerprintsOf(images, making), pages, againAfter)
    return
  }
  const half = later.length === 0 ? workers : Math.ceil(workers / 2)
  const others =
    later.length === 0 ? undefined : fingerprintsOf(later, { ...making, workers: Math.floor(workers / 2) })
  try {
    for await (const stretch of fingerprintsOf(images, { ...making, workers: half })) {
      const other = others && ((await others.next()).value as Stretch)
      yield { stretch, volatile: other && differences(stretch, other.prints) }
    }
  } finally {
    await others?.return(undefined)
  }
}

function differences({ count, prints }: Stretch, others: Uint32Array): Uint8Array {
  const volatile = new Uint8Array(count)
  for (let i = 0; i < count; i++) volatile[i] = Number(!samePrint(prints, i, others, i))
  return volatile
}

/** What was there the first time is remembered as half a fingerprint: it is compared with one page's only. */
async function* twice(
  read: () => AsyncGenerator<Stretch>,
  pages: number,
  pause: number,
): AsyncGenerator<Steady> {
  const before = new Uint32Array(pages * KEPT_WORDS)
  let page = 0
  for await (const { count, prints } of read()) {
    for (let i = 0; i < count; i++, page++) {
      for (let word = 0; word < KEPT_WORDS; word++) {
        before[page * KEPT_WORDS + word] = prints[i * PRINT_WORDS + word]!
      }
    }
  }
  await new Promise((resolve) => setTimeout(resolve, pause))
  page = 0
  for await (const stretch of read()) {
    const volatile = new Uint8Array(stretch.count)
    for (let i = 0; i < stretch.count; i++, page++) {
      for (let word = 0; word < KEPT_WORDS; word++) {
        if (before[page * KEPT_WORDS + word] !== stretch.prints[i * PRINT_WORDS + word]) volatile[i] = 1
      }
    }
    yield { stretch, volatile }
  }
}
