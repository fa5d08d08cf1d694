// `npm run bench:store -- scale`: does a store of a million pages cost more than sixteen that have as many together, and is everything whole after
// 2500 generations, of which every other was dropped? It takes four gigabytes of disk and some minutes, so it is run by name only.

import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Image, PAGE_SIZE } from '../../src/index.ts'
import { SnapshotStore } from '../../src/store/index.ts'
import type { StoreFigure } from './figure.ts'
import { Guest } from './guests.ts'

/** Pages that are read at a time. */
const PIECE = 64
/** Smaller stores that take as many pages together. */
const PARTS = 16

/**
 * What a store of so many pages took: milliseconds of the processor, without what the system took to bring four gigabytes to its disk, and
 * bytes of bookkeeping in memory.
 */
interface Costs {
  readonly 'the first save': number
  readonly opening: number
  readonly 'a save of the same': number
  readonly 'reading all of it': number
  readonly bookkeeping: number
  readonly size: number
}

export async function* scale(dir: string, smoke: boolean): AsyncGenerator<StoreFigure> {
  const pages = smoke ? 4096 : 2 ** 20
  const { size, bookkeeping, ...times } = await costs(join(dir, 'large'), pages)
  const small: Costs[] = []
  for (let i = 0; i < PARTS; i++) small.push(await costs(join(dir, 'small'), pages / PARTS))
  yield {
    what: `${pages} pages in a directory`,
    figure: `${size.toFixed(3)} of their bytes, ${bookkeeping.toFixed(0)} bytes of memory a page`,
  }
  for (const [what, time] of Object.entries(times)) {
    const ratio = (time / small.reduce((sum, one) => sum + one[what as keyof Costs], 0)).toFixed(2)
    yield { what: `${pages} pages, ${what}`, figure: `${ratio} times as long as in ${PARTS} stores` }
  }
  yield await generationsDropped(join(dir, 'dropped'), smoke)
}

async function costs(dir: string, pages: number): Promise<Costs> {
  const image = numbered(pages)
  const before = await memoryUsed()
  let store = await SnapshotStore.open(dir)
  const first = await thought(() => store.save('first', image))
  await store.close()
  const opening = await thought(async () => {
    store = await SnapshotStore.open(dir)
  })
  const bookkeeping = ((await memoryUsed()) - before) / pages
  const again = await thought(() => store.save('again', image, { like: 'first' }))
  const reading = await thought(() => expectSame(store.image('again'), image))
  const { bytes_held, distinct_pages } = store.stats()
  await store.close()
  rmSync(dir, { recursive: true })
  return {
    'the first save': first,
    opening,
    'a save of the same': again,
    'reading all of it': reading,
    bookkeeping,
    size: bytes_held / (distinct_pages * PAGE_SIZE),
  }
}

/** Every page holds its number, and is no other. */
function numbered(pages: number): Image {
  return {
    source: 'numbered',
    format: 'raw',
    pages,
    notes: [],
    addressOf: (page) => page * PAGE_SIZE,
    read(first, count, into) {
      const words = new Uint32Array(into.buffer, into.byteOffset, (count * PAGE_SIZE) / 4)
      for (let i = 0; i < count; i++)
        words.fill(first + i + 1, (i * PAGE_SIZE) / 4, ((i + 1) * PAGE_SIZE) / 4)
    },
    close: () => {},
  }
}

function expectSame(one: Image, other: Image): void {
  const [mine, theirs] = [new Uint8Array(PIECE * PAGE_SIZE), new Uint8Array(PIECE * PAGE_SIZE)]
  for (let first = 0; first < one.pages; first += PIECE) {
    one.read(first, PIECE, mine)
    other.read(first, PIECE, theirs)
    if (Buffer.compare(mine, theirs) !== 0) throw new Error(`pages from ${first} on are not what was saved`)
  }
}

/** Saves generations, drops every other, compacts, opens it again, and holds what is left against what was saved. */
async function generationsDropped(dir: string, smoke: boolean): Promise<StoreFigure> {
  const count = smoke ? 20 : 2500
  const guest = new Guest(1024, 0.3, 5)
  const digests: string[] = []
  let store = await SnapshotStore.open(dir)
  for (let n = 0; n < count; n++) {
    await store.save(String(n), guest.memory, n === 0 ? {} : { like: String(n - 1) })
    digests.push(digestOf(guest.memory))
    guest.write(10)
  }
  for (let n = 0; n < count; n += 2) await store.drop(String(n))
  await store.compact({ inOrder: String(count - 1) })
  await store.close()
  store = await SnapshotStore.open(dir)
  const into = new Uint8Array(guest.memory.length)
  let whole = 0
  for (const { name } of store.list()) {
    await store.restore(name, into)
    if (digestOf(into) === digests[Number(name)]) whole++
  }
  const { bytes_held, distinct_pages, snapshots } = store.stats()
  await store.close()
  const size = (bytes_held / (distinct_pages * PAGE_SIZE)).toFixed(3)
  return {
    what: `${count} generations in a directory, every other dropped, compacted and opened again`,
    figure: `${whole} of ${snapshots} are what was saved, ${size} of the distinct bytes`,
  }
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex')
}

/** Bytes in use; needs node --expose-gc to be certain. */
async function memoryUsed(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

/** Milliseconds of the processor: whoever else is at work on the machine would cut the longer of two the more often. */
export async function worked(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/** The same, without what the system took. */
async function thought(work: () => unknown): Promise<number> {
  const before = process.cpuUsage()
  await work()
  return process.cpuUsage(before).user / 1000
}
