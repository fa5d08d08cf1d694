// Reports without a browser: the packed map comes out as it went in, pages are found by what a reader types, sentences
// say what is the case, and figures are those of the result.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openSources } from '../../src/images/index.ts'
import type { Image } from '../../src/index.ts'
import { mergeImages, PAGE_STATES, type PageState, type PageStates, pageStates } from '../../src/lab/index.ts'
import { figureOf } from '../../src/lab/measure/figure.ts'
import {
  type BenchResult,
  benchReport,
  expectReportPath,
  mergeReport,
  type Report,
  writeReport,
} from '../../src/report/index.ts'
import { least, listed, measuredSeries, parted } from '../../src/report/interval.ts'
import { readAddress, writeAddress } from '../../src/report/page/address.ts'
import { answer, describeSharers, sharersOf, someSharers } from '../../src/report/page/answer.ts'
import { countKinds, layersOf, nextOf } from '../../src/report/page/layer.ts'
import { type Pages, unpack } from '../../src/report/page/page-map.ts'
import { findPage } from '../../src/report/page/search.ts'
import { format, formatRange } from '../../src/report/page/units.ts'
import { pageClasses } from '../../src/report/page-classes.ts'
import { packPageMap } from '../../src/report/page-map.ts'
import { sharingMatrix, whoWithWhom } from '../../src/report/sharing-matrix.ts'
import { shortNames } from '../../src/report/short-names.ts'
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

  it('tells groups that lie far apart, whose codes take more than a byte or two', async () => {
    const many = 70_000
    const groups = Array.from({ length: 2 * many }, (_, i) => (i < many ? i + 1 : 2 * many - i))
    const names = groups.map((): PageState => 'shared_between')
    const pages = await mapOf([imageAt('a', [[0, groups.length]])], names, groups)
    const wrong = groups.findIndex((group, i) => pages.group(i) !== group)
    expect(wrong).toBe(-1)
    expect([...pages.membersWith(1)]).toEqual([1, 2 * many - 2])
  })

  it('is refused if it is damaged, at once', async () => {
    const zero = PAGE_STATES.indexOf('zero')
    const groups = Uint32Array.of(1, 1, 2)
    const map = packPageMap([imageAt('a', [[0, 3]])], { states: new Uint8Array(3).fill(zero), groups }, 256)
    const bytes = inflateRawSync(Buffer.from(map.packed, 'base64'))
    for (const [at, byte] of [
      [3, 1], // the group after none
      [4, 9], // one that is newer than all
      [6, 255], // far away
    ] as const) {
      const damaged = Buffer.from(bytes)
      damaged[at] = byte
      const packed = deflateRawSync(damaged).toString('base64')
      await expect(unpack({ ...map, packed })).rejects.toThrow(/belongs with pages that there are not/)
    }
    const short = deflateRawSync(bytes.subarray(0, -1)).toString('base64')
    await expect(unpack({ ...map, packed: short })).rejects.toThrow()
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
    expect(packPageMap([imageAt('a', [[0, 1]])], pages, 256).packed.length).toBeLessThan(1_000_000)
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
    const layer = layersOf(pages)[0]!
    const zero = PAGE_STATES.indexOf('zero')
    expect([nextOf(layer, zero, 2), nextOf(layer, zero, 3)]).toEqual([3, 1])
    expect(nextOf(layer, PAGE_STATES.indexOf('volatile'), 0)).toBe(-1)
    expect([...countKinds(layer, 0, 3)].filter((count) => count > 0)).toEqual([2, 1])
  })

  it('tells what a later moment changed', async () => {
    const [unique, zero] = [PAGE_STATES.indexOf('unique'), PAGE_STATES.indexOf('zero')]
    const before = { states: Uint8Array.of(unique, unique, zero, zero), groups: new Uint32Array(4) }
    const now = { states: Uint8Array.of(unique, unique, unique, unique), groups: new Uint32Array(4) }
    const written = Uint8Array.of(0, 1, 1, 0)
    const pages = await unpack(packPageMap([imageAt('a', [[0, 4]])], now, 256, { before, written }))
    const [layer, changes, past, ...others] = layersOf(pages)
    expect([...layer!.of]).toEqual([...now.states])
    expect([...past!.of]).toEqual([...before.states])
    expect([...changes!.of].map((kind) => changes!.kinds[kind]!.label)).toEqual([
      'as before',
      'written',
      'written, and of another class since',
      'of another class, though not written',
    ])
    expect(others).toEqual([])
    expect(layersOf(await unpack(packPageMap([imageAt('a', [[0, 4]])], now, 256)))).toHaveLength(1)
  })
})

