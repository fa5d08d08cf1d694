import { beforeAll, describe, expect, it } from 'vitest'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Arena } from '../../src/core/arena.ts'
import { bareArena } from '../support/arena.ts'
import { random } from '../support/random.ts'

describe('page comparison', () => {
  let arena: Arena
  let a: number
  let b: number
  beforeAll(async () => {
    arena = await bareArena()
    a = arena.firstPfn
    b = a + 1
    random(1).fill(arena.page(a))
    arena.page(b).set(arena.page(a))
  })

  it('finds equal pages equal', () => {
    expect(arena.core.comparePages(a, b)).toBe(0)
    expect(arena.core.pagesIdentical(a, b)).toBe(1)
  })

  it('sees a difference in every single byte, and orders by it as memcmp does', () => {
    for (let at = 0; at < PAGE_SIZE; at++) {
      const page = arena.page(b)
      const byte = page[at]!
      page[at] = byte ^ 0x80 // the top bit: a signed comparison would order the other way round
      const wanted = Math.sign(arena.page(a)[at]! - page[at]!)
      expect(Math.sign(arena.core.comparePages(a, b)), `byte ${at}`).toBe(wanted)
      expect(Math.sign(arena.core.comparePages(b, a)), `byte ${at}`).toBe(-wanted)
      expect(arena.core.pagesIdentical(a, b), `byte ${at}`).toBe(0)
      page[at] = byte
    }
  })

  it('orders by the first of several differences', () => {
    const page = arena.page(b)
    const saved = page.slice()
    for (const [first, second] of [
      [0, 4095],
      [15, 16],
      [63, 64],
      [100, 101],
      [2047, 4000],
    ] as const) {
      page.set(saved)
      page[first] = (saved[first]! + 1) & 255
      page[second] = (saved[second]! - 1) & 255
      expect(Math.sign(arena.core.comparePages(a, b))).toBe(Math.sign(saved[first]! - page[first]!))
    }
    page.set(saved)
  })

  it('knows a page of zeros, and every page that is not quite one', () => {
    const zero = arena.firstPfn + 2
    expect(arena.core.isZeroPage(zero)).toBe(1)
    for (let at = 0; at < PAGE_SIZE; at++) {
      arena.page(zero)[at] = 1
      expect(arena.core.isZeroPage(zero), `byte ${at}`).toBe(0)
      arena.page(zero)[at] = 0
    }
  })

  it('copies and clears one page and nothing beside it', () => {
    const [left, middle, right] = [a + 4, a + 5, a + 6]
    for (const pfn of [left, middle, right]) arena.page(pfn).fill(0xee)
    arena.core.copyPage(middle, a)
    expect(arena.page(middle)).toEqual(arena.page(a))
    arena.core.clearPage(middle)
    expect(arena.core.isZeroPage(middle)).toBe(1)
    for (const pfn of [left, right]) expect(arena.page(pfn).every((byte) => byte === 0xee)).toBe(true)
  })

  it('works on the last page of the arena', async () => {
    const last = arena.endPfn - 1
    arena.page(last).set(arena.page(a))
    expect(arena.core.comparePages(a, last)).toBe(0)
  })
})
