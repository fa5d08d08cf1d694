// How the command line is told of files, and tells of them: formats, absent pages, bases, standard input, pipes, limits.

import { spawn, spawnSync } from 'node:child_process'
import {
  closeSync,
  createWriteStream,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { MAX_IMAGE_PAGES, type MergeResult } from '../../src/lab/index.ts'
import { elfCore, file, lime, pages, scratch } from '../support/files.ts'
import { kdump } from '../support/packed.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname

interface Run {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

function pagefold(args: readonly string[], input?: Uint8Array, env: NodeJS.ProcessEnv = {}): Run {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    input: input ?? '',
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { code: status, out: stdout, err: stderr }
}

const scanned = ({ code, out, err }: Run): MergeResult => {
  expect(code, err).toBe(0)
  return JSON.parse(out) as MergeResult
}

function refused({ code, out, err }: Run): string {
  expect(code).toBe(2)
  expect(out).toBe('')
  expect(err.trim().split('\n')).toHaveLength(1)
  return err
}

describe('absent pages', () => {
  const core = elfCore([
    { virtual: 0x1000, bytes: Buffer.concat([pages(4), pages(4)]) },
    { virtual: 0x10_0000, bytes: Buffer.alloc(0), memoryBytes: 30 * 4096 },
  ])

  it('are not counted, and their number is said', () => {
    const path = file('process.core', core)
    const run = pagefold(['scan', '--json', path])
    expect(scanned(run)).toMatchObject({
      pages: 8,
      images: [{ pages: 8, absent_pages: 30 }],
      bytes_saved: 4 * 4096,
    })
    expect(run.err).toContain('30 pages of the guest are not in it')
    expect(run.err).toContain('--absent zero')
    expect(pagefold(['scan', path]).out).toContain('(elf, 8 pages, 30 absent)')
  })

  it('count as zeros if asked to', () => {
    const run = pagefold(['scan', '--json', file('process.core', core), '--absent', 'zero'])
    expect(scanned(run)).toMatchObject({
      pages: 38,
      images: [{ pages: 38, absent_pages: 0 }],
      bytes_saved: 33 * 4096,
    })
    expect(run.err).toBe('')
  })

  it('are what a kdump excludes', () => {
    const dump = kdump([{ pfn: 3, bytes: pages(1) }, { pfn: 4, bytes: pages(1) }, { pfn: 9 }])
    expect(scanned(pagefold(['scan', '--json', file('vmcore', dump)]))).toMatchObject({
      images: [{ format: 'kdump', pages: 2, absent_pages: 1 }],
      bytes_saved: 4096,
    })
  })
})

describe('--format', () => {
  it('says that a file is raw which begins like something else, and says so', () => {
    const process = Buffer.concat([
      elfCore([], { type: 3 }).subarray(0, 1288),
      Buffer.alloc(4096 - 1288),
      pages(3),
    ])
    const path = file('memory.raw', process)
    expect(refused(pagefold(['scan', path]))).toContain('say so: --format raw')
    const run = pagefold(['scan', '--json', path, '--format', 'raw'])
    expect(scanned(run)).toMatchObject({ pages: 4, images: [{ format: 'raw' }] })
    expect(run.err).toContain('begins like ELF64 core')
  })

  it('answers what is asked of odd and of packed files', () => {
    const path = file('memory.raw', pages(3).subarray(1))
    expect(refused(pagefold(['scan', path]))).toMatch(/no whole pages of 4096; .* --format raw/)
    expect(scanned(pagefold(['scan', '--json', path, '--format', 'raw']))).toMatchObject({ pages: 3 })
    expect(scanned(pagefold(['scan', '--json', path, '--format=raw'])).pages).toBe(3)
  })

  it('and --absent are for hash and bench as well, and take the names there are', () => {
    expect(refused(pagefold(['scan', 'x', '--format', 'vmdk']))).toContain('raw, elf, lime, kdump, avml')
    expect(refused(pagefold(['scan', 'x', '--absent', 'no']))).toContain('skip, zero')
    for (const command of ['hash', 'bench']) {
      expect(refused(pagefold([command, file('a', pages(2)), '--format', 'elf']))).toContain(
        'not of format elf',
      )
      expect(pagefold([command, '--help']).out).toMatch(/--format NAME[\s\S]*--absent NAME/)
    }
  })
})

describe('--base', () => {
  const zeros = Buffer.alloc(4096)

  function snapshots(): { base: string; diff: string } {
    const dir = scratch()
    const diff = join(dir, 'diff.mem')
    const fd = openSync(diff, 'w')
    ftruncateSync(fd, 32 * 4096)
    writeSync(fd, Buffer.alloc(4096, 0xaa), 0, 4096, 5 * 4096)
    writeSync(fd, zeros, 0, 4096, 9 * 4096)
    closeSync(fd)
    return { base: file('base.mem', pages(32)), diff }
  }

  it('fills the holes of what stands behind --then', () => {
    const { base, diff } = snapshots()
    const run = pagefold(['scan', '--json', base, '--then', diff, '--base', base])
    expect(scanned(run)).toMatchObject({ pages: 32, pages_written: 2 })
    const wrong = pagefold(['scan', '--json', base, '--then', diff])
    expect(scanned(wrong).pages_written).toBe(32)
  })

  it('fills those of all sources without --then, one for all or each its own', () => {
    const { base, diff } = snapshots()
    const two = scanned(pagefold(['scan', '--json', diff, diff, '--base', base]))
    expect(two).toMatchObject({ pages: 64, bytes_saved: 32 * 4096 })
    const own = scanned(pagefold(['scan', '--json', diff, diff, '--base', base, '--base', base]))
    expect(own.bytes_saved).toBe(32 * 4096)
    expect(refused(pagefold(['scan', diff, diff, diff, '--base', base, '--base', base]))).toContain(
      '2 times for 3',
    )
  })

  it('is refused for a file that has no holes', () => {
    const { base } = snapshots()
    expect(refused(pagefold(['scan', base, '--base', base]))).toContain('has no holes')
  })
})

describe('streams', () => {
  const raw = Buffer.concat([pages(20), pages(20), Buffer.alloc(9 * 4096)])

  it.each([
    ['raw', raw],
    ['gzip', gzipSync(raw)],
    ['LiME', lime([{ first: 0, bytes: raw }])],
    ['an ELF core in gzip', gzipSync(elfCore([{ virtual: 0x1000, bytes: raw }]))],
  ])('are read from standard input: %s', (_, bytes) => {
    expect(scanned(pagefold(['scan', '--json', '-'], bytes))).toMatchObject({
      pages: 49,
      images: [{ source: '-', pages: 49 }],
      bytes_saved: 28 * 4096,
    })
  })

  it('are read from a file behind <, and leave nothing behind', () => {
    const dir = scratch()
    const fd = openSync(file('guest.gz', gzipSync(raw)), 'r')
    const { status, stdout } = spawnSync(process.execPath, [MAIN, 'scan', '--json', '-'], {
      stdio: [fd, 'pipe', 'pipe'],
      encoding: 'utf8',
      env: { ...process.env, TMPDIR: dir },
    })
    closeSync(fd)
    expect(status).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ pages: 49 })
    expect(readdirSync(dir)).toEqual([])
  })

  it('are refused when empty, foreign, odd or read twice, and when there is no room for them', () => {
    expect(refused(pagefold(['scan', '-']))).toContain('-: empty')
    expect(refused(pagefold(['scan', '-'], Buffer.concat([Buffer.from('QEVM'), raw])))).toContain('migration')
    expect(refused(pagefold(['scan', '-'], raw.subarray(1)))).toContain('--format raw')
    expect(refused(pagefold(['scan', '-', '-'], raw))).toContain('standard input was read already')
    expect(refused(pagefold(['scan', '-', '--base', file('a', pages(1))], raw))).toContain(
      'a stream has no holes',
    )
    const nowhere = { TMPDIR: join(scratch(), 'missing') }
    expect(refused(pagefold(['scan', '-'], raw, nowhere))).toContain('TMPDIR names another place')
  })

  const noFifo = spawnSync('mkfifo', ['--version']).error !== undefined
  const fifo = (): string => {
    const path = join(scratch(), 'fifo')
    expect(spawnSync('mkfifo', [path]).status).toBe(0)
    return path
  }

  it.skipIf(noFifo)('are read from a FIFO to their end, however slowly they come', async () => {
    const path = fifo()
    const child = spawn(process.execPath, [MAIN, 'scan', '--json', path])
    let out = ''
    child.stdout.on('data', (data) => {
      out += data
    })
    const ended = new Promise((resolve) => child.on('close', resolve))
    const writer = createWriteStream(path)
    const write = (bytes: Uint8Array) => new Promise((resolve) => writer.write(bytes, resolve))
    await write(raw.subarray(0, 5000))
    await new Promise((resolve) => setTimeout(resolve, 300))
    await write(raw.subarray(5000))
    writer.end()
    expect(await ended).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ pages: 49, images: [{ source: path }] })
  })

  it.skipIf(noFifo)('are not waited for for ever if nobody writes', () => {
    expect(refused(pagefold(['scan', fifo()]))).toContain('a pipe to which nobody has written in 10 s')
  })
})

