// Page content: compare, test, copy. Together with the checksum files the only code that reads what guests wrote.
//
// Each function is one loop over 64 bytes at a time, and each call handles one page: short calls are what makes the
// engine compile them well. Other threads may write while we read, so a verdict counts only once the page is
// write-protected; the callers compare again then.

import { PAGE_SHIFT, PAGE_SIZE } from './abi'

/** Compares two pages as unsigned bytes: negative, 0 or positive. Linux: memcmp_pages() */
export function comparePages(pfn: u32, otherPfn: u32): i32 {
  let a: usize = pfn << PAGE_SHIFT
  let b: usize = otherPfn << PAGE_SHIFT
  // The end may be 2^32, which is 0: count instead of comparing addresses.
  for (let left: u32 = PAGE_SIZE; left != 0; left -= 64) {
    if (differs64(a, b)) return orderWithin64(a, b)
    a += 64
    b += 64
  }
  return 0
}

/** Tells whether two pages hold the same bytes: 1 or 0. Linux: pages_identical() */
export function pagesIdentical(pfn: u32, otherPfn: u32): i32 {
  let a: usize = pfn << PAGE_SHIFT
  let b: usize = otherPfn << PAGE_SHIFT
  for (let left: u32 = PAGE_SIZE; left != 0; left -= 64) {
    if (differs64(a, b)) return 0
    a += 64
    b += 64
  }
  return 1
}

/** Tells whether a page holds only zeros: 1 or 0. */
export function isZeroPage(pfn: u32): i32 {
  let p: usize = pfn << PAGE_SHIFT
  for (let left: u32 = PAGE_SIZE; left != 0; left -= 64) {
    const low = v128.or(v128.load(p), v128.load(p, 16))
    const high = v128.or(v128.load(p, 32), v128.load(p, 48))
    if (v128.any_true(v128.or(low, high))) return 0
    p += 64
  }
  return 1
}

/** Copies a whole page. Linux: copy_user_highpage() */
export function copyPage(toPfn: u32, fromPfn: u32): void {
  memory.copy((<usize>toPfn) << PAGE_SHIFT, (<usize>fromPfn) << PAGE_SHIFT, PAGE_SIZE)
}

/** Fills a page with zeros. Linux: clear_user_highpage() */
export function clearPage(pfn: u32): void {
  memory.fill((<usize>pfn) << PAGE_SHIFT, 0, PAGE_SIZE)
}

function differs64(a: usize, b: usize): bool {
  const x0 = v128.xor(v128.load(a), v128.load(b))
  const x1 = v128.xor(v128.load(a, 16), v128.load(b, 16))
  const x2 = v128.xor(v128.load(a, 32), v128.load(b, 32))
  const x3 = v128.xor(v128.load(a, 48), v128.load(b, 48))
  return v128.any_true(v128.or(v128.or(x0, x1), v128.or(x2, x3)))
}

function orderWithin64(a: usize, b: usize): i32 {
  for (let at: usize = 0; at < 64; at += 16) {
    const equal = i8x16.bitmask(i8x16.eq(v128.load(a + at), v128.load(b + at)))
    if (equal != 0xffff) {
      const byte = at + <usize>ctz(~equal)
      const order = <i32>load<u8>(a + byte) - <i32>load<u8>(b + byte)
      // A racing writer may have made the bytes equal since: any non-zero answer is as good, and 0 would be a lie.
      return order != 0 ? order : 1
    }
  }
  return 1
}
