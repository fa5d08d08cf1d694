// The store as its users have it: on the command line, in a process that is killed while it saves, beside another database.

import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SnapshotStore } from '../../src/store/index.ts'
import { elfCore, pages, scratch } from '../support/files.ts'
import { IS_LONG, PROPERTY_TIMEOUT } from '../support/property.ts'
import { random } from '../support/random.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const WAIT = { timeout: 120_000 }

function run(cwd: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'dist/main.js'), 'store', ...args],
    {
      cwd,
      encoding: 'utf8',
      env: { ...process.env, NO_COLOR: '1', COLUMNS: '200' },
    },
  )
  return { code: status, out: stdout, err: stderr }
}

describe('pagefold store', () => {
  it('saves images of every format, lists them, and gives them back', WAIT, () => {
    const dir = scratch()
    const bytes = pages(20)
    writeFileSync(join(dir, 'a.raw'), bytes)
    writeFileSync(join(dir, 'b.core'), elfCore([{ bytes, physical: 4096 }]))
    expect(run(dir, 'save', 's', 'a.raw', 'b.core', '--note', 'two\nlines')).toEqual({
      code: 0,
      out: expect.stringMatching(/ a\.raw +20 .* 20 +80\.0 KiB\n *b\.core +20 .* 0 +0 bytes\n$/),
      err: '',
    })
    expect(run(dir, 'list', 's').out).toMatch(/a\.raw .*80\.0 KiB.*two\\nlines\n.*b\.core/)
    expect(run(dir, 'restore', 's', 'b.core', 'back.raw')).toMatchObject({ code: 0, err: '' })
    expect(readFileSync(join(dir, 'back.raw')).equals(bytes)).toBe(true)
    expect(run(dir, 'save', 's', '-', '--name', 'x').err).toMatch(/^pagefold: EINVAL: -: /)
    expect(run(dir, 'drop', 's', 'a.raw').out).toBe('1 snapshot dropped; compact gives back 0 bytes.\n')
    expect(run(dir, 'stats', 's').out).toMatch(/^1 snapshot of 80\.0 KiB in 8\d\.\d KiB/)
    expect(run(dir, 'compact', 's', '--in-order', 'x')).toMatchObject({
      code: 2,
      err: 'pagefold: no snapshot "x" in the store; there are: b.core\n',
    })
    for (const order of [[], ['--in-order', 'b.core']])
      expect(run(dir, 'compact', 's', ...order).code).toBe(0)
    expect(run(dir, 'verify', 's').out).toBe('Whole: 20 pages are as they were written.\n')
  })

  it('makes no store for what is refused, nor for what only looks for one', WAIT, () => {
    const dir = scratch()
    writeFileSync(join(dir, 'odd.raw'), pages(2).subarray(1))
    for (const source of ['odd.raw', 'nothing.raw', '-']) expect(run(dir, 'save', 's', source).code).toBe(2)
    const noStore = 'pagefold: ENOENT: s: no store of snapshots there\n'
    const demo = 'synth:demo,pages=4'
    for (const [args, err] of [
      [[demo, '--name', 'a'], 'pagefold: --name is for one snapshot, and the sources hold 3\n'],
      [[demo, demo], expect.stringContaining('named twice')],
      [[demo, '--like', 'a'], noStore],
      [
        [`${demo},images=1`, '--name', 'a'.repeat(1025)],
        expect.stringContaining('a name of 1 to 1024 letters'),
      ],
      [[demo, '--domain', 'a'.repeat(1025)], expect.stringContaining('a name of 1 to 1024 letters')],
      [[demo, '--domain', 'a', '--like', 'b'], noStore],
    ] as [string[], unknown][])
      expect(run(dir, 'save', 's', ...args), args.join(' ')).toEqual({ code: 2, out: '', err })
    for (const args of [
      ['drop', 's', 'a'],
      ['compact', 's'],
      ['list', 's'],
      ['stats', 's'],
      ['verify', 's'],
    ])
      expect(run(dir, ...args), args[0]).toEqual({ code: 2, out: '', err: noStore })
    expect(readdirSync(dir)).toEqual(['odd.raw'])
  })

  it('saves nothing of several when one cannot be saved, if that can be known before', WAIT, () => {
    const dir = scratch()
    for (const name of ['a.raw', 'b.raw']) writeFileSync(join(dir, name), pages(3))
    expect(run(dir, 'save', 's', 'a.raw').code).toBe(0)
    expect(run(dir, 'save', 's', 'b.raw', 'a.raw').err).toBe(
      'pagefold: a.raw: a snapshot of that name is in the store already: --name NAME gives another\n',
    )
    expect(run(dir, 'save', 's', 'b.raw', 'b.raw').err).toContain('b.raw: named twice')
    expect(run(dir, 'save', 's', 'b.raw', 'nothing.raw').err).toContain('ENOENT: nothing.raw')
    expect(JSON.parse(run(dir, 'list', 's', '--json').out).snapshots).toHaveLength(1)
  })

  it('exits with 1 when verify finds damage, and says where', WAIT, () => {
    const dir = scratch()
    writeFileSync(join(dir, 'a.raw'), pages(20))
    run(dir, 'save', 's', 'a.raw')
    const segment = readFileSync(join(dir, 's/segment-000000'))
    segment[5 * 4096]! ^= 1
    writeFileSync(join(dir, 's/segment-000000'), segment)
    const { code, out, err } = run(dir, 'verify', 's')
    expect([code, err]).toEqual([1, ''])
    expect(out).toMatch(
      /^Damaged: 1 page of 20; 1 of 1 snapshot cannot be restored\.\n {2}segment 0, byte 20480\n/,
    )
    expect(run(dir, 'restore', 's', 'a.raw', 'x.raw')).toMatchObject({ code: 2, out: '' })
    expect(readdirSync(dir).sort()).toEqual(['a.raw', 's'])
  })

  it.each([
    [
      '',
      'no action given; there are: save, list, restore, drop, compact, stats, verify; see pagefold store --help',
    ],
    ['keep s', 'no action "keep"; there are: save, list'],
    ['save s', 'store save takes DIR SOURCE..., got "s"'],
    ['list', 'store list takes DIR, got ""'],
    ['list s t', 'store list takes DIR, got "s t"'],
    ['restore s a', 'store restore takes DIR NAME FILE, got "s a"'],
    ['list s --name a', 'store list takes no --name'],
    ['list s', 'ENOENT: s: no store of snapshots there'],
    ['save s synth:demo,pages=4 --name a', '--name is for one snapshot, and the sources hold 3'],
    ['save s a --lik b', "Unknown option '--lik'"],
    ['drop full a', 'EINVAL: full: not empty (x, ...), and no store of snapshots'],
  ])('store %s is refused in a line', WAIT, (line, message) => {
    const dir = scratch()
    mkdirSync(join(dir, 'full'))
    writeFileSync(join(dir, 'full/x'), '')
    const { code, out, err } = run(dir, ...line.split(' ').filter((word) => word !== ''))
    expect(err).toContain(`pagefold: ${message}`)
    expect(err.split('\n')).toHaveLength(2)
    expect([code, out]).toEqual([2, ''])
  })

  it('that is ended by a signal leaves nothing of what it was saving', WAIT, async () => {
    const dir = scratch()
    const args = [join(ROOT, 'dist/main.js'), 'store', 'save', 's', 'synth:vm-hetero,pages=400000,images=1']
    const child = spawn(process.execPath, args, { cwd: dir, stdio: 'ignore' })
    const ended = new Promise((resolve) => child.on('close', resolve))
    for (;;) {
      if (
        readdirSync(dir).length > 0 &&
        readdirSync(join(dir, 's')).some((name) => name === 'segment-000000')
      )
        break
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    child.kill('SIGINT')
    expect(await ended).toBe(130)
    expect(readdirSync(join(dir, 's'))).toEqual(['index'])
    expect(run(dir, 'list', 's').out).toBe('No snapshots.\n')
  })
})

describe('npm run bench:store', () => {
  it('measures what it says, beside databases where there are any', WAIT, () => {
    const args = ['--expose-gc', join(ROOT, 'dist/bench.js'), 'store', '--smoke']
    const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(status).toBe(0)
    for (const what of [
      /^every other of 32 snapshots dropped, in memory: stats says \d+ MiB less/m,
      /^every other of 64 snapshots dropped, in a page of Chromium: (stats says \d+ MiB less, its process|not measured: )/m,
      /^20 moments of a guest, in memory: [\d.]+ of the distinct bytes$/m,
      /^save of a state with 20 of 512 pages changed, like another, in a directory: [\d.]+ times/m,
      /^durable commit of 1 MiB of new pages: pagefold: \d+ MB\/s, 1\.00 times pagefold's time/m,
      /^durable commit of 1 MiB of new pages: a file: \d+ MB\/s, [\d.]+ times pagefold's time, 1\.000 of the bytes$/m,
      /^durable commit of 1 MiB of new pages: lmdb: /m,
      /^durable commit of 1 MiB of new pages: node:sqlite: /m,
      /^restore of generation 20, from a directory: [\d.]+ times/m,
      /^restore of generation 20, from a directory, laid out by compact: [\d.]+ times as long; generation 10 /m,
      /^4096 pages in a directory: [\d.]+ of their bytes, -?\d+ bytes of memory a page$/m,
      /^20 generations in a directory, every other dropped, .*: 10 of 10 are what was saved, /m,
      /^5 address spaces of 2 MiB from one snapshot: .*; 1\.000 frames a distinct page$/m,
    ])
      expect(stdout).toMatch(what)
  })
})

/** The memory of generation n: another twentieth of it is new in each. */
function generation(n: number): Uint8Array {
  const words = new Uint32Array(300 * 1024)
  for (let page = 0; page < 300; page++) {
    words.fill(page * 1_000_000 + Math.floor((n + (page % 20)) / 20), page * 1024, (page + 1) * 1024)
  }
  return new Uint8Array(words.buffer)
}

/** Saves one generation after the other, drops old ones, compacts now and then, and says before and after what it does. */
const WRITER = `
import { writeSync } from 'node:fs'
import { SnapshotStore } from ${JSON.stringify(new URL('../../dist/store.js', import.meta.url).href)}
${generation.toString().replace(/: \w+/g, '')}
const say = (what) => writeSync(1, what + '\\n')
const store = await SnapshotStore.open(process.argv[1])
let n = Math.max(-1, ...store.list().map(({ name }) => Number(name)))
say('open 0')
for (;;) {
  const names = store.list().map(({ name }) => name)
  n++
  say('saving ' + n)
  await store.save(String(n), generation(n), names.length > 0 && n % 3 > 0 ? { like: names.at(-1) } : {})
  say('saved ' + n)
  if (names.length > 6) {
    const name = names[n % 5]
    say('dropping ' + name)
    await store.drop(name)
    say('dropped ' + name)
  }
  if (n % 7 === 0) await store.compact(n % 2 === 0 ? {} : { inOrder: String(n) })
}
`

describe('a writer that is at work', () => {
  it('is alone: another is refused, and readers are not', WAIT, async () => {
    const dir = join(scratch(), 'store')
    const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, dir])
    const ended = new Promise((resolve) => child.on('close', resolve))
    await new Promise((resolve) => child.stdout.once('data', resolve))
    expect(run('.', 'drop', dir, '0')).toMatchObject({
      code: 2,
      err: expect.stringContaining(
        `EBUSY: ${dir}: open for writing already: wait until process ${child.pid} `,
      ),
    })
    expect(run('.', 'list', dir)).toMatchObject({ code: 0, err: '' })
    child.kill('SIGKILL')
    await ended
    expect(run('.', 'compact', dir).code).toBe(0)
  })
})

