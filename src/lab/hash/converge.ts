// A strategy's whole day: the same images merged until there is nothing left to merge, timed beside the other strategies; and
// once more with every search and comparison counted.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { Host } from '../../host.ts'
import type { HostOptions } from '../../host-options.ts'
import type { Image } from '../../image.ts'
import { systemClock } from '../../ksm/clock.ts'
import { expectStrategy, type StrategyOptions } from '../../options.ts'
import { type Figure, figureOf, ranksOf } from '../measure/figure.ts'
import type { Load } from '../measure/load.ts'
import { type Candidate, inRounds, type Lap } from '../measure/rounds.ts'
import { median } from '../median.ts'
import { hostFor, hostMadeBy, loadGuest } from '../merge/host.ts'
import type { MergedRange } from '../merge/sharing.ts'
import { askToCollect } from './collect.ts'
import { countingCore, type SearchCounts } from './counting-core.ts'

/** What it takes to merge everything mergeable with one strategy. Only the times depend on the machine. */
export interface Convergence {
  /** Processor time for the two full scans after which everything mergeable is merged, in ns per page of all images, by round. */
  readonly time: Figure
  /** From 1, the fastest; strategies that the measurement does not tell apart share one. */
  readonly rank: number
  /** Time for the two scans; median over the rounds. */
  readonly elapsed_ms: number
  /** Processor time for them; median. */
  readonly cpu_ms: number
  /** The median of `time`. */
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

/** The strategies side by side, and what else the machine did meanwhile. */
export interface Converged {
  /** One for each strategy, in their order. */
  readonly results: readonly Convergence[]
  readonly load: Load
}

/** The first round is the compiler's. */
const WARM_UP = 1

/** Merges images with each of the strategies, once a round; and once more, counted. */
export async function converge(
  images: readonly Image[],
  strategies: readonly StrategyOptions[],
  rounds: number,
  onProgress?: (done: number, of: number) => void,
): Promise<Converged> {
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  const hosts = new SharedHosts(pages)
  try {
    const candidates: Candidate[] = []
    for (const [i, strategy] of strategies.entries()) {
      const hostWith = await hosts.of(strategy)
      candidates.push({ name: String(i), lap: () => mergeOnce(hostWith(), images) })
    }
    const { laps, load } = await inRounds(candidates, {
      rounds,
      warmUp: WARM_UP,
      onProgress: (done, of) => onProgress?.(done, of),
    })
    const times = strategies.map((_, i) => laps.get(String(i))!)
    const perPage = ({ cpu_ms }: Lap): number => (cpu_ms * 1e6) / pages
    const figures = times.map((one) => figureOf('ns', one.map(perPage)))
    const ranks = ranksOf(figures)
    const results: Convergence[] = []
    for (const [i, strategy] of strategies.entries()) {
      const { counts, merged, metadata } = await countOnce(pages, images, strategy)
      const cpu_ms = median(times[i]!.map((lap) => lap.cpu_ms))
      results.push({
        time: figures[i]!,
        rank: ranks[i]!,
        elapsed_ms: median(times[i]!.map((lap) => lap.wall_ms)),
        cpu_ms,
        ns_per_page: figures[i]!.median,
        pages_merged: merged,
        merged_per_cpu_second: (merged / cpu_ms) * 1000,
        metadata_bytes_per_page: metadata / pages,
        searches: counts.searches,
        probes_per_search: counts.probes / Math.max(1, counts.searches),
        comparisons: counts.comparisons,
        failed_comparisons: counts.failed_comparisons,
      })
    }
    return { results, load }
  } finally {
    hosts.close()
  }
}

/**
 * A few hosts for many strategies: a host's checksum can be changed while it is empty, but not in which order its trees are nor
 * whether it takes ties for matches.
 */
class SharedHosts {
  private readonly hosts = new Map<string, Host>()
  private readonly pages: number

  constructor(pages: number) {
    this.pages = pages
  }

  /** What returns an empty host with a strategy in force, until another is. */
  async of(strategy: StrategyOptions): Promise<() => Host> {
    const chosen = expectStrategy(strategy)
    const kind = `${chosen.index} ${chosen.tiesAreEqual}`
    const host = this.hosts.get(kind) ?? (await hostFor(this.pages, strategy))
    this.hosts.set(kind, host)
    return () => {
      host.memory.arena.useChecksum(chosen)
      return host
    }
  }

  close(): void {
    for (const host of this.hosts.values()) host.close()
    askToCollect(this.hosts.size * this.pages * PAGE_SIZE)
  }
}

/** Loads the images, merges them, and leaves the host as it was. Only the merging is timed. @internal */
export function mergeOnce(host: Host, images: readonly Image[]): Lap {
  const guests = images.map((image) => loadGuest(host, image))
  const [wall, cpu] = [systemClock.now(), systemClock.cpu()]
  host.ksm.scan(2)
  const [cpu_ms, wall_ms] = [systemClock.cpu() - cpu, systemClock.now() - wall]
  clear(host, guests)
  return { cpu_ms, wall_ms }
}

/** Ends the guests; the scan drops what is left of them in the trees. */
function clear(host: Host, guests: readonly MergedRange[]): void {
  for (const { mm } of guests) mm.exit()
  host.ksm.scan(1)
  sortFrames(host)
}

/**
 * Gives all free frames back in the order in which they lie, because that is the order in which they are handed out. Merging frees
 * them in another, and a scan of guests whose pages lie all over the place takes twice as long.
 */
function sortFrames(host: Host): void {
  const { free } = host.frames
  const mm = host.createMm()
  const address = mm.mmap(free * PAGE_SIZE)
  const pages = Array.from({ length: free }, (_, page) => address + page * PAGE_SIZE)
  for (const at of pages) mm.write(at, ONE_BYTE)
  const pfns = new Map(pages.map((at) => [at, mm.pfn(at)!]))
  for (const at of pages.sort((a, b) => pfns.get(a)! - pfns.get(b)!)) {
    mm.madvise(at, PAGE_SIZE, 'MADV_DONTNEED')
  }
  mm.exit()
}

const ONE_BYTE = new Uint8Array([1])

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
