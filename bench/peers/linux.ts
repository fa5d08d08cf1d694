// The Linux peer: the machine's own ksmd, on the very frames of an arena.

import { openRawImage } from '../../src/images/index.ts'
import { Host } from '../../src/index.ts'
import { type Ksmd, ksmdUnavailable, physicalFrames, whileMergeable, withKsmd } from './ksmd.ts'
import { canonical, type Peer, type Task, type Trial } from './peer.ts'

export const linux: Peer = {
  name: 'linux',

  unavailable: ksmdUnavailable,

  async run({ images, pages, maxPageSharing }: Task): Promise<Trial> {
    const { arena } = (await Host.create({ frames: pages, mappings: pages })).memory
    const memory = arena.pages(arena.firstPfn, pages)
    let at = 0
    for (const path of images) {
      const image = openRawImage(path)
      image.read(0, image.pages, arena.pages(arena.firstPfn + at, image.pages))
      at += image.pages
      image.close()
    }
    const knobs = { max_page_sharing: maxPageSharing, merge_across_nodes: 1 }
    const measure = async (ksmd: Ksmd): Promise<Trial> => {
      const converge_ns = (await ksmd.fullScan()) + (await ksmd.fullScan())
      const rescan_ns = await ksmd.fullScan()
      const counters = {
        pages_shared: ksmd.counter('pages_shared'),
        pages_sharing: ksmd.counter('pages_sharing'),
        pages_unshared: ksmd.counter('pages_unshared'),
        pages_volatile: ksmd.counter('pages_volatile'),
      }
      return {
        converge_ns,
        converge_cpu_ns: converge_ns,
        rescan_ns,
        rescan_cpu_ns: rescan_ns,
        counters,
        places: canonical(physicalFrames(memory)),
      }
    }
    return withKsmd(knobs, (ksmd) => whileMergeable(memory, () => measure(ksmd)))
  },
}
