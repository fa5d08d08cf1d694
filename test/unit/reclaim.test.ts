// Memory that is short, with swap: pages go there rather than a write be refused, if the host was made so.

import { describe, expect, it } from 'vitest'
import { GuestMemory } from '../../src/hypervisor/index.ts'
import { memorySwapStore } from '../../src/index.ts'
import { memoryOf } from '../support/inside.ts'
import { addRange, contentBytes, errnoOf, expectContent, makeHost, PAGE } from '../support/world.ts'

describe('no frame left', () => {
  it('is no refusal where pages can be swapped out', async () => {
    const host = await makeHost({ frames: 64, reclaim: true })
    host.swapOn(memorySwapStore(256))
    const mm = host.createMm()
    const contents = Array.from({ length: 150 }, (_, i) => 1 + (i % 100))
    const at = addRange(mm, contents, { address: 0x1000_0000 })
    const memory = new GuestMemory(mm.attachCpu().shared, mm.attachCpu().imports)
    for (const [page, content] of contents.entries()) {
      expectContent(mm, at + page * PAGE, content)
      expect(memory.bytes[memory.forRead(page * PAGE)]).toBe(content)
    }
    host.ksm.scan(2)
    host.audit()
  })

  it('frees as many at a time as Linux: 32', async () => {
    const host = await makeHost({ frames: 64, reclaim: true })
    host.swapOn(memorySwapStore(256))
    const mm = host.createMm()
    addRange(
      mm,
      Array.from({ length: 65 }, (_, i) => i + 1),
    )
    expect(memoryOf(host).swap.usage.used).toBe(32)
    expect(host.frames.free).toBe(31)
  })

  it('is one without swap, with a full one, where nothing may go, and where nobody asked for it', async () => {
    for (const [reclaim, slots, lock] of [
      [true, 0, false],
      [true, 8, false],
      [true, 256, true],
      [false, 256, false],
    ] as const) {
      const host = await makeHost({ frames: 64, reclaim })
      if (slots > 0) host.swapOn(memorySwapStore(slots))
      const mm = host.createMm()
      const at = mm.mmap(150 * PAGE)
      if (lock) mm.mlock(at, 64 * PAGE)
      const fill = (): void => {
        for (let page = 0; page < 150; page++) mm.write(at + page * PAGE, contentBytes(page))
      }
      expect(errnoOf(fill)).toBe('ENOMEM')
      host.audit()
    }
  })
})
