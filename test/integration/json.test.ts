// Everything that a command prints with --json, and every table of --csv: as the schemas and the documentation have it, with nothing
// that they do not tell of.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pages } from '../support/files.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const WAIT = { timeout: 240_000 }
type Schema = Record<string, unknown>

const schemaOf = (command: string): Schema =>
  JSON.parse(readFileSync(join(ROOT, `schemas/${command}.json`), 'utf8'))

/** A schema that takes no names but those it tells of. */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== 'object' || schema === null) return schema
  const all = Object.fromEntries(Object.entries(schema).map(([name, value]) => [name, closed(value)]))
  return 'properties' in schema && all.type === 'object' && !('additionalProperties' in all)
    ? { ...all, additionalProperties: false }
    : all
}

let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pagefold-json-'))
  writeFileSync(join(folder, 'a.raw'), Buffer.concat([pages(10), pages(10)]))
  writeFileSync(join(folder, 'b.raw'), Buffer.concat([pages(10), pages(10, 50)]))
})

afterAll(() => rmSync(folder, { recursive: true }))

function pagefold(line: string): string {
  const args = [join(ROOT, 'dist/main.js'), ...line.split(' ')]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
  const said = stderr.split('\n').filter((text) => text !== '' && !text.includes('this machine was busy'))
  expect({ line, status, said }).toEqual({ line, status: 0, said: [] })
  return stdout
}

/** Runs a command and keeps what it prints. */
function kept(name: string, line: string): unknown {
  const text = pagefold(`${line} --json`)
  writeFileSync(join(folder, name), text)
  return JSON.parse(text)
}

const FEW = 'synth:demo,pages=32'
const RUNS: [name: string, line: string][] = [
  ['scan.json', 'scan a.raw b.raw --csv scan.csv'],
  ['scan-map.json', 'scan a.raw b.raw --map --knob advisor_mode=none --scans 2'],
  ['scan-then.json', 'scan a.raw --then b.raw'],
  ['hash.json', `hash ${FEW} --checksum xxh3,sampled,none --index hash --csv hash.csv`],
  ['bench.json', `bench ${FEW} --peers js,pagefold-still --trials 3 --csv bench.csv`],
  ['bench-baseline.json', `bench ${FEW} --peers js --trials 1 --baseline bench.json`],
  ['census.json', 'census a.raw b.raw --then a.raw b.raw --within 60'],
  ['census-verified.json', 'census a.raw b.raw --verify --report census.html'],
  ['synth.json', 'synth vm-hetero --pages 64 --moments 2 --out guests --csv synth.csv'],
  ['diff-scan.json', 'diff scan.json scan-map.json --csv diff.csv'],
  ['diff-hash.json', 'diff hash.json hash.json'],
  ['diff-bench.json', 'diff bench.json bench.json'],
  ['store-save.json', 'store save snapshots a.raw b.raw'],
  ['store-list.json', 'store list snapshots'],
  ['store-stats.json', 'store stats snapshots'],
  ['store-restore.json', 'store restore snapshots a.raw restored.raw'],
  ['store-drop.json', 'store drop snapshots a.raw'],
  ['store-compact.json', 'store compact snapshots'],
  ['store-verify.json', 'store verify snapshots'],
]

describe('the schemas', () => {
  it('are what the types and their comments say, and so is the documentation', WAIT, () => {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'scripts/schemas.mjs'), '--check'], {
      encoding: 'utf8',
    })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  it.each(RUNS)('tell of all that is in %s', WAIT, (name, line) => {
    const result = kept(name, line) as Record<string, unknown>
    const [command] = line.split(' ') as [string]
    const ajv = new Ajv({ strict: false, allErrors: true })
    ajv.validate(schemaOf(command), result)
    expect(ajv.errors ?? []).toEqual([])
    ajv.validate(closed(schemaOf(command)) as Schema, result)
    expect(ajv.errors?.map(({ instancePath, params }) => [instancePath, params]) ?? []).toEqual([])
    expect(result).toMatchObject({
      schema: 3,
      version: expect.any(String),
      command: `pagefold ${line} --json`,
    })
  })

  it('refuse what is no such result', () => {
    const ajv = new Ajv({ strict: false })
    const scan = JSON.parse(readFileSync(join(folder, 'scan.json'), 'utf8'))
    for (const wrong of [
      { ...scan, schema: scan.schema + 1 },
      { ...scan, pages: 'many' },
      { ...scan, settled: undefined },
      {},
    ])
      expect(ajv.validate(schemaOf('scan'), JSON.parse(JSON.stringify(wrong)))).toBe(false)
    expect(ajv.validate(closed(schemaOf('scan')) as Schema, { ...scan, more: 1 })).toBe(false)
  })
})

