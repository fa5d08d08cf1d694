// The JavaScript peer: what one would write today without pagefold, with xxhash-wasm and a Map.

import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { PAGE_SIZE } from '../../src/index.ts'
import { optional, packageUnavailable } from '../optional.ts'
import { canonical, type Peer, type Task, type Trial, timed } from './peer.ts'

interface MergedContent {
  readonly page: number
  sharers: number
}

export const js: Peer = {
  name: 'js',

  unavailable: () => packageUnavailable('xxhash-wasm'),

  async run({ images, pages, maxPageSharing }: Task): Promise<Trial> {
    const { h64Raw } = await (await optional('xxhash-wasm'))()
    const memory = Buffer.concat(images.map((path) => readFileSync(path)))
    const checksums = new Array<bigint>(pages).fill(0n)
    const places = Uint32Array.from({ length: pages }, (_, page) => page)
    const merged = new Uint8Array(pages)
    const stable = new Map<bigint, MergedContent[]>()
    const counters = { pages_shared: 0, pages_sharing: 0, pages_unshared: 0, pages_volatile: 0 }

    const bytes = (page: number): Buffer => memory.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
    const fullScan = (): void => {
      const waiting = new Map<bigint, number[]>()
      counters.pages_unshared = 0
      counters.pages_volatile = 0
      for (let page = 0; page < pages; page++) {
        if (merged[page]) continue
        const content = bytes(page)
        const checksum = h64Raw(content)
        if (checksum !== checksums[page]) {
          checksums[page] = checksum
          counters.pages_volatile++
          continue
        }
        const known = stable.get(checksum)
        const home = known?.find((one) => one.sharers < maxPageSharing && bytes(one.page).equals(content))
        if (home !== undefined) {
          home.sharers++
          places[page] = home.page
          merged[page] = 1
          counters.pages_sharing++
          continue
        }
        const others = waiting.get(checksum)
        const at = others?.findIndex((other) => bytes(other).equals(content)) ?? -1
        if (at >= 0) {
          const other = others!.splice(at, 1)[0]!
          const node = { page, sharers: 2 }
          if (known === undefined) stable.set(checksum, [node])
          else known.push(node)
          places[other] = page
          merged[other] = 1
          merged[page] = 1
          counters.pages_shared++
          counters.pages_sharing++
          counters.pages_unshared--
        } else {
          if (others === undefined) waiting.set(checksum, [page])
          else others.push(page)
          counters.pages_unshared++
        }
      }
    }

    const converge = timed(() => {
      fullScan()
      fullScan()
    })
    const rescan = timed(fullScan)
    return {
      converge_ns: converge.wall,
      converge_cpu_ns: converge.cpu,
      rescan_ns: rescan.wall,
      rescan_cpu_ns: rescan.cpu,
      counters,
      places: canonical(places),
    }
  },
}
