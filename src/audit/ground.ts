// What everything else stands on: the arena's header, the zero page, and the borders between domains.

import { ZERO_PFN } from '../../assembly/abi.ts'
import type { KsmState } from '../ksm/state.ts'
import type { Memory } from '../mm/model/memory.ts'
import type { Complaints } from './complaints.ts'
import type { ItemCount } from './items.ts'

/** The header is as it was written, and the page of zeros one. */
export function auditGround({ arena, cpus, frames, pins }: Memory, complaints: Complaints): void {
  for (const at of arena.changedHeaderWords())
    complaints.unless(false, () => `the arena's header was written over at byte ${at}`)
  complaints.unless(cpus.isEmptyTableEmpty(), () => 'the table that is always empty was written to')
  complaints.unless(arena.core.isZeroPage(ZERO_PFN) !== 0, () => 'the zero page was written to')
  complaints.equal('the zero page: refcount', frames.refcount(ZERO_PFN), 1 + pins.of(ZERO_PFN))
  complaints.equal('the zero page: mapcount', frames.mapcount(ZERO_PFN), 0)
  complaints.equal('the zero page: mapping', frames.mapping(ZERO_PFN), 0)
}

/** Pages are merged within a domain only; and each domain has trees. */
export function auditDomains(memory: Memory, ksm: KsmState, items: ItemCount, complaints: Complaints): void {
  for (const [node, members] of items.stableByNode) {
    const domains = new Set(members.map((item) => memory.mm(ksm.items.mm(item)).domain))
    complaints.equal(`node ${node}: domains of its items`, domains.size, 1)
  }
  const blocks = [...ksm.allTrees()].reduce(
    (sum, { stable, unstable }) => sum + stable.length + unstable.length,
    0,
  )
  complaints.equal('blocks of tree roots', memory.arena.rootBlocks, blocks)
}
