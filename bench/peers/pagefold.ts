// pagefold itself, as a peer among peers. Loading is not timed, as for the others; the code is warmed up on a few
// synthetic guests first, because what is compared is a running scanner, not a compiler. Cold starts are measured by
// `npm run bench:cold`.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { Host, type Mm, openRawImage, openSource } from '../../src/index.ts'
import { canonical, type Peer, type Task, type Trial } from './peer.ts'

const WARM_UP = 'synth:demo,pages=2048'
const WARM_UP_ROUNDS = 12

export const pagefold: Peer = {
  name: 'pagefold',

  unavailable: () => undefined,

  async run({ images, pages, maxPageSharing, index, checksum }: Task): Promise<Trial> {
    const warmUp = openSource(WARM_UP)
    const warmUpPages = WARM_UP_ROUNDS * warmUp.reduce((sum, image) => sum + image.pages, 0)
    const total = pages + warmUpPages
    const host = await Host.create({ frames: total + 1, mappings: total + 1024, index, checksum })
    host.ksm.set('smart_scan', 0)
    host.ksm.set('run', 1)
    const load = (image: ReturnType<typeof openRawImage>): { mm: Mm; address: number; pages: number } => {
      const { mm, address } = host.loadImage(image)
      mm.madvise(address, image.pages * PAGE_SIZE, 'MADV_MERGEABLE')
      image.close()
      return { mm, address, pages: image.pages }
    }

    for (let round = 0; round < WARM_UP_ROUNDS; round++) {
      const strangers = warmUp.map(load)
      host.ksm.scan(3)
      for (const { mm } of strangers) mm.exit()
      host.ksm.scan(1)
    }
    host.ksm.set('run', 2)
    host.ksm.set('max_page_sharing', maxPageSharing)
    host.ksm.set('run', 1)

    const guests = images.map((path) => load(openRawImage(path)))
    const start = performance.now()
    host.ksm.scan(2)
    const converged = performance.now()
    host.ksm.scan(1)
    const rescanned = performance.now()
    const { pages_shared, pages_sharing, pages_unshared, pages_volatile } = host.ksm.counters()
    const pfns = guests.flatMap(({ mm, address, pages }) =>
      Array.from({ length: pages }, (_, page) => mm.pfn(address + page * PAGE_SIZE)!),
    )
    return {
      converge_ns: (converged - start) * 1e6,
      rescan_ns: (rescanned - converged) * 1e6,
      counters: { pages_shared, pages_sharing, pages_unshared, pages_volatile },
      places: canonical(pfns),
    }
  },
}
