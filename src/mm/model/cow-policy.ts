// The names of the answers to "may a write go to the page as it is?"; fault/cow.ts has the answers.

/** The answers to choose from, by the names of Linux's means. */
export const COW_POLICIES = ['anon_exclusive', 'page_count', 'mapcount+swapcount'] as const
/**
 * When a write may go to a page that was shared. `anon_exclusive`: when it is known to be this mm's alone, as Linux
 * since 5.18. `page_count`: when nobody else holds any reference, 5.9 to 5.17. `mapcount+swapcount`: when nobody else
 * maps it or has it swapped out, before that. A merged page is copied under each.
 */
export type CowPolicy = (typeof COW_POLICIES)[number]