/** Pages of some images, with groups: none, in one image, in several; as `pageStates` would have them. */
const guests = fc
  .array(fc.array(fc.integer({ min: -2, max: 12 }), { minLength: 1, maxLength: 12 }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((images) => {
    const contents = images.flat()
    const numbers = new Map<number, number>()
    for (const content of contents) if (!numbers.has(content)) numbers.set(content, numbers.size + 1)
    const holders = (content: number): number => images.filter((image) => image.includes(content)).length
    const stateOf = (content: number): PageState => {
      if (content === -1) return 'zero'
      if (content === -2) return 'volatile'
      if (contents.filter((other) => other === content).length === 1) return 'unique'
      return holders(content) > 1 ? 'shared_between' : 'shared_within'
    }
    const states = contents.map(stateOf)
    const groups = contents.map((content, i) =>
      states[i] === 'unique' || states[i] === 'volatile' ? 0 : numbers.get(content)!,
    )
    return { images, states, groups }
  })

const statesOf = (states: readonly PageState[], groups: readonly number[]): PageStates => ({
  states: Uint8Array.from(states, (state) => PAGE_STATES.indexOf(state)),
  groups: Uint32Array.from(groups),
})

describe('who shares with whom', () => {
  const counted = (state: PageState): boolean => state === 'shared_within' || state === 'shared_between'

  it('is counted as by asking every page for every other', () => {
    fc.assert(
      fc.property(guests, ({ images, states, groups }) => {
        const matrix = sharingMatrix(
          images.map(({ length }) => length),
          statesOf(states, groups),
        )
        const owners = images.flatMap((image, i) => image.map(() => i))
        const expected = images.map((_, i) =>
          images.map(
            (_, j) =>
              groups.filter(
                (group, page) =>
                  owners[page] === i &&
                  counted(states[page]!) &&
                  groups.some((other, mate) => mate !== page && owners[mate] === j && other === group),
              ).length,
          ),
        )
        expect(matrix).toEqual(expected)
      }),
    )
  })

  it('leads to each of the pages it counts, one after the other', async () => {
    await fc.assert(
      fc.asyncProperty(guests, async ({ images, states, groups }) => {
        const renumbered = new Map<number, number>()
        const inOrder = groups.map((group) => {
          if (group === 0) return 0
          if (!renumbered.has(group)) renumbered.set(group, renumbered.size + 1)
          return renumbered.get(group)!
        })
        const sizes = images.map(({ length }) => length)
        const pages = await mapOf(
          sizes.map((size, i) => imageAt(`g${i}`, [[0, size]])),
          states,
          inOrder,
        )
        for (const [i, row] of sharingMatrix(sizes, statesOf(states, inOrder)).entries()) {
          for (const [j, count] of row.entries()) {
            const found = new Set<number>()
            let at = -1
            for (let step = 0; step <= count; step++) {
              at = pages.nextShared(i, j, at)
              if (at >= 0) found.add(at)
            }
            expect(found.size).toBe(count)
          }
        }
      }),
      { numRuns: 30 },
    )
  })

  it('is not drawn of one image, nor of more than can be pointed at', () => {
    const images = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ source: `g${i}`, name: `g${i}`, pages: 1 }))
    const pages = (count: number) => statesOf(Array(count).fill('shared_between'), Array(count).fill(1))
    expect(whoWithWhom(images(1), pages(1))).toEqual([])
    expect(whoWithWhom(images(256), pages(256))).toHaveLength(1)
    expect(whoWithWhom(images(257), pages(257))).toEqual([])
  })
})

describe('classes of pages', () => {
  it('save all pages of a frame but one: in an image, all but its first', () => {
    fc.assert(
      fc.property(guests, ({ images, states, groups }) => {
        const zeros = states.filter((state) => state === 'zero').length
        const classes = pageClasses(
          images.map(({ length }) => length),
          statesOf(states, groups),
          Math.max(0, zeros - 1),
        )
        const owners = images.flatMap((image, i) => image.map(() => i))
        const saved = { zero: Math.max(0, zeros - 1), within: 0, between: 0 }
        for (const [page, group] of groups.entries()) {
          if (group === 0 || states[page] === 'zero') continue
          const before = groups.indexOf(group)
          if (before === page) continue
          const inImage = groups.findIndex((other, mate) => other === group && owners[mate] === owners[page])
          saved[inImage < page ? 'within' : 'between']++
        }
        const sum = (of: 'zero' | 'within' | 'between'): number =>
          classes.reduce((total, one) => total + one.saved[of], 0)
        expect({ zero: sum('zero'), within: sum('within'), between: sum('between') }).toEqual(saved)
        for (const { state, pages } of classes) {
          expect(pages).toBe(states.filter((other) => other === state).length)
        }
      }),
    )
  })
})

describe('names of images', () => {
  it.each([
    [
      ['/mnt/dumps/web.raw', '/mnt/dumps/db.raw'],
      ['web.raw', 'db.raw'],
    ],
    [
      ['/mnt/a/x.raw', '/mnt/b/x.raw'],
      ['a/x.raw', 'b/x.raw'],
    ],
    [
      ['synth:demo,pages=512,image=0', 'synth:demo,pages=512,image=1'],
      ['image=0', 'image=1'],
    ],
    [
      ['web-1.raw', 'web-2.raw'],
      ['web-1.raw', 'web-2.raw'],
    ],
    [['/mnt/dumps/web.raw'], ['web.raw']],
    [['synth:demo,image=0'], ['synth:demo,image=0']],
    [
      ['a/x', 'a/x'],
      ['x', 'x (2)'],
    ],
    [['-'], ['-']],
    [[], []],
  ])('%j become %j', (names, short) => {
    expect(shortNames(names)).toEqual(short)
  })
})

