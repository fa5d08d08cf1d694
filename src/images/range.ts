// What a parser finds in a file: ranges of guest addresses, and where their bytes lie.

/** A range of guest memory: the first `fileBytes` of it are in the file; the rest, up to `memoryBytes`, is nowhere. */
export interface Range {
  readonly address: number
  readonly memoryBytes: number
  readonly offset: number
  readonly fileBytes: number
}

/** What a parser found. */
export interface Contents {
  /** In any order; what nobody names is no memory. They may overlap where they say the same. */
  readonly ranges: readonly Range[]
  /** What the user should know about how it was read. Default: nothing. */
  readonly notes?: readonly string[]
  /** Fills `into` with what is at one of the ranges' offsets, where that is no place in the file. Throws EINVAL, EIO. */
  readonly read?: (offset: number, into: Uint8Array) => void
}

/** A range in the words of an error. */
export function show({ address, memoryBytes }: Range): string {
  return `the range 0x${address.toString(16)}+0x${memoryBytes.toString(16)}`
}
