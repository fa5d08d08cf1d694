// How commands end: on a full disk, in a closed pipe, by a signal, beside another of their kind. Each ends with the code that
// says so, and leaves what was there or what it was to make, and nothing in between.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ABI_VERSION } from '../../assembly/abi.ts'
import { VERSION } from '../../src/version.ts'
import { file, pages, scratch } from '../support/files.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const NODE = process.execPath
const WAIT = { timeout: 120_000 }

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function shell(script: string, options: { cwd?: string } = {}): Ended {
  const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', ...options })
  return { code: status, out: stdout, err: stderr }
}

function pagefold(...args: string[]): Ended {
  const { status, stdout, stderr } = spawnSync(NODE, [MAIN, ...args], { encoding: 'utf8', timeout: 60_000 })
  return { code: status, out: stdout, err: stderr }
}

function folder(name: string): string {
  const path = join(scratch(), name)
  mkdirSync(path, { recursive: true })
  return path
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('it never came')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function ended(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => child.on('close', (code) => resolve(code)))
}

const contents = (dir: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(dir)
      .sort()
      .map((name) => [
        name,
        createHash('sha256')
          .update(readFileSync(join(dir, name)))
          .digest('hex'),
      ]),
  )

describe('standard output', () => {
  const DEMO = 'scan synth:demo,pages=64'

  it.each(['--version', '--help', 'scan --help', DEMO, `${DEMO} --json`])(
    'on a full disk is an error (%s)',
    (args) => {
      const { code, err } = shell(`${NODE} ${MAIN} ${args} > /dev/full`)
      expect(err).toBe('pagefold: standard output: cannot be written (ENOSPC)\n')
      expect(code).toBe(2)
    },
  )

  it('that nobody reads ends as by SIGPIPE, without a word', () => {
    const { out, err } = shell(`{ ${NODE} ${MAIN} ${DEMO} --json; echo $? >&2; } | true`)
    expect([out, err]).toEqual(['', '141\n'])
  })

  it('is written whole where the reader is slow and the pipe does not block', () => {
    const slow = `const fs = require('fs'); setTimeout(() => process.stdin.pipe(process.stdout), 1500)`
    const { code, out } = shell(
      `set -o pipefail; ${NODE} ${MAIN} scan synth:demo,pages=16 --scans 2000 --json | ${NODE} -e "${slow}"`,
    )
    expect(code).toBe(0)
    expect(out.length).toBeGreaterThan(2 ** 18)
    expect(JSON.parse(out).after_each_scan).toHaveLength(2000)
  })
})

describe('names', () => {
  it('with control characters are printed escaped', () => {
    const name = file('a\nb\x1b[31m\u009b\u202e.raw', pages(4))
    const { code, out } = pagefold('scan', name)
    expect(code).toBe(0)
    expect(out).toContain('a\\nb\\u001b[31m\\u009b\\u202e.raw (raw, 4 pages)')
    const json = pagefold('scan', name, '--json').out
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    for (const text of [out, json]) expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
    expect(JSON.parse(json).images[0].source).toBe(name)
    const { err } = pagefold('scan', '/no/such\n\x1b[2Jfile')
    expect(err).toBe('pagefold: ENOENT: /no/such\\n\\u001b[2Jfile: no such file\n')
  })

  it('that look like options are names behind --', () => {
    const dir = folder('odd')
    writeFileSync(join(dir, '--help'), pages(3))
    const { code, out } = shell(`${NODE} ${MAIN} scan --json -- --help`, { cwd: dir })
    expect(code).toBe(0)
    expect(JSON.parse(out).images).toMatchObject([{ source: '--help', pages: 3 }])
  })
})

