// Cutting vmas and joining them again. Linux: __split_vma(), vma_merge(), find_mergeable_anon_vma()

import type { AnonVma } from './anon-vma.ts'
import type { MmStruct } from './mm-struct.ts'
import { show } from './shared-object.ts'
import { VM_READ, VM_SHARED, VM_WRITE, Vma } from './vma.ts'

/** Makes `vpn` a border: a vma that covers it becomes two. */
export function splitAt(mm: MmStruct, vpn: number): void {
  const vma = mm.vmas.at(vpn)
  if (vma === undefined || vma.start === vpn) return
  const rest = new Vma(mm, vpn, vma.end, vma, vma.indexOf(vpn))
  mm.vmas.setEnd(vma, vpn)
  rest.anonVma = vma.anonVma
  mm.memory.anonVmas.clone(rest, vma)
  show(rest, vma.shared)
  mm.vmas.insert(rest)
}

/** Gives the part of a vma in [start, end) other flags, splitting and joining as needed. Linux: vma_modify_flags() */
export function modifyFlags(mm: MmStruct, start: number, end: number, flags: number): void {
  splitAt(mm, start)
  splitAt(mm, end)
  const vma = mm.vmas.at(start)!
  vma.flags = flags
  mergeWithNeighbours(mm, vma)
}

/** Joins a vma with those beside it where nothing tells them apart. */
export function mergeWithNeighbours(mm: MmStruct, vma: Vma): void {
  const before = mm.vmas.before(vma)
  if (before !== undefined && canJoin(before, vma)) {
    join(mm, before, vma)
    vma = before
  }
  const after = mm.vmas.after(vma)
  if (after !== undefined && canJoin(vma, after)) join(mm, vma, after)
}

/**
 * A neighbour's anon_vma, if it and `vma` differ only in ways mprotect can undo: sharing one lets them be joined
 * later.
 */
function reusableAnonVma(mm: MmStruct, vma: Vma): AnonVma | undefined {
  const after = mm.vmas.after(vma)
  if (after !== undefined && compatible(vma, after) && after.anonVmaChain.length === 1) return after.anonVma
  const before = mm.vmas.before(vma)
  if (before !== undefined && compatible(before, vma) && before.anonVmaChain.length === 1)
    return before.anonVma
  return undefined
}

/** Gives a vma an anon_vma before its first page of its own. Linux: anon_vma_prepare() */
export function prepareAnonVma(mm: MmStruct, vma: Vma): void {
  if (vma.anonVma === undefined) mm.memory.anonVmas.prepare(vma, reusableAnonVma(mm, vma))
}

function compatible(a: Vma, b: Vma): boolean {
  const access = VM_READ | VM_WRITE
  return (
    a.end === b.start &&
    (a.flags | access) === (b.flags | access) &&
    a.nid === b.nid &&
    a.shared === b.shared &&
    a.indexOf(a.end) === b.pgoff
  )
}

function canJoin(a: Vma, b: Vma): boolean {
  if (!compatible(a, b) || a.flags !== b.flags || a.has(VM_SHARED)) return false
  if (a.anonVma === b.anonVma) return true
  // One that never had a page of its own can take the other's anon_vma, unless that comes with ancestors.
  if (a.anonVma === undefined) return b.anonVmaChain.length === 1 && a.anonVmaChain.length === 0
  if (b.anonVma === undefined) return a.anonVmaChain.length === 1 && b.anonVmaChain.length === 0
  return false
}

function join(mm: MmStruct, a: Vma, b: Vma): void {
  const { anonVmas } = mm.memory
  mm.vmas.remove(b)
  if (a.anonVma === undefined && b.anonVma !== undefined) {
    a.anonVma = b.anonVma
    anonVmas.clone(a, b)
  }
  mm.vmas.setEnd(a, b.end)
  b.shared?.vmas.delete(b)
  anonVmas.unlink(b)
}
