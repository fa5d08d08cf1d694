// The census's table: each fingerprint that was met, once, in ascending order, in slots that follow one another without a gap. What is met
// waits behind them until it is a tenth of what is there; then it is sorted and merged in. So memory is gone through from one end to the
// other and never waited for, and as much room is needed as the slots take, and a fifth: half of that for what waits, half for it to go to.
//
//     16384  places of the sort, 2 KiB for each byte of a slot
//     65536  slots: fingerprint, 16 bytes; what the caller keeps of it; its first page, where that is wanted
//            room for as many as may wait
//            those that wait: the same, but for the image, which stands where what is kept will

import { PRINT_BYTES, PRINTS, ZERO_PRINT } from './census-layout'

/** Words of the table. */
const STRIDE: usize = 32
const USED: usize = 36
const WAITING: usize = 40
/** How many may wait. */
const ROOM: usize = 44
/** Where they do. */
const QUEUE: usize = 48

const PLACES: usize = 16_384
const BUCKETS: usize = 256
const LEVEL_BYTES: usize = 2 * BUCKETS * 4
const SLOTS: usize = 65_536
/** In a slot: what is kept of a content; of one that waits, the image. */
const INFO: usize = 16
/** The first page that had it. */
const FIRST: usize = 20
const WASM_PAGE: u64 = 65_536
const MOST_BYTES: u64 = 65_536 * WASM_PAGE
/** A part of those that are there may wait, and at least some. */
const PART: u32 = 10
const FEWEST: u32 = 4096
/** So few are sorted one by one. */
const FEW: usize = 24

/**
 * Called for each page in the order of contents and, of one content, of pages: what was kept of its content, 0 if it is new, and the page that had
 * it first. Returns what is to be kept, which is not 0.
 */
declare function met(kept: u32, image: u32, page: u32, first: u32): u32

/** Begins an empty table, with slots of 20 bytes, or of 24 where first pages are wanted. False if there is no memory. */
export function initTable(stride: u32): bool {
  store<u32>(STRIDE, stride)
  store<u32>(USED, 0)
  return makeRoom()
}

export function used(): u32 {
  return load<u32>(USED)
}

/**
 * Takes in the fingerprints at PRINTS, of pages of an image one after the other, the first of them number `page` of all; but for zeros. Returns
 * how many those were, or -1 if there is no memory.
 */
export function gather(count: u32, image: u32, page: u32): i32 {
  const stride = <usize>load<u32>(STRIDE)
  const zero = v128.load(ZERO_PRINT)
  const end = PRINTS + <usize>count * PRINT_BYTES
  let zeros: i32 = 0
  for (let from = PRINTS; from < end; from += PRINT_BYTES, page++) {
    const print = v128.load(from)
    if (!v128.any_true(v128.xor(print, zero))) {
      zeros++
      continue
    }
    if (load<u32>(WAITING) == load<u32>(ROOM) && !settle()) return -1
    const waiting = load<u32>(WAITING)
    const at = <usize>load<u32>(QUEUE) + <usize>waiting * stride
    v128.store(at, print)
    store<u32>(at, image, INFO)
    if (stride > FIRST) store<u32>(at, page, FIRST)
    store<u32>(WAITING, waiting + 1)
  }
  return zeros
}

/** Merges in what waits. False if there is no memory for more to wait. */
export function settle(): bool {
  const stride = <usize>load<u32>(STRIDE)
  const queue = <usize>load<u32>(QUEUE)
  sort(queue, queue + <usize>load<u32>(WAITING) * stride, stride, 0)
  const fresh = meetAll(queue, stride)
  mergeIn(queue, fresh, stride)
  store<u32>(USED, load<u32>(USED) + fresh)
  return makeRoom()
}

/** For as many to wait as is right now. Nothing waits. */
function makeRoom(): bool {
  store<u32>(WAITING, 0)
  const stride = load<u32>(STRIDE)
  const used = load<u32>(USED)
  const room = max(FEWEST, used / PART)
  const queue = <u64>SLOTS + (<u64>used + room) * stride
  const end = queue + <u64>room * stride
  if (end > MOST_BYTES) return false
  const want = <i32>((end + WASM_PAGE - 1) / WASM_PAGE)
  const have = memory.size()
  if (want > have && memory.grow(want - have) < 0) return false
  store<u32>(ROOM, room)
  store<u32>(QUEUE, <u32>queue)
  return true
}

