// How the map of a report is packed: what ../page-map.ts writes and page-map.ts reads.
//
// A byte a page with its state, then the codes of the groups that pages belong to, in the order of these pages: all their lowest
// bytes, then all the next. What is alike lies side by side, which deflate makes most of. A code is 0 for a new group, 1 for
// the one that came after the group before when that was last met, otherwise 2 plus how many are newer.

/** Beside a page's state: it belongs with others. */
export const GROUPED = 128
/** Of a group's code. */
export const CODE_BYTES = 4
/** Beside a page's state of before: it was written since. */
export const WRITTEN = 128
