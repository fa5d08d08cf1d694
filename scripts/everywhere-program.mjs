// The engine at work, on any platform: README's example, helper threads, strategies, the advisor, synthetic guests, checksums side by
// side. What is not there must say so. Run by scripts/everywhere.mjs and, in a page, by test/browser/engine.test.ts; imports
// nothing but the package.
import {
  CHECKSUM_NAMES,
  fileSwapStore,
  Host,
  INDEX_NAMES,
  memorySwapStore,
  PAGE_SIZE,
  PagefoldError,
  SecondaryMmu,
} from 'pagefold'
import { census, compareHashes, mergeImages, pageStates, synthImages, synthTruth } from 'pagefold/lab'
import { mergeReport, renderReport, writeReport } from 'pagefold/report'
import { SnapshotStore } from 'pagefold/store'

/** Runs everything and returns a line for each thing done. Throws if anything comes out otherwise than it must. */
export async function program() {
  const steps = { example, hypervisor, helpers, strategies, advisor, synthetic, hashes, snapshots, platform }
  const done = []
  for (const [name, step] of Object.entries(steps)) done.push(`${name}: ${await step()}`)
  return done
}

async function example() {
  const host = await Host.create({ frames: 65_536 })
  const a = host.createMm({ name: 'guest-a' })
  const b = host.createMm({ name: 'guest-b' })
  for (const mm of [a, b]) {
    const at = mm.mmap(4096 * 100)
    mm.write(at, new Uint8Array(4096 * 100).fill(42))
    mm.madvise(at, 4096 * 100, 'MADV_MERGEABLE')
  }
  host.ksm.set('run', 1)
  host.ksm.scan(2)
  const { pages_shared, pages_sharing } = host.ksm.counters()
  expect('pages_shared', pages_shared, 1)
  expect('pages_sharing', pages_sharing, 199)
  expect('host.frames', JSON.stringify(host.frames), '{"free":65535,"total":65536}')
  host.close()
  return `${pages_sharing} pages merged`
}

async function hypervisor() {
  const host = await Host.create({ frames: 64 })
  const mm = host.createMm()
  const at = mm.mmap(8 * PAGE_SIZE)
  mm.write(at, new Uint8Array(8 * PAGE_SIZE).fill(7))
  const child = mm.fork()
  host.swapOn(memorySwapStore(64))
  child.madvise(at, PAGE_SIZE, 'MADV_PAGEOUT')
  expect('what comes back from swap', child.read(at, 1)[0], 7)
  const mmu = new SecondaryMmu(mm)
  expect('a translation', mmu.translate(at, true), mm.pfn(at))
  host.ksm.start()
  await host.ksm.stop()
  host.audit()
  host.close()
  return 'fork, swap, translation, ksmd'
}

async function helpers() {
  const results = []
  for (const workers of [0, 2]) {
    const images = synthImages({ preset: 'demo', pages: 2048 })
    results.push(await mergeImages({ images, scans: 3, workers }))
  }
  const [alone, helped] = results.map((result) => JSON.stringify([result.sharing, result.bytes_saved]))
  expect('the result with helpers', helped, alone)
  return alone
}

async function strategies() {
  const saved = new Set()
  for (const index of INDEX_NAMES) {
    for (const checksum of CHECKSUM_NAMES) {
      if (index === 'hash' && checksum === 'none') continue
      const images = synthImages({ preset: 'demo', pages: 128 })
      saved.add((await mergeImages({ images, index, checksum, scans: 3 })).bytes_saved)
    }
  }
  expect('different results', saved.size, 1)
  return `${[...saved]} bytes saved with each`
}

async function advisor() {
  const host = await Host.create({ frames: 4096 })
  const mm = host.createMm()
  const at = mm.mmap(2048 * PAGE_SIZE)
  mm.write(at, new Uint8Array(2048 * PAGE_SIZE).fill(1))
  mm.madvise(at, 2048 * PAGE_SIZE, 'MADV_MERGEABLE')
  host.ksm.set('advisor_mode', 'scan-time')
  host.ksm.set('run', 1)
  host.ksm.scan(3)
  const { pages_to_scan, advisor_mode } = host.ksm.counters()
  expect('advisor_mode', advisor_mode, 'scan-time')
  expect('a number of pages to scan', pages_to_scan > 0, true)
  host.close()
  return `pages_to_scan ${pages_to_scan}`
}

async function synthetic() {
  const images = synthImages({ preset: 'vm-hetero', pages: 512 })
  let states
  const result = await mergeImages({ images, inspect: (host, ranges) => (states = pageStates(host, ranges)) })
  const { counters } = await census({ images, workers: 1 })
  const { pages_shared, pages_sharing } = result.after_each_scan.at(-1)
  expect(
    'what a census foretells',
    counters.pages_shared + counters.pages_sharing,
    pages_shared + pages_sharing,
  )
  const page = renderReport(mergeReport(images, result, states))
  expect('the report', page.startsWith('<!doctype html>\n<!-- pagefold report -->'), true)
  return `${result.bytes_saved} bytes saved, a report of ${page.length} characters`
}

async function hashes() {
  const images = synthImages({ preset: 'demo', pages: 64 })
  const options = {
    images,
    checksums: ['xxh3', 'xxh64'],
    indexes: ['hash'],
    sampleWords: 64,
    pages: 256,
    rounds: 1,
  }
  const { checksums, strategies } = await compareHashes(options)
  expect('checksums compared', checksums.map(({ checksum }) => checksum).join(), 'xxh3,xxh64')
  return strategies.map(({ checksum, pages_merged }) => `${checksum} merges ${pages_merged}`).join(', ')
}

async function snapshots() {
  const store = await SnapshotStore.open()
  const heap = new Uint8Array(200 * PAGE_SIZE)
  for (let page = 0; page < 100; page++) heap.fill(page, page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
  await store.save('a', heap)
  heap[150 * PAGE_SIZE] = 1
  const { added_pages } = await store.save('b', heap, { like: 'a' })
  expect('pages added', added_pages, 1)
  const { pages_written } = await store.restore('a', heap, { from: 'b' })
  expect('pages written', pages_written, 1)
  expect('what was restored', heap[150 * PAGE_SIZE] + heap[99 * PAGE_SIZE], 99)
  const host = await Host.create({ frames: 256 })
  const mm = await store.load(host, 'b')
  expect('what was loaded', mm.read(mm.smaps()[0].address + 150 * PAGE_SIZE, 1)[0], 1)
  host.close()
  await store.drop('a')
  const { distinct_pages } = store.stats()
  await store.close()
  return `${distinct_pages} distinct pages`
}

/** What needs more than the language works where there is more, and says what is missing where there is not. */
async function platform() {
  const done = []
  for (const [name, use] of Object.entries({
    fileSwapStore: () => fileSwapStore('everywhere.swap', 4).close(),
    synthTruth: () => synthTruth({ preset: 'demo', pages: 64 }),
    writeReport: () => writeReport('everywhere.html', { title: '', subtitle: '', sections: [], result: 0 }),
  })) {
    try {
      use()
      done.push(name)
    } catch (error) {
      const refused = error instanceof PagefoldError && error.code === 'ENOTSUP'
      // Deno asks before it lets a program near files; whoever runs this has not been asked.
      const notAllowed =
        error.name === 'NotCapable' || error.code === 'EACCES' || error.code === 'ERR_ACCESS_DENIED'
      if (!refused && !notAllowed) throw error
      done.push(`no ${name}`)
    }
  }
  return done.join(', ')
}

function expect(what, found, wanted) {
  if (found !== wanted) throw new Error(`${what}: expected ${wanted}, got ${found}`)
}