/** A table as a spreadsheet takes it. */
function table(text: string): { names: string[]; rows: Record<string, string>[] } {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const cells = [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)]
      return cells.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain!)
    })
  const [names, ...rows] = lines as [string[], ...string[][]]
  for (const row of rows) expect(row).toHaveLength(names.length)
  return { names, rows: rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]!]))) }
}

describe('--csv', () => {
  const TABLES: [command: string, names: string[], rows: number][] = [
    ['scan', ['scan', 'pages_shared', 'pages_sharing', 'general_profit', 'elapsed_ms'], 3],
    ['hash', ['checksum', 'index', 'ns_per_page', 'pages_merged', 'traits_bits', 'missed_bit'], 3],
    ['bench', ['peer', 'trial', 'converge_ns_per_page', 'rescan_ns_per_page'], 9],
    ['synth', ['moment', 'pages', 'zero_pages', 'best_bytes_saved'], 2],
    ['diff', ['figure', 'unit', 'before', 'after', 'change', 'verdict'], 3],
  ]

  it.each(TABLES)('of %s, as written beside the JSON', (command, first, lines) => {
    const { names, rows } = table(readFileSync(join(folder, `${command}.csv`), 'utf8'))
    expect(names).toEqual(expect.arrayContaining(first))
    expect(rows.length).toBeGreaterThanOrEqual(lines)
    if (command !== 'diff') expect(rows).toHaveLength(lines)
  })

  it('has the numbers of the result', () => {
    const { after_each_scan } = kept('rows.json', 'scan a.raw b.raw --csv rows.csv') as {
      after_each_scan: Record<string, number>[]
    }
    const { rows } = table(readFileSync(join(folder, 'rows.csv'), 'utf8'))
    expect(rows).toEqual(
      after_each_scan.map((row, i) =>
        Object.fromEntries(
          Object.entries({ scan: i + 1, ...row }).map(([name, value]) => [name, String(value)]),
        ),
      ),
    )
  })

  it('of a bench has the scans after writes of each trial', () => {
    const { peers, written, running } = JSON.parse(readFileSync(join(folder, 'bench.json'), 'utf8'))
    const { rows } = table(readFileSync(join(folder, 'bench.csv'), 'utf8'))
    expect(written).toHaveLength(7)
    for (const { written_percent, written_with, peers: times } of written) {
      const column = `written_${written_percent}_${written_with.replace(' ', '_')}_ns_per_page`
      for (const [i, { peer, trial, ...row }] of rows.entries()) {
        const samples = times[peer!]?.scan.samples
        expect(samples === undefined).toBe(peer === 'pagefold-still')
        expect([i, row[column]]).toEqual([i, samples === undefined ? '' : String(samples[Number(trial) - 1])])
      }
    }
    const ran = rows
      .filter(({ peer }) => peer === 'pagefold')
      .map(({ running_cpu_ms }) => Number(running_cpu_ms))
    expect(ran).toEqual(running.peers.pagefold.cpu.samples)
    expect(new Set(rows.map(({ peer }) => peer))).toEqual(new Set(Object.keys(peers)))
  })

  it('is not written over the table of another command', () => {
    const args = [
      join(ROOT, 'dist/main.js'),
      'synth',
      'demo',
      '--pages',
      '64',
      '--out',
      'other',
      '--csv',
      'rows.csv',
    ]
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
    expect(status).toBe(2)
    expect(stderr).toContain('holds something else than such a table')
  })
})