describe('addresses', () => {
  it('are read as they are written', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('', 'a', 'before 1', 'é/x'),
        fc.nat(),
        fc.oneof(
          fc.nat().map((page) => ({ page: String(page) })),
          fc.nat().map((sharedWith) => ({ sharedWith })),
        ),
        (map, image, where) => {
          const address = { map, image, ...where }
          expect(readAddress(writeAddress(address))).toEqual(address)
        },
      ),
    )
  })

  it.each(['', '#', '#3', '#3/', '#3/x', '#a', '#a/3', '#/3/1', '#3/with/', '#3/1/2', '#-1/2'])(
    '%j is none',
    (hash) => {
      expect(readAddress(hash)).toBeUndefined()
    },
  )

  it('may name a page by where it is', () => {
    expect(readAddress('#2/0x1F000')).toEqual({ map: '', image: 2, page: '0x1F000' })
    expect(readAddress('#%zz/2/1')).toEqual({ map: '%zz', image: 2, page: '1' })
  })
})

describe('what is measured', () => {
  const value = (median: number, low?: number, high?: number) => ({
    median,
    ...(low === undefined ? {} : { low, high: high! }),
  })

  it('is ranked only where intervals part', () => {
    expect(parted(value(10, 9, 11), value(12, 11.5, 13))).toBe(true)
    expect(parted(value(12, 11.5, 13), value(10, 9, 11))).toBe(true)
    expect(parted(value(10, 9, 12), value(12, 11.5, 13))).toBe(false)
    expect(parted(value(10), value(1000))).toBe(false)
    const all = [
      { name: 'slow', value: value(30, 29, 31) },
      { name: 'first', value: value(10, 9, 12) },
      { name: 'near', value: value(11, 10, 13) },
    ]
    const { first, ties } = least(all)
    expect([first.name, ties.map(({ name }) => name)]).toEqual(['first', ['near']])
  })

  it.each([
    [5, /^pagefold merges everything in 100 ns a page; not to be ranked against js: 5 trials cannot tell\./],
    [6, /^pagefold merges everything in 100 ns a page, js takes 2\.00 × that\./],
  ])('is held against peers after %i trials as far as there are ranks', (trials, says) => {
    const peer = (ns: number) => {
      const time = figureOf(
        'ns',
        Array.from({ length: trials }, () => ns),
      )
      return { converge: time, rescan: time, over_pagefold: time, rank: 1, samples: time.samples }
    }
    const result = {
      ...{ sources: ['a'], pages: 1, workers: 0, counters: {}, ratios: { js: 2 } },
      peers: { pagefold: peer(100), js: peer(200) },
      curve: { best: { bytes_saved: 0 }, samples: [{ points: [] }] },
    } as unknown as BenchResult
    expect(benchReport(result).verdict).toMatch(says)
  })

  it('has whiskers where it has intervals', () => {
    expect(measuredSeries('a', 'ns', [value(3, 2, 4), value(5)])).toEqual({
      label: 'a',
      unit: 'ns',
      values: [3, 5],
      low: [2, null],
      high: [4, null],
    })
    expect(measuredSeries('a', 'ns', [value(3)])).toEqual({ label: 'a', unit: 'ns', values: [3] })
  })

  it('is listed as one speaks', () => {
    expect([listed([]), listed(['a']), listed(['a', 'b']), listed(['a', 'b', 'c'])]).toEqual([
      '',
      'a',
      'a and b',
      'a, b and c',
    ])
    expect(listed(['a', 'b', 'c', 'd', 'e', 'f'])).toBe('a, b, c and 3 more')
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
    expect(someSharers(pages, 4, 9)).toEqual([3, 0, 1])
    expect(someSharers(pages, 4, 2)).toEqual([3, 0])
    expect(someSharers(pages, 2, 9)).toEqual([])
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
  expect(formatRange(687.4, 712, 'ns')).toBe('687–712 ns')
  expect(formatRange(900, 2048, 'bytes')).toBe('900 B – 2.0 KiB')
  expect(formatRange(3, 4, 'count')).toBe('3 – 4')
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

  it.each(['{"report":"goes here"}', '<header></header>', '<title>pagefold report</title>', 'a & b'])(
    'has the name %s where it belongs, and whole',
    (name) => {
      const path = join(scratch(), 'r.html')
      const report = { title: 'pagefold scan', subtitle: name, verdict: name, sections: [], result: {} }
      writeReport(path, report)
      const html = readFileSync(path, 'utf8')
      const json = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(html)![1]!
      expect(JSON.parse(json)).toEqual(report)
      const written = name.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
      expect(html).toContain(`<title>pagefold scan: ${written}</title>`)
      expect(html).toContain(`<p class="soft">${written}</p><p class="verdict">${written}</p></header>`)
    },
  )

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
