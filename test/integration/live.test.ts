// Running processes as sources: what /proc tells of mappings, and real processes whose memory is known.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { openSource, openSources } from '../../src/images/index.ts'
import { parseNumaMaps } from '../../src/images/live/numa.ts'
import { parseSmaps } from '../../src/images/live/proc.ts'
import { census, mergeImages } from '../../src/lab/index.ts'

const smaps = (range: string, anonymous: number, flags: string): string =>
  [
    `${range} rw-p 00000000 00:00 0 [x]`,
    'Rss: 8 kB',
    `Anonymous: ${anonymous} kB`,
    `VmFlags: ${flags} `,
  ].join('\n')

describe('mappings', () => {
  it('are those that KSM could have', () => {
    const text = [
      smaps('1000-3000', 8, 'rd wr mr mw me ac'),
      smaps('3000-4000', 4, 'rd wr mr mw me ac mg'),
      smaps('5000-6000', 0, 'rd wr mr mw me ac'),
      ...['sh', 'ms', 'pf', 'io', 'de', 'ht', 'mm', 'dp'].map((flag) =>
        smaps('7000-8000', 4, `rd ${flag} wr`),
      ),
      smaps('7f0000000000-7f0000002000', 4, 'rd wr mg'),
    ].join('\n')
    expect(parseSmaps(text, false)).toEqual([
      { start: 0x1000, end: 0x3000, anonymous: 8192 },
      { start: 0x3000, end: 0x4000, anonymous: 4096 },
      { start: 0x7f0000000000, end: 0x7f0000002000, anonymous: 4096 },
    ])
    expect(parseSmaps(text, true).map(({ start }) => start)).toEqual([0x3000, 0x7f0000000000])
  })
})

describe('NUMA nodes', () => {
  const mappings = [
    { start: 0x1000, end: 0x9000, anonymous: 8 },
    { start: 0x7f0000000000, end: 0x7f0000009000, anonymous: 8 },
  ]
  it('are those of mappings that KSM could have', () => {
    const text = [
      '00001000 default anon=5 dirty=5 N0=3 N1=2 kernelpagesize_kB=4',
      '00010000 default file=/bin/x mapped=7 N1=7 kernelpagesize_kB=4',
      '7f0000000000 prefer:1 anon=4 dirty=4 active=0 N0=1 N12=3 kernelpagesize_kB=4',
    ].join('\n')
    expect([...parseNumaMaps(text, mappings)!]).toEqual([
      [0, 4],
      [1, 2],
      [12, 3],
    ])
    expect(parseNumaMaps('', mappings)).toBeUndefined()
  })
})

/** Holds 300 pages of one content, 200 that are all different, and 100 of zeros that were written. */
const PROGRAM = `
const memory = Buffer.alloc(600 * 4096)
for (let page = 0; page < 300; page++) memory.fill('pagefold', page * 4096, (page + 1) * 4096)
for (let page = 300; page < 500; page++) memory.fill('other' + page, page * 4096, (page + 1) * 4096)
memory.fill(1, 500 * 4096)
memory.fill(0, 500 * 4096)
console.log('ready')
setInterval(() => memory.length, 1000)
`

