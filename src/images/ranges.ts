// From ranges of guest addresses, wherever in a file their bytes lie, to pages. Pages are cut by address: a core file's
// segments are usually not page-aligned in the file, and cutting by file offset would give pages no guest ever had.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { type ImageFile, refuse } from './file.ts'
import { Overlaps, type Placed } from './overlaps.ts'
import { type Contents, type Range, show } from './range.ts'
import type { Piece } from './search.ts'

/** The names that `absent` takes. */
export const ABSENT_POLICIES = ['skip', 'zero'] as const

/** What becomes of pages that belong to the guest and are not in its file: they are not counted, or they count as zeros. */
export type AbsentPolicy = (typeof ABSENT_POLICIES)[number]

export interface Layout {
  readonly pages: number
  /** Pages that are the guest's and not in the file, and are not among `pages`. */
  readonly absent: number
  /** The image is its pages one after the other. */
  readonly pieces: readonly Piece[]
  /** Runs of pages with adjacent addresses: the first page, and its address. */
  readonly extents: readonly { readonly page: number; readonly address: number }[]
}

/** No guest has more; a header that says so is broken. */
const MAX_BYTES = 2 ** 48
const ADDRESS_END = 2 ** 64

/**
 * Sorts ranges by address and lays their pages one after the other, what is no memory left out. Throws EINVAL for
 * nonsense, and where two ranges say different things of one address.
 */
export function layOut(file: ImageFile, contents: Contents, absent: AbsentPolicy): Layout {
  const ranges = contents.ranges.filter((range) => range.memoryBytes > 0)
  ranges.sort((a, b) => a.address - b.address)
  if (ranges.length === 0) throw refuse(file, 'holds no memory')
  const overlaps = new Overlaps(file, contents.read ?? file.read.bind(file))
  const memory = new Runs()
  const present = new Runs()
  for (const range of ranges) {
    expectSane(file, range)
    memory.add(range.address, range.memoryBytes)
    present.add(range.address, range.fileBytes)
    overlaps.add(range)
  }
  const { runs, pages } = absent === 'zero' ? memory : present
  if (pages === 0) {
    throw refuse(
      file,
      `holds none of the guest's ${memory.pages} pages; count them as zeros with absent: 'zero'`,
    )
  }
  const extents = firstPages(runs)
  return { pages, absent: memory.pages - pages, pieces: place(overlaps.placed, extents), extents }
}

function expectSane(file: ImageFile, range: Range): void {
  const { address, memoryBytes, fileBytes } = range
  if (memoryBytes > MAX_BYTES || address + memoryBytes > ADDRESS_END) {
    throw refuse(file, `${show(range)} is absurd: no guest has so much memory`)
  }
  // Numbers are no longer exact there, but whole pages still are.
  const whole = address % PAGE_SIZE === 0 && memoryBytes % PAGE_SIZE === 0 && fileBytes % PAGE_SIZE === 0
  if (address + memoryBytes > Number.MAX_SAFE_INTEGER && !whole) {
    throw refuse(file, `${show(range)} lies beyond 2^53 and is not made of whole pages`)
  }
}

/** The pages that ranges touch, as runs; ranges come by ascending address. */
class Runs {
  /** By page number: address divided by PAGE_SIZE. */
  readonly runs: { readonly first: number; end: number }[] = []
  /** Of all runs. */
  pages = 0

  add(address: number, bytes: number): void {
    if (bytes === 0) return
    const first = Math.floor(address / PAGE_SIZE)
    const end = first + Math.ceil(((address % PAGE_SIZE) + bytes) / PAGE_SIZE)
    const last = this.runs.at(-1)
    if (last === undefined || first > last.end) {
      this.runs.push({ first, end })
      this.pages += end - first
    } else if (end > last.end) {
      this.pages += end - last.end
      last.end = end
    }
  }
}

function firstPages(runs: Runs['runs']): { page: number; address: number }[] {
  let page = 0
  return runs.map(({ first, end }) => {
    const extent = { page, address: first * PAGE_SIZE }
    page += end - first
    return extent
  })
}

function place(placed: readonly Placed[], extents: Layout['extents']): Piece[] {
  let i = 0
  return placed.map(({ address, length, offset }) => {
    while (i + 1 < extents.length && extents[i + 1]!.address <= address) i++
    const extent = extents[i]!
    return { at: extent.page * PAGE_SIZE + (address - extent.address), length, offset }
  })
}
