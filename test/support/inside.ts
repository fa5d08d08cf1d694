// What lies behind a host's public face, for tests that have to look there or to break something on purpose: the one place
// that knows how to get at it.

import { expect } from 'vitest'
import { StableNodes } from '../../src/core/stable-nodes.ts'
import type { Host, Mm } from '../../src/index.ts'
import type { KsmState } from '../../src/ksm/state.ts'
import type { Memory } from '../../src/mm/model/memory.ts'
import { PAGE } from './world.ts'

export function memoryOf(owner: Host | Mm): Memory {
  return owner.memory
}

export function ksmOf(host: Host): KsmState {
  return host.ksm.state
}

/** How many there are of each kind of object that takes metadata pages. */
export function objectsOf(host: Host): ReturnType<Memory['arena']['objects']> {
  return memoryOf(host).arena.objects()
}

/** The stable node of a merged page. */
export function nodeOf(host: Host, pfn: number): number {
  const node = StableNodes.ofMapping(memoryOf(host).frames.mapping(pfn))
  expect(node, `frame ${pfn} has a stable node`).not.toBe(0)
  return node
}

/** The virtual page number of an address. */
export function vpnOf(address: number): number {
  return Math.floor(address / PAGE)
}

/** The pte of an address, as it is in the page table. */
export function pteOf(mm: Mm, address: number): number {
  return memoryOf(mm).pageTables.get(mm.pgd, vpnOf(address))
}
