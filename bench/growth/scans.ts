// What ksmd does, and what is done with its work: scans of every kind of content, chains, domains, unmerging, migration
// of merged pages.

import type { Host } from '../../src/index.ts'
import { type HostOptions, type KnobName, type Mm, memorySwapStore, PAGE_SIZE } from '../../src/index.ts'
import { guestOf, scanningHost, shuffled, writePages } from './guests.ts'
import type { Growth } from './measure.ts'

interface Scene {
  readonly host: Host
  readonly mm: Mm
  readonly at: number
  readonly n: number
}

interface ScanOptions {
  readonly content: (page: number) => number
  readonly host?: Partial<HostOptions>
  readonly knobs?: Partial<Record<KnobName, number | string>>
  /** Full scans before what is measured. Default: none. */
  readonly scans?: number
  readonly run: (scene: Scene) => unknown
}

function scanning(name: string, of: string, options: ScanOptions): Growth {
  return {
    name,
    of,
    async prepare(n) {
      const host = await scanningHost(n, options.host)
      for (const [knob, value] of Object.entries(options.knobs ?? {})) host.ksm.set(knob as KnobName, value)
      const guest = guestOf(host, n, options.content)
      if (options.scans !== undefined) host.ksm.scan(options.scans)
      return { run: () => options.run({ host, n, ...guest }), done: () => host.close() }
    },
  }
}

const unique = (page: number): number => page + 1
const pairs = (page: number): number => (page >>> 1) + 1
const one = (): number => 1
const scanTwice = ({ host }: Scene): unknown => host.ksm.scan(2)
const scanOnce = ({ host }: Scene): unknown => host.ksm.scan(1)

