// Reports without a browser: the packed map comes out as it went in, pages are found by what a reader types, sentences
// say what is the case, and figures are those of the result.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openSources } from '../../src/images/index.ts'
import type { Image } from '../../src/index.ts'
import { mergeImages, PAGE_STATES, type PageState, type PageStates, pageStates } from '../../src/lab/index.ts'
import { expectReportPath, mergeReport, type Report, writeReport } from '../../src/report/index.ts'
import { answer, describeSharers, sharersOf } from '../../src/report/page/answer.ts'
import { type Pages, unpack } from '../../src/report/page/page-map.ts'
import { findPage } from '../../src/report/page/search.ts'
import { format } from '../../src/report/page/units.ts'
import { packPageMap } from '../../src/report/page-map.ts'
import { file, scratch } from '../support/files.ts'

/** An image of which nobody reads the bytes: runs of pages at addresses. */
function imageAt(source: string, runs: readonly (readonly [address: number, pages: number])[]): Image {
  const addresses = runs.flatMap(([address, pages]) =>
    Array.from({ length: pages }, (_, i) => address + i * 4096),
  )
  return {
    source,
    format: 'raw',
    pages: addresses.length,
    notes: [],
    addressOf: (page) => addresses[page]!,
    read: () => {},
    close: () => {},
  }
}

function mapOf(
  images: readonly Image[],
  states: readonly PageState[],
  groups: readonly number[],
): Promise<Pages> {
  const pages = {
    states: Uint8Array.from(states, (state) => PAGE_STATES.indexOf(state)),
    groups: Uint32Array.from(groups),
  }
  return unpack(packPageMap(images, pages, 256))
}

describe('the packed map', () => {
  it('comes out as it went in', async () => {
    const page = fc.record({
      state: fc.integer({ min: 0, max: PAGE_STATES.length - 1 }),
      content: fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(page, { minLength: 1, maxLength: 500 }), async (list) => {
        // Groups are numbered in the order in which they appear.
        const numbers = new Map<number, number>()
        const groups = list.map(({ content }) => {
          if (content === undefined) return 0
          if (!numbers.has(content)) numbers.set(content, numbers.size + 1)
          return numbers.get(content)!
        })
        const names = list.map(({ state }) => PAGE_STATES[state]!)
        const pages = await mapOf([imageAt('a', [[0, list.length]])], names, groups)
        expect(list.map((_, i) => pages.state(i))).toEqual(names)
        expect(list.map((_, i) => pages.group(i))).toEqual(groups)
        for (const [i, group] of groups.entries()) {
          const members = group === 0 ? [i] : groups.flatMap((other, j) => (other === group ? [j] : []))
          expect([...pages.membersWith(i)]).toEqual(members)
        }
      }),
    )
  })

  it('stays small for a million pages', () => {
    const count = 2 ** 20
    const pages: PageStates = { states: new Uint8Array(count), groups: new Uint32Array(count) }
    // As in a fleet of eight alike guests: each content once in each, and a third of the pages unique.
    for (let i = 0; i < count; i++) {
      const content = i % (count / 8)
      const unique = content % 3 === 0
      pages.states[i] = PAGE_STATES.indexOf(unique ? 'unique' : 'shared_between')
      pages.groups[i] = unique ? 0 : content - Math.floor(content / 3)
    }
    expect(packPageMap([imageAt('a', [[0, 1]])], pages, 256).data.length).toBeLessThan(1_000_000)
  })

  it('knows addresses, holes and images', async () => {
    const images = [
      imageAt('a', [
        [0x1000, 2],
        [0x10_0000_0000, 1],
      ]),
      imageAt('b', [[0, 2]]),
    ]
    const pages = await mapOf(images, ['unique', 'zero', 'zero', 'zero', 'unique'], [0, 1, 1, 1, 0])
    expect(findPage(pages, 0, '0x1000')).toBe(0)
    expect(findPage(pages, 0, '0X2FFF')).toBe(1)
    expect(findPage(pages, 0, '0x10_0000_0010')).toBe(2)
    expect(findPage(pages, 1, '0x1000')).toBe(4)
    expect(findPage(pages, 1, ' 1 ')).toBe(4)
    expect(findPage(pages, 0, '0x3000')).toMatch(/no page at 0x3000.*0x1000 to 0x1000000fff/)
    expect(findPage(pages, 0, '0x0')).toMatch(/no page/)
    expect(findPage(pages, 1, '2')).toMatch(/numbered from 0 to 1/)
    expect(findPage(pages, 1, 'heap')).toMatch(/Type an address/)
    expect(pages.placeOf(3)).toEqual({ image: 1, page: 0 })
    expect(pages.addressOf({ image: 0, page: 2 })).toBe(0x10_0000_0000)
    expect([pages.nextIn('zero', 2), pages.nextIn('zero', 3), pages.nextIn('volatile', 0)]).toEqual([
      3, 1, -1,
    ])
    expect([...pages.countsOf(0)]).toEqual([
      ['unique', 1],
      ['zero', 2],
    ])
  })
})

