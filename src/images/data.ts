// What of a sparse file need not be read: its holes, which are zeros. The system tells them by lseek with SEEK_DATA and SEEK_HOLE, which Node
// has not; koffi calls it, where that optional package is installed. Where it is not, or the system does not know, everything is read and comes to
// the same.

import { createRequire } from 'node:module'

/** Says where a file goes on from `offset`; negative: nowhere, because there is no data any more, or it cannot be told. */
export type Seek = (fd: number, offset: number, whence: number) => number

/** What lseek is told: the next data, the next hole. A Mac has them the other way round. */
const [SEEK_DATA, SEEK_HOLE] = process.platform === 'darwin' ? [4, 3] : [3, 4]

interface Lseek {
  readonly seek: Seek
  /** Why the last one was nowhere. */
  readonly endOfData: () => boolean
}

let known: Lseek | null | undefined

/** lseek, or undefined where there is none to be had. */
function lseek(): Lseek | undefined {
  if (known !== undefined) return known ?? undefined
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const seek = koffi.load(null).func('int64_t lseek(int fd, int64_t offset, int whence)') as unknown as Seek
    known = { seek, endOfData: () => koffi.errno() === koffi.os.errno.ENXIO }
  } catch {
    known = null
  }
  return known ?? undefined
}

/** The data of a sparse file. */
export class FileData {
  private readonly fd: number
  private readonly lseek: Lseek | undefined
  /** Data that was found last: [from, to). Holes are not remembered, because who uses the file may fill them. */
  private from = 0
  private to = 0

  constructor(fd: number, found = lseek()) {
    this.fd = fd
    this.lseek = found
  }

  /** Calls `use` for what there is of bytes [low, high), ascending: from where to where. All else is zeros. */
  within(low: number, high: number, use: (low: number, high: number) => void): void {
    for (let at = low; at < high; ) {
      if (at < this.from || at >= this.to) this.find(at, high)
      const from = Math.max(at, this.from)
      if (from >= high) return
      const to = Math.min(high, this.to)
      use(from, to)
      at = to
    }
  }

  /** Finds the data at `at`, or the first behind it. Where that cannot be told all is data, up to `high`. */
  private find(at: number, high: number): void {
    const { lseek, fd } = this
    this.from = at
    this.to = high
    if (lseek === undefined) return
    const from = lseek.seek(fd, at, SEEK_DATA)
    if (from < 0) {
      if (lseek.endOfData()) this.from = high
      return
    }
    const to = lseek.seek(fd, from, SEEK_HOLE)
    if (to <= from) return
    this.from = from
    this.to = to
  }
}