const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function holder(): Promise<number> {
  const child = spawn(process.execPath, ['-e', PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await new Promise((resolve) => child.stdout!.once('data', resolve))
  return child.pid!
}

/** Ends the processes, and waits until they are gone. */
async function endAll(): Promise<void> {
  await Promise.all(
    children.splice(0).map(
      (child) =>
        new Promise((resolve) => {
          child.once('exit', resolve)
          child.kill('SIGKILL')
        }),
    ),
  )
}

const unavailable = existsSync('/proc/self/pagemap') ? undefined : 'no /proc'

describe.skipIf(unavailable)(`running processes${unavailable ? ` (skipped: ${unavailable})` : ''}`, () => {
  it.each([0, 2])('are counted while they run, %i threads', async (workers) => {
    const pids = [await holder(), await holder()]
    const images = openSources(
      pids.map((pid) => `pid:${pid}`),
      { inUse: true },
    )
    expect(images.map(({ pid }) => pid)).toEqual(pids)
    const result = await census({ images, workers, knobs: { max_page_sharing: 10_000 } })
    // The buffer need not begin with a page: an equal page may be cut off at either end.
    expect(result.most[0]!.pages).toBeGreaterThanOrEqual(598)
    expect(result.most[0]!.pages).toBeLessThanOrEqual(600)
    expect(result.most[0]!.images).toBe(2)
    expect(result.images[0]!.zero_pages).toBeGreaterThanOrEqual(98)
    // The two hundred different ones pair with the other's.
    expect(result.shared_between[0]![1]!).toBeGreaterThanOrEqual(300 - 2 + 198)
    for (const image of images) image.close()
  })

  it('are scanned as they were when they were opened', async () => {
    const pid = await holder()
    const images = openSource(`pid:${pid}`)
    await endAll()
    const { pages, format, source } = images[0]!
    expect({ format, source }).toEqual({ format: 'process', source: `pid:${pid} (node)` })
    const scanned = await mergeImages({ images })
    expect(scanned.pages).toBe(pages)
    const counted = await census({ images })
    expect(counted.counters.pages_sharing).toBe(scanned.after_each_scan.at(-1)!.pages_sharing)
    expect(counted.most[0]!.pages).toBeGreaterThanOrEqual(299)
    expect(images[0]!.addressOf(1)).toBeGreaterThan(2 ** 20)
    images[0]!.close()
  })

  it('may end while they are read: their pages are gone, and nothing else is wrong', async () => {
    const pid = await holder()
    const images = openSource(`pid:${pid}`, { inUse: true })
    await endAll()
    const result = await census({ images })
    expect(result).toMatchObject({ pages: 0, distinct: 0 })
    expect(result.images[0]!.gone_pages).toBe(images[0]!.pages)
    for (const image of images) image.close()
  })

  it('that keep still have nothing volatile, and those that write have', async () => {
    const pid = await holder()
    const stop = (signal: NodeJS.Signals): void => {
      process.kill(pid, signal)
      spawnSync('sleep', ['0.1'])
    }
    stop('SIGSTOP')
    const images = openSource(`pid:${pid}`, { inUse: true })
    expect((await census({ images, againAfter: 10 })).counters.pages_volatile).toBe(0)
    let reads = 0
    const [image] = images
    const moving = Object.assign(Object.create(image!), {
      read(first: number, count: number, into: Uint8Array) {
        image!.read(first, count, into)
        if (reads++ > 0 && first === 0) into[7]! ^= 1
      },
    })
    const result = await census({ images: [moving], againAfter: 10, workers: 0 })
    expect(result.counters.pages_volatile).toBe(1)
    stop('SIGCONT')
    image!.close()
  })

  it('are found by name', async () => {
    const pid = await holder()
    const name = process.title.length > 0 ? 'node' : ''
    const images = openSource(`comm:${name}`, { inUse: true })
    expect(images.map((image) => image.pid)).toContain(pid)
    expect(images.map((image) => image.pid)).not.toContain(process.pid)
    for (const image of images) image.close()
  })

  it('have no memory that KSM was given, unless somebody gave it some', async () => {
    const pid = await holder()
    expect(() => openSource(`pid:${pid}`, { mergeable: true })).toThrow('no memory that KSM was given')
  })

  it.each([
    ['pid:4194304', 'ESRCH', 'no such process'],
    ['comm:no-such-name', 'ESRCH', 'no process is called that'],
    ['pid:x', 'EINVAL', 'takes the number of a process'],
    ['pid:', 'EINVAL', 'takes the number of a process'],
  ])('%s is %s', (source, code, message) => {
    expect(() => openSource(source)).toThrow(expect.objectContaining({ code }))
    expect(() => openSource(source)).toThrow(message)
  })

  const FORKS = `
import os, sys
memory = bytearray(2000 * 4096)
for at in range(0, len(memory), 4096): memory[at:at + 8] = at.to_bytes(8, 'little')
for at in range(0, 500 * 4096, 4096): memory[at:at + 8] = b'together'
child = os.fork()
if child == 0:
    import time
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
sys.stdin.read()
os.kill(child, 9)
`
  const noFrames =
    process.getuid?.() === 0 && spawnSync('python3', ['--version']).status === 0
      ? undefined
      : 'root and python3 needed'
  it.skipIf(noFrames)(
    `that share frames since a fork are counted once${noFrames ? ` (skipped: ${noFrames})` : ''}`,
    async () => {
      const parent = spawn('python3', ['-c', FORKS], { stdio: ['pipe', 'pipe', 'inherit'] })
      children.push(parent)
      const child = Number(await new Promise<Buffer>((resolve) => parent.stdout!.once('data', resolve)))
      const images = openSources([`pid:${parent.pid}`, `pid:${child}`], { inUse: true })
      const [one, other] = images
      expect(one!.pages).toBeGreaterThan(2000)
      expect(other!.pages).toBeLessThan(1000)
      expect(other!.notes.join()).toContain('share a frame already')
      const { most } = await census({ images })
      // The bytearray need not begin with a page.
      expect(most[0]!.pages).toBeGreaterThanOrEqual(499)
      expect(most[0]!.pages).toBeLessThanOrEqual(500)
      for (const image of images) image.close()
      process.kill(child, 'SIGKILL')
    },
  )

  it('take no base', () => {
    expect(() => openSource('all', { base: 'x' })).toThrow('not for processes')
  })
})
