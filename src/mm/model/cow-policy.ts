// The names of the answers to "may a write go to the page as it is?"; fault/cow.ts has the answers.

export const COW_POLICIES = ['anon_exclusive', 'page_count', 'mapcount+swapcount'] as const
export type CowPolicy = (typeof COW_POLICIES)[number]
