// What a child, and what replaces an mm, have from it.

import { describe, expect, it } from 'vitest'
import { addFilled, bootHost, counted, errnoOf, fill, fullScans, PAGE, pageOf } from '../support/world.ts'

describe('fork and replace', () => {
  it('copy a pinned page for the child, which may write it no more than its parent', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    const at = addFilled(mm, 1, 7, { mergeable: false })
    const pin = mm.pin(at, PAGE)
    mm.mprotect(at, PAGE, 'PROT_READ')
    const child = mm.fork()
    expect(mm.pfn(at)).toBe(pin.pfns[0])
    expect(child.pfn(at)).not.toBe(mm.pfn(at))
    expect(errnoOf(() => child.write(at, pageOf(8)))).toBe('EFAULT')
    host.audit()
    child.mprotect(at, PAGE, 'PROT_READ|PROT_WRITE')
    child.write(at, pageOf(8))
    pin.release()
    host.audit()
  })

  it('give mappings ancestors, and such a one takes in no neighbour, on either side', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    const at = addFilled(mm, 2, 7, { mergeable: false, address: 64 * PAGE })
    const child = mm.fork()
    for (const [each, joined] of [
      [child, false],
      [mm, true],
    ] as const) {
      each.mmap(2 * PAGE, { address: at - 2 * PAGE })
      expect([...each.vmas], 'before it').toHaveLength(joined ? 1 : 2)
      each.mmap(2 * PAGE, { address: at + 2 * PAGE })
      expect([...each.vmas], 'behind it').toHaveLength(joined ? 1 : 3)
      fill(each, at - 2 * PAGE, 6, 9)
      host.audit()
    }
  })

  it('give them an anon_vma that no neighbour takes for its own either, on either side', async () => {
    const host = await bootHost()
    const mm = host.createMm()
    const at = 0x1000_0000
    mm.mmap(PAGE, { address: at })
    fill(mm, at, 1, 7)
    const child = mm.fork()
    fill(child, at, 1, 8)
    const { anonVmas } = host.memory
    expect(anonVmas.live).toBe(2)
    for (const [i, address] of [at - PAGE, at + PAGE].entries()) {
      child.mmap(PAGE, { address })
      fill(child, address, 1, 9)
      expect(anonVmas.live).toBe(3 + i)
    }
    host.audit()
  })

  it('inherit the domain, and refuse another', async () => {
    const host = await bootHost()
    const mm = host.createMm({ name: 'guest', domain: 'a' })
    const at = addFilled(mm, 2, 7)
    for (const wrong of ['b', '']) {
      expect(() => mm.fork({ domain: wrong })).toThrow(/`domain`/)
      expect(() => mm.replace({ domain: wrong })).toThrow(RangeError)
    }
    addFilled(host.createMm({ domain: 'b' }), 2, 7)
    addFilled(host.createMm(), 2, 7)
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
