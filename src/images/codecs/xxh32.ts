// XXH32 of a stream, which LZ4's frames are checked by. The core's hashes pages only.
// Specification: https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md

const [P1, P2, P3, P4, P5] = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1]
const STRIPE = 16

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))
const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)

/** Seed 0. */
export class Xxh32 {
  private readonly lanes = [(P1 + P2) | 0, P2 | 0, 0, -P1 | 0]
  private readonly rest = new Uint8Array(STRIPE)
  private kept = 0
  private total = 0

  update(bytes: Uint8Array): void {
    this.total += bytes.length
    let at = 0
    if (this.kept > 0) {
      at = Math.min(STRIPE - this.kept, bytes.length)
      this.rest.set(bytes.subarray(0, at), this.kept)
      this.kept += at
      if (this.kept < STRIPE) return
      this.stripes(this.rest, 0, STRIPE)
      this.kept = 0
    }
    const end = at + Math.floor((bytes.length - at) / STRIPE) * STRIPE
    this.stripes(bytes, at, end)
    this.rest.set(bytes.subarray(end))
    this.kept = bytes.length - end
  }

  digest(): number {
    const [a, b, c, d] = this.lanes as [number, number, number, number]
    let hash = this.total < STRIPE ? P5 : rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18)
    hash = (hash + this.total) | 0
    let at = 0
    for (; at + 4 <= this.kept; at += 4) {
      hash = Math.imul(rotate((hash + Math.imul(word(this.rest, at), P3)) | 0, 17), P4)
    }
    for (; at < this.kept; at++) {
      hash = Math.imul(rotate((hash + Math.imul(this.rest[at]!, P5)) | 0, 11), P1)
    }
    hash = Math.imul(hash ^ (hash >>> 15), P2)
    hash = Math.imul(hash ^ (hash >>> 13), P3)
    return (hash ^ (hash >>> 16)) >>> 0
  }

  private stripes(bytes: Uint8Array, start: number, end: number): void {
    let [a, b, c, d] = this.lanes as [number, number, number, number]
    const round = (lane: number, at: number): number =>
      Math.imul(rotate((lane + Math.imul(word(bytes, at), P2)) | 0, 13), P1)
    for (let at = start; at < end; at += STRIPE) {
      a = round(a, at)
      b = round(b, at + 4)
      c = round(c, at + 8)
      d = round(d, at + 12)
    }
    this.lanes.splice(0, 4, a, b, c, d)
  }
}
