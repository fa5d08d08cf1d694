// Domains over the life of an mm: a child stays in its parent's, a new address space may go to another.

import { expect, it } from 'vitest'
import { Host, type Mm } from '../../src/index.ts'

const PAGE = 4096

function mergeablePage(mm: Mm): number {
  const at = mm.mmap(PAGE)
  mm.write(at, new Uint8Array(PAGE).fill(7))
  mm.madvise(at, PAGE, 'MADV_MERGEABLE')
  return at
}

it('lets a new address space go to a domain of its own, and merges it with nobody else', async () => {
  const host = await Host.create({ frames: 16 })
  const [one, other, third] = ['', '', 'red'].map((domain) => host.createMm({ domain }))
  const moved = other!.replace({ domain: 'blue' })
  const places = [one!, third!, moved].map((mm) => [mm, mergeablePage(mm)] as const)
  host.ksm.set('run', 1)
  host.ksm.scan(3)
  expect(new Set(places.map(([mm, at]) => mm.pfn(at))).size).toBe(3)
  expect(host.ksm.counters().pages_shared).toBe(0)
  host.audit()
})

it('refuses to fork a child into another domain: the two would share pages', async () => {
  const host = await Host.create({ frames: 16 })
  const mm = host.createMm({ domain: 'red' })
  expect(() => mm.fork({ domain: 'blue' })).toThrow(RangeError)
  expect(mm.fork({ domain: 'red' }).domain).toBe('red')
  expect(mm.fork({ name: 'child' }).domain).toBe('red')
  host.audit()
})