describe('a writer that is killed', () => {
  const KILLS = IS_LONG ? 200 : 12

  it(`leaves every snapshot whole that was saved, and nothing of another (${KILLS} times)`, {
    timeout: PROPERTY_TIMEOUT,
  }, async () => {
    const dir = join(scratch(), 'store')
    const draw = random(IS_LONG ? Date.now() : 7)
    const states = new Map<string, string>()
    let cutShort = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, dir])
      let said = ''
      let complaint = ''
      child.stderr.on('data', (text) => {
        complaint += text
      })
      const ended = new Promise((resolve) => child.on('close', resolve))
      await new Promise<void>((resolve) => {
        child.stdout.on('data', (text) => {
          if (said === '') setTimeout(resolve, draw.below(IS_LONG ? 400 : 150))
          said += text
        })
        child.on('close', () => resolve())
      })
      child.kill('SIGKILL')
      await ended
      expect(complaint).toBe('')
      for (const line of said.split('\n')) {
        const [state, name] = line.split(' ')
        if (name !== undefined && state !== 'open') states.set(name, state!)
      }
      cutShort += await expectWhole(dir, states)
    }
    // Else nothing was tried: they were killed in the middle of something.
    expect(cutShort).toBeGreaterThan(0)
  })
})

/** Holds what is there against what was said; returns whether something had not come to its end. */
async function expectWhole(dir: string, states: Map<string, string>): Promise<number> {
  const store = await SnapshotStore.open(dir)
  const names = new Set(store.list().map(({ name }) => name))
  for (const [name, state] of states) {
    if (state === 'saved') expect(names, `${name} was saved`).toContain(name)
    if (state === 'dropped') expect(names, `${name} was dropped`).not.toContain(name)
  }
  for (const name of names) {
    expect(['saving', 'saved', 'dropping']).toContain(states.get(name))
    const bytes = generation(Number(name))
    const into = new Uint8Array(bytes.length)
    await store.restore(name, into)
    expect(Buffer.compare(into, bytes), name).toBe(0)
  }
  expect(await store.verify()).toMatchObject({ whole: true })
  await store.close()
  const open = [...states].filter(([, state]) => state === 'saving' || state === 'dropping')
  for (const [name] of open) {
    if (names.has(name)) states.set(name, 'saved')
    else states.delete(name)
  }
  return open.length
}