describe('the answer', () => {
  it('counts who shares the frame, and not who would like to', async () => {
    const images = ['a', 'b', 'c'].map((name) => imageAt(name, [[0, 3]]))
    const states: PageState[] = ['shared_between', 'shared_between', 'sharing_limit']
    const pages = await mapOf(
      images,
      [...states, ...states, 'unique', 'volatile', 'alone'],
      [1, 1, 1, 1, 1, 1, 0, 0, 2],
    )
    expect(sharersOf(pages, 0)).toEqual({ own: 1, others: [{ image: 1, pages: 2 }] })
    expect(describeSharers(pages, sharersOf(pages, 0))).toBe('1 in the same image, 2 in b')
    expect(answer(pages, 0)).toContain('shares a frame with 3 other pages, of 2 images')
    expect(sharersOf(pages, 2)).toEqual({ own: 0, others: [] })
    expect(answer(pages, 2)).toMatch(/Not merged: it is over the sharing limit.* 256 pages/)
    expect(answer(pages, 6)).toMatch(/Not merged: .* no other page has the same content/)
    expect(answer(pages, 7)).toMatch(/Not merged: it is volatile/)
    expect(answer(pages, 8)).toMatch(/Merged once/)
  })

  it('names a few images and counts the rest', async () => {
    const images = Array.from({ length: 9 }, (_, i) => imageAt(`g${i}`, [[0, 1]]))
    const pages = await mapOf(images, Array(9).fill('shared_between'), Array(9).fill(1))
    expect(describeSharers(pages, sharersOf(pages, 0))).toBe(
      '1 in g1, 1 in g2, 1 in g3, 1 in g4, 4 in 4 more images',
    )
  })

  it.each(PAGE_STATES)('has a sentence for %s', async (state) => {
    const pages = await mapOf([imageAt('a', [[0, 1]])], [state], [0])
    expect(answer(pages, 0)).toMatch(/^(Not m|M)erged.*\.$/)
  })
})

it('writes numbers by their unit', () => {
  expect(format(1234567, 'count')).toBe('1,234,567')
  expect(format(-3 * 2 ** 20, 'bytes')).toBe('−3.0 MiB')
  expect(format(900, 'bytes')).toBe('900 B')
  expect(format(0.256, 'share')).toBe('25.6 %')
  expect(format(1.5, 'ratio')).toBe('1.50 ×')
  expect(format(12_345, 'ms')).toBe('12.3 s')
  expect(format(687.4, 'ns')).toBe('687 ns')
  expect(format(null, 'count')).toBe('–')
})

describe('a report', () => {
  const reportOf = async (source: string): Promise<Report> => {
    const images = openSources([source])
    let pages: PageStates | undefined
    const inspect = (...now: Parameters<typeof pageStates>): void => {
      pages = pageStates(...now)
    }
    const result = await mergeImages({ images, inspect })
    return mergeReport(images, result, pages!)
  }

  it('counts every merged frame and page in its sharers', async () => {
    const report = await reportOf('synth:demo,pages=512')
    const sharers = report.sections.find((section) => section.title === 'Sharers')!
    if (sharers.kind !== 'bars') throw new Error('expected bars')
    const [frames, pages] = sharers.series.map(({ values }) =>
      values.reduce<number>((sum, value) => sum + value!, 0),
    )
    const { after_each_scan } = report.result as Awaited<ReturnType<typeof mergeImages>>
    const { pages_shared, pages_sharing } = after_each_scan.at(-1)!
    expect([frames, pages]).toEqual([pages_shared, pages_shared + pages_sharing])
  })

  it('cannot be broken out of by the name of a file', () => {
    const path = join(scratch(), 'r.html')
    const name = '</script><script>alert(1)</script>$&'
    const size = writeReport(path, { title: name, subtitle: '', sections: [], result: {} })
    const html = readFileSync(path, 'utf8')
    expect(html.length).toBeLessThanOrEqual(size)
    expect(html).not.toContain('<script>alert')
    const json = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(html)![1]!
    expect(JSON.parse(json)).toMatchObject({ title: name })
  })

  it('replaces reports and empty files, and nothing else', () => {
    const path = join(scratch(), 'r.html')
    expectReportPath(path)
    writeReport(path, { title: 'a', subtitle: 'b', sections: [], result: {} })
    expectReportPath(path)
    expectReportPath(file('empty', Buffer.alloc(0)))
    expect(() => expectReportPath(file('page', Buffer.from('<!doctype html>\n<title>mine</title>')))).toThrow(
      /EEXIST/,
    )
    const precious = file('precious', Buffer.from('memory'))
    expect(() => expectReportPath(precious)).toThrow(/EEXIST/)
    expect(() => writeReport(precious, { title: '', subtitle: '', sections: [], result: {} })).toThrow(
      /EEXIST/,
    )
    expect(readFileSync(precious, 'utf8')).toBe('memory')
    writeFileSync(precious, '')
    expectReportPath(precious)
  })
})
