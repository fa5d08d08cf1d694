// How the map of a report is packed, what ../page-map.ts writes and page-map.ts reads: PageMap in ../section.ts says it. What is alike
// lies side by side, which deflate makes most of.

/** Beside a page's state: it belongs with others. */
export const GROUPED = 128
/** Of a group's code. */
export const CODE_BYTES = 4
/** Beside a page's state of before: it was written since. */
export const WRITTEN = 128
