// What a child, and what replaces an mm, have from it.

import { describe, expect, it } from 'vitest'
import { boot, counted, fill, fullScans, mapMergeable } from '../support/machine.ts'

describe('fork and replace', () => {
  it('inherit the domain, and refuse another', async () => {
    const host = await boot()
    const mm = host.createMm({ name: 'guest', domain: 'a' })
    const at = mapMergeable(mm, 2, 7)
    for (const wrong of ['b', '']) {
      expect(() => mm.fork({ domain: wrong })).toThrow(/`domain`/)
      expect(() => mm.replace({ domain: wrong })).toThrow(RangeError)
    }
    mapMergeable(host.createMm({ domain: 'b' }), 2, 7)
    mapMergeable(host.createMm(), 2, 7)
    const child = mm.fork({ domain: 'a' })
    fill(child, at, 2, 7)
    expect(child.replace().domain).toBe('a')
    const other = mm.fork()
    fill(other, at, 2, 7)
    fullScans(host, 2)
    expect(counted(host), 'one merged page a domain').toEqual([3, 5, 0, 0])
    expect(other.pfn(at)).toBe(mm.pfn(at))
    host.audit()
  })
})
