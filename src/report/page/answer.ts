// Why a page was merged or not, in a sentence.

import type { PageState } from '../../lab/states/page-state.ts'
import { type Pages, within } from './page-map.ts'
import { grouped, plural } from './units.ts'

/** Pages in these states share their frame with every other page of their group that is in one of them. */
const MERGED: ReadonlySet<string> = new Set<PageState>(['zero', 'shared_within', 'shared_between', 'alone'])

/** Who shares a page's frame beside itself: how many in its own image, and in which others how many. */
export interface Sharers {
  readonly own: number
  readonly others: readonly { readonly image: number; readonly pages: number }[]
}

export function sharersOf(pages: Pages, index: number): Sharers {
  if (!MERGED.has(pages.state(index))) return { own: 0, others: [] }
  const { image } = pages.placeOf(index)
  const counts = new Map<number, number>()
  const merged = pages.names.map((name) => MERGED.has(name))
  // Members ascend, so their images do.
  let where = 0
  for (const member of pages.membersWith(index)) {
    if (member === index || !merged[pages.states[member]!]) continue
    while (member >= pages.images[where]!.first + pages.images[where]!.pages) where++
    counts.set(where, (counts.get(where) ?? 0) + 1)
  }
  const others = [...counts]
    .filter(([where]) => where !== image)
    .map(([where, count]) => ({ image: where, pages: count }))
  return { own: counts.get(image) ?? 0, others }
}

/** Some of the pages that share a page's frame, those of its own image first; at most so many. */
export function someSharers(pages: Pages, index: number, most: number): number[] {
  if (!MERGED.has(pages.state(index))) return []
  const image = pages.images[pages.placeOf(index).image]!
  const { first, pages: count } = image
  const members = pages.membersWith(index)
  const own = within(members, image)
  const found: number[] = []
  for (const list of [own, members]) {
    for (let i = 0; i < list.length && found.length < most; i++) {
      const member = list[i]!
      if (member === index || !MERGED.has(pages.state(member))) continue
      if (list === own || member < first || member >= first + count) found.push(member)
    }
  }
  return found
}

/** Images named one by one; more than these are only counted. */
const NAMED = 4

/** Sharers in words; empty if there are none. */
export function describeSharers(pages: Pages, { own, others }: Sharers): string {
  const named = others.length > NAMED + 1 ? others.slice(0, NAMED) : others
  const rest = others.slice(named.length)
  const parts = [
    ...(own > 0 ? [`${grouped(own)} in the same image`] : []),
    ...named.map((other) => `${grouped(other.pages)} in ${pages.images[other.image]!.name}`),
    ...(rest.length > 0 ? [`${grouped(sumOf(rest))} in ${grouped(rest.length)} more images`] : []),
  ]
  return parts.join(', ')
}

function sumOf(others: Sharers['others']): number {
  return others.reduce((sum, { pages }) => sum + pages, 0)
}

/** How many pages share a page's frame, beside itself. */
export function countOf({ own, others }: Sharers): number {
  return own + sumOf(others)
}

/** Answers "why was this page not merged?", or says with whom it was: with its sharers, where they are known. */
export function answer(pages: Pages, index: number, sharers = sharersOf(pages, index)): string {
  const mates = plural(countOf(sharers), 'other page')
  switch (pages.state(index) as PageState) {
    case 'zero':
      return `Merged: it holds only zeros and shares one frame with ${mates}.`
    case 'shared_within':
      return `Merged: it shares a frame with ${mates}, all of the same image.`
    case 'shared_between':
      return `Merged: it shares a frame with ${mates}, of ${plural(sharers.others.length + 1, 'image')}.`
    case 'alone':
      return 'Merged once, but every page that shared its frame has changed since: it saves nothing now.'
    case 'unique':
      return 'Not merged: it has kept still, but no other page has the same content.'
    case 'volatile':
      return 'Not merged: it is volatile. It was new or had changed when ksmd visited it last, and a page is merged only if it is the same at two visits in a row.'
    case 'skipped':
      return 'Not merged: smart scan passed over it in the last scan, because it had not merged in many scans before.'
    case 'sharing_limit':
      return `Not merged: it is over the sharing limit. Pages equal to it are merged, but each of their frames is shared by ${pages.maxPageSharing} pages, as many as max_page_sharing allows. It waits for one more equal page to share a new frame with.`
    case 'other_domain':
      return 'Not merged: the pages equal to it are in another domain, and pages are merged only within a domain.'
    case 'other_node':
      return 'Not merged: the pages equal to it are on another NUMA node, and merge_across_nodes is 0.'
    case 'waiting':
      return 'Not merged yet: there is an equal page, but the two have not met in a scan, or somebody holds one of them.'
    case 'not_eligible':
      return 'Not merged: it is not eligible. Its mapping was not registered with MADV_MERGEABLE, or is shared, of huge pages or of device memory.'
    case 'absent':
      return 'Not merged: there is no page. It was never written, or it is swapped out.'
  }
}