/** Tells of all that wait, sorted; leaves at the beginning of the queue those that are new, each once, as slots. Returns how many. */
function meetAll(queue: usize, stride: usize): u32 {
  const end = queue + <usize>load<u32>(WAITING) * stride
  const slotsEnd = SLOTS + <usize>load<u32>(USED) * stride
  const located = stride > FIRST
  let slot = SLOTS
  let fresh = queue
  for (let at = queue; at < end; at += stride) {
    while (slot < slotsEnd && isBefore(slot, at)) slot += stride
    const page = located ? load<u32>(at, FIRST) : 0
    let there = slot
    if (slot == slotsEnd || !isSame(slot, at)) {
      there = fresh - stride
      if (fresh == queue || !isSame(there, at)) {
        const image = load<u32>(at, INFO)
        move(fresh, at, stride)
        store<u32>(fresh, met(0, image, page, page), INFO)
        fresh += stride
        continue
      }
    }
    const first = located ? load<u32>(there, FIRST) : 0
    store<u32>(there, met(load<u32>(there, INFO), load<u32>(at, INFO), page, first), INFO)
  }
  return <u32>((fresh - queue) / stride)
}

/** Merges new slots into those that are there, from the end on: each goes to where nobody is, or has been. */
function mergeIn(queue: usize, fresh: u32, stride: usize): void {
  let slot = SLOTS + <usize>load<u32>(USED) * stride
  let from = queue + <usize>fresh * stride
  let to = slot + <usize>fresh * stride
  while (from > queue) {
    from -= stride
    while (slot > SLOTS && isBefore(from, slot - stride)) {
      slot -= stride
      to -= stride
      move(to, slot, stride)
    }
    to -= stride
    move(to, from, stride)
  }
}

/**
 * Sorts slots that wait by their bytes from the `level`th on, of most weight first: fingerprint, image, page. In place (American flag sort: McIlroy,
 * Bostic, McIlroy, 1993), and in proportion to their number whatever they are: many may be of one content.
 */
function sort(from: usize, to: usize, stride: usize, level: usize): void {
  if (to - from <= FEW * stride) {
    sortFew(from, to, stride)
    return
  }
  if (level == stride) return
  const byte = level ^ (level < INFO ? 7 : 3)
  const next = PLACES + level * LEVEL_BYTES
  const ends = next + BUCKETS * 4
  memory.fill(ends, 0, BUCKETS * 4)
  for (let at = from; at < to; at += stride) {
    const count = ends + ((<usize>load<u8>(at + byte)) << 2)
    store<u32>(count, load<u32>(count) + 1)
  }
  let place = from
  for (let bucket: usize = 0; bucket < BUCKETS * 4; bucket += 4) {
    store<u32>(next + bucket, <u32>place)
    place += <usize>load<u32>(ends + bucket) * stride
    store<u32>(ends + bucket, <u32>place)
  }
  for (let bucket: usize = 0; bucket < BUCKETS * 4; bucket += 4) {
    const end = <usize>load<u32>(ends + bucket)
    for (let at = <usize>load<u32>(next + bucket); at < end; ) {
      const own = (<usize>load<u8>(at + byte)) << 2
      if (own == bucket) {
        at += stride
        continue
      }
      const other = <usize>load<u32>(next + own)
      store<u32>(next + own, <u32>(other + stride))
      swap(at, other, stride)
    }
  }
  let begin = from
  for (let bucket: usize = 0; bucket < BUCKETS * 4; bucket += 4) {
    const end = <usize>load<u32>(ends + bucket)
    if (end - begin > stride) sort(begin, end, stride, level + 1)
    begin = end
  }
}

function sortFew(from: usize, to: usize, stride: usize): void {
  for (let at = from + stride; at < to; at += stride) {
    let place = at
    while (place > from && waitsBefore(place, place - stride, stride)) {
      swap(place, place - stride, stride)
      place -= stride
    }
  }
}

function isSame(a: usize, b: usize): bool {
  return load<u64>(a) == load<u64>(b) && load<u64>(a, 8) == load<u64>(b, 8)
}

function isBefore(a: usize, b: usize): bool {
  const high = load<u64>(a)
  const other = load<u64>(b)
  return high < other || (high == other && load<u64>(a, 8) < load<u64>(b, 8))
}

/** The same of those that wait, of which one content may be met several times. */
function waitsBefore(a: usize, b: usize, stride: usize): bool {
  if (!isSame(a, b)) return isBefore(a, b)
  const image = load<u32>(a, INFO)
  const other = load<u32>(b, INFO)
  if (image != other || stride == FIRST) return image < other
  return load<u32>(a, FIRST) < load<u32>(b, FIRST)
}

/** Copies a slot; for so few bytes a call would take longer. */
function move(to: usize, from: usize, stride: usize): void {
  const print = v128.load(from)
  const info = load<u32>(from, INFO)
  if (stride > FIRST) store<u32>(to, load<u32>(from, FIRST), FIRST)
  v128.store(to, print)
  store<u32>(to, info, INFO)
}

function swap(a: usize, b: usize, stride: usize): void {
  const print = v128.load(a)
  const info = load<u32>(a, INFO)
  const first = stride > FIRST ? load<u32>(a, FIRST) : 0
  move(a, b, stride)
  v128.store(b, print)
  store<u32>(b, info, INFO)
  if (stride > FIRST) store<u32>(b, first, FIRST)
}
