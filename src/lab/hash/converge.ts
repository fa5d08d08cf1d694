// A strategy's whole day: the same images merged until there is nothing left to merge, timed; and once more with every
// search and comparison counted.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { Host } from '../../host.ts'
import type { Image } from '../../image.ts'
import { stillClock, systemClock } from '../../ksm/clock.ts'
import type { Mm } from '../../mm/mm.ts'
import type { StrategyOptions } from '../../options.ts'
import { median } from '../median.ts'
import { countingCore, type SearchCounts } from './counting-core.ts'

/** What it takes to merge everything mergeable with one strategy. Only the times depend on the machine. */
export interface Convergence {
  /** Time for the two full scans after which everything mergeable is merged; median over the rounds. */
  readonly elapsed_ms: number
  /** Processor time for them. */
  readonly cpu_ms: number
  /** Time for them, per page of all images. */
  readonly ns_per_page: number
  /** Frames saved, zero pages included. The same for every strategy. */
  readonly pages_merged: number
  /** Pages merged per second of processor time. */
  readonly merged_per_cpu_second: number
  /** Everything pagefold keeps beside the frames. */
  readonly metadata_bytes_per_page: number
  /** Times a tree was searched for a page. */
  readonly searches: number
  /** Tree nodes passed, per search. */
  readonly probes_per_search: number
  /** Pages compared, on the way down a tree and before merging. */
  readonly comparisons: number
  /** Of these, those that found the pages different. */
  readonly failed_comparisons: number
}

/** Merges images with one strategy, `rounds` times and once to warm up, on one host. */
export async function converge(
  images: readonly Image[],
  strategy: StrategyOptions,
  rounds: number,
): Promise<Convergence> {
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  const host = await Host.create({
    frames: pages + 1,
    mappings: pages + 1024,
    clock: stillClock,
    ...strategy,
  })
  try {
    host.ksm.set('smart_scan', 0)
    host.ksm.set('run', 1)
    const times: { elapsed: number; cpu: number }[] = []
    for (let round = 0; round <= rounds; round++) {
      const mms = load(host, images)
      const [started, cpu] = [systemClock.now(), systemClock.cpu()]
      host.ksm.scan(2)
      // The first is the compiler's.
      if (round > 0) times.push({ elapsed: systemClock.now() - started, cpu: systemClock.cpu() - cpu })
      clear(host, mms)
    }
    const { counts, merged, metadata } = countOnce(host, images)
    const [elapsed_ms, cpu_ms] = [median(times.map((t) => t.elapsed)), median(times.map((t) => t.cpu))]
    return {
      elapsed_ms,
      cpu_ms,
      ns_per_page: (elapsed_ms * 1e6) / pages,
      pages_merged: merged,
      merged_per_cpu_second: (merged / cpu_ms) * 1000,
      metadata_bytes_per_page: metadata / pages,
      searches: counts.searches,
      probes_per_search: counts.probes / Math.max(1, counts.searches),
      comparisons: counts.comparisons,
      failed_comparisons: counts.failed_comparisons,
    }
  } finally {
    host.close()
  }
}

function load(host: Host, images: readonly Image[]): Mm[] {
  return images.map((image) => {
    const { mm, address } = host.loadImage(image)
    mm.madvise(address, image.pages * PAGE_SIZE, 'MADV_MERGEABLE')
    return mm
  })
}

/** Ends the guests; the scan drops what is left of them in the trees. */
function clear(host: Host, mms: readonly Mm[]): void {
  for (const mm of mms) mm.exit()
  host.ksm.scan(1)
}

function countOnce(
  host: Host,
  images: readonly Image[],
): { counts: SearchCounts; merged: number; metadata: number } {
  const { core, counts } = countingCore(host.memory.arena)
  const mms = load(host, images)
  host.ksm.state.core = core
  host.ksm.scan(2)
  host.ksm.state.core = host.memory.arena.core
  const { pages_sharing, ksm_zero_pages } = host.ksm.counters()
  const metadata = host.metadata().total
  clear(host, mms)
  return { counts, merged: pages_sharing + ksm_zero_pages, metadata }
}
