// Files as those make them who make them for everybody: QEMU, gdb, the kernel, gzip, zstd, lz4, makedumpfile; each where it is
// installed. What pagefold reads is held against the independent reader, or against the same memory in another format.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openImage, openSource } from '../../src/images/index.ts'
import { SYNTH_PRESETS } from '../../src/lab/index.ts'
import { file, pages, scratch } from '../support/files.ts'
import { guest, guestsUnavailable } from '../support/guests.ts'
import { contentsOf, readByPython, readerUnavailable } from '../support/reader.ts'

const has = (program: string): boolean => spawnSync(program, ['--version']).error === undefined
const noPython = readerUnavailable()

function readImage(path: string) {
  const image = openImage(path)
  const contents = contentsOf(image)
  image.close()
  return { ...contents, format: image.format, notes: image.notes.join('\n') }
}

describe.skipIf(!has('qemu-system-x86_64'))('QEMU (skipped where it is not installed)', () => {
  /** A machine that has run its firmware and stands still, dumped in every way. */
  async function dumps(): Promise<string> {
    const dir = scratch()
    const args = [
      '-m',
      '4',
      '-display',
      'none',
      '-machine',
      'pc,mem-merge=off', // or the running ksmd, if a test has it scan, would count its pages
      '-accel',
      'tcg',
      '-qmp',
      'stdio',
      '-nodefaults',
    ]
    const qemu = spawn('qemu-system-x86_64', args, { stdio: ['pipe', 'pipe', 'inherit'] })
    let said = ''
    qemu.stdout.on('data', (text) => {
      said += text
    })
    /** Everything asked has been answered, and nothing is under way any more. */
    const answered = async (asked: number): Promise<void> => {
      while ((said.match(/"return"/g) ?? []).length < asked)
        await new Promise((resolve) => setTimeout(resolve, 50))
    }
    const ended = new Promise((resolve) => qemu.on('close', resolve))
    const ask = (execute: string, options = {}) =>
      qemu.stdin.write(`${JSON.stringify({ execute, arguments: options })}\n`)
    ask('qmp_capabilities')
    await new Promise((resolve) => setTimeout(resolve, 1500))
    ask('stop')
    ask('dump-guest-memory', { paging: false, protocol: `file:${join(dir, 'elf')}` })
    ask('dump-guest-memory', { paging: true, protocol: `file:${join(dir, 'paging')}` })
    ask('dump-guest-memory', { paging: false, protocol: `file:${join(dir, 'kdump')}`, format: 'kdump-zlib' })
    ask('pmemsave', { val: 0, size: 4 << 20, filename: join(dir, 'raw') })
    ask('migrate', { uri: `exec:cat > ${join(dir, 'migration')}` })
    await answered(7)
    // What was said before is of the dumps, which are completed too.
    const before = said.length
    for (let asked = 8; !/"status": "(completed|failed)"/.test(said.slice(before)); asked++) {
      ask('query-migrate')
      await answered(asked)
    }
    ask('quit')
    await ended
    // cat writes it down once QEMU has let go of it.
    for (let tries = 0; tries < 250 && statSync(join(dir, 'migration')).size === 0; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20))
    return dir
  }

  it('dump-guest-memory, -p, -z and pmemsave are read alike, and a migration is refused', async () => {
    const dir = await dumps()
    const elf = readImage(join(dir, 'elf'))
    expect(elf).toMatchObject({ format: 'elf', absent: 0, notes: '' })
    expect(readImage(join(dir, 'paging')).pages).toBeGreaterThan(0)
    const { format, ...zlib } = readImage(join(dir, 'kdump'))
    expect(format).toBe('kdump')
    expect(elf).toMatchObject(zlib)
    expect(readImage(join(dir, 'raw'))).toMatchObject({ format: 'raw', pages: 1024 })
    expect(() => openImage(join(dir, 'migration'))).toThrow('a QEMU migration stream')
    if (noPython === undefined) {
      for (const name of ['elf', 'kdump']) expect(elf, name).toMatchObject(readByPython(join(dir, name)))
    }
    if (has('makedumpfile')) {
      const input = join(dir, 'kdump')
      const rearranged = spawnSync('sh', ['-c', `makedumpfile -R '${input}.flat' < '${input}'`])
      expect(rearranged.status).toBe(0)
      expect(readImage(`${input}.flat`)).toMatchObject(zlib)
    }
  })
})

