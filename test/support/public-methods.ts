// The whole API, walked: what each class shows of itself, found in the class and its source, so that a method added later is
// missed by whoever lists methods by hand.

import { readFileSync } from 'node:fs'
import { Host, SecondaryMmu } from '../../src/index.ts'
import { Ksm } from '../../src/ksm/ksmd.ts'
import { Pin } from '../../src/mm/calls/pin.ts'
import { Mm } from '../../src/mm/mm.ts'
import { Snapshot } from '../../src/mm/snapshot.ts'
import { VirtualCpu } from '../../src/mm/vcpu/virtual-cpu.ts'

const CLASSES = { Host, Ksm, Mm, Pin, SecondaryMmu, Snapshot, VirtualCpu }
export type ClassName = keyof typeof CLASSES
export const CLASS_NAMES = Object.keys(CLASSES) as ClassName[]

const SOURCES: Record<ClassName, string> = {
  Host: 'host.ts',
  Ksm: 'ksm/ksmd.ts',
  Mm: 'mm/mm.ts',
  Pin: 'mm/calls/pin.ts',
  SecondaryMmu: 'mm/watch/secondary-mmu.ts',
  Snapshot: 'mm/snapshot.ts',
  VirtualCpu: 'mm/vcpu/virtual-cpu.ts',
}

/** What a class has on its prototype and does not keep to itself. */
export function publicMethods(name: ClassName): string[] {
  const source = readFileSync(new URL(`../../src/${SOURCES[name]}`, import.meta.url), 'utf8')
  const kept = new Set([...source.matchAll(/^ {2}private (?:get )?(\w+)/gm)].map(([, method]) => method))
  return Object.getOwnPropertyNames(CLASSES[name].prototype).filter(
    (method) => method !== 'constructor' && !kept.has(method),
  )
}

/** These end things, and have to work on whatever is left of a host. */
export const ENDS: Readonly<Partial<Record<ClassName, readonly string[]>>> = {
  Host: ['close'],
  Ksm: ['stop'],
}
