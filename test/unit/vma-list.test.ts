// The list of vmas against the plainest one there is, an array.

import { describe, expect, it } from 'vitest'
import { VPN_LIMIT } from '../../src/mm/model/address.ts'
import type { MmStruct } from '../../src/mm/model/mm-struct.ts'
import { Vma } from '../../src/mm/model/vma.ts'
import { VmaList } from '../../src/mm/model/vma-list.ts'
import { random as randomOf } from '../support/random.ts'

const BASE = 0x10_0000

class PlainList {
  vmas: Vma[] = []

  find(vpn: number): Vma | undefined {
    return this.vmas.find(({ end }) => end > vpn)
  }

  findRoom(pages: number): number {
    const last = Math.max(BASE, ...this.vmas.map(({ end }) => end))
    if (last + pages <= VPN_LIMIT) return last
    let start = BASE
    for (const vma of this.vmas) {
      if (vma.start >= start + pages) return start
      start = Math.max(start, vma.end)
    }
    return -1
  }
}

const vmaOf = (start: number, end: number): Vma => new Vma({} as MmStruct, start, end, { flags: 0, nid: 0 })

describe('the list of vmas', () => {
  it.each([1, 2, 3, 4])('finds what an array would, however it came to be (seed %i)', (seed) => {
    const random = randomOf(seed)
    const list = new VmaList()
    const plain = new PlainList()
    const from = seed % 2 === 0 ? BASE - 300 : VPN_LIMIT - 600
    // All but the last pages: room is to be found between mappings.
    if (seed % 2 === 1) {
      const most = vmaOf(BASE, from)
      list.insert(most)
      plain.vmas.push(most)
    }
    for (let step = 0; step < 3000; step++) {
      const start = from + random.below(600)
      const end = Math.min(VPN_LIMIT, start + 1 + random.below(6))
      const touching = plain.vmas.filter((vma) => vma.start < end && start < vma.end)
      const hit = plain.find(start)
      expect(list.within(start, end)).toEqual(touching)
      expect(list.find(start)).toBe(hit)
      expect(list.at(start)).toBe(hit !== undefined && hit.start <= start ? hit : undefined)
      if (touching.length === 0) {
        const vma = vmaOf(start, end)
        list.insert(vma)
        plain.vmas = [...plain.vmas, vma].sort((a, b) => a.start - b.start)
      } else if (random.below(3) === 0) {
        list.setEnd(touching[0]!, touching[0]!.start + 1)
      } else {
        list.remove(touching[0]!)
        plain.vmas = plain.vmas.filter((vma) => vma !== touching[0])
      }
      const pages = 1 + random.below(12)
      expect(list.findRoom(pages)).toBe(plain.findRoom(pages))
      if (step % 50 !== 0) continue
      expect([...list]).toEqual(plain.vmas)
      expect(list.length).toBe(plain.vmas.length)
      for (const [i, vma] of plain.vmas.entries()) {
        expect(list.after(vma)).toBe(plain.vmas[i + 1])
        expect(list.before(vma)).toBe(plain.vmas[i - 1])
      }
    }
  })
})