describe('what is asked for', () => {
  it('the version', () => {
    expect(pagefold('--version')).toEqual({ code: 0, out: `${VERSION}\n`, err: '' })
  })

  it('so many scans are done, or refused', () => {
    const image = file('one.raw', pages(1))
    const { code, out } = pagefold('scan', image, '--scans', '1500', '--json')
    expect(code).toBe(0)
    expect(JSON.parse(out).after_each_scan).toHaveLength(1500)
    for (const option of ['--scans', '--scans-after']) {
      const refused = pagefold('scan', image, '--then', image, option, '1000000000')
      expect(refused.err).toMatch(/--scans(-after)? takes an integer from 1 to 100000, got "1000000000"/)
      expect(refused.code).toBe(2)
    }
  })

  it('results say what made them, where and when', () => {
    const image = file("it's.raw", pages(2))
    const result = JSON.parse(pagefold('scan', '--json', image).out)
    expect(result).toMatchObject({
      version: VERSION,
      schema: 3,
      command: `pagefold scan --json '${image.replace("'", `'\\''`)}'`,
      machine: { processor: expect.any(String), cores: expect.any(Number) },
      versions: { pagefold: VERSION, node: process.versions.node, core_abi: ABI_VERSION },
      settled: true,
    })
    expect(Math.abs(Date.now() - Date.parse(result.date))).toBeLessThan(60_000)
    const made = { schema: 3, versions: result.versions, machine: result.machine, date: expect.any(String) }
    for (const args of [
      ['hash', '--json', 'synth:demo,pages=16', '--checksum', 'xxh3', '--index', 'hash'],
      ['bench', '--json', 'synth:demo,pages=16', '--peers', 'pagefold', '--trials', '1'],
    ]) {
      expect(JSON.parse(pagefold(...args).out)).toMatchObject({
        ...made,
        command: `pagefold ${args.join(' ')}`,
      })
    }
  })

  it('the counters as a table, over an older one and nothing else', () => {
    const image = file('table.raw', pages(5))
    const path = join(scratch(), 'rows.csv')
    for (const scans of ['3', '2']) {
      expect(pagefold('scan', image, '--scans', scans, '--csv', path).code).toBe(0)
      const [head, ...rows] = readFileSync(path, 'utf8').trim().split('\n')
      expect(head).toMatch(/^scan,pages_shared,pages_sharing,pages_unshared,/)
      expect(rows.map((row) => row.split(',')[0])).toEqual(['1', '2', '3'].slice(0, Number(scans)))
      expect(rows[1]).toMatch(/^2,0,0,5,/)
    }
    const { code, err } = pagefold('scan', image, '--csv', image)
    expect(code).toBe(2)
    expect(err).toContain('holds something else than such a table')
  })
})

describe('an image', () => {
  it('that is a FIFO nobody writes to, or a device, is refused', WAIT, () => {
    const fifo = join(scratch(), 'fifo')
    spawnSync('mkfifo', [fifo])
    expect(pagefold('scan', fifo)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/a pipe to which nobody has written in 10 s/),
    })
    expect(pagefold('scan', '/dev/zero')).toEqual({
      code: 2,
      out: '',
      err: 'pagefold: EINVAL: /dev/zero: neither a file nor a pipe\n',
    })
  })
})

describe('a baseline', () => {
  it.each(['fifo', '/dev/zero'])('that is no file is refused, and not waited for (%s)', (what) => {
    const path = what === 'fifo' ? join(scratch(), 'fifo') : what
    if (what === 'fifo') spawnSync('mkfifo', [path])
    const { code, err } = pagefold('bench', '--baseline', path)
    expect(err).toBe(`pagefold: --baseline ${path}: not a regular file\n`)
    expect(code).toBe(2)
  })
})

const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0

describe.skipIf(!canMount)('a full disk', () => {
  it('leaves the report that was there', () => {
    const dir = folder('full')
    const old = '<!doctype html>\n<!-- pagefold report -->'
    const { out } = shell(
      `unshare -m bash -c '
        mount -t tmpfs -o size=16k none ${dir}
        printf "%s" "$1" > ${dir}/report.html
        ${NODE} ${MAIN} scan synth:demo,pages=64 --report ${dir}/report.html > /dev/null 2> ${dir}/../said
        echo $?; ls -A ${dir}; cat ${dir}/report.html ${dir}/../said' - "$OLD"`.replace('"$OLD"', `'${old}'`),
    )
    expect(out).toBe(`2\nreport.html\n${old}pagefold: EIO: ${dir}/report.html: cannot be written (ENOSPC)\n`)
  })

  it('leaves the table that was there, and says so', () => {
    const dir = folder('full')
    const { out } = shell(
      `unshare -m bash -c '
        mount -t tmpfs -o size=4k none ${dir}
        printf "scan,pages_shared," > ${dir}/t.csv
        ${NODE} ${MAIN} scan synth:demo,pages=16 --scans 200 --csv ${dir}/t.csv 2>&1 > /dev/null; echo $?
        ls -A ${dir}; cat ${dir}/t.csv'`,
    )
    expect(out).toBe(`pagefold: EIO: ${dir}/t.csv: cannot be written (ENOSPC)\n2\nt.csv\nscan,pages_shared,`)
  })

  it('leaves no half of a set of images', () => {
    const dir = folder('full')
    const { out } = shell(
      `unshare -m bash -c '
        mount -t tmpfs -o size=64k none ${dir}
        ${NODE} ${MAIN} synth demo --pages 64 --out ${dir}/guests 2>&1; echo $?; ls -A ${dir}'`,
    )
    expect(out).toBe(`pagefold: ENOSPC: ${dir}/guests: no space left\n2\n`)
  })
})

describe('pagefold synth', () => {
  const BIG = ['synth', 'demo', '--pages', '60000', '--force', '--out']

  it('has nobody else write where it is at work', WAIT, async () => {
    const dir = folder('shared')
    const first = spawn(NODE, [MAIN, ...BIG, dir], { stdio: 'ignore' })
    await until(() => existsSync(join(dir, '.pagefold-synth/pid')))
    const second = pagefold('synth', 'demo', '--pages', '64', '--force', '--out', dir)
    expect(second.err).toMatch(/EBUSY: .*another run is writing there \(process \d+\)/)
    expect(second.code).toBe(2)
    expect(await ended(first)).toBe(0)
    expect(readdirSync(dir).sort()).toEqual([
      'image-0.t0.raw',
      'image-1.t0.raw',
      'image-2.t0.raw',
      'truth.json',
    ])
    expect(JSON.parse(readFileSync(join(dir, 'truth.json'), 'utf8')).pages).toBe(60_000)
  })

  it('that is killed leaves what was there, and nothing in the way of the next', WAIT, async () => {
    const dir = folder('killed')
    pagefold('synth', 'demo', '--pages', '64', '--out', dir)
    const before = contents(dir)
    const child = spawn(NODE, [MAIN, ...BIG, dir], { stdio: 'ignore' })
    await until(() => existsSync(join(dir, '.pagefold-synth/image-0.t0.raw')))
    child.kill('SIGKILL')
    await ended(child)
    const { '.pagefold-synth': _, ...after } = Object.fromEntries(
      readdirSync(dir).map((name) => [name, true]),
    )
    expect(Object.keys(after).sort()).toEqual(Object.keys(before))
    expect(pagefold('synth', 'demo', '--pages', '64', '--force', '--out', dir).code).toBe(0)
    expect(contents(dir)).toEqual(before)
  })
})

/** What a shell would say: a program that a signal ends has its number and 128. */
function endedAs(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) =>
    child.on('close', (code, signal) => resolve(signal === null ? code : 128 + constants.signals[signal])),
  )
}

