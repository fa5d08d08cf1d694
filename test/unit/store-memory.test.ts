// Memories of other modules: saved where they lie, however they grow, and counted as images.

import { describe, expect, it, onTestFinished } from 'vitest'
import { Stage } from '../../src/core/stage.ts'
import { census, memoryImage, mergeImages } from '../../src/lab/index.ts'
import { SnapshotStore } from '../../src/store/index.ts'
import { scratch } from '../support/files.ts'

const PAGE = 4096
const WASM_PAGE = 65_536

/**
 * A module of somebody else's, with a memory of its own, which it exports, of 5 to 100 pages of 64 KiB:
 *
 *     (func (export "fill") (param $to i32) (param $byte i32) (param $count i32) (memory.fill ...))
 *     (func (export "grow") (param $pages i32) (result i32) (memory.grow ...))
 */
const FOREIGN = `0061736d01000000 010c0260037f7f7f0060017f017f 0303020001 050401010564
  071803066d656d6f7279020004 66696c6c00000467726f770001 0a14020b00200020012002fc0b000b0600200040000b`

interface Foreign {
  readonly memory: WebAssembly.Memory
  fill(to: number, byte: number, count: number): void
  grow(pages: number): number
}

function foreign(): Foreign {
  const bytes = Uint8Array.from(FOREIGN.replace(/\s/g, '').match(/../g)!, (hex) => Number.parseInt(hex, 16))
  return new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports as unknown as Foreign
}

/** Its pages are all different, but for those from 40 on, of zeros. */
function used(): Foreign {
  const module = foreign()
  for (let page = 0; page < 40; page++) module.fill(page * PAGE, page + 1, PAGE - page)
  return module
}

async function open(directory?: string): Promise<SnapshotStore> {
  const store = await SnapshotStore.open(directory)
  onTestFinished(() => store.close())
  return store
}

async function restored(store: SnapshotStore, name: string): Promise<Buffer> {
  const into = Buffer.alloc(store.get(name)!.bytes)
  await store.restore(name, into)
  return into
}

const copyOf = ({ buffer }: WebAssembly.Memory): Buffer => Buffer.from(buffer.slice(0))

describe.each(['memory', 'a directory'])('a store in %s', (where) => {
  const store = (): Promise<SnapshotStore> => open(where === 'memory' ? undefined : scratch())

  it('saves the memory of another module, which grows between two saves', async () => {
    const [kept, module] = [await store(), used()]
    const first = copyOf(module.memory)
    expect(await kept.save('first', module.memory)).toEqual({
      name: 'first',
      pages: 80,
      zero_pages: 40,
      added_pages: 40,
      added_bytes: 40 * PAGE,
    })
    module.grow(7)
    module.fill(3 * PAGE, 99, 10)
    module.fill(100 * PAGE, 1, PAGE) // as page 0
    module.fill(101 * PAGE, 200, 1)
    const second = copyOf(module.memory)
    expect(await kept.save('second', module.memory, { like: 'first' })).toMatchObject({
      pages: 192,
      zero_pages: 150,
      added_pages: 2,
    })
    expect(await kept.save('third', module.memory)).toMatchObject({ zero_pages: 150, added_pages: 0 })
    for (const [name, bytes] of Object.entries({ first, second, third: second }))
      expect((await restored(kept, name)).equals(bytes), name).toBe(true)
    expect(kept.difference('first', 'second').slice(0, 2)).toEqual([3, 80])
  })

  it('knows the pages of a memory from bytes, and those of bytes from a memory', async () => {
    const [kept, module] = [await store(), used()]
    await kept.save('bytes', copyOf(module.memory))
    expect(await kept.save('memory', module.memory)).toMatchObject({ added_pages: 0 })
    module.fill(0, 77, PAGE)
    expect(await kept.save('other', module.memory)).toMatchObject({ added_pages: 1 })
    expect(await kept.save('other bytes', copyOf(module.memory))).toMatchObject({ added_pages: 0 })
  })

  it('reads a memory before it returns, and writes nothing to it', async () => {
    const [kept, module] = [await store(), used()]
    const was = copyOf(module.memory)
    const saving = kept.save('a', module.memory)
    expect(copyOf(module.memory).equals(was)).toBe(true)
    module.fill(0, 0, 80 * PAGE)
    module.grow(1)
    await saving
    expect((await restored(kept, 'a')).equals(was)).toBe(true)
  })

  it('reads a memory that grows in the middle as it was', async () => {
    const [kept, module] = [await store(), used()]
    const was = copyOf(module.memory)
    await kept.save('a', module.memory, { onProgress: () => module.grow(1) })
    expect((await restored(kept, 'a')).equals(was)).toBe(true)
  })

  it('reads a memory whose turn comes later as it is then', async () => {
    const [kept, module] = [await store(), used()]
    const [, saved] = await Promise.all([
      kept.save('a', module.memory),
      kept.save('b', module.memory),
      module.grow(2),
    ])
    expect(saved).toMatchObject({ pages: 112, added_pages: 0 })
  })

  it('refuses bytes that have gone, and nothing is left', async () => {
    const [kept, module] = [await store(), used()]
    const view = (): Uint8Array => new Uint8Array(module.memory.buffer)
    const gone =
      'EFAULT: the bytes that were to be saved are gone: their ArrayBuffer is detached, because its memory'
    const bytes = view()
    const onProgress = (): number => module.grow(1)
    await expect(kept.save('a', bytes, { onProgress })).rejects.toThrow(gone)
    await expect(kept.save('a', bytes)).rejects.toThrow(gone)
    const waiting = kept.save('b', view())
    const late = kept.save('c', view())
    module.grow(1)
    await waiting
    await expect(late).rejects.toThrow(gone)
    expect(kept.list().map(({ name }) => name)).toEqual(['b'])
    expect(kept.stats()).toMatchObject({
      distinct_pages: 40,
      bytes_free: where === 'memory' ? 216 * PAGE : 0,
    })
  })
})

