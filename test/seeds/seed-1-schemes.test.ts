// Seeds 1 and 3: pagefold counts references on anon_vmas as Linux does today. What it replaced, the count of 2008 and the
// two counts of 2010, must have freed the same at the same moment; and under any history the root is there for its lock.

import { describe, expect, it } from 'vitest'
import type { Host, Mm } from '../../src/index.ts'
import type { AnonVma } from '../../src/mm/model/anon-vma.ts'
import { Vma } from '../../src/mm/model/vma.ts'
import { AnonVma2008, Forest2010 } from '../support/anon-vma-schemes.ts'
import { namesFreed } from '../support/forest.ts'
import { memoryOf } from '../support/inside.ts'
import { type Random, random } from '../support/random.ts'
import { lockForests } from '../support/rw-semaphore.ts'
import { addRange, makeHost, PAGE } from '../support/world.ts'

const NAMES = ['P', 'A', 'B', 'C', 'D', 'E']

/** Forks up to five times, then lets everybody exit with holders coming and going; both schemes side by side. */
async function family(choose: Random, mutant?: (host: Host) => void): Promise<void> {
  const host = await makeHost()
  mutant?.(host)
  const first = host.createMm({ name: NAMES[0]! })
  const at = addRange(first, [1], { mergeable: false })
  const own = (mm: Mm): AnonVma => mm.vmas.at(at / PAGE)!.anonVma!
  const names = new Map([[own(first), NAMES[0]!]])
  const freed = namesFreed(host, names)
  const model = new Forest2010(NAMES[0]!)
  const living = new Map<string, Mm>([[NAMES[0]!, first]])
  for (const name of NAMES.slice(1, 1 + choose.below(NAMES.length))) {
    const [parentName, parent] = choose.pick([...living])
    const child = parent.fork({ name })
    names.set(own(child), name)
    living.set(name, child)
    model.fork(parentName, name)
  }
  const held: { anonVma: AnonVma; member: ReturnType<Forest2010['of']> }[] = []
  while (living.size > 0 || held.length > 0) {
    const what = choose.below(3)
    if (what === 0 && living.size > 0 && held.length < 4) {
      const [name, mm] = choose.pick([...living])
      held.push({ anonVma: own(mm), member: model.of(name) })
      memoryOf(host).anonVmas.get(own(mm))
      model.hold(model.of(name))
    } else if (what === 1 && living.size > 0) {
      const [name, mm] = choose.pick([...living])
      living.delete(name)
      mm.exit()
      model.exit(name)
    } else if (held.length > 0) {
      const [{ anonVma, member }] = held.splice(choose.below(held.length), 1) as [(typeof held)[number]]
      memoryOf(host).anonVmas.put(anonVma)
      model.drop(member)
    }
    expect(freed, 'freed as in 2010').toEqual(model.freed)
    for (const anonVma of memoryOf(host).anonVmas) {
      expect(memoryOf(host).anonVmas.find(anonVma.root.id), 'its root is there').toBe(anonVma.root)
    }
  }
  expect(freed).toHaveLength(names.size)
  expect(memoryOf(host).anonVmas.live).toBe(0)
}

