// Passing over pages that need no visit, and no longer: see ksm/settled.ts for when that is.

import {
  HEADER_RESULT,
  PTE_PRESENT,
  PTE_SOFT_DIRTY,
  PTE_SPECIAL,
  RMAP_NEXT,
  RMAP_SETTLED,
  RMAP_STATE,
  RMAP_STATE_MASK,
  RMAP_UNSTABLE,
  RMAP_VPN,
  TABLE_ENTRIES,
  TREE_PARENT,
} from './abi'

const NORMAL: u32 = PTE_PRESENT | PTE_SPECIAL

/**
 * Goes along the ptes of one table, from the page `vpn` on, and along the rmap items beside them, of which `item` is the
 * first, while the page of each pte has the item at hand, a settled one, and is not soft-dirty: up to the page `end` (in the
 * same table, or the first behind it), and at most `most` of them. Returns the last item passed, 0 if there was none; how many
 * they were stands in the low half of HEADER_RESULT.
 */
export function passSettled(table: u32, vpn: u32, end: u32, item: u32, most: u32): u32 {
  let last: u32 = 0
  let passed: u32 = 0
  for (; vpn != end; vpn++) {
    const pte = load<u32>(table + (vpn & (TABLE_ENTRIES - 1)) * 4)
    if ((pte & NORMAL) != PTE_PRESENT) continue
    if ((pte & PTE_SOFT_DIRTY) != 0 || item == 0 || passed == most) break
    if (load<u32>(item, RMAP_VPN) != vpn || (load<u8>(item, RMAP_STATE) & RMAP_SETTLED) == 0) break
    last = item
    item = load<u32>(item, RMAP_NEXT)
    passed++
  }
  store<u64>(HEADER_RESULT, passed)
  return last
}

/** Of the items from `item` on, one mm's, no unstable one is in a tree any more, nor settled. */
export function forgetUnstable(item: u32): void {
  for (; item != 0; item = load<u32>(item, RMAP_NEXT)) {
    const state = load<u8>(item, RMAP_STATE)
    if ((state & RMAP_STATE_MASK) != RMAP_UNSTABLE) continue
    store<u8>(item, state & ~(<u8>RMAP_SETTLED), RMAP_STATE)
    store<u32>(item, 0, TREE_PARENT)
  }
}
