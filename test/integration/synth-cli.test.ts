// `pagefold synth` as a user meets it: files, truth.json, refusals; and that scanning the files gives what truth.json says.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type MergeResult, type SynthTruth, writeSynthSteps } from '../../src/lab/index.ts'
import { file, pages, scratch } from '../support/files.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname

function pagefold(...args: string[]): { code: number | null; out: string; err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
  return { code: status, out: stdout, err: stderr }
}

function write(dir: string, ...args: string[]): SynthTruth {
  const { code, err } = pagefold('synth', ...args, '--out', dir)
  expect(err).toBe('')
  expect(code).toBe(0)
  return JSON.parse(readFileSync(join(dir, 'truth.json'), 'utf8')) as SynthTruth
}

describe('pagefold synth', () => {
  it('writes images and a truth that a scan of the files finds', () => {
    const dir = join(scratch(), 'guests')
    const args = ['vm-hetero', '--pages', '300', '--images', '2', '--moments', '2', '--max-page-sharing', '3']
    const truth = write(dir, ...args)
    expect(readdirSync(dir).sort()).toEqual([
      'image-0.t0.raw',
      'image-0.t1.raw',
      'image-1.t0.raw',
      'image-1.t1.raw',
      'truth.json',
    ])
    expect(truth).toMatchObject({ synth_version: 1, preset: 'vm-hetero', pages: 300, images: 2, seed: 1 })
    for (const { files } of truth.moments) {
      for (const { file, sha256 } of files) {
        const bytes = readFileSync(join(dir, file))
        expect(bytes.length).toBe(300 * 4096)
        expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256)
      }
    }
    const paths = (moment: number): string[] =>
      truth.moments[moment]!.files.map(({ file }) => join(dir, file))
    const limited = truth.moments[0]!.ksmd.find(
      (row) => row.max_page_sharing === 3 && row.use_zero_pages === 0,
    )!
    const { code, out } = pagefold('scan', '--json', ...paths(0), '--knob', 'max_page_sharing=3')
    expect(code).toBe(0)
    const scanned = JSON.parse(out) as MergeResult
    const { max_page_sharing: _, use_zero_pages: __, ...expected } = limited
    expect(scanned.after_each_scan.at(-1)).toMatchObject(expected)
    expect(scanned.sharing.within + scanned.sharing.between).toBeGreaterThan(0)

    const later = JSON.parse(
      pagefold('scan', '--json', ...paths(0), '--then', ...paths(1)).out,
    ) as MergeResult
    expect(later.pages_written).toBe(truth.moments[1]!.pages_written)
    expect(later.sharing).toEqual(truth.moments[1]!.sharing)
    const fromSource = pagefold('scan', '--json', 'synth:vm-hetero,pages=300,images=2,moment=1')
    expect((JSON.parse(fromSource.out) as MergeResult).sharing).toEqual(truth.moments[1]!.sharing)
  })

  it('says where each class of pages lies', () => {
    const truth = write(scratch(), 'adversarial', '--pages', '50', '--images', '1')
    const { layout } = truth.moments[0]!.files[0]!
    const runs = [...layout.matchAll(/(\d+)([a-z])/g)]
    expect(runs.map(([run]) => run).join('')).toBe(layout)
    const counts: Record<string, number> = {}
    for (const [, length, letter] of runs) counts[letter!] = (counts[letter!] ?? 0) + Number(length)
    const byClass = Object.entries(truth.moments[0]!.pages_by_class)
    const letters = truth.classes as Record<string, string>
    expect(counts).toEqual(Object.fromEntries(byClass.map(([name, number]) => [letters[name], number])))
  })

  it('numbers files so that their names sort', () => {
    const truth = write(scratch(), 'demo', '--pages', '4', '--images', '11', '--moments', '11')
    expect(truth.moments[10]!.files[3]!.file).toBe('image-03.t10.raw')
  })

  it('takes parameters, seeds, and prints one JSON object', () => {
    const dir = scratch()
    const args = ['synth', 'vm-hetero', '--pages', '100', '--seed', '5', '--param', 'zeroFrac=0.5', '--json']
    const { code, out, err } = pagefold(...args, '--out', dir)
    expect([code, err]).toEqual([0, ''])
    expect(out.trim().split('\n')).toHaveLength(1)
    const truth = JSON.parse(out) as SynthTruth
    expect(truth).toMatchObject({ seed: 5, parameters: { zeroFrac: 0.5, dupFrac: 0.2 } })
    expect(truth.moments[0]!.zero_pages).toBe(300)
    expect(out).not.toContain('layout')
  })

  it('tells a person what can be saved, without colours or bars where there is no terminal', () => {
    const { code, out, err } = pagefold('synth', 'demo', '--pages', '64', '--out', scratch())
    expect([code, err]).toEqual([0, ''])
    expect(out).toContain('best possible')
    expect(out).not.toContain('\x1b')
  })

  it('overwrites its own files and no others, and only when told to', () => {
    const dir = scratch()
    write(dir, 'demo', '--pages', '4', '--images', '3', '--moments', '2')
    writeFileSync(join(dir, 'notes.txt'), 'mine')
    const refused = pagefold('synth', 'demo', '--pages', '4', '--images', '1', '--out', dir)
    expect(refused.code).toBe(2)
    expect(refused.err).toMatch(/not empty.*--force/)
    expect(readdirSync(dir)).toHaveLength(8)
    write(dir, 'demo', '--pages', '4', '--images', '1', '--force')
    expect(readdirSync(dir).sort()).toEqual(['image-0.t0.raw', 'notes.txt', 'truth.json'])
    // A recipe that is refused removes nothing.
    expect(pagefold('synth', 'demo', '--param', 'dupFrac=1', '--force', '--out', dir).code).toBe(2)
    expect(readdirSync(dir)).toHaveLength(3)
  })
})

