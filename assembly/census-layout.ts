// Where in a memory of the census something lies that both parts of its binary use, the fingerprints and the table.

/** The fingerprint of a page of zeros. */
export const ZERO_PRINT: usize = 16
/** Fingerprints, made or to be taken in. */
export const PRINTS: usize = 8192
export const PRINT_BYTES: usize = 16
