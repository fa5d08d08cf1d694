// A strategy's whole day: the same images merged until there is nothing left to merge, timed; and once more with every
// search and comparison counted.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { Host } from '../../host.ts'
import type { HostOptions } from '../../host-options.ts'
import type { Image } from '../../image.ts'
import { systemClock } from '../../ksm/clock.ts'
import type { StrategyOptions } from '../../options.ts'
import { median } from '../median.ts'
import { hostFor, hostMadeBy, loadGuest } from '../merge/host.ts'
import type { MergedRange } from '../merge/sharing.ts'
import { askToCollect } from './collect.ts'
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
  const host = await hostFor(pages, strategy)
  try {
    const times: { elapsed: number; cpu: number }[] = []
    for (let round = 0; round <= rounds; round++) {
      const guests = images.map((image) => loadGuest(host, image))
      const [started, cpu] = [systemClock.now(), systemClock.cpu()]
      host.ksm.scan(2)
      // The first is the compiler's.
      if (round > 0) times.push({ elapsed: systemClock.now() - started, cpu: systemClock.cpu() - cpu })
      clear(host, guests)
    }
    const { counts, merged, metadata } = await countOnce(pages, images, strategy)
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
    askToCollect(pages * PAGE_SIZE)
  }
}

/** Ends the guests; the scan drops what is left of them in the trees. */
function clear(host: Host, guests: readonly MergedRange[]): void {
  for (const { mm } of guests) mm.exit()
  host.ksm.scan(1)
}

/** On another host, whose scan counts what it calls. */
async function countOnce(
  pages: number,
  images: readonly Image[],
  strategy: StrategyOptions,
): Promise<{ counts: SearchCounts; merged: number; metadata: number }> {
  const counts: SearchCounts = { searches: 0, probes: 0, comparisons: 0, failed_comparisons: 0 }
  const make = (options: HostOptions): Promise<Host> =>
    Host.withCore(options, (arena) => countingCore(arena, counts))
  const host = await hostMadeBy(make, pages, strategy)
  try {
    for (const image of images) loadGuest(host, image)
    host.ksm.scan(2)
    const { pages_sharing, ksm_zero_pages } = host.ksm.counters()
    return { counts, merged: pages_sharing + ksm_zero_pages, metadata: host.metadata().total }
  } finally {
    host.close()
  }
}
