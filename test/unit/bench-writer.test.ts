// The guests of the bench that write between scans: what they write, and what a bench makes of the scans after it.

import { describe, expect, it } from 'vitest'
import { batchOf, whileRunning } from '../../bench/peers/running.ts'
import { busyTurns, turnsOf, writePage } from '../../bench/peers/writer.ts'

describe('the writer', () => {
  it('writes so many pages, each once, with what it holds and with something else', () => {
    const turns = turnsOf(1000, [0, 1, 100])
    expect(turns.map(({ percent, written_with, pages }) => [percent, written_with, pages.length])).toEqual([
      [0, 'nothing', 0],
      [1, 'same bytes', 10],
      [1, 'other bytes', 10],
      [100, 'same bytes', 1000],
      [100, 'other bytes', 1000],
    ])
    for (const { written_with, pages, words } of turns) {
      expect(new Set(pages).size).toBe(pages.length)
      expect(pages.every((page) => page < 1000)).toBe(true)
      expect(words.every((word) => (word !== 0) === (written_with === 'other bytes'))).toBe(true)
      // So few that some pages that were equal are equal again.
      expect(new Set(words).size).toBeLessThanOrEqual(4)
    }
    expect(new Set(turns[4]!.words).size).toBe(4)
    const [one, other] = [turns[2]!, turns[4]!].map(({ words }) => new Set(words))
    expect([...one!].some((word) => other!.has(word))).toBe(false)
  })

  it('writes the same every time, and not always the first pages', () => {
    expect(turnsOf(1000, [10])).toEqual(turnsOf(1000, [10]))
    const { pages } = turnsOf(1000, [10])[0]!
    expect([...pages]).not.toEqual([...pages].sort((a, b) => a - b))
    expect(Math.max(...pages)).toBeGreaterThan(900)
    // A tenth in each tenth, give or take.
    for (let tenth = 0; tenth < 10; tenth++) {
      const there = pages.filter((page) => Math.floor(page / 100) === tenth).length
      expect(there).toBeGreaterThan(2)
      expect(there).toBeLessThan(25)
    }
  })

  it('changes every word of a page, or none', () => {
    const page = Uint32Array.from({ length: 1024 }, (_, i) => i)
    writePage(page, 0)
    expect([...page]).toEqual(Array.from({ length: 1024 }, (_, i) => i))
    writePage(page, 0x9e3779b1)
    expect(page.some((word, i) => word === i)).toBe(false)
    writePage(page, 0x9e3779b1)
    expect([...page]).toEqual(Array.from({ length: 1024 }, (_, i) => i))
  })
})

describe('guests that run', () => {
  it('write a tenth of their pages, each about once a scan, with what comes back', () => {
    const turns = busyTurns(1000, 100)
    expect(turns).toEqual(busyTurns(1000, 100))
    expect(turns).toHaveLength(100)
    const written = turns.flatMap(({ pages }) => [...pages])
    expect(written).toHaveLength(500)
    expect(new Set(written).size).toBeGreaterThan(90)
    expect(new Set(written).size).toBeLessThanOrEqual(100)
    const words = new Set(turns.flatMap(({ words }) => [...words]))
    expect(words.size).toBe(4)
    expect(words).not.toContain(0)
  })

  it('are counted after each batch by the frames they lie in, before they write', async () => {
    const places = Uint32Array.of(5, 5, 6, 7)
    const steps: string[] = []
    const counters = { pages_shared: 1, pages_sharing: 1, pages_unshared: 2, pages_volatile: 0 }
    const trial = await whileRunning(
      { pages: 4, running: 1 },
      {
        batch: () => {
          steps.push('batch')
          return { wall: 3e6, cpu: 2e6 }
        },
        write: () => {
          steps.push('write')
          places[1] = 8 // as a write parts it
        },
        merged: () => ({ counters, places: places.slice() }),
      },
    )
    expect(steps.slice(0, 4)).toEqual(['batch', 'write', 'batch', 'write'])
    expect(trial.bytes_saved).toEqual([4096, ...Array(19).fill(0)])
    expect(trial.cpu_ms).toEqual(Array.from({ length: 20 }, (_, i) => 2 * (i + 1)))
    expect(trial.elapsed_ms).toBe(60)
    expect(trial.merged.places).toEqual(Uint32Array.of(0, 1, 2, 3))
    expect([batchOf(4), batchOf(1000), batchOf(1001)]).toEqual([1, 50, 51])
  })
})
