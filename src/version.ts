// The version of pagefold, for results that are kept.

export const VERSION = '0.1.0'
