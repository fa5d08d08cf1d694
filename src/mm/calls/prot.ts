// What a mapping may be used for, as callers say it.

import { expectInteger, expectOneOf } from '../../errors.ts'
import { VM_READ, VM_WRITE } from '../model/vma.ts'

/** PROT_NONE, PROT_READ, PROT_WRITE as Linux numbers them, or by name, joined with |. */
export type Prot = number | string

const BITS: Readonly<Record<string, number>> = { PROT_NONE: 0, PROT_READ: VM_READ, PROT_WRITE: VM_WRITE }

/** Returns VM_READ | VM_WRITE as asked for; throws TypeError or RangeError for anything else. */
export function expectProt(prot: Prot): number {
  if (typeof prot === 'number') return expectInteger('prot', prot, 0, VM_READ | VM_WRITE)
  const names = typeof prot === 'string' ? prot.split('|').map((name) => name.trim()) : [prot]
  return names.reduce((all, name) => all | BITS[expectOneOf('prot', name, Object.keys(BITS))]!, 0)
}
