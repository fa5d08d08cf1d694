// Families of processes and what becomes of their anon_vmas: names for them, and the order in which they are freed.

import type { Host, Mm } from '../../src/index.ts'
import type { AnonVma } from '../../src/mm/model/anon-vma.ts'
import { memoryOf } from './inside.ts'
import { PAGE } from './world.ts'

export interface Forest {
  readonly host: Host
  readonly mms: Readonly<Record<'P' | 'C' | 'G', Mm>>
  readonly anonVmas: Readonly<Record<'R' | 'a' | 'b', AnonVma>>
  readonly freed: string[]
  drop(): void
}

export function namesOf(names: Readonly<Record<string, AnonVma>>): Map<AnonVma, string> {
  return new Map(Object.entries(names).map(([name, anonVma]) => [anonVma, name]))
}

/** Notes the names of anon_vmas as they are freed; those without a name do not count. */
export function namesFreed(host: Host, names: ReadonlyMap<AnonVma, string>): string[] {
  const freed: string[] = []
  memoryOf(host).anonVmas.onFree = (anonVma) => {
    const name = names.get(anonVma)
    if (name !== undefined) freed.push(name)
  }
  return freed
}

/** A parent, its child and its grandchild, each with an anon_vma of its own for the range at `at`. */
export function forest(host: Host, parent: Mm, at: number): Forest {
  const child = parent.fork({ name: 'C' })
  const grandchild = child.fork({ name: 'G' })
  const [R, a, b] = [parent, child, grandchild].map((mm) => mm.vmas.at(at / PAGE)!.anonVma!)
  const anonVmas = { R: R!, a: a!, b: b! }
  const freed = namesFreed(host, namesOf(anonVmas))
  return { host, mms: { P: parent, C: child, G: grandchild }, anonVmas, freed, drop: () => {} }
}

export function permutations<Item>(items: readonly Item[]): Item[][] {
  if (items.length <= 1) return [[...items]]
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]))
}
