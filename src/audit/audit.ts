// Recounts a host from its structures and lists what does not fit: page tables against frame descriptors, rmap items
// against stable nodes, trees against their own rules, everything against the counters. Trusts nothing it can recount.

import type { KsmState } from '../ksm/state.ts'
import type { Memory } from '../mm/model/memory.ts'
import { Complaints } from './complaints.ts'
import { auditDomains, auditGround } from './ground.ts'
import { auditItems, auditNodes } from './items.ts'
import { auditPages } from './pages.ts'
import { auditAnonVmas, auditTrees, auditUnstableTrees } from './trees.ts'

/** Returns one line for each thing that is wrong; empty if all is well. To be called at rest, not inside a callback. */
export function audit(memory: Memory, ksm: KsmState): string[] {
  const complaints = new Complaints()
  auditGround(memory, complaints)
  auditPages(memory, complaints)
  const items = auditItems(memory, ksm, complaints)
  auditNodes(ksm, items, complaints)
  auditTrees(memory, ksm, complaints)
  auditUnstableTrees(memory, ksm, complaints)
  auditAnonVmas(memory, items, complaints)
  auditDomains(memory, ksm, items, complaints)
  return complaints.list
}
