// A guest's memory from outside, as everybody who reads one sees it: files, synthetic guests, and whatever else can tell its
// pages. Who opens which is in images/ and synth/.

/** How an image was written down, in a word: one of these, or another of whoever made it. */
export type ImageFormat =
  | 'raw'
  | 'elf'
  | 'lime'
  | 'kdump'
  | 'avml'
  | 'synth'
  | (string & Record<never, never>)

/** Bytes of pages that lie in an open file as they are. */
export interface Place {
  /** Where they go, in bytes from the first page asked for. */
  readonly at: number
  readonly length: number
  /** The file's descriptor, and where they are in it. */
  readonly fd: number
  readonly offset: number
}

/** A guest's memory at one moment: pages in ascending order of their addresses, holes left out. */
export interface Image {
  /** As the user named it. */
  readonly source: string
  /** What it was read from. */
  readonly format: ImageFormat
  /** How many pages it has; they are numbered from 0. */
  readonly pages: number
  /** The process whose memory it is, if it is one's. */
  readonly pid?: number
  /** Of a process: how many of its pages lie on each NUMA node, as the system counted them when it was opened, if it does. */
  readonly nodes?: ReadonlyMap<number, number> | undefined
  /** How many pages more the guest had that are not in the file: they are not among `pages`. Default: 0. */
  readonly absent?: number
  /** What the user should know about how it was read; empty if nothing. */
  readonly notes: readonly string[]
  /** The guest's own address of a page, in bytes. */
  addressOf(page: number): number
  /**
   * Reads pages [first, first + count) into `into`, count * 4096 bytes, all of which are written. Throws EIO. Inside `loadImage` only
   * calls that look are possible (docs/callbacks.md).
   */
  read(first: number, count: number, into: Uint8Array): void
  /**
   * Where the bytes of pages [first, first + count) lie, ascending, for threads that read by themselves; what is at none of these places is
   * zeros. undefined, or no such method: only `read` knows.
   */
  places?(first: number, count: number): readonly Place[] | undefined
  /** Of memory that is read while somebody uses it: whether a page was gone when `read` was last asked for it. It read as zeros then. */
  gone?(page: number): boolean
  /** Gives back what the image holds open. It cannot be read afterwards. */
  close(): void
}
