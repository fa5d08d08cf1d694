// What one page's checksum costs, for every checksum: on a page in the cache, and page after page through more memory
// than any cache holds, as a scan meets them. All take turns, what others make of the same work among them: the package that a
// JavaScript program has, and the machine's own library in C.

import { PAGE_SIZE, WORDS_PER_PAGE } from '../../assembly/abi.ts'
import { resampler } from '../../src/core/hasher.ts'
import { Pages } from '../../src/lab/hash/pages.ts'
import { type Compared, strategyOf } from '../../src/lab/hash/traits.ts'
import { type Candidate, inRounds, type Load, ranksOf } from '../../src/lab/index.ts'
import { checksumName } from '../../src/options.ts'
import {
  type BenchmarkJs,
  type HashCost,
  type NativeLibrary,
  type RankedTiming,
  type Timing,
  USER_CHECKSUM,
} from '../../src/report/index.ts'
import { Libxxhash } from '../peers/libxxhash.ts'
import { xxhashWasm } from '../peers/xxhash-wasm.ts'
import { type Batch, batches, benchmarkJs, type Effort, type MicroCase, sized, timeOf } from './suite.ts'

/** 64 MiB. */
const COLD_PAGES = 16_384

export interface HashCostOptions extends Effort {
  readonly checksums: readonly Compared[]
  readonly sampleWords: number
  readonly onProgress?: (done: number, of: number) => void
}

/** What was found. */
export interface HashCosts {
  /** One for each checksum asked for, and xxhash-wasm's. */
  readonly costs: readonly HashCost[]
  /** The change of a sample's strength by half as much again, on a cold page: the rest need not be read again. */
  readonly resample: Timing
  /** The library in C, or why it is not here. */
  readonly native: NativeLibrary
  readonly timing_load: Load
}

const TEMPERATURES = ['hot', 'cold'] as const
type Temperature = (typeof TEMPERATURES)[number]
const RESAMPLE = 'resample'

/** Times them. Throws ENOENT if a package is missing. */
export async function hashCosts(options: HashCostOptions): Promise<HashCosts> {
  const { checksums } = options
  const names = [...checksums.map((checksum) => checksumName({ checksum })), USER_CHECKSUM]
  const cases = await casesOf(options)
  const native = await Libxxhash.start(COLD_PAGES)
  try {
    const candidates: Candidate<Batch>[] = []
    for (const one of cases) candidates.push(await batches(one, options))
    if (typeof native !== 'string') candidates.push(...(await nativeCandidates(native, options)))
    const { laps, load } = await inRounds(candidates, { ...options, warmUp: 1 })
    const theirs = await benchmarkJs(cases, options)
    const timings = (temperature: Temperature): RankedTiming[] => {
      const found = names.map((name) => timing(laps, theirs, nameOf(name, temperature)))
      return ranksOf(found).map((rank, i) => ({ ...found[i]!, rank }))
    }
    const [hot, cold] = [timings('hot'), timings('cold')]
    const nativeCost = (checksum: string): Pick<HashCost, 'native'> => {
      if (typeof native === 'string' || !Libxxhash.has(checksum)) return {}
      const of = (temperature: Temperature) => timeOf(laps.get(nativeName(checksum, temperature))!)
      return { native: { hot: of('hot'), cold: of('cold') } }
    }
    return {
      costs: names.map((checksum, i) => ({
        checksum,
        hot: hot[i]!,
        cold: cold[i]!,
        ...nativeCost(checksum),
      })),
      resample: timing(laps, theirs, RESAMPLE),
      native: typeof native === 'string' ? { unavailable: native } : { version: native.version },
      timing_load: load,
    }
  } finally {
    if (typeof native !== 'string') await native.stop()
  }
}

async function casesOf({ checksums, sampleWords }: HashCostOptions): Promise<MicroCase[]> {
  const pages = await Pages.ofFamily('random', COLD_PAGES, 1)
  const { arena } = pages
  const resample = resampler(arena, sampleWords, Math.min(WORDS_PER_PAGE, Math.ceil(sampleWords * 1.5)))
  // One place for all of them: what one has read the next does not find in the cache.
  let at = 0
  const next = (): number => {
    at = (at + 1) % COLD_PAGES
    return at
  }
  const hash = pages.hasher()
  const own = checksums.flatMap((checksum): MicroCase[] => {
    const one = { bytes: PAGE_SIZE, prepare: () => pages.use(strategyOf(checksum, sampleWords)) }
    const name = checksumName({ checksum })
    return [
      { ...one, name: nameOf(name, 'hot'), run: () => hash(0) },
      { ...one, name: nameOf(name, 'cold'), run: () => hash(next()) },
    ]
  })
  // In memory that is not shared, as a JavaScript program has it.
  const plain = arena.pages(arena.firstPfn, COLD_PAGES).slice()
  const views = Array.from({ length: COLD_PAGES }, (_, page) =>
    plain.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE),
  )
  const user = await xxhashWasm()
  const first = views[0]!
  return [
    ...own,
    {
      name: nameOf(USER_CHECKSUM, 'hot'),
      bytes: PAGE_SIZE,
      run: () => Number(user(first) & 0xffn),
    },
    {
      name: nameOf(USER_CHECKSUM, 'cold'),
      bytes: PAGE_SIZE,
      run: () => Number(user(views[next()]!) & 0xffn),
    },
    {
      name: RESAMPLE,
      bytes: PAGE_SIZE,
      prepare: () => pages.use(strategyOf('sampled', sampleWords)),
      run: () => resample(arena.firstPfn + next()),
    },
  ]
}

async function nativeCandidates(
  library: Libxxhash,
  { checksums, ...effort }: HashCostOptions,
): Promise<Candidate<Batch>[]> {
  const candidates: Candidate<Batch>[] = []
  const names = checksums.map((checksum) => checksumName({ checksum }))
  for (const checksum of names.filter(Libxxhash.has)) {
    for (const temperature of TEMPERATURES) {
      const batch = async (calls: number): Promise<Batch> => {
        const lap = await library.hash(checksum, temperature === 'cold', calls)
        return { ...lap, outside_ms: lap.cpu_ms, calls }
      }
      candidates.push(await sized(nativeName(checksum, temperature), batch, effort))
    }
  }
  return candidates
}

function nameOf(checksum: string, temperature: Temperature): string {
  return `${checksum} ${temperature}`
}

function nativeName(checksum: string, temperature: Temperature): string {
  return `C ${nameOf(checksum, temperature)}`
}

function timing(
  laps: ReadonlyMap<string, readonly Batch[]>,
  theirs: ReadonlyMap<string, BenchmarkJs>,
  name: string,
): Timing {
  const time = timeOf(laps.get(name)!)
  const { median: median_ns, low: low_ns, high: high_ns } = time
  return { ...time, median_ns, low_ns, high_ns, benchmark_js: theirs.get(name)! }
}
