// A store of snapshots, call by call: what each gives, what it refuses, and in which words.

import { execFileSync, spawnSync } from 'node:child_process'
import fs, { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { Host } from '../../src/index.ts'
import { MemoryBacking } from '../../src/store/backing.ts'
import { SnapshotStore } from '../../src/store/index.ts'
import { scratch } from '../support/files.ts'

const PAGE = 4096

/** So many pages, of which no two are equal, and none is zeros. */
function distinct(pages: number, first = 1): Uint8Array {
  const words = new Uint32Array((pages * PAGE) / 4)
  for (let page = 0; page < pages; page++) words.fill(first + page, page * 1024, (page + 1) * 1024)
  return new Uint8Array(words.buffer)
}

/** The same with some pages changed. */
function changed(bytes: Uint8Array, ...pages: number[]): Uint8Array {
  const copy = bytes.slice()
  for (const page of pages) copy.fill(0x5a, page * PAGE, page * PAGE + 100)
  return copy
}

async function open(...args: Parameters<typeof SnapshotStore.open>): Promise<SnapshotStore> {
  const store = await SnapshotStore.open(...args)
  onTestFinished(() => store.close())
  return store
}

/** Saves forty generations, of which the later ones lie all over the store, and one has zeros and pages that it has twice. */
async function scattered(store: SnapshotStore): Promise<Uint8Array[]> {
  const bytes = distinct(1000)
  bytes.fill(0, 3 * PAGE, 4 * PAGE)
  bytes.copyWithin(999 * PAGE, 0, PAGE)
  const states: Uint8Array[] = []
  for (let generation = 0; generation < 40; generation++) {
    for (let i = 0; generation > 0 && i < 50; i++) {
      const page = 4 + ((i * 577 + generation * 131) % 995)
      bytes.fill(generation, page * PAGE, page * PAGE + 9 + i)
    }
    await store.save(String(generation), bytes, generation === 0 ? {} : { like: String(generation - 1) })
    states.push(bytes.slice())
  }
  return states
}

async function restored(store: SnapshotStore, name: string): Promise<Uint8Array> {
  const into = new Uint8Array(store.get(name)!.bytes)
  await store.restore(name, into)
  return into
}

function withFile(dir: string, name: string): void {
  mkdirSync(dir)
  writeFileSync(join(dir, name), 'x')
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** A directory that holds a store, closed: `a`, and `b`, in which pages 3 and 150 are others. */
async function made(): Promise<{ dir: string; a: Uint8Array; b: Uint8Array }> {
  const dir = join(scratch(), 'store')
  const a = distinct(200)
  const b = changed(a, 3, 150)
  const store = await SnapshotStore.open(dir)
  await store.save('a', a)
  await store.save('b', b, { like: 'a' })
  await store.close()
  return { dir, a, b }
}

describe('save', () => {
  it('keeps equal pages once, zeros never, and says what was added', async () => {
    const store = await open()
    const a = distinct(100)
    const twice = new Uint8Array(300 * PAGE)
    twice.set(a)
    twice.set(a, 100 * PAGE)
    const saved = await store.save('a', twice, { note: 'first' })
    expect(saved).toEqual({ name: 'a', pages: 300, zero_pages: 100, added_pages: 100, added_bytes: 409_600 })
    expect(await store.save('b', changed(twice, 5), { like: 'a' })).toMatchObject({ added_pages: 1 })
    expect(await store.save('c', changed(twice, 5))).toMatchObject({ added_pages: 0 })
    expect(store.get('a')).toMatchObject({ bytes: 300 * PAGE, domain: '', note: 'first' })
    expect(store.list().map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(store.get('d')).toBeUndefined()
  })

  it('reads bytes before it returns: their owner may go on at once', async () => {
    for (const dir of [undefined, scratch()]) {
      const store = await open(dir)
      const bytes = distinct(100)
      const was = bytes.slice()
      const saving = store.save('a', bytes)
      bytes.fill(7)
      await saving
      expect(isSame(await restored(store, 'a'), was)).toBe(true)
    }
  })

  it('takes calls in the order in which they come, one after the other', async () => {
    const store = await open(scratch())
    const bytes = distinct(20)
    const done: string[] = []
    await Promise.all(
      [
        store.save('a', bytes),
        store.save('b', changed(bytes, 1), { like: 'a' }),
        store.drop('a'),
        store.save('a', bytes),
        store.compact(),
      ].map((call, i) => call.then(() => done.push(String(i)))),
    )
    expect(done.join('')).toBe('01234')
    expect(store.list().map(({ name }) => name)).toEqual(['b', 'a'])
  })

  it('takes bytes of any length and gives back as many', async () => {
    const store = await open()
    for (const length of [1, PAGE - 1, PAGE, PAGE + 1, 64 * PAGE - 5, 64 * PAGE, 64 * PAGE + 1]) {
      const bytes = distinct(65).subarray(0, length)
      await store.save(String(length), bytes)
      expect(isSame(await restored(store, String(length)), bytes), String(length)).toBe(true)
    }
  })

  it('tells how far it has come, and stops an image where it is told to, leaving nothing', async () => {
    const store = await open()
    const seen: number[] = []
    await store.save('a', distinct(300), { onProgress: (done, of) => seen.push(done, of) })
    expect(seen.slice(-2)).toEqual([300, 300])
    const stop = { aborted: false, reason: new Error('stopped') }
    const image = {
      ...store.image('a'),
      source: 'slow',
      pages: 1_000_000,
      read: (_first: number, _count: number, into: Uint8Array) => {
        into.set(distinct(1, 5000))
        stop.aborted = true
      },
    }
    await expect(store.save('b', image, { signal: stop })).rejects.toThrow('stopped')
    expect(store.stats()).toMatchObject({ snapshots: 1, distinct_pages: 300 })
  })

  it('leaves nothing of an image that cannot be read', async () => {
    const store = await open(scratch())
    const image = {
      ...store,
      pages: 500,
      read: (first: number, _: number, into: Uint8Array) => {
        if (first > 200) throw new Error('gone')
        into.set(distinct(64, first))
      },
    }
    await expect(store.save('a', image as never)).rejects.toThrow('gone')
    expect(store.stats()).toMatchObject({ snapshots: 0, distinct_pages: 0, bytes_free: 0 })
    await store.save('a', distinct(10))
    expect((await store.verify()).whole).toBe(true)
  })

  it.each([
    ['no bytes', 'x', new Uint8Array(), {}, 'Expected `source` to have bytes, got none'],
    ['no name', '', distinct(1), {}, 'Expected `name` to be a name of 1 to 1024 letters'],
    ['a name in use', 'a', distinct(1), {}, 'EEXIST: there is a snapshot "a" in the store already'],
    ['no such like', 'x', distinct(1), { like: 'q' }, 'ENOENT: no snapshot "q" in the store'],
    ['a like of another domain', 'x', distinct(1), { like: 'a', domain: 'd' }, 'EPERM: snapshot "a" is of'],
    ['an option there is not', 'x', distinct(1), { likes: 'a' }, 'did you mean `like`?'],
    ['no source', 'x', 7, {}, 'Expected `source` to be an object with read, got number'],
  ])('refuses %s', async (_, name, source, options, message) => {
    const store = await open()
    await store.save('a', distinct(3))
    await expect(store.save(name, source as Uint8Array, options as object)).rejects.toThrow(message)
    expect(store.stats()).toMatchObject({ snapshots: 1, distinct_pages: 3 })
  })
})

describe('bytes that are not there', () => {
  it('are told from no bytes: detached before the call or while it waits, or resized', async () => {
    const store = await open()
    const detach = (bytes: Uint8Array): void =>
      void structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    const gone = distinct(2)
    detach(gone)
    const message = 'EFAULT: the bytes that were to be saved are gone: their ArrayBuffer is detached, because'
    await expect(store.save('a', gone)).rejects.toThrow(message)
    const [first, waiting] = [store.save('b', distinct(2)), distinct(3)]
    const second = store.save('c', waiting)
    detach(waiting)
    const buffer = Reflect.construct(ArrayBuffer, [PAGE, { maxByteLength: PAGE }]) as ArrayBuffer
    const third = store.save('d', new Uint8Array(buffer).fill(1))
    ;(buffer as ArrayBuffer & { resize(bytes: number): void }).resize(0)
    await first
    await expect(second).rejects.toThrow(message)
    await expect(third).rejects.toThrow(
      'EFAULT: the bytes that were to be saved are gone: their ArrayBuffer was resized',
    )
    expect(store.list()).toHaveLength(1)
  })
})

describe('domains', () => {
  it('share no pages, and the figures of one tell nothing of another', async () => {
    const store = await open()
    const bytes = distinct(100)
    await store.save('a', bytes, { domain: 'one' })
    const before = store.stats({ domain: 'one' })
    expect(await store.save('b', bytes, { domain: 'two' })).toMatchObject({ added_pages: 100 })
    expect(store.stats({ domain: 'one' })).toEqual(before)
    expect(store.stats()).toMatchObject({ snapshots: 2, distinct_pages: 200 })
    expect(store.list({ domain: 'two' }).map(({ name }) => name)).toEqual(['b'])
    expect(() => store.difference('a', 'b')).toThrow('EPERM: snapshots of different domains')
  })
})

describe('restore', () => {
  it('writes only what differs from what the target holds', async () => {
    const { dir, a, b } = await made()
    const store = await open(dir)
    const into = a.slice()
    expect(await store.restore('b', into, { from: 'a' })).toEqual({ name: 'b', pages: 200, pages_written: 2 })
    expect(isSame(into, b)).toBe(true)
    expect(store.difference('a', 'b')).toEqual([3, 150])
  })

  it('reads at once what lies near together in a directory, in whatever order', async () => {
    const store = await open(scratch())
    const bytes = distinct(1000)
    await store.save('0', bytes)
    for (let generation = 1; generation <= 40; generation++) {
      for (let i = 0; i < 50; i++)
        bytes.fill(
          generation,
          ((i * 577 + generation * 131) % 1000) * PAGE,
          ((i * 577 + generation * 131) % 1000) * PAGE + 9 + i,
        )
      bytes.copyWithin(999 * PAGE, 0, PAGE) // one that is there twice
      await store.save(String(generation), bytes, { like: String(generation - 1) })
    }
    const into = new Uint8Array(1000 * PAGE)
    const reads = vi.spyOn(fs, 'readSync')
    await store.restore('40', into)
    expect(isSame(into, bytes)).toBe(true)
    expect(reads.mock.calls.length).toBeLessThan(100)
    reads.mockRestore()
  })

  it('reads a snapshot that compact has laid out as it reads the first', async () => {
    for (const dir of [undefined, scratch()]) {
      const store = await open(dir)
      const states = await scattered(store)
      await expect(store.compact({ inOrder: 'none' })).rejects.toThrow('ENOENT: no snapshot "none"')
      const { distinct_pages } = store.stats()
      await store.compact({ inOrder: '30' })
      expect(store.stats()).toMatchObject({
        distinct_pages,
        bytes_free: dir === undefined ? expect.any(Number) : 0,
      })
      const reads = vi.spyOn(fs, 'readSync')
      expect(isSame(await restored(store, '30'), states[30]!)).toBe(true)
      // 64 pages at once, 998 of which are neither zeros nor there twice.
      if (dir !== undefined) expect(reads.mock.calls.length).toBe(16)
      reads.mockRestore()
      for (const [i, state] of states.entries())
        expect(isSame(await restored(store, String(i)), state), String(i)).toBe(true)
      expect((await store.verify()).whole).toBe(true)
      // What lies in order is left where it is.
      const moved = vi.fn()
      await store.compact({ inOrder: '30', onProgress: moved })
      expect(moved).not.toHaveBeenCalled()
      expect(await store.save('again', states[7]!)).toMatchObject({ added_pages: 0 })
    }
  })

  it('refuses a target without room, and what there is not', async () => {
    const store = await open()
    await store.save('a', distinct(2))
    await expect(store.restore('a', new Uint8Array(100))).rejects.toThrow('room for 8192 bytes, got 100')
    await expect(store.restore('b', new Uint8Array(100))).rejects.toThrow('ENOENT')
    await expect(store.restore('a', [] as never)).rejects.toThrow('Expected `into` to be a Uint8Array')
  })
})

describe('drop', () => {
  it('gives memory back soon, and all of what no snapshot has with compact', async () => {
    const store = await open()
    for (let i = 0; i < 40; i++) await store.save(String(i), distinct(256, 1 + i * 256))
    expect(store.stats()).toMatchObject({ bytes_held: 40 * 2 ** 20, bytes_free: 0 })
    for (let i = 0; i < 40; i++) if (i % 4 !== 0) await store.drop(String(i))
    const { bytes_held, bytes_free } = store.stats()
    expect(2 * bytes_free).toBeLessThanOrEqual(bytes_held)
    await store.compact()
    expect(store.stats()).toMatchObject({ bytes_held: 10 * 2 ** 20, bytes_free: 0 })
  })

  it.each(['resize', undefined] as const)('gives memory back at once, where buffers have %s', (method) => {
    const { resize } = ArrayBuffer.prototype as { resize?: unknown }
    Object.assign(ArrayBuffer.prototype, { resize: method && resize })
    onTestFinished(() => void Object.assign(ArrayBuffer.prototype, { resize }))
    const left = method === undefined ? PAGE : 0
    const backing = new MemoryBacking()
    for (const segment of [0, 1, 2]) backing.create(segment)
    const [gone, one, two] = [0, 1, 2].map((segment) => backing.view(segment, 3, 1))
    backing.remove(0)
    expect([gone, one, two].map((view) => view!.length)).toEqual([left, PAGE, PAGE])
    backing.close()
    expect([gone, one, two].map((view) => view!.length)).toEqual([left, left, left])
  })

  it('moves pages of sparse segments together', async () => {
    const store = await open()
    const kept = distinct(20 * 256)
    // Every segment has pages of both: what is dropped leaves a quarter of each.
    for (let i = 0; i < 20; i++) {
      await store.save(`kept ${i}`, kept.subarray(i * 64 * PAGE, (i + 1) * 64 * PAGE))
      await store.save(`goes ${i}`, distinct(192, 100_000 + i * 192))
    }
    for (let i = 0; i < 20; i++) await store.drop(`goes ${i}`)
    expect(store.stats().bytes_held).toBeLessThan(12 * 2 ** 20)
    for (let i = 0; i < 20; i++)
      expect(
        isSame(await restored(store, `kept ${i}`), kept.subarray(i * 64 * PAGE, (i + 1) * 64 * PAGE)),
      ).toBe(true)
  })

  it('removes segments of a directory that are empty, and compact writes the others anew', async () => {
    const dir = scratch()
    const store = await open(dir)
    await store.save('a', distinct(16_384 + 100))
    await store.save('b', distinct(50, 50_000))
    const held = (): number => readdirSync(dir).reduce((sum, name) => sum + statSync(join(dir, name)).size, 0)
    expect(store.stats().bytes_held).toBe(held())
    await store.drop('a')
    expect(readdirSync(dir).filter((name) => name.startsWith('segment'))).toEqual(['segment-000001'])
    expect(store.stats()).toMatchObject({ bytes_free: 100 * PAGE })
    await store.compact()
    expect(store.stats()).toMatchObject({ bytes_free: 0, bytes_held: held() })
    expect(isSame(await restored(store, 'b'), distinct(50, 50_000))).toBe(true)
  })

  it('of what there is not is ENOENT', async () => {
    const store = await open()
    await expect(store.drop('a')).rejects.toThrow('ENOENT: no snapshot "a" in the store')
  })
})

describe('a store in a directory', () => {
  it('is there again', async () => {
    const { dir, a, b } = await made()
    const store = await open(dir)
    expect(store.list().map(({ name, pages }) => [name, pages])).toEqual([
      ['a', 200],
      ['b', 200],
    ])
    expect(isSame(await restored(store, 'a'), a)).toBe(true)
    expect(isSame(await restored(store, 'b'), b)).toBe(true)
    expect(await store.save('c', b)).toMatchObject({ added_pages: 0 })
  })

  it('is a few percent larger than its pages', async () => {
    const store = await open(scratch())
    await store.save('a', distinct(4000))
    const { bytes_held, distinct_pages } = store.stats()
    expect(bytes_held / (distinct_pages * PAGE)).toBeLessThan(1.004)
  })

  it('has one writer at a time; others may read beside it', async () => {
    const { dir, a } = await made()
    const store = await open(dir)
    await expect(SnapshotStore.open(dir)).rejects.toThrow(
      `EBUSY: ${dir}: open for writing already: wait until process ${process.pid} closes it, or open it to read`,
    )
    const reader = await open(dir, { readonly: true })
    await store.save('c', changed(a, 7))
    expect(isSame(await restored(reader, 'a'), a)).toBe(true)
    expect(reader.list()).toHaveLength(2)
    await expect(reader.save('d', a)).rejects.toThrow(`EPERM: ${dir}: opened to read`)
    await expect(reader.drop('a')).rejects.toThrow('EPERM')
    await store.close()
    await (await SnapshotStore.open(dir)).close()
  })

  it('does not take the lock of a process that is gone for a writer', async () => {
    const { dir } = await made()
    const { pid } = spawnSync('true')
    writeFileSync(join(dir, `lock.${pid}..1f`), '')
    writeFileSync(join(dir, `lock.${process.pid}.1.1f`), '') // of an earlier process of this number
    await open(dir)
    expect(readdirSync(dir).filter((name) => name.startsWith('lock'))).toHaveLength(1)
  })

  it('tells a reader that it was compacted meanwhile', async () => {
    const { dir } = await made()
    const reader = await open(dir, { readonly: true })
    const store = await open(dir)
    await store.drop('a')
    await store.compact()
    await expect(restored(reader, 'b')).rejects.toThrow('EAGAIN')
    expect(
      isSame(await restored(await open(dir, { readonly: true }), 'b'), changed(distinct(200), 3, 150)),
    ).toBe(true)
  })

  it.each([
    ['nothing to read', (dir: string) => mkdirSync(dir), true, 'ENOENT'],
    ['something else', (dir: string) => withFile(dir, 'x'), false, 'EINVAL'],
    ['another index', (dir: string) => withFile(dir, 'index'), false, 'EINVAL'],
    ['a file', (dir: string) => writeFileSync(dir, ''), false, 'EINVAL'],
  ])('is refused where there is %s', async (_, make, readonly, code) => {
    const dir = join(scratch(), 'store')
    make(dir)
    await expect(SnapshotStore.open(dir, { readonly })).rejects.toThrow(code)
  })

  it('of a later version is refused in a line', async () => {
    const { dir } = await made()
    const index = readFileSync(join(dir, 'index'))
    index.writeUInt32LE(2, 16)
    writeFileSync(join(dir, 'index'), index)
    for (const readonly of [false, true])
      await expect(SnapshotStore.open(dir, { readonly })).rejects.toThrow(
        `EPROTO: ${dir}: a store of version 2, and this pagefold reads version 1: take the pagefold that wrote it, or a newer one`,
      )
    expect(readdirSync(dir).filter((name) => name.startsWith('lock'))).toEqual([])
  })

  it('that was cut short anywhere holds what had been saved until then', async () => {
    const { dir, a, b } = await made()
    const index = readFileSync(join(dir, 'index'))
    const first = await endOfFirst(dir)
    for (let end = 64; end <= index.length; end += end < 200 || end > index.length - 200 ? 1 : 97) {
      for (const tail of [Buffer.alloc(0), Buffer.alloc(50, 0xee), Buffer.alloc(4000)]) {
        writeFileSync(join(dir, 'index'), Buffer.concat([index.subarray(0, end), tail]))
        const reader = await SnapshotStore.open(dir, { readonly: true })
        const names = reader.list().map(({ name }) => name)
        expect(['', 'a', 'a,b'], `${end}`).toContain(names.join())
        if (end >= first) expect(names, `${end}`).toContain('a')
        if (end === index.length) expect(names).toContain('b')
        // What is cut off may be zeros that fill it up, and be there again.
        if (index.subarray(end).some((byte) => byte !== 0)) expect(names, `${end}`).not.toContain('b')
        for (const name of names)
          expect(isSame(await restored(reader, name), name === 'a' ? a : b)).toBe(true)
        await reader.close()
      }
    }
  })

  it('goes on after a save that was not ended, and says so', async () => {
    const { dir, a, b } = await made()
    const index = readFileSync(join(dir, 'index'))
    writeFileSync(join(dir, 'index'), index.subarray(0, index.length - 8))
    writeFileSync(join(dir, 'segment-000000'), Buffer.alloc(PAGE), { flag: 'a' })
    writeFileSync(join(dir, 'segment-000007'), 'left behind')
    const store = await open(dir)
    expect(store.notes.join()).toMatch(
      /a change was not ended \(\d+ bytes of the index\): the store is as it was/,
    )
    expect(readdirSync(dir).filter((name) => name.startsWith('segment'))).toEqual(['segment-000000'])
    expect(store.stats()).toMatchObject({ distinct_pages: 200, bytes_free: 0 })
    expect(await store.save('b', b, { like: 'a' })).toMatchObject({ added_pages: 2 })
    await store.close()
    const again = await open(dir)
    expect(again.notes).toEqual([])
    expect(isSame(await restored(again, 'a'), a)).toBe(true)
    expect(isSame(await restored(again, 'b'), b)).toBe(true)
  })

  it('with flipped bits in a segment: they are found and named, and the other snapshots are whole', async () => {
    const { dir, a, b } = await made()
    const path = join(dir, 'segment-000000')
    const segment = readFileSync(path)
    segment[3 * PAGE + 5]! ^= 4 // page 3 of a: b has another
    writeFileSync(path, segment)
    const store = await open(dir)
    expect(await store.verify()).toEqual({
      whole: false,
      pages: 202,
      damaged: [{ segment: 0, offset: 3 * PAGE }],
      snapshots: [
        { name: 'a', whole: false, damaged_pages: 1 },
        { name: 'b', whole: true, damaged_pages: 0 },
      ],
    })
    await expect(restored(store, 'a')).rejects.toThrow('EIO: page 3 of snapshot "a" is damaged; verify tells')
    expect(isSame(await restored(store, 'b'), b)).toBe(true)
    // What is equal to the damaged page is saved as it is, and not taken for it.
    expect(await store.save('c', a, { like: 'a' })).toMatchObject({ added_pages: 1 })
    expect(isSame(await restored(store, 'c'), a)).toBe(true)
    // Moving does not make it good.
    await store.drop('b')
    await store.compact()
    expect((await store.verify()).snapshots).toEqual([
      { name: 'a', whole: false, damaged_pages: 1 },
      { name: 'c', whole: true, damaged_pages: 0 },
    ])
  })

  it('with flipped bits in the index is read as far as it can be, and not written to', async () => {
    const { dir, a } = await made()
    const path = join(dir, 'index')
    const sound = readFileSync(path)
    const first = await endOfFirst(dir)
    let readable = 0
    for (let at = 64; at < first; at += 29) {
      const index = Buffer.from(sound)
      index[at]! ^= 1
      writeFileSync(path, index)
      await expect(SnapshotStore.open(dir)).rejects.toThrow(
        /EUCLEAN: .*: its index is damaged at byte \d+: open it/,
      )
      const reader = await SnapshotStore.open(dir, { readonly: true })
      expect(reader.notes.join()).toMatch(/its index is damaged at byte \d+/)
      const { snapshots } = await reader.verify()
      for (const { name, whole } of snapshots) {
        if (whole) {
          readable++
          expect(isSame(await restored(reader, name), name === 'a' ? a : changed(a, 3, 150))).toBe(true)
        } else await expect(restored(reader, name)).rejects.toThrow('EIO')
      }
      await reader.close()
    }
    expect(readable).toBeGreaterThan(0)
  })

  it('on a disk that is full keeps what it has', async () => {
    const dir = scratch()
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', dir])
    if (mounted.status !== 0) {
      console.log('skipped: only root can make a small disk')
      return
    }
    onTestFinished(() => void execFileSync('umount', ['-l', dir]))
    const store = await SnapshotStore.open(join(dir, 'store'))
    const a = distinct(200)
    await store.save('a', a)
    const { bytes_held } = store.stats()
    await expect(store.save('b', distinct(1000, 5000))).rejects.toThrow(/^ENOSPC: .*: no space left$/)
    expect(store.stats()).toMatchObject({ snapshots: 1, distinct_pages: 200, bytes_held, bytes_free: 0 })
    await store.save('c', changed(a, 5), { like: 'a' })
    await expect(store.save('b', distinct(1000, 5000))).rejects.toThrow('ENOSPC')
    await store.drop('a')
    await store.close()
    const again = await SnapshotStore.open(join(dir, 'store'))
    expect(again.notes).toEqual([])
    expect(isSame(await restored(again, 'c'), changed(a, 5))).toBe(true)
    expect((await again.verify()).whole).toBe(true)
    await again.close()
  })

  it('keeps generations flat: the last is restored as the first is', async () => {
    const store = await open(scratch())
    const bytes = distinct(256)
    await store.save('0', bytes)
    for (let i = 1; i <= 300; i++) {
      new Uint32Array(bytes.buffer)[(i % 256) * 1024] = 1_000_000 + i
      await store.save(String(i), bytes, { like: String(i - 1) })
    }
    expect(isSame(await restored(store, '300'), bytes)).toBe(true)
    expect(store.stats()).toMatchObject({ snapshots: 301, distinct_pages: 256 + 300 })
  })
})

/** Where the records of the first snapshot end in the index. */
async function endOfFirst(dir: string): Promise<number> {
  const other = join(scratch(), 'first')
  const store = await SnapshotStore.open(other)
  await store.save('a', distinct(200))
  await store.close()
  expect(readdirSync(dir)).toContain('index')
  return statSync(join(other, 'index')).size
}

describe('export and import', () => {
  it('write and read raw files', async () => {
    const dir = scratch()
    const { dir: from, b } = await made()
    const store = await open(from)
    const file = join(dir, 'b.raw')
    await store.export('b', file)
    expect(isSame(readFileSync(file), b)).toBe(true)
    expect(await store.import('c', file, { like: 'b' })).toMatchObject({ pages: 200, added_pages: 0 })
    writeFileSync(file, distinct(2).subarray(0, 5000))
    await store.import('d', file)
    expect(store.get('d')).toMatchObject({ bytes: 5000, pages: 2 })
    expect(await store.import('e', store.image('a'))).toMatchObject({ added_pages: 0 })
    expect(readdirSync(dir)).toEqual(['b.raw'])
  })

  it('leave holes for zeros, and nothing of a file that cannot be written whole', async () => {
    const store = await open()
    const bytes = new Uint8Array(1000 * PAGE)
    bytes.set(distinct(1), 500 * PAGE)
    await store.save('a', bytes)
    const file = join(scratch(), 'a.raw')
    await store.export('a', file)
    expect(statSync(file).size).toBe(bytes.length)
    expect(statSync(file).blocks * 512).toBeLessThan(100 * PAGE)
    await expect(store.export('a', join(file, 'x'))).rejects.toThrow(/^E/)
    await expect(store.export('a', '/nowhere/a.raw')).rejects.toThrow('ENOENT: /nowhere/a.raw: no directory')
    await expect(store.import('b', '/nowhere/a.raw')).rejects.toThrow('ENOENT: /nowhere/a.raw: no such file')
  })
})

describe('load', () => {
  it('shares equal pages in the arena at once, and copies what is written to', async () => {
    const { dir, a, b } = await made()
    const store = await open(dir)
    const host = await Host.create({ frames: 1024 })
    const mms = [
      await store.load(host, 'a'),
      await store.load(host, 'b', { name: 'x' }),
      await store.load(host, 'a'),
    ]
    const { total } = host.frames
    expect(total - host.frames.free).toBe(202)
    const address = mms[0]!.smaps()[0]!.address
    for (const [i, bytes] of [a, b, a].entries())
      expect(isSame(mms[i]!.read(address, bytes.length), bytes)).toBe(true)
    mms[0]!.write(address, Uint8Array.of(9))
    expect(total - host.frames.free).toBe(203)
    expect(mms[2]!.read(address, 1)[0]).toBe(1)
    host.audit()
    for (const mm of mms) mm.exit()
    await store.drop('a')
    await store.drop('b')
    expect(host.frames.free).toBe(total)
    host.close()
  })

  it('gives pages of zeros no frame, in a fork of another snapshot too', async () => {
    const store = await open()
    const a = distinct(100)
    const b = a.slice()
    b.fill(0, 10 * PAGE, 30 * PAGE)
    await store.save('a', a)
    await store.save('b', b, { like: 'a' })
    const host = await Host.create({ frames: 1024 })
    await store.load(host, 'a')
    const mm = await store.load(host, 'b')
    expect(host.frames.total - host.frames.free).toBe(100)
    expect(isSame(mm.read(mm.smaps()[0]!.address, b.length), b)).toBe(true)
    await store.close()
    expect(isSame(mm.read(mm.smaps()[0]!.address, b.length), b)).toBe(true)
    host.audit()
    host.close()
  })

  it('is in the domain of the snapshot, and leaves nothing where there is no room', async () => {
    const store = await open()
    await store.save('a', distinct(100), { domain: 'one' })
    await store.save('b', distinct(100), { domain: 'two' })
    const host = await Host.create({ frames: 150 })
    expect((await store.load(host, 'a')).domain).toBe('one')
    await expect(store.load(host, 'b')).rejects.toThrow('ENOMEM')
    expect(host.frames.free).toBe(50)
    host.audit()
    host.close()
    const other = await Host.create({ frames: 150 })
    expect((await store.load(other, 'b')).domain).toBe('two')
    other.close()
  })
})

describe('a store that is closed', () => {
  it('refuses everything, and may be closed again', async () => {
    const store = await SnapshotStore.open()
    await store.save('a', distinct(1))
    const image = store.image('a')
    await store.close()
    await store.close()
    expect(() => store.list()).toThrow('EINVAL: the store is closed')
    await expect(store.save('b', distinct(1))).rejects.toThrow('EINVAL: the store is closed')
    expect(() => image.read(0, 1, new Uint8Array(PAGE))).toThrow('ENOENT: snapshot "a" is gone')
  })
})

describe('an image of a snapshot', () => {
  it('is read like any other, until the snapshot is dropped', async () => {
    const store = await open()
    const bytes = distinct(100)
    await store.save('a', bytes)
    const image = store.image('a')
    expect(image).toMatchObject({ source: 'a', format: 'snapshot', pages: 100, notes: [] })
    const into = new Uint8Array(90 * PAGE)
    image.read(5, 90, into)
    expect(isSame(into, bytes.subarray(5 * PAGE, 95 * PAGE))).toBe(true)
    expect(image.addressOf(3)).toBe(3 * PAGE)
    await store.drop('a')
    await store.save('a', bytes)
    expect(() => image.read(0, 1, into)).toThrow('ENOENT: snapshot "a" is gone: dropped, or its store closed')
  })
})
