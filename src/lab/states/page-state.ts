// What can have become of a page of a mergeable range, in one word each. `lab/states/page-states.ts` finds out which.

/**
 * In the order in which a reader should meet them.
 *
 *   zero            shares the frame of all pages of zeros, or the zero page
 *   shared_within   merged, and every page that shares its frame is in the same image
 *   shared_between  merged with a page of another image at least
 *   alone           merged once, but nobody else maps its frame any more
 *   unique          has kept still, and no other page has its content
 *   volatile        was new or had changed when ksmd visited it last
 *   skipped         smart scan passed over it in the last scan
 *   sharing_limit   equal pages are merged, but as many share each frame as max_page_sharing allows
 *   other_domain    has an equal page only in another domain
 *   other_node      has an equal page in its domain only on another NUMA node, with merge_across_nodes=0
 *   waiting         has an equal page that it could be merged with; the two have not met, or somebody holds one
 *   not_eligible    its mapping is not registered for merging, or of a kind that never is
 *   absent          there is no page: never written, or swapped out
 */
export const PAGE_STATES = [
  'zero',
  'shared_within',
  'shared_between',
  'alone',
  'unique',
  'volatile',
  'skipped',
  'sharing_limit',
  'other_domain',
  'other_node',
  'waiting',
  'not_eligible',
  'absent',
] as const

/** What has become of a page: one of PAGE_STATES, which tells what each means. */
export type PageState = (typeof PAGE_STATES)[number]