describe('the limit', () => {
  it('is the one that docs/formats.md tells', () => {
    const docs = readFileSync(new URL('../../docs/formats.md', import.meta.url), 'utf8')
    expect(docs).toContain(`at most ${MAX_IMAGE_PAGES.toLocaleString('en-US')} pages`)
  })

  it('is told in the words of the command line, before anything is read', () => {
    const dir = scratch()
    const path = join(dir, 'guest.raw')
    const fd = openSync(path, 'w')
    ftruncateSync(fd, 2 ** 32)
    closeSync(fd)
    const message = refused(pagefold(['scan', path]))
    expect(message).toMatch(/1,048,576 pages \(4\.0 GiB\), and at most 1,0\d\d,\d\d\d pages \(3\.9 GiB\)/)
    expect(message).not.toContain('frames')
    expect(refused(pagefold(['bench', path]))).toContain('at most')
  })

  it('is none for hash, which merges a sample and says how large', () => {
    const quick = ['--checksum', 'crc32c', '--index', 'hash']
    const large = pagefold(['hash', 'synth:vm-homog-idle,images=1,pages=20000', ...quick])
    expect(large.code).toBe(0)
    expect(large.out).toContain('Merging the images, a sample of 8,192 of their 20,000 pages')
    const { out } = pagefold(['hash', 'synth:demo,pages=600', '--json', ...quick])
    expect(JSON.parse(out)).toMatchObject({ merged_pages: 1800 })
  })
})