describe('seed 1, older schemes', () => {
  it('T1-6: the scheme of 2010, an external count beside the list of vmas, frees the same', () => {
    const forest = new Forest2010('R')
    const external = (name: string): number => forest.of(name).external
    expect(external('R')).toBe(0)
    forest.fork('R', 'a')
    expect(external('R')).toBe(1)
    const a = forest.of('a')
    forest.hold(a)
    forest.exit('a')
    expect([a.processes.size, a.external]).toEqual([0, 1])
    forest.exit('R')
    expect([a.root.processes.size, a.root.external]).toEqual([0, 1])
    expect(forest.freed).toEqual([])
    forest.drop(a)
    expect(forest.freed).toEqual(['a', 'R'])
  })

  it('T1-6 (1.1, 1.4, 1.8, 1.10): so it does through random families, and every member always has its root', async () => {
    for (let seed = 1; seed <= 150; seed++) await family(random(seed))
    const noReference = (host: Host): void => {
      const { anonVmas } = memoryOf(host)
      const fork = anonVmas.fork.bind(anonVmas)
      anonVmas.fork = (vma, parentVma) => {
        fork(vma, parentVma)
        vma.anonVma!.root.refcount--
      }
    }
    const caught = async (): Promise<void> => {
      for (let seed = 1; seed <= 20; seed++) await family(random(seed), noReference)
    }
    await expect(caught()).rejects.toThrow(/freed as in 2010|its root is there|used after it was freed/)
  })

  it('1.8: whoever reads or changes a list does so under its root, which is there and not held', async () => {
    const host = await makeHost()
    const locks = lockForests(host)
    const parent = host.createMm()
    const at = addRange(parent, [1, 2, 3])
    const root = parent.vmas.at(at / PAGE)!.anonVma!
    const child = parent.fork()
    const grandchild = child.fork()
    grandchild.write(at, Uint8Array.of(1))
    host.migrate(parent.pfn(at)!, { node: 0 })
    host.migrate(grandchild.pfn(at)!, { node: 0 })
    child.munmap(at + PAGE, PAGE)
    host.ksm.scan(2)
    for (const mm of [parent, child, grandchild]) mm.exit()
    host.ksm.scan(1)
    expect(new Set(locks.taken.map((taken) => taken.root))).toEqual(new Set([root.id]))
    expect(new Set(locks.taken.map(({ mode }) => mode))).toEqual(new Set(['read', 'write']))
    expect(memoryOf(host).anonVmas.live).toBe(0)
  })
})

describe('seed 3, the count of 2008', () => {
  it('T3-6 (3.1, 3.2): vmas and holders in one count; from 0 nothing is grabbed', () => {
    const anonVma = new AnonVma2008()
    anonVma.link()
    anonVma.link()
    expect(anonVma.grab()).toBe(true)
    expect(anonVma.refcount).toBe(3)
    anonVma.unlink()
    anonVma.unlink()
    expect(anonVma.refcount).toBe(1)
    anonVma.put()
    expect([anonVma.refcount, anonVma.freed]).toEqual([0, 1])
    expect(anonVma.grab()).toBe(false)
    expect(anonVma.refcount).toBe(0)
  })

  it('T3-6 (3.1): pagefold, counting all linked vmas as one, frees at the same step, once', async () => {
    const host = await makeHost()
    const mm = host.createMm()
    const { anonVmas } = memoryOf(host)
    let freed = 0
    anonVmas.onFree = () => freed++
    for (let seed = 1; seed <= 300; seed++) {
      const choose = random(seed)
      const model = new AnonVma2008()
      const vmas = [new Vma(mm, 0, 1, { flags: 0, nid: 0 })]
      anonVmas.prepare(vmas[0]!, undefined)
      model.link()
      const anonVma = vmas[0]!.anonVma!
      let holders = 0
      freed = 0
      while (vmas.length + holders > 0) {
        const what = choose.below(5)
        if (what === 0 && vmas.length > 0 && vmas.length < 4) {
          const copy = new Vma(mm, 0, 1, { flags: 0, nid: 0 })
          copy.anonVma = anonVma
          anonVmas.clone(copy, vmas[0]!)
          vmas.push(copy)
          model.link()
        } else if (what === 1 && holders < 3) {
          anonVmas.get(anonVma)
          expect(model.grab()).toBe(true)
          holders++
        } else if (what >= 3 && vmas.length > 0) {
          anonVmas.unlink(vmas.pop()!)
          model.unlink()
        } else if (holders > 0) {
          anonVmas.put(anonVma)
          model.put()
          holders--
        }
        expect(freed).toBe(model.freed)
        expect(anonVma.refcount).toBe((vmas.length > 0 ? 1 : 0) + holders)
      }
      expect(freed).toBe(1)
      expect(() => anonVmas.get(anonVma)).toThrow(/used after it was freed/)
      expect([model.grab(), anonVma.refcount, model.refcount]).toEqual([false, 0, 0])
    }
  })
})
