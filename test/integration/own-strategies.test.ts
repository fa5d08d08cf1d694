// Strategies of one's own as a newcomer has them: an empty folder with the package in it, the files of examples/own, and the
// command line. AssemblyScript is compiled by the line that its file says.

import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyOwnStrategies } from '../support/own-examples.ts'
import { type Project, project, ROOT } from '../support/package.ts'

const EXAMPLES = join(ROOT, 'examples/own')
const read = (name: string): string => readFileSync(join(EXAMPLES, name), 'utf8')
const SOURCE = 'synth:demo,pages=300'

let user: Project
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pagefold-own-'))
  user = project(folder)
  copyOwnStrategies(user.dir)
}, 240_000)

afterAll(() => rmSync(folder, { recursive: true }))

/** Puts a package beside pagefold, as if it were installed. */
function linkPackage(name: string): void {
  symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
}

/** What a command prints with --json. */
function json(...args: string[]): Record<string, never> {
  const { code, out, err } = user.pagefold(...args, '--json')
  // What else the machine does is nobody's mistake.
  expect({ code, err: err.replace(/^pagefold: this machine was busy .*\n/gm, '') }).toEqual({
    code: 0,
    err: '',
  })
  return JSON.parse(out)
}

/** The counters of a scan, without times. */
function counters(...args: string[]): object[] {
  const { after_each_scan } = json('scan', SOURCE, ...args)
  return (after_each_scan as object[]).map((row) => ({ ...row, elapsed_ms: 0, cpu_ms: 0 }))
}

describe('the examples of checksums', () => {
  it.each([
    ['./hash.mjs', 'multiply-xor', []],
    ['./hash.wasm', 'hash', []],
    ['./hash.wasm', 'hash', ['--workers', '2']],
    ['./hash.mjs', 'multiply-xor', ['--seed', '7', '--checksum-bits', '20', '--index', 'content']],
  ])('pagefold scan --checksum %s merges what the built-in ones merge', (file, name, more) => {
    expect(json('scan', SOURCE, '--checksum', file, ...more)).toMatchObject({ checksum: name })
    const index = more.includes('content') ? ['--index', 'content'] : []
    expect(counters('--checksum', file, ...more)).toEqual(counters(...index))
  })

  it('pagefold hash has them beside the built-in ones', () => {
    linkPackage('xxhash-wasm')
    linkPackage('benchmark')
    linkPackage('lodash')
    linkPackage('platform')
    const given = ['--checksum', './hash.mjs,xxh3', '--checksum', './hash.wasm', '--index', 'hash']
    const { checksums, strategies, costs } = json('hash', SOURCE, ...given) as Record<string, object[]>
    const names = (rows: object[]): unknown[] => rows.map((row) => (row as { checksum: string }).checksum)
    expect(names(checksums!)).toEqual(['multiply-xor', 'xxh3', 'hash'])
    expect(names(strategies!)).toEqual(['multiply-xor', 'xxh3', 'hash'])
    expect(names(costs!)).toEqual(expect.arrayContaining(['multiply-xor', 'xxh3', 'hash']))
    const merged = strategies!.map((row) => (row as { pages_merged: number }).pages_merged)
    expect(new Set(merged).size).toBe(1)
    expect(checksums![0]).toMatchObject({
      traits: { bits: 32, seeded: true, whole: true },
      touched: { bytes: 4096 },
      missed: { bit: 0, half: 0 },
    })
  })

  it('pagefold bench merges with one what its peers merge', () => {
    const result = json(
      'bench',
      SOURCE,
      '--trials',
      '1',
      '--peers',
      'pagefold-still',
      '--checksum',
      './hash.wasm',
    )
    expect(result).toMatchObject({ checksum: 'hash', peers: { 'pagefold-still': { samples: [{}] } } })
  })
})

