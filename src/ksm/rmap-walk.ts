// The way back from a merged page to whoever maps it: through the items of its stable node, and from each item's
// anon_vma to the mms that forked since and have no item yet. A mapping whose mm was never visited, and whose parent's
// item is gone, is not found; that blocks a migration or a swap-out, and harms nothing.
//
// Linux: rmap_walk_ksm()

import { RMAP_STABLE } from '../../assembly/abi.ts'
import { StableNodes } from '../core/stable-nodes.ts'
import type { RmapVisitor } from '../mm/model/hooks.ts'
import type { KsmState } from './state.ts'

/** Visits every place known to map a merged page: first where the items are, then the same addresses in forked mms. */
export function rmapWalkKsm(ksm: KsmState, pfn: number, visit: RmapVisitor): void {
  const { items, frames, memory } = ksm
  const node = StableNodes.ofMapping(frames.mapping(pfn))
  if (node === 0) return
  const members = itemsOf(ksm, node)
  for (const inForks of [false, true]) {
    for (const item of members) {
      if (items.state(item) !== RMAP_STABLE || items.head(item) !== node) continue // taken off meanwhile
      const vpn = items.vpn(item)
      const own = memory.mm(items.mm(item))
      const { vmas } = memory.anonVmas.of(items.anonVma(item))
      // A copy: a visitor may fork or unmap.
      for (const vma of [...vmas]) {
        if (vpn < vma.start || vpn >= vma.end || (vma.mm !== own) !== inForks || !vmas.has(vma)) continue
        if (!visit(vma.mm, vma, vpn)) return
      }
    }
  }
}

/** The items on a node's list, at this moment. */
export function itemsOf(ksm: KsmState, node: number): number[] {
  const found: number[] = []
  for (let item = ksm.nodes.first(node); item !== 0; item = ksm.items.listNext(item)) found.push(item)
  return found
}