describe.skipIf(!has('gdb'))('gdb (skipped where it is not installed)', () => {
  /** Reserves 64 MiB (MAP_PRIVATE | MAP_ANONYMOUS) that may not be touched, has a page of sevens, and sleeps. */
  const PROGRAM =
    'import mmap,time,sys; a=mmap.mmap(-1,64<<20,prot=0,flags=34); b=bytes([7])*40960; print(1,flush=True); time.sleep(60)'

  it.skipIf(noPython !== undefined)(
    'gcore writes zeros where there was nothing, and that is said',
    async (test) => {
      const child = spawn('python3', ['-c', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] })
      try {
        await new Promise((resolve) => child.stdout.once('data', resolve))
        const core = join(scratch(), 'core')
        const { status } = spawnSync('gdb', [
          ...['-p', String(child.pid), '-batch', '-nx'],
          ...[
            '-ex',
            'set use-coredump-filter off',
            '-ex',
            'set dump-excluded-mappings on',
            '-ex',
            `gcore ${core}`,
          ],
        ])
        test.skip(status !== 0 || !existsSync(core), 'gdb may not look at other processes here')
        const read = readImage(core)
        expect(read.notes).toContain('zeros in mappings that cannot be written')
        expect(read).toMatchObject(readByPython(core))
      } finally {
        child.kill()
      }
    },
  )
})

describe('a core by the kernel', () => {
  const where = '/proc/sys/kernel/core_pattern'
  const elsewhere = !existsSync(where) || /^[|/]/.test(readFileSync(where, 'utf8'))
  it.skipIf(elsewhere || noPython !== undefined)('leaves out what a process never touched', (test) => {
    const folder = scratch()
    const program =
      'import mmap,os; a=mmap.mmap(-1,64<<20,prot=0,flags=34); b=mmap.mmap(-1,64<<20,flags=34); b[0]=1; os.abort()'
    spawnSync('sh', ['-c', `ulimit -c unlimited; cd '${folder}'; exec python3 -c '${program}'`])
    const core = readdirSync(folder).find((name) => name.startsWith('core'))
    if (core === undefined) return test.skip('nobody writes cores here')
    const read = readImage(join(folder, core))
    expect(read.absent).toBeGreaterThanOrEqual((64 << 20) / 4096)
    expect(read.notes).toMatch(/\d+ % of it are holes in the file/)
    expect(read).toMatchObject(readByPython(join(folder, core)))
  })
})

describe('packers', () => {
  const memory = Buffer.concat([
    pages(50),
    Buffer.alloc(300 * 4096),
    pages(50, 3),
    ...Array(40).fill(pages(7)),
  ])

  const all: readonly (readonly [string, readonly string[]])[] = [
    ['gzip', ['-9c']],
    ['gzip', ['-1c']],
    ['zstd', ['-qc']],
    ['zstd', ['-19qc']],
    ['zstd', ['-qc', '--long=27', '--no-check']],
    ['lz4', ['-qc']],
    ['lz4', ['-9qc', '-B4', '-BD', '-BX']],
    ['lz4', ['-qc', '--no-frame-crc', '--content-size']],
  ]
  for (const [program, args] of all) {
    it.skipIf(!has(program))(`${program} ${args.join(' ')} is read through`, () => {
      const { status, stdout } = spawnSync(program, [...args], { input: memory, maxBuffer: 2 ** 26 })
      expect(status).toBe(0)
      const image = openImage(file('guest.img', stdout))
      const bytes = Buffer.alloc(image.pages * 4096)
      image.read(0, image.pages, bytes)
      image.close()
      expect(bytes.equals(memory)).toBe(true)
    })
  }
})

describe('memory', () => {
  it.each(Object.keys(SYNTH_PRESETS))(
    'of synthetic guests, %s, is never taken for something else',
    (preset) => {
      for (const image of openSource(`synth:${preset},pages=2048`)) {
        const bytes = Buffer.alloc(image.pages * 4096)
        image.read(0, image.pages, bytes)
        expect(readImage(file('guest.raw', bytes)).format).toBe('raw')
      }
    },
  )

  const missing = guestsUnavailable()
  it.skipIf(missing !== undefined)(
    `of real guests is never taken for something else (${missing ?? 'here'})`,
    () => {
      for (const name of [
        'guest-batch.t0.raw',
        'guest-batch.t1.raw',
        'guest-web.t0.raw',
        'guest-web.t1.raw',
      ]) {
        const image = openImage(guest(name))
        expect(image).toMatchObject({ format: 'raw', notes: [], absent: 0 })
        image.close()
      }
    },
  )

  it.skipIf(missing !== undefined || noPython !== undefined)(
    'of a real guest in a core is what Python reads',
    () => {
      expect(readImage(guest('guest-batch.t0.elf'))).toMatchObject(readByPython(guest('guest-batch.t0.elf')))
    },
  )
})