describe('bad input', () => {
  const out = () => ['--out', scratch()]
  const cases: [string, () => string[], RegExp][] = [
    ['no preset', () => out(), /no PRESET/],
    ['two presets', () => ['demo', 'vm-hetero', ...out()], /one PRESET/],
    ['an unknown preset', () => ['dream', ...out()], /no such preset; there are/],
    ['no directory', () => ['demo'], /--out DIR is missing/],
    ['a file for a directory', () => ['demo', '--out', file('x', pages(1))], /not a directory/],
    ['a directory below a file', () => ['demo', '--out', join(file('x', pages(1)), 'y')], /EIO|EINVAL/],
    ['no pages', () => ['demo', '--pages', '0', ...out()], /--pages takes an integer/],
    ['too many pages', () => ['demo', '--pages', '99999999', ...out()], /more than/],
    ['no moments', () => ['demo', '--moments', '0', ...out()], /--moments takes an integer/],
    ['too many moments', () => ['demo', '--moments', '99999999', ...out()], /moments/],
    ['an unknown parameter', () => ['vm-hetero', '--param', 'colour=1', ...out()], /no parameter "colour"/],
    ['a parameter without value', () => ['vm-hetero', '--param', 'zeroFrac', ...out()], /KEY=VALUE/],
    [
      'a parameter out of range',
      () => ['vm-hetero', '--param', 'zeroFrac=2', ...out()],
      /zeroFrac takes a number/,
    ],
    ['a limit that is none', () => ['demo', '--max-page-sharing', '1', ...out()], /--max-page-sharing/],
    ['an unknown option', () => ['demo', '--fast', ...out()], /--fast/],
  ]

  it.each(cases)('%s: one line, exit 2, nothing on stdout', (_, args, message) => {
    const { code, out, err } = pagefold('synth', ...args())
    expect(code).toBe(2)
    expect(out).toBe('')
    expect(err).toMatch(message)
    expect(err.trim().split('\n')).toHaveLength(1)
    expect(err).toMatch(/^pagefold: /)
  })

  it('leaves no truth behind when it cannot finish', () => {
    const dir = scratch()
    mkdirSync(join(dir, 'image-1.t0.raw'))
    const { code, err } = pagefold('synth', 'demo', '--pages', '4', '--out', dir, '--force')
    expect(code).toBe(2)
    expect(err.trim().split('\n')).toHaveLength(1)
    expect(readdirSync(dir)).not.toContain('truth.json')
  })
})

describe('writing that is given up', () => {
  const start = (dir: string) => {
    const steps = writeSynthSteps({ preset: 'demo', dir })
    steps.next()
    return steps
  }

  it('takes every directory with it that it made', () => {
    const base = scratch()
    start(join(base, 'a/b/c')).return(undefined as never)
    expect(readdirSync(base)).toEqual([])
  })

  it('leaves what somebody else has put there meanwhile', () => {
    const dir = join(scratch(), 'out')
    const steps = start(dir)
    writeFileSync(join(dir, 'notes'), '')
    steps.return(undefined as never)
    expect(readdirSync(dir)).toEqual(['notes'])
  })
})
