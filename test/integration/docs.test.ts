// What README and docs/ show can be done: every command line in them runs, and every program. Made smaller on the way, for nobody
// wants to wait: fewer pages of synthetic guests, one trial, no peer beside pagefold.

import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { elfCore, pages } from '../support/files.ts'
import { copyOwnStrategies } from '../support/own-examples.ts'
import { project } from '../support/package.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const WAIT = { timeout: 600_000 }
const TEXTS = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
].sort()

interface Block {
  readonly language: string
  readonly text: string
}

function blocksOf(name: string): Block[] {
  const found = readFileSync(join(ROOT, name), 'utf8').matchAll(/^```(\w*)\n(.*?)^```$/gms)
  return [...found].map(([, language, text]) => ({ language: language!, text: text! }))
}

const OURS = /(^|[ |(])(node dist\/main\.js|npx pagefold|pagefold) /
/** What is shown and cannot be run here: what installs, what needs another machine. */
const ELSEWHERE = /^(git clone|npm (start|test|install|run)|ssh |#|$)/

/** The command lines of a page that run pagefold. */
function commandsOf(name: string): string[] {
  const lines = blocksOf(name)
    .filter(({ language }) => language === 'sh' || language === '')
    .flatMap(({ language, text }) =>
      text
        .replaceAll('\\\n', ' ')
        .split('\n')
        .filter((line) => language === 'sh' || OURS.test(line)),
    )
  const commands = lines.filter((line) => !ELSEWHERE.test(line))
  for (const line of commands) expect(line, `${name}: neither runs here nor is known not to`).toMatch(OURS)
  return commands
}

let folder: string
let installed: string

/** Run instead of pagefold: it makes less of what it is told to do. */
const LESS = `#!${process.execPath}
const { spawnSync } = require('node:child_process')
const [command, ...args] = process.argv.slice(2)
const has = (option) => args.includes(option)
const small = args.map((one) => (/^synth:/.test(one) && !/pages=/.test(one) ? one + ',pages=32' : one))
if (command === 'hash' && !has('--checksum')) small.push('--checksum', 'none')
if (command === 'bench') small.push('--trials', '1', '--peers', 'pagefold')
if (/^(bench|hash)$/.test(command) && !small.some((one) => /^synth:|raw|core/.test(one))) small.push('synth:demo,pages=64')
if (command === 'store') small.splice(0, small.length, ...args)
if (command === 'synth') small.push('--pages', '32')
process.exit(spawnSync(process.execPath, [${JSON.stringify(join(ROOT, 'dist/main.js'))}, command, ...small], { stdio: 'inherit' }).status)
`

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pagefold-docs-'))
  const made = join(folder, 'installed')
  mkdirSync(made)
  installed = project(made).dir
  filesIn(installed)
  symlinkSync(join(ROOT, 'node_modules/ajv'), join(installed, 'node_modules/ajv'))
  mkdirSync(join(folder, 'bin'))
  for (const name of ['pagefold', 'npx']) {
    writeFileSync(join(folder, 'bin', name), name === 'npx' ? '#!/bin/sh\nexec "$@"\n' : LESS)
    chmodSync(join(folder, 'bin', name), 0o755)
  }
}, 120_000)

afterAll(() => rmSync(folder, { recursive: true }))

/** The files that the pages speak of. */
function filesIn(dir: string): void {
  const guest = Buffer.concat([pages(16), pages(16)])
  const later = Buffer.concat([pages(16), pages(16, 40)])
  for (const name of [
    'guest.raw',
    'guest-a.raw',
    'guest-b.raw',
    'base.mem',
    'a.diff',
    'b.diff',
    'diff.mem',
    'a.t0',
    'b.t0',
  ])
    writeFileSync(join(dir, name), guest)
  for (const name of ['guest-a.later.raw', 'a.t1', 'b.t1']) writeFileSync(join(dir, name), later)
  writeFileSync(join(dir, 'guest-b.core'), elfCore([{ bytes: guest }]))
  writeFileSync(join(dir, 'guest.raw.xz'), spawnSync('xz', ['-c'], { input: guest }).stdout ?? '')
  for (const name of ['a.diff', 'b.diff', 'diff.mem']) {
    truncateSync(join(dir, name), 4096)
    truncateSync(join(dir, name), guest.length)
  }
  copyOwnStrategies(dir)
}

describe.each(TEXTS)('%s', (name) => {
  const commands = commandsOf(name)
  const programs = blocksOf(name).filter(
    ({ language, text }) => /^(js|ts)$/.test(language) && !text.startsWith('// examples/'),
  )

  it.skipIf(commands.length === 0)('shows commands that run', WAIT, () => {
    const dir = join(folder, name.replaceAll('/', '-'))
    mkdirSync(dir)
    filesIn(dir)
    const env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env.PATH}` }
    for (const line of commands) {
      if (line.startsWith('xz ') && spawnSync('xz', ['--version']).status !== 0) continue
      const plain = line.replaceAll('node dist/main.js', 'pagefold').replace(/ {2,}[a-z].*$/, '')
      const { status, stderr } = spawnSync('bash', ['-c', plain], { cwd: dir, env, encoding: 'utf8' })
      expect({ line, status, stderr: status === 0 ? '' : stderr }).toEqual({ line, status: 0, stderr: '' })
    }
  })

  it.skipIf(programs.length === 0)('shows programs that run', WAIT, () => {
    for (const [i, { text }] of programs.entries()) {
      const file = join(installed, `${name.replaceAll(/\W/g, '-')}-${i}.mjs`)
      writeFileSync(file, text)
      writeFileSync(join(installed, 'scan.json'), scanned())
      const { status, stderr } = spawnSync(process.execPath, [file], { cwd: installed, encoding: 'utf8' })
      expect({ text, status, stderr }).toEqual({ text, status: 0, stderr: '' })
    }
  })
})

function scanned(): string {
  const args = [join(ROOT, 'dist/main.js'), 'scan', 'synth:demo,pages=16', '--json']
  return spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout
}

it('the first page is read in a minute', () => {
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8').split('\n').length).toBeLessThanOrEqual(100)
})
