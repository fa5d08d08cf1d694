// Ranges that overlap: kexec-tools adds a "kernel text" segment over RAM that is in the file as well, QEMU's dump with paging
// names memory once for each mapping. Where they come from the same place or agree, they are one; where they differ, nobody
// can say what the guest had there.

import { Buffer } from 'node:buffer'
import { type ImageFile, refuse } from './file.ts'
import { type Range, show } from './range.ts'
import { firstWhere } from './search.ts'

/** Bytes of the file and their address in the guest, with the range that said so. */
export interface Placed {
  readonly address: number
  readonly length: number
  readonly offset: number
  readonly range: Range
}

/** Compared at a time. */
const CHUNK_BYTES = 2 ** 16
/** Looking at a piece costs something even if nothing is read. */
const LOOK_BYTES = 256
/** So often may a file say everything: each byte is compared at most so many times, or the file was made to take for ever. */
const MAX_TIMES = 8

/** Ranges by ascending address in, pieces that do not overlap out. */
export class Overlaps {
  /** Ascending. */
  readonly placed: Placed[] = []
  private readonly file: ImageFile
  private readonly read: (offset: number, into: Uint8Array) => void
  /** Up to here, from the address of any range yet to come, everything is taken. */
  private end = 0
  private budget: number

  constructor(file: ImageFile, read: (offset: number, into: Uint8Array) => void) {
    this.file = file
    this.read = read
    this.budget = MAX_TIMES * Math.max(file.size, 2 ** 20)
  }

  /** Throws EINVAL if the range says something else than one before. */
  add(range: Range): void {
    if (range.fileBytes === 0) return
    const end = range.address + range.fileBytes
    if (range.address < this.end) this.expectSame(range, Math.min(end, this.end))
    const address = Math.max(range.address, this.end)
    if (end <= address) return
    const skipped = address - range.address
    this.placed.push({ address, length: range.fileBytes - skipped, offset: range.offset + skipped, range })
    this.end = end
  }

  private expectSame(range: Range, end: number): void {
    let at = range.address
    const { placed } = this
    const first = firstWhere(placed.length, (i) => placed[i]!.address + placed[i]!.length > at)
    for (let i = first; at < end; i++) {
      const piece = placed[i]!
      const length = Math.min(piece.address + piece.length, end) - at
      const mine = range.offset + (at - range.address)
      const theirs = piece.offset + (at - piece.address)
      this.budget -= LOOK_BYTES
      if (mine !== theirs) this.compare(mine, theirs, length, at, [piece.range, range])
      at += length
    }
  }

  private compare(a: number, b: number, length: number, address: number, [one, other]: [Range, Range]): void {
    const size = Math.min(length, CHUNK_BYTES)
    const [mine, theirs] = [Buffer.alloc(size), Buffer.alloc(size)]
    this.budget -= length
    if (this.budget < 0) throw refuse(this.file, 'overlaps itself over and over: broken on purpose?')
    for (let done = 0; done < length; done += size) {
      const count = Math.min(size, length - done)
      this.read(a + done, mine.subarray(0, count))
      this.read(b + done, theirs.subarray(0, count))
      if (mine.compare(theirs, 0, count, 0, count) === 0) continue
      let differs = 0
      while (mine[differs] === theirs[differs]) differs++
      const where = `0x${(address + done + differs).toString(16)}`
      throw refuse(
        this.file,
        `${show(one)} at byte ${one.offset} overlaps ${show(other)} at byte ${other.offset}, and they differ at ${where}`,
      )
    }
  }
}