describe('the example of a policy', () => {
  it('pagefold scan --policy passes pages over, and merges what keeps still', () => {
    const moments = ['--then', `${SOURCE},seed=2`, '--scans', '3', '--scans-after', '12']
    const result = json('scan', SOURCE, ...moments, '--policy', './policy.mjs')
    expect(result).toMatchObject({ policy: 'restless', knobs: { smart_scan: 1 } })
    const rows = result.after_each_scan as { pages_skipped: number; pages_sharing: number }[]
    expect(rows.at(-1)!.pages_skipped).toBeGreaterThan(0)
    const all = json('scan', SOURCE, ...moments).after_each_scan as typeof rows
    expect(rows.at(-1)!.pages_sharing).toBe(all.at(-1)!.pages_sharing)
  })
})

describe('what is wrong with a file', () => {
  const CASES: [what: string, args: string[], text: string | undefined, said: RegExp][] = [
    [
      'is not there',
      ['--checksum', './none.js'],
      undefined,
      /^pagefold: --checksum \.\/none\.js: cannot be read \(ENOENT\)$/,
    ],
    [
      'is no module',
      ['--checksum', './bad.wasm'],
      'no wasm',
      /--checksum \.\/bad\.wasm: .* does not compile/,
    ],
    [
      'does not parse',
      ['--checksum', './bad.mjs'],
      'export default {',
      /bad\.mjs: cannot be loaded: Unexpected/,
    ],
    [
      'exports nothing',
      ['--checksum', './bad.mjs'],
      'export const a = 1',
      /bad\.mjs: exports nothing by default/,
    ],
    [
      'has no hash',
      ['--checksum', './bad.mjs'],
      'export default {}',
      /bad\.mjs: Expected `checksum` to be a name/,
    ],
    [
      'lies about its bits',
      ['--checksum', './bad.js'],
      'export default { name: "a", bits: 64, hash: (page) => page[0] }',
      /--checksum \.\/bad\.js: it says that it has 64 bits, but 56 of them are the same/,
    ],
    [
      'is no kind of file',
      ['--checksum', './hash.ts'],
      undefined,
      /--checksum takes one of xxh64, .*"\.\/hash\.ts"/,
    ],
    [
      'cannot have helpers',
      ['--checksum', './hash.mjs', '--workers', '1'],
      undefined,
      /--workers: .*is JavaScript/,
    ],
    [
      'is no policy',
      ['--policy', './bad.mjs'],
      'export default { name: "a" }',
      /bad\.mjs: a policy is an object with/,
    ],
    [
      'of a policy is a module',
      ['--policy', './hash.wasm'],
      undefined,
      /a policy is a file that ends in \.js or \.mjs/,
    ],
    [
      'throws in the middle',
      ['--checksum', './bad.mjs'],
      `let calls = 0
       export default { name: 'late', bits: 32, hash(page) {
         if (calls++ > 600) throw new Error('not today')
         let sum = 1
         for (const byte of page) sum = Math.imul(sum ^ byte, 0x01000193)
         return (sum ^ (sum >>> 15)) >>> 0 } }`,
      /^pagefold: \.\/bad\.mjs: in the middle of a scan: not today \(at .*bad\.mjs:3:\d+\)+$/,
    ],
  ]

  it.each(CASES)('%s: one line says so', (_, args, text, said) => {
    if (text !== undefined) writeFileSync(join(user.dir, args[1]!), text)
    const { code, out, err } = user.pagefold('scan', SOURCE, ...args)
    expect(err.trimEnd()).toMatch(said)
    expect(err.trimEnd()).not.toContain('\n')
    expect({ code, out }).toEqual({ code: 2, out: '' })
  })
})

describe('docs/strategies.md', () => {
  const docs = readFileSync(join(ROOT, 'docs/strategies.md'), 'utf8')

  it.each(readdirSync(EXAMPLES))('shows examples/own/%s as it is', (name) => {
    expect(docs).toContain(`\n${read(name)}\`\`\``)
  })
})
