// The Linux peer: the machine's own ksmd, on the very frames of an arena.

import { openRawImage } from '../../src/images/index.ts'
import { Host, PAGE_SIZE } from '../../src/index.ts'
import { type Ksmd, ksmdUnavailable, physicalFrames, whileMergeable, withKsmd } from './ksmd.ts'
import {
  afterWrites,
  canonical,
  type Merged,
  NEVER_PRUNED,
  type Peer,
  type Spent,
  type Task,
} from './peer.ts'
import { batchOf, whileRunning } from './running.ts'
import { type Turn, writePage } from './writer.ts'

export const linux: Peer = {
  name: 'linux',

  unavailable: ksmdUnavailable,

  run: (task) =>
    withGuests(task, {}, async (ksmd, memory) => {
      const converge_ns = (await ksmd.fullScan()) + (await ksmd.fullScan())
      const rescan_ns = await ksmd.fullScan()
      const merged = (): Merged => mergedIn(ksmd, memory)
      const { counters, places } = merged()
      const scan = async () => spent(await ksmd.fullScan())
      return {
        converge_ns,
        converge_cpu_ns: converge_ns,
        rescan_ns,
        rescan_cpu_ns: rescan_ns,
        counters,
        places: canonical(places),
        written: await afterWrites(task, { scan, merged, write: (turn) => writeTo(memory, turn) }),
      }
    }),

  running: (task) =>
    withGuests(task, { pages_to_scan: batchOf(task.pages) }, (ksmd, memory) =>
      whileRunning(task, {
        batch: async () => spent(await ksmd.batch()),
        merged: () => mergedIn(ksmd, memory),
        write: (turn) => writeTo(memory, turn),
      }),
    ),
}

/** Loads the images into an arena and lends it with ksmd, that will merge it. */
async function withGuests<Result>(
  { images, pages, maxPageSharing }: Task,
  knobs: Readonly<Record<string, number>>,
  use: (ksmd: Ksmd, memory: Uint8Array) => Promise<Result>,
): Promise<Result> {
  const { arena } = (await Host.create({ frames: pages, mappings: pages })).memory
  const memory = arena.pages(arena.firstPfn, pages)
  let at = 0
  for (const path of images) {
    const image = openRawImage(path)
    image.read(0, image.pages, arena.pages(arena.firstPfn + at, image.pages))
    at += image.pages
    image.close()
  }
  const all = {
    max_page_sharing: maxPageSharing,
    merge_across_nodes: 1,
    stable_node_chains_prune_millisecs: NEVER_PRUNED,
    ...knobs,
  }
  return withKsmd(all, (ksmd) => whileMergeable(memory, () => use(ksmd, memory)))
}

/** ksmd's time is told in processor time only. */
function spent(cpu: number): Spent {
  return { wall: cpu, cpu }
}

function mergedIn(ksmd: Ksmd, memory: Uint8Array): Merged {
  return { counters: countersOf(ksmd), places: Uint32Array.from(physicalFrames(memory)) }
}

function countersOf(ksmd: Ksmd): Merged['counters'] {
  return {
    pages_shared: ksmd.counter('pages_shared'),
    pages_sharing: ksmd.counter('pages_sharing'),
    pages_unshared: ksmd.counter('pages_unshared'),
    pages_volatile: ksmd.counter('pages_volatile'),
  }
}

/** Writes pages of this process. */
function writeTo(guests: Uint8Array, { pages, words }: Pick<Turn, 'pages' | 'words'>): void {
  const all = new Uint32Array(guests.buffer, guests.byteOffset, guests.length / 4)
  for (const [i, page] of pages.entries())
    writePage(all.subarray((page * PAGE_SIZE) / 4, ((page + 1) * PAGE_SIZE) / 4), words[i]!)
}
