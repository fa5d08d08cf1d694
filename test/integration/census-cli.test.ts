// `pagefold census` as a user meets it, and what is said of more memory than an arena holds.

import { spawn, spawnSync } from 'node:child_process'
import { ftruncateSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { CensusJson } from '../../src/cli/json.ts'
import type { Report } from '../../src/report/index.ts'
import { file, pages, scratch } from '../support/files.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname

function pagefold(...args: string[]): { code: number | null; out: string; err: string } {
  const { NO_COLOR: _, FORCE_COLOR: __, COLUMNS: ___, ...env } = process.env
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env })
  return { code: status, out: stdout, err: stderr }
}

function censusJson(...args: string[]): CensusJson {
  const { code, out, err } = pagefold('census', ...args, '--json')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  return JSON.parse(out) as CensusJson
}

const a = () => file('a.raw', Buffer.concat([pages(10), pages(10), Buffer.alloc(4 * 4096)]))
const b = () => file('b.raw', Buffer.concat([pages(10), pages(6, 100)]))

/** A file of zeros that takes no room, and some pages at its end. */
function sparse(name: string, gibibytes: number): string {
  const path = file(name, Buffer.alloc(0))
  const fd = openSync(path, 'r+')
  ftruncateSync(fd, gibibytes * 2 ** 30)
  return path
}

describe('pagefold census', () => {
  it('says in JSON what was promised', () => {
    const result = censusJson(a(), b(), '--within', '1', '--node', '0,0', '--knob', 'use_zero_pages=1')
    expect(result).toMatchObject({
      pages: 40,
      distinct: 17,
      zero_pages: 4,
      counters: { pages_shared: 10, pages_sharing: 20, pages_unshared: 6, ksm_zero_pages: 4 },
      saved: { zero: 4, within: 10, between: 10 },
      shared_between: [
        [20, 20],
        [10, 0],
      ],
      profit: { linux: 24 * 4096 - 36 * 64, pagefold: 24 * 4096 - 36 * 32 },
      pages_to_scan_wanted: 2,
    })
    expect(result.peak_memory_bytes).toBeGreaterThan(2 ** 24)
    expect(result.kernel).toBeUndefined()
  })

  it('says the same in words', () => {
    const { code, out, err } = pagefold('census', a(), b())
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain('Merging would save 92.0 KiB of 160.0 KiB')
    expect(out).toContain(
      'With pages_to_scan=100 and sleep_millisecs=20 ksmd sleeps 40 ms until all is merged',
    )
    expect(out).toMatch(/^ +11 +23 +6 /m)
  })

  it('tells what is volatile', () => {
    expect(
      censusJson(a(), '--then', file('later.raw', Buffer.concat([pages(10), pages(10, 50), pages(4)])))
        .counters,
    ).toMatchObject({ pages_volatile: 14, pages_shared: 0, pages_unshared: 10 })
    expect(censusJson(a(), '--again', '0').counters.pages_volatile).toBe(0)
  })

  it('writes metrics by the names of KSM, and only over metrics', () => {
    const path = join(scratch(), 'pagefold.prom')
    for (const sources of [[a()], [a(), b()]]) {
      expect(pagefold('census', ...sources, '--prometheus', path).code).toBe(0)
    }
    expect(readFileSync(path, 'utf8')).toContain('\npagefold_ksm_pages_sharing 23\n')
    const { code, err } = pagefold('census', a(), '--prometheus', b())
    expect(code).toBe(2)
    expect(err).toContain('holds something else than metrics')
  })

  it('writes a report with the matrix, and where contents are', () => {
    const path = join(scratch(), 'census.html')
    expect(pagefold('census', a(), b(), '--report', path).code).toBe(0)
    const html = readFileSync(path, 'utf8')
    const report = JSON.parse(
      /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(html)![1]!,
    ) as Report
    const matrix = report.sections.find(({ kind }) => kind === 'matrix')
    expect(matrix).toMatchObject({
      values: [
        [20, 20],
        [10, 0],
      ],
    })
    const contents = report.sections.find(({ title }) => title === 'Contents that pay most')
    expect(contents).toMatchObject({
      columns: expect.arrayContaining([expect.objectContaining({ label: 'address' })]),
    })
  })

  it.each([
    [[], 'no SOURCE given'],
    [['x.raw', '--then'], '--then names no SOURCE'],
    [['x.raw', '--then', 'y.raw', '--again', '5'], 'one of them at a time'],
    [['x.raw', '--key', 'abc'], '--key takes 32 hexadecimal digits'],
    [
      ['x.raw', '--knob', 'smart_scan=1'],
      'no knob "smart_scan"; there are: max_page_sharing, use_zero_pages',
    ],
    [['x.raw', '--again', '-1'], ''],
    [['no-such.raw'], 'ENOENT: no-such.raw'],
    [['synth:demo', '--node', '1'], '--node names 1 node for 3 images'],
    [['pid:0'], 'ESRCH: pid:0: no such process'],
  ])('refuses %j', (args, message) => {
    const { code, out, err } = pagefold('census', ...args)
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toContain(message)
    expect(err.trim().split('\n')).toHaveLength(1)
  })

  it('ends tidily when it is told to', async () => {
    const child = spawn(process.execPath, [MAIN, 'census', sparse('endless.raw', 400), '--workers', '1'])
    await new Promise((resolve) => setTimeout(resolve, 3000))
    child.kill('SIGINT')
    const code = await new Promise((resolve) => child.once('exit', resolve))
    expect(code).toBe(130)
  })
})

describe('more than an arena holds', () => {
  it('is counted', () => {
    const path = sparse('large.raw', 5)
    expect(censusJson(path, '--knob', 'use_zero_pages=1')).toMatchObject({
      pages: 5 * 2 ** 18,
      distinct: 1,
      saved: { zero: 5 * 2 ** 18 },
      counters: { ksm_zero_pages: 5 * 2 ** 18 },
    })
  })

  it.each(['scan', 'bench'])('is too much for %s, which says what is not', (command) => {
    const { code, out, err } = pagefold(command, sparse('large.raw', 5))
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toContain('at most 1,027,026 pages')
    expect(err).toContain('`pagefold census`')
    expect(err.trim().split('\n')).toHaveLength(1)
  })

  it('is sampled by hash', () => {
    const { code, err } = pagefold(
      'hash',
      sparse('large.raw', 5),
      '--checksum',
      'xxh3',
      '--index',
      'hash',
      '--json',
    )
    expect({ code, err: err.replace(/.*machine was busy.*\n/g, '') }).toEqual({ code: 0, err: '' })
  })
})