const SIGNALS = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const

describe('a signal', () => {
  it.each(SIGNALS)('%s ends synth, which leaves what was there, or nothing', WAIT, async (signal, code) => {
    const dir = folder(`synth-${signal}`)
    writeFileSync(join(dir, 'mine'), 'mine')
    for (const out of [dir, join(dir, 'new')]) {
      const args = ['synth', 'demo', '--pages', '60000', '--force', '--out', out]
      const child = spawn(NODE, [MAIN, ...args], { stdio: 'ignore' })
      await until(() => existsSync(join(out, '.pagefold-synth/image-0.t0.raw')))
      child.kill(signal)
      expect(await endedAs(child)).toBe(code)
      expect(readdirSync(dir)).toEqual(['mine'])
    }
  })

  it.each(SIGNALS)('%s ends a scan that waits for standard input', WAIT, async (signal, code) => {
    const dir = folder(`waits-${signal}`)
    const env = { ...process.env, TMPDIR: dir }
    const child = spawn(NODE, [MAIN, 'scan', '-'], { env, stdio: ['pipe', 'ignore', 'ignore'] })
    child.stdin!.write(pages(1))
    await until(() => existsSync(`/proc/${child.pid}/fd`) && spooled(child.pid!))
    child.kill(signal)
    expect(await endedAs(child)).toBe(code)
    expect(readdirSync(dir)).toEqual([])
  })

  it.each([
    ['scan', 'synth:demo,pages=100000'],
    ['hash', 'synth:demo,pages=4000'],
  ])('SIGINT ends %s at work', WAIT, async (command, source) => {
    const dir = folder(`work-${command}`)
    const csv = join(dir, 'out.csv')
    const child = spawn(NODE, [MAIN, command, source, '--csv', csv], { stdio: ['ignore', 'pipe', 'pipe'] })
    await until(() => residentBytes(child.pid!) > AT_WORK)
    child.kill('SIGINT')
    expect(await endedAs(child)).toBe(130)
    expect(readdirSync(dir)).toEqual([])
  })
})

/** Node alone takes some 60 MB: with so much it has read or made pages. */
const AT_WORK = 120e6

/** What a process has of memory; 0 if it is gone. */
function residentBytes(pid: number): number {
  if (!existsSync(`/proc/${pid}/status`)) return 0
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
}

/** Has a process put away a stream, in a file without a name? */
function spooled(pid: number): boolean {
  return readdirSync(`/proc/${pid}/fd`).some((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).includes('/stream (deleted)')
    } catch {
      return false // closed meanwhile
    }
  })
}

describe('pagefold bench', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)(
    'ended by %s ends its trials, removes its files, and exits with %i',
    WAIT,
    async (signal, code) => {
      const dir = folder(`bench-${signal}`)
      const args = [MAIN, 'bench', 'synth:demo,pages=8192', '--peers', 'js', '--trials', '50']
      const child = spawn(NODE, args, { env: { ...process.env, TMPDIR: dir }, stdio: 'ignore' })
      const trials = (): string[] => trialsUnder(child.pid!)
      await until(() => trials().length > 0)
      const [trial] = trials()
      child.kill(signal)
      expect(await ended(child)).toBe(code)
      expect(readdirSync(dir)).toEqual([])
      expect(existsSync(`/proc/${trial}`)).toBe(false)
    },
  )
})

/** The children of a process, by number. */
function trialsUnder(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .split(' ')
      .filter((one) => one !== '')
  } catch {
    return []
  }
}
