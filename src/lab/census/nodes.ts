// On which NUMA node each image is counted, for merge_across_nodes=0, and how sure that is: a census has one node for an image, while the pages
// of a process may lie on several.

import type { Image } from '../../image.ts'

/**
 * Who says on which node an image is: the caller; the system, which has all its pages there; the system, which has most of them there; or nobody, and
 * they are all taken to be on node 0.
 */
export type NodesBy = 'given' | 'measured' | 'estimated' | 'assumed'

/** The node of each image. */
export interface ImageNodes {
  readonly nodes: readonly number[]
  readonly by: NodesBy
  /** For each image, the part of its pages that lies on other nodes, as the system counts them; 0 where it does not. */
  readonly elsewhere: readonly number[]
}

/** Takes the nodes that are given, or else those that most pages of each image lie on. */
export function nodesOfImages(images: readonly Image[], given: readonly number[] | undefined): ImageNodes {
  const none = images.map(() => 0)
  if (given !== undefined) return { nodes: given, by: 'given', elsewhere: none }
  if (images.some(({ nodes }) => nodes === undefined)) return { nodes: none, by: 'assumed', elsewhere: none }
  const ranked = images.map((image) => [...image.nodes!].sort(([, a], [, b]) => b - a))
  const elsewhere = ranked.map((counts) => {
    const all = counts.reduce((sum, [, pages]) => sum + pages, 0)
    return all === 0 ? 0 : (all - counts[0]![1]) / all
  })
  return {
    nodes: ranked.map((counts) => counts[0]?.[0] ?? 0),
    by: elsewhere.every((part) => part === 0) ? 'measured' : 'estimated',
    elsewhere,
  }
}
