// Who shares with whom: for every image with every other how many of its pages share their frame with one of the other's.

import { PAGE_STATES } from '../lab/states/page-state.ts'
import type { PageStates } from '../lab/states/page-states.ts'
import type { MatrixSection } from './section.ts'

/** More images than these make a picture too fine to point at, and a report too large to mail. */
export const MOST_IMAGES = 256

const SHARED = ['shared_within', 'shared_between'] as const

/**
 * Counts, for image i and image j, the pages of i that share their frame with a page of j; with i = j, with another
 * page of i. Pages of zeros apart: they are everybody's.
 */
export function sharingMatrix(sizes: readonly number[], { states, groups }: PageStates): number[][] {
  const shared = new Set<number>(SHARED.map((state) => PAGE_STATES.indexOf(state)))
  /** By frame: the images that have pages in it and how many, one after the other. */
  const uses: number[][] = []
  let page = 0
  for (const [image, size] of sizes.entries()) {
    for (const end = page + size; page < end; page++) {
      if (!shared.has(states[page]!)) continue
      uses[groups[page]!] ??= []
      const use = uses[groups[page]!]!
      if (use.at(-2) === image) use[use.length - 1]!++
      else use.push(image, 1)
    }
  }
  const matrix = sizes.map(() => sizes.map(() => 0))
  for (const use of uses.filter((use) => use !== undefined)) {
    for (let i = 0; i < use.length; i += 2) {
      const row = matrix[use[i]!]!
      const pages = use[i + 1]!
      for (let j = 0; j < use.length; j += 2) if (i !== j || pages > 1) row[use[j]!]! += pages
    }
  }
  return matrix
}

/** The same as a picture; nothing for a single image, which shares with nobody, or for too many. */
export function whoWithWhom(
  images: readonly { readonly source: string; readonly name: string; readonly pages: number }[],
  pages: PageStates,
): MatrixSection[] {
  const names = images.map(({ name }) => name)
  const share = { pages: 'share', end: ' Each number leads to the pages.' }
  const values = (): number[][] =>
    sharingMatrix(
      images.map((image) => image.pages),
      pages,
    )
  return matrixPicture(images, names, share, values).map((matrix) => ({ ...matrix, linked: true }))
}

/** Any such matrix as a picture. `share`: what pages do, and how the note ends. */
export function matrixPicture(
  images: readonly { readonly source: string }[],
  names: readonly string[],
  share: { readonly pages: string; readonly end: string },
  values: () => readonly (readonly number[])[],
): MatrixSection[] {
  if (images.length < 2 || images.length > MOST_IMAGES) return []
  const titles = images.map(({ source }) => source)
  return [
    {
      kind: 'matrix',
      title: 'Who shares with whom',
      note:
        `Pages of a row's image that ${share.pages} their frame with a page of a column's; along the diagonal, with another page of their ` +
        `own image. Pages of zeros are not among them.${share.end}`,
      rows: { label: 'pages of', names, titles },
      columns: { label: 'shared with', names, titles },
      unit: 'count',
      values: values(),
    },
  ]
}
