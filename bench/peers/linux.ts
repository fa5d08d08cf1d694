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
  type Task,
  type Trial,
} from './peer.ts'
import { type Turn, writePage } from './writer.ts'

export const linux: Peer = {
  name: 'linux',

  unavailable: ksmdUnavailable,

  async run(task: Task): Promise<Trial> {
    const { images, pages, maxPageSharing } = task
    const { arena } = (await Host.create({ frames: pages, mappings: pages })).memory
    const memory = arena.pages(arena.firstPfn, pages)
    let at = 0
    for (const path of images) {
      const image = openRawImage(path)
      image.read(0, image.pages, arena.pages(arena.firstPfn + at, image.pages))
      at += image.pages
      image.close()
    }
    const knobs = {
      max_page_sharing: maxPageSharing,
      merge_across_nodes: 1,
      stable_node_chains_prune_millisecs: NEVER_PRUNED,
    }
    const measure = async (ksmd: Ksmd): Promise<Trial> => {
      const converge_ns = (await ksmd.fullScan()) + (await ksmd.fullScan())
      const rescan_ns = await ksmd.fullScan()
      const merged = (): Merged => ({
        counters: countersOf(ksmd),
        places: Uint32Array.from(physicalFrames(memory)),
      })
      const { counters, places } = merged()
      const scan = async () => {
        const cpu = await ksmd.fullScan()
        return { wall: cpu, cpu }
      }
      return {
        converge_ns,
        converge_cpu_ns: converge_ns,
        rescan_ns,
        rescan_cpu_ns: rescan_ns,
        counters,
        places: canonical(places),
        written: await afterWrites(task, { scan, merged, write: (turn) => writeTo(memory, turn) }),
      }
    }
    return withKsmd(knobs, (ksmd) => whileMergeable(memory, () => measure(ksmd)))
  },
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
function writeTo(guests: Uint8Array, { pages, words }: Turn): void {
  const all = new Uint32Array(guests.buffer, guests.byteOffset, guests.length / 4)
  for (const [i, page] of pages.entries())
    writePage(all.subarray((page * PAGE_SIZE) / 4, ((page + 1) * PAGE_SIZE) / 4), words[i]!)
}
