// `npm run bench:store`: what a store of snapshots costs, beside the speed of memory and beside databases, in one run. Only ratios
// are worth anything.

import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Host, PAGE_SIZE } from '../../src/index.ts'
import { median } from '../../src/lab/index.ts'
import { SnapshotStore } from '../../src/store/index.ts'
import { givenBack, type StoreFigure } from './figure.ts'
import { Guest } from './guests.ts'
import { droppedInAPage } from './in-a-page.ts'
import { bytesIn, peers } from './peers.ts'
import { scale, worked } from './scale.ts'

const MIB = 2 ** 20

/** Measures what is named, or all of it but `scale`; `smoke`: with so little that the figures mean nothing. */
export async function storeFigures(
  names: readonly string[],
  smoke: boolean,
  report: (figure: StoreFigure) => void,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-bench-store-'))
  try {
    for (const measure of MEASURES)
      if (names.includes(measure.name) || (names.length === 0 && (smoke || measure !== scale)))
        for await (const figure of measure(dir, smoke)) report(figure)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** What is resident first, while nothing else is. */
const MEASURES = [dropped, droppedInAPage, moments, warmSaves, commits, generations, forks, scale]

/** Bytes held for twenty moments, over the bytes of their distinct pages. */
async function* moments(dir: string, smoke: boolean): AsyncGenerator<StoreFigure> {
  const pages = smoke ? 512 : 32_768
  for (const where of ['memory', 'a directory']) {
    const guest = new Guest(pages, 0.5, 1)
    const store = await SnapshotStore.open(where === 'memory' ? undefined : join(dir, 'moments'))
    for (let moment = 0; moment < 20; moment++) {
      await store.save(String(moment), guest.memory, moment === 0 ? {} : { like: String(moment - 1) })
      guest.write(pages / 100)
    }
    const { bytes_held, distinct_pages } = store.stats()
    const times = (bytes_held / (distinct_pages * PAGE_SIZE)).toFixed(3)
    yield { what: `20 moments of a guest, in ${where}`, figure: `${times} of the distinct bytes` }
    await store.close()
  }
}

/** Saves of a state that is almost `like` another, over adding up the same bytes with memcmp. */
async function* warmSaves(dir: string, smoke: boolean): AsyncGenerator<StoreFigure> {
  const pages = smoke ? 512 : 32_768
  for (const where of ['memory', 'a directory']) {
    const guest = new Guest(pages, 0.5, 2)
    const copy = guest.memory.slice()
    const store = await SnapshotStore.open(where === 'memory' ? undefined : join(dir, 'warm'))
    await store.save('0', guest.memory)
    const ratios: number[] = []
    const speeds: number[] = []
    for (let round = 1; round <= (smoke ? 3 : 15); round++) {
      copy.set(guest.memory)
      const compared = await timed(() => Buffer.compare(guest.memory, copy))
      guest.write(20)
      const saved = await timed(() => store.save(String(round), guest.memory, { like: String(round - 1) }))
      ratios.push(saved / compared)
      speeds.push(guest.memory.length / saved / 1e6)
    }
    const figure = `${median(ratios).toFixed(2)} times as long as one memcmp with a copy, ${median(speeds).toFixed(1)} GB/s`
    yield { what: `save of a state with 20 of ${pages} pages changed, like another, in ${where}`, figure }
    await store.close()
  }
}

/** New pages made to last, beside databases. */
async function* commits(dir: string, smoke: boolean): AsyncGenerator<StoreFigure> {
  const rounds = smoke ? 1 : 5
  const all = await peers()
  const guests = Array.from({ length: rounds }, (_, i) => new Guest(smoke ? 256 : 24_576, 0, 100 + i))
  const times = new Map<string, number[]>()
  const held = new Map<string, number>()
  const places = new Map<string, { keep(pages: Uint8Array): Promise<void>; close(): Promise<void> }>()
  for (const [name, peer] of Object.entries(all))
    if (typeof peer !== 'string') places.set(name, await peer(join(dir, name.replace(/[: ]/g, '-'))))
  for (const guest of guests)
    for (const [name, place] of places)
      times.set(name, [...(times.get(name) ?? []), await timed(() => place.keep(guest.memory))])
  for (const [name, place] of places) {
    await place.close()
    held.set(name, bytesIn(join(dir, name.replace(/[: ]/g, '-'))))
  }
  const ours = times.get('pagefold')!
  const bytes = guests[0]!.memory.length
  for (const [name, peer] of Object.entries(all)) {
    const what = `durable commit of ${(bytes / MIB).toFixed(0)} MiB of new pages: ${name}`
    if (typeof peer === 'string') {
      yield { what, figure: peer }
      continue
    }
    const theirs = times.get(name)!
    const speed = median(theirs.map((ms) => bytes / ms / 1000)).toFixed(0)
    const ratio = median(theirs.map((ms, i) => ms / ours[i]!)).toFixed(2)
    const size = (held.get(name)! / (rounds * bytes)).toFixed(3)
    yield { what, figure: `${speed} MB/s, ${ratio} times pagefold's time, ${size} of the bytes` }
  }
}

/** Restoring the last of many generations, over restoring the first: as they were saved, and where the last was laid out. */
async function* generations(dir: string, smoke: boolean): AsyncGenerator<StoreFigure> {
  const [pages, last] = smoke ? [256, 20] : [8192, 2314]
  const middle = Math.round(last / 2)
  for (const where of ['memory', 'a directory']) {
    const [saved, laidOut] = await twiceGenerations(where === 'memory' ? undefined : dir, pages, last)
    const { bytes_held, distinct_pages } = saved.stats()
    await laidOut.compact({ inOrder: String(last) })
    const into = new Uint8Array(pages * PAGE_SIZE)
    const restores = [
      [saved, 1],
      [saved, last],
      [laidOut, last],
      [laidOut, middle],
      [laidOut, 1],
    ] as const
    const ratios: number[][] = restores.map(() => [])
    for (let round = 0; round < (smoke ? 3 : 25); round++) {
      const times: number[] = []
      for (const [store, generation] of restores)
        times.push(await worked(() => store.restore(String(generation), into)))
      for (const [i, time] of times.entries()) ratios[i]!.push(time / times[0]!)
    }
    const [, late, lateLaidOut, middleLaidOut, firstLaidOut] = ratios.map((all) => median(all).toFixed(2))
    const size = (bytes_held / (distinct_pages * PAGE_SIZE)).toFixed(3)
    const what = `restore of generation ${last}, from ${where}`
    yield {
      what,
      figure: `${late} times as long as that of the first; all are ${size} of the distinct bytes`,
    }
    yield {
      what: `${what}, laid out by compact`,
      figure: `${lateLaidOut} times as long; generation ${middle} then ${middleLaidOut}, the first ${firstLaidOut}`,
    }
    await saved.close()
    await laidOut.close()
  }
}

/** Two stores that hold the same generations of a guest. */
async function twiceGenerations(
  dir: string | undefined,
  pages: number,
  last: number,
): Promise<[SnapshotStore, SnapshotStore]> {
  const fill = async (place?: string): Promise<SnapshotStore> => {
    const guest = new Guest(pages, 0.3, 3)
    const store = await SnapshotStore.open(place)
    for (let generation = 1; generation <= last; generation++) {
      const like = generation === 1 ? {} : { like: String(generation - 1) }
      await store.save(String(generation), guest.memory, like)
      guest.write(10)
    }
    return store
  }
  if (dir === undefined) return [await fill(), await fill()]
  const [one, other] = [join(dir, 'generations'), join(dir, 'generations-2')]
  await (await fill(one)).close()
  cpSync(one, other, { recursive: true })
  return [await SnapshotStore.open(one), await SnapshotStore.open(other)]
}

/** A hundred address spaces of one snapshot, in one host. */
async function* forks(_dir: string, smoke: boolean): AsyncGenerator<StoreFigure> {
  const pages = smoke ? 512 : 32_768
  const guest = new Guest(pages, 0.5, 4)
  const store = await SnapshotStore.open()
  await store.save('base', guest.memory)
  const host = await Host.create({ frames: pages })
  const first = await timed(() => store.load(host, 'base'))
  const count = smoke ? 5 : 100
  const rest = await timed(async () => {
    for (let i = 1; i < count; i++) await store.load(host, 'base')
  })
  const used = host.frames.total - host.frames.free
  const distinct = store.stats().distinct_pages
  yield {
    what: `${count} address spaces of ${(pages * PAGE_SIZE) / MIB} MiB from one snapshot`,
    figure: `${(first + rest).toFixed(0)} ms, ${first.toFixed(0)} of them for the first; ${(used / distinct).toFixed(3)} frames a distinct page`,
  }
  host.close()
  await store.close()
}

/** Bytes that came back to the system, over those that `stats` says were given back. Needs node --expose-gc. */
async function* dropped(_dir: string, smoke: boolean): AsyncGenerator<StoreFigure> {
  const pages = 64
  const snapshots = smoke ? 32 : 1024
  const store = await SnapshotStore.open()
  // Neighbours in memory belong to different snapshots, of which every other one goes.
  for (let i = 0; i < snapshots; i++) await store.save(String(i), new Guest(pages, 0, 1000 + i).memory)
  const before = { held: store.stats().bytes_held, resident: await residentBytes() }
  for (let i = 0; i < snapshots; i += 2) await store.drop(String(i))
  await store.compact()
  const after = { held: store.stats().bytes_held, resident: await residentBytes() }
  const why = globalThis.gc === undefined ? ' (garbage was not collected: node --expose-gc)' : ''
  yield {
    what: `every other of ${snapshots} snapshots dropped, in memory`,
    figure: `${givenBack('the process', before, after)}${why}`,
  }
  await store.close()
}

async function residentBytes(): Promise<number> {
  // Engines give buffers back on threads of their own, some time after they were collected.
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < 10; i++) {
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 200))
    least = Math.min(least, process.memoryUsage.rss())
  }
  return least
}

async function timed(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
