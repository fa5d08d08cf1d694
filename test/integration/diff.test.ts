// pagefold diff as a user meets it: on what --json printed and on reports, with maps where there are some.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Report, ResultDiff } from '../../src/report/index.ts'
import { file, pages, scratch } from '../support/files.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname

function pagefold(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}

const reportIn = (path: string): Report =>
  JSON.parse(
    /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(readFileSync(path, 'utf8'))![1]!,
  ) as Report
const mapsIn = (path: string) =>
  reportIn(path).sections.flatMap((section) => (section.kind === 'map' ? [section] : []))

const made: Record<'plain' | 'mapped' | 'report' | 'hash', string> = {
  plain: '',
  mapped: '',
  report: '',
  hash: '',
}

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pagefold-diff-'))
  const image = join(folder, 'guest.raw')
  writeFileSync(image, Buffer.concat([pages(10), pages(10)]))
  const keep = (name: keyof typeof made, ...args: string[]): void => {
    made[name] = join(folder, `${name}.json`)
    writeFileSync(made[name], pagefold(...args, '--json').out)
  }
  keep('plain', 'scan', image)
  keep('mapped', 'scan', image, '--knob', 'max_page_sharing=2', '--map', '--scans', '3')
  keep('hash', 'hash', image, '--checksum', 'none', '--index', 'hash')
  made.report = join(folder, 'scan.html')
  pagefold('scan', image, '--report', made.report)
}, 120_000)

afterAll(() => rmSync(folder, { recursive: true }))

describe('pagefold diff', () => {
  it('says what differs, for people and for programs', () => {
    const { code, out, err } = pagefold('diff', made.plain, made.mapped)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/knobs\.max_page_sharing +256 +2\n/)
    const json = pagefold('diff', made.plain, made.mapped, '--json')
    expect(json.err).toBe('')
    const diff = JSON.parse(json.out) as ResultDiff & { files: string[]; version: string; schema: number }
    expect(diff).toMatchObject({
      version: expect.any(String),
      schema: 3,
      of: 'scan',
      files: [made.plain, made.mapped],
      settings: [{ name: 'knobs.max_page_sharing', before: 256, after: 2 }],
      inputs: [],
    })
    expect(diff.same).toBeGreaterThan(10)
    expect(diff.figures.length).toBeGreaterThan(0)
    expect(diff.figures.every(({ verdict }) => verdict !== 'same')).toBe(true)
  })

  it('shows both maps, be they from JSON or from a report', () => {
    const path = join(scratch(), 'diff.html')
    const { code, err, out } = pagefold('diff', made.report, made.mapped, '--report', path)
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toContain(`A page to look at is in ${path}`)
    const shown = mapsIn(path)
    expect(shown.map(({ title }) => title)).toEqual([`Memory of ${made.report}`, `Memory of ${made.mapped}`])
    expect(shown[0]!.map).toEqual(mapsIn(made.report)[0]!.map)
    expect(shown[1]!.map).toEqual(JSON.parse(readFileSync(made.mapped, 'utf8')).map)
  })

  it('says why there are no maps', () => {
    const path = join(scratch(), 'diff.html')
    const { code, err } = pagefold('diff', made.plain, made.mapped, '--report', path, '--json')
    expect(code).toBe(0)
    expect(err).toMatch(/no maps beside each other: both scans must be made with --map/)
    expect(mapsIn(path)).toHaveLength(1)
  })

  it('warns where the inputs differ', () => {
    const other = file('other.json', Buffer.from(pagefold('scan', 'synth:demo,pages=64', '--json').out))
    const { code, err } = pagefold('diff', made.plain, other)
    expect(code).toBe(0)
    expect(err).toMatch(/^pagefold: the inputs differ \(pages, images\.0\.source/)
  })

  it('of two benches says what changed as a multiple of a peer', () => {
    const path = join(scratch(), 'bench.json')
    const bench = pagefold('bench', 'synth:demo,pages=64', '--peers', 'js', '--trials', '3', '--json')
    writeFileSync(path, bench.out)
    const { code, out } = pagefold('diff', path, path)
    expect(code).toBe(0)
    expect(out).toMatch(/as multiples of js/)
    expect(out).toContain('Nothing came out otherwise')
  })

  const wrong: [string, () => string[], RegExp][] = [
    ['results of two commands', () => [made.plain, made.hash], /one is of scan, the other of hash/],
    ['one result', () => [made.plain], /two results are compared, got 1/],
    ['three', () => [made.plain, made.plain, made.plain], /two results are compared, got 3/],
    [
      'what is no result',
      () => [made.plain, file('x.json', Buffer.from('{"a":1}'))],
      /a result of scan, hash or bench/,
    ],
    [
      'what is no JSON',
      () => [made.plain, file('x.json', Buffer.from('[1]'))],
      /not what pagefold scan, hash or bench --json/,
    ],
    ['what is not there', () => [made.plain, '/no/such/file'], /cannot be read \(ENOENT\)/],
    ['a device', () => [made.plain, '/dev/zero'], /not a regular file/],
  ]
  it.each(wrong)('refuses %s', (_, args, why) => {
    const { code, out, err } = pagefold('diff', ...args())
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(why)
    expect(err.trim().split('\n')).toHaveLength(1)
  })
})

describe('pagefold scan --map', () => {
  it('is for --json', () => {
    const { code, err } = pagefold('scan', 'synth:demo,pages=64', '--map')
    expect(code).toBe(2)
    expect(err).toContain('--map means nothing without --json')
  })

  it('is in a report beside it once, as the picture', () => {
    const path = join(folder, 'with-map.html')
    const { out } = pagefold('scan', 'synth:demo,pages=64', '--map', '--json', '--report', path)
    const [section] = mapsIn(path)
    const { map, ...rest } = JSON.parse(out)
    expect(map).toEqual(section!.map)
    expect(reportIn(path).result).toEqual(rest)
  })
})
