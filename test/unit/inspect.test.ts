// What console.log and JSON.stringify make of what a host gives: a line of what matters, never the arena.

import { inspect } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import { Host, type Mm, SecondaryMmu } from '../../src/index.ts'

describe('printed', () => {
  let host: Host
  let mm: Mm
  let at: number

  beforeEach(async () => {
    host = await Host.create({ frames: 64 })
    mm = host.createMm({ name: 'guest' })
    at = mm.mmap(4096)
    mm.write(at, Uint8Array.of(1))
  })

  it('host.frames is two numbers, of now, whoever looks', () => {
    const { frames } = host
    expect(inspect(frames)).toBe('{ free: 63, total: 64 }')
    mm.munmap(at, 4096)
    expect(inspect(frames)).toBe('{ free: 64, total: 64 }')
    expect(JSON.stringify(frames)).toBe('{"free":64,"total":64}')
    expect({ ...frames }).toEqual({ free: 64, total: 64 })
    expect(Object.keys(frames)).toEqual(['free', 'total'])
  })

  it('a host is its frames, its mms and its choices', () => {
    const text = inspect(host)
    expect(text).toMatch(
      /^Host \{\s+frames: \{ free: 63, total: 64 \},\s+mms: \[ 'guest' \],\s+index: 'hash'/,
    )
    expect(text.length).toBeLessThan(400)
  })

  it('ksmd is its counters and knobs', () => {
    expect(inspect(host.ksm)).toMatch(/^Ksm \{\s+pages_shared: 0,/)
  })

  it('an mm is its name', () => {
    expect(inspect(mm)).toBe("Mm { name: 'guest', domain: '' }")
    mm.exit()
    expect(inspect(mm)).toBe("Mm { name: 'guest', domain: '', exited: true }")
  })

  it('a pin is its frames', () => {
    const pin = mm.pin(at, 4096, { write: true })
    const [pfn] = pin.pfns
    expect(inspect(pin)).toBe(`Pin { pfns: [ ${pfn} ], longterm: false, writable: true, held: true }`)
    pin.release()
    expect(inspect(pin)).toContain('held: false')
  })

  it('a snapshot is whose it is', () => {
    const snapshot = mm.snapshot()
    expect(inspect(snapshot)).toBe("Snapshot { of: 'guest', released: false }")
    snapshot.release()
    expect(inspect(snapshot)).toBe("Snapshot { of: 'guest', released: true }")
  })

  it('a secondary MMU is how much it knows', () => {
    const mmu = new SecondaryMmu(mm)
    mmu.translate(at)
    expect(inspect(mmu)).toBe("SecondaryMmu { mm: 'guest', translations: 1, masked: 0 }")
  })

  it('all of them inside something else, however deep', () => {
    const text = inspect({ a: { b: { c: { host, ksm: host.ksm, mm } } } }, { depth: 4 })
    expect(text.length).toBeLessThan(3000)
    expect(inspect([[host]], { depth: 0 })).toBe('[ [Array] ]')
    expect(inspect([host], { depth: 0 })).toBe('[ [Host] ]')
  })

  it('a closed host too', () => {
    host.close()
    expect(inspect(host)).toContain('frames: { free: 64, total: 64 }')
    expect(inspect(host.ksm)).toContain('pages_shared')
  })
})