const SCANS: readonly Growth[] = [
  scanning('scan of pages all different, hash', 'pages', { content: unique, run: scanTwice }),
  scanning('scan of pages all different, content', 'pages', {
    content: unique,
    host: { index: 'content' },
    run: scanTwice,
  }),
  scanning('scan of pairs', 'pages', { content: pairs, run: scanTwice }),
  scanning('scan of one content', 'pages', { content: one, run: scanTwice }),
  scanning('scan of one content, max_page_sharing=2', 'pages', {
    content: one,
    knobs: { max_page_sharing: 2 },
    run: ({ host }) => host.ksm.scan(3),
  }),
  scanning('the same, pruned always', 'pages', {
    content: one,
    knobs: { max_page_sharing: 2, stable_node_chains_prune_millisecs: 0 },
    run: ({ host }) => host.ksm.scan(3),
  }),
  scanning('the same, by content', 'pages', {
    content: one,
    host: { index: 'content' },
    knobs: { max_page_sharing: 2 },
    run: ({ host }) => host.ksm.scan(3),
  }),
  scanning('pages of a long chain written and merged again', 'pages', {
    content: one,
    knobs: { max_page_sharing: 2 },
    scans: 3,
    run: ({ host, mm, at, n }) => {
      const order = shuffled(n)
      for (let i = 0; i < n >>> 2; i++) mm.write(at + order[i]! * PAGE_SIZE, Uint8Array.of(9))
      host.ksm.scan(1)
      for (let i = 0; i < n >>> 2; i++) mm.write(at + order[i]! * PAGE_SIZE, Uint8Array.of(1))
      host.ksm.scan(3)
    },
  }),
  scanning('scan of zeros', 'pages', { content: () => 0, knobs: { use_zero_pages: 1 }, run: scanTwice }),
  scanning('scan of colliding pages', 'pages', {
    content: unique,
    host: { checksumBits: 1 },
    run: scanTwice,
  }),
  scanning('rescan of pages all different', 'pages', { content: unique, scans: 2, run: scanOnce }),
  scanning('rescan of pairs', 'pages', { content: pairs, scans: 2, run: scanOnce }),
  scanning('scan in batches of one', 'pages', {
    content: pairs,
    run: ({ host, n }) => {
      for (let i = 0; i < 2 * n; i++) host.ksm.scanPages(1)
    },
  }),
  scanning('scan after all merged pages were written', 'pages', {
    content: pairs,
    scans: 2,
    run: ({ host, mm, at, n }) => {
      writePages(mm, at, n, unique)
      host.ksm.scan(2)
    },
  }),
  scanning('run=2', 'pages', { content: pairs, scans: 2, run: ({ host }) => host.ksm.set('run', 2) }),
  scanning('run=2 of one content', 'pages', {
    content: one,
    scans: 2,
    knobs: { max_page_sharing: 2 ** 30 },
    run: ({ host }) => host.ksm.set('run', 2),
  }),
  scanning('madvise(MADV_UNMERGEABLE)', 'pages', {
    content: pairs,
    scans: 2,
    run: ({ mm, at, n }) => mm.madvise(at, n * PAGE_SIZE, 'MADV_UNMERGEABLE'),
  }),
  scanning('exit of a merged guest', 'pages', {
    content: one,
    scans: 2,
    run: ({ mm, host }) => {
      mm.exit()
      host.ksm.scan(1)
    },
  }),
  scanning('migrate of a page that all share', 'mappings', {
    content: one,
    host: { numaNodes: 2 },
    knobs: { max_page_sharing: 2 ** 30 },
    scans: 2,
    run: ({ host, mm, at }) => host.migrate(mm.pfn(at)!, { node: 1 }),
  }),
  scanning('reclaim of a page that all share, and back', 'mappings', {
    content: one,
    knobs: { max_page_sharing: 2 ** 30 },
    scans: 2,
    run: ({ host, mm, at, n }) => {
      host.swapOn(memorySwapStore(n))
      host.reclaim(mm.pfn(at)!)
      for (let i = 0; i < n; i++) mm.read(at + i * PAGE_SIZE, 1)
    },
  }),
  scanning('memoryFailure of merged pages', 'pages', {
    content: pairs,
    scans: 2,
    run: ({ host, mm, at, n }) => {
      for (let i = 0; i < n; i += 2) host.memoryFailure(mm.pfn(at + i * PAGE_SIZE)!)
    },
  }),
  scanning('offline of merged pages', 'frames', {
    content: pairs,
    scans: 2,
    run: ({ host, mm, at, n }) => {
      const first = mm.pfn(at)!
      host.offline(first, first + (n >>> 1))
    },
  }),
]

const MANY: readonly Growth[] = [
  {
    name: 'scan of mms of one page each',
    of: 'mms',
    async prepare(n) {
      const host = await scanningHost(n, { mappings: 200 * n + 4096 })
      for (let i = 0; i < n; i++) guestOf(host, 1, () => i >>> 1)
      const run = (): void => {
        host.ksm.scan(2)
      }
      return { run, done: () => host.close() }
    },
  },
  {
    name: 'domains: made, scanned, counted',
    of: 'domains',
    sizes: [512, 2048, 8192],
    async prepare(n) {
      const host = await scanningHost(n, { mappings: 600 * n + 4096 })
      const run = (): void => {
        for (let i = 0; i < n; i++) {
          const mm = host.createMm({ domain: `domain-${i}` })
          const at = mm.mmap(2 * PAGE_SIZE)
          writePages(mm, at, 2, () => 1)
          mm.madvise(at, 2 * PAGE_SIZE, 'MADV_MERGEABLE')
        }
        host.ksm.scan(2)
      }
      return { run, done: () => host.close() }
    },
  },
  {
    name: 'scan of pages that children share',
    of: 'children',
    async prepare(n) {
      const host = await scanningHost(n, { mappings: 200 * n })
      const { mm } = guestOf(host, 8, pairs)
      for (let i = 0; i < n >>> 3; i++) mm.fork()
      return { run: () => host.ksm.scan(2), done: () => host.close() }
    },
  },
]

export const SCANNING: readonly Growth[] = [...SCANS, ...MANY]