describe('memories of every kind', () => {
  it.each([
    ['of no pages that has none', { initial: 0 }, 'Expected `source` to have bytes, got none'],
    ['shared', { initial: 2, maximum: 4, shared: true }, undefined],
    ['without an end', { initial: 2 }, undefined],
    ['that may be as large as can be', { initial: 2, maximum: 65_536 }, undefined],
  ])('one %s', async (_, descriptor, refused) => {
    const store = await open()
    const memory = new WebAssembly.Memory(descriptor)
    new Uint8Array(memory.buffer).fill(7, PAGE, 3 * PAGE)
    const saving = store.save('a', memory)
    if (refused !== undefined) return expect(saving).rejects.toThrow(refused)
    expect(await saving).toMatchObject({ pages: 32, zero_pages: 30, added_pages: 1 })
  })

  it('each is looked at where it lies, unless it is shared', async () => {
    const stage = await Stage.create(7n)
    const memory = new WebAssembly.Memory({ initial: 2 })
    const onlooker = stage.onlookerOn(memory)!
    expect(stage.onlookerOn(memory)).toBe(onlooker)
    expect(stage.onlookerOn(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }))).toBeUndefined()
    const words = new Uint32Array(memory.buffer, 5 * PAGE, PAGE / 4)
    for (let word = 0; word < words.length; word++) words[word] = Math.imul(word + 1, 0x9e3779b1)
    stage.pages.set(new Uint8Array(memory.buffer, 5 * PAGE, PAGE), 3 * PAGE)
    stage.others.set(new Uint8Array(memory.buffer, 5 * PAGE, PAGE), PAGE)
    onlooker.first = 4
    expect([onlooker.isZero(0), onlooker.isZero(1), onlooker.areSame(0, 1), onlooker.areSame(0, 2)]).toEqual([
      true,
      false,
      true,
      true,
    ])
    for (let byte = 0; byte < PAGE; byte += 61) {
      onlooker.bytes(1)[byte]! ^= 0x40
      stage.bytes(3)[byte]! ^= 0x40
      onlooker.digest(1)
      stage.digest(3)
      expect([onlooker.low, onlooker.high], `${byte}`).toEqual([stage.low, stage.high])
    }
    expect([onlooker.areSame(0, 1), onlooker.areSame(0, 2)]).toEqual([true, false])
  })
})

describe('memoryImage', () => {
  it('is an image of a memory, which may grow: what merging it would come to is counted where it lies', async () => {
    const modules = [used(), used()]
    modules[1]!.fill(0, 222, 10)
    const images = modules.map(({ memory }, i) => memoryImage(memory, { name: `guest ${i}` }))
    expect(images[0]).toMatchObject({ source: 'guest 0', format: 'wasm', pages: 80, notes: [] })
    for (const module of modules) module.grow(3)
    const { pages, distinct, zero_pages, saved } = await census({ images, workers: 0 })
    expect({ pages, distinct, zero_pages }).toEqual({ pages: 160, distinct: 42, zero_pages: 80 })
    expect(saved).toEqual({ zero: 79, within: 0, between: 39 })
    const merged = await mergeImages({ images })
    expect(merged.after_each_scan.at(-1)!.pages_sharing).toBe(118)
  })

  it('is a part of it where that is asked for', () => {
    const { memory } = used()
    const image = memoryImage(memory, { offset: 2 * PAGE, bytes: 4 * PAGE })
    const into = new Uint8Array(2 * PAGE)
    image.read(1, 2, into)
    expect([image.pages, image.addressOf(1), into[0], into[PAGE]]).toEqual([4, 3 * PAGE, 4, 5])
    expect(memoryImage(memory, { offset: 79 * PAGE }).pages).toBe(1)
    expect(() => image.read(3, 2, into)).toThrow('Expected `count`')
  })

  it.each([
    ['bytes', new Uint8Array(PAGE), {}, 'Expected `memory` to be a WebAssembly.Memory, got object'],
    ['nothing', undefined, {}, 'Expected `memory` to be a WebAssembly.Memory, got undefined'],
    ['an odd offset', foreign().memory, { offset: 5 }, 'Expected `offset` to be a multiple of 4096, got 5'],
    ['too many bytes', foreign().memory, { bytes: 5 * WASM_PAGE + PAGE }, 'Expected `bytes`'],
    ['an option there is not', foreign().memory, { from: 0 }, 'memoryImage'],
  ])('refuses %s', (_, memory, options, message) => {
    expect(() => memoryImage(memory as WebAssembly.Memory, options as object)).toThrow(message)
  })
})
