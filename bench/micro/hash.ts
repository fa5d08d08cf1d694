// What one page's checksum costs, for every checksum: on a page in the cache, and page after page through more memory
// than any cache holds, as a scan meets them.

import { PAGE_SIZE, WORDS_PER_PAGE } from '../../assembly/abi.ts'
import { resampler } from '../../src/core/hasher.ts'
import { Pages } from '../../src/lab/hash/pages.ts'
import { type Compared, strategyOf } from '../../src/lab/hash/traits.ts'
import { checksumName } from '../../src/options.ts'
import { type HashCost, type Timing, USER_CHECKSUM } from '../../src/report/index.ts'
import { xxhashWasm } from '../peers/xxhash-wasm.ts'
import { type MicroCase, type MicroResult, runGroup } from './suite.ts'

const COLD_PAGES = 16_384

export interface HashCostOptions {
  readonly checksums: readonly Compared[]
  readonly sampleWords: number
  /** Seconds for each of the measurements, about. */
  readonly seconds: number
  readonly onProgress?: (done: number, of: number) => void
}

/** Times every checksum asked for, and xxhash-wasm's. */
export async function hashCosts(options: HashCostOptions): Promise<HashCost[]> {
  const pages = await Pages.ofFamily('random', COLD_PAGES, 1)
  const { arena } = pages
  const user = await xxhashWasm()
  const views = Array.from({ length: COLD_PAGES }, (_, page) => arena.page(arena.firstPfn + page))
  const costs: HashCost[] = []
  for (const checksum of [...options.checksums, USER_CHECKSUM] as const) {
    options.onProgress?.(costs.length, options.checksums.length + 1)
    if (checksum !== USER_CHECKSUM) pages.use(strategyOf(checksum, options.sampleWords))
    const hash =
      checksum === USER_CHECKSUM ? (page: number) => Number(user(views[page]!) & 0xffn) : pages.hasher()
    const name = checksum === USER_CHECKSUM ? checksum : checksumName({ checksum })
    costs.push({ checksum: name, ...(await hotAndCold(hash, options.seconds)) })
  }
  return costs
}

/** Times the change of a sample's strength by half as much again, on a cold page: the rest need not be read again. */
export async function resampleCost(sampleWords: number, seconds: number): Promise<Timing> {
  const pages = await Pages.ofFamily('random', COLD_PAGES, 1)
  pages.use(strategyOf('sampled', sampleWords))
  const { firstPfn } = pages.arena
  const resample = resampler(pages.arena, sampleWords, Math.min(WORDS_PER_PAGE, Math.ceil(sampleWords * 1.5)))
  const { cold } = await hotAndCold((page) => resample(firstPfn + page), seconds)
  return cold
}

async function hotAndCold(
  hash: (page: number) => number,
  seconds: number,
): Promise<{ hot: Timing; cold: Timing }> {
  let at = 0
  const cases: MicroCase[] = [
    { name: 'hot', bytes: PAGE_SIZE, run: () => hash(0) },
    {
      name: 'cold',
      bytes: PAGE_SIZE,
      run: () => {
        at = (at + 1) % COLD_PAGES
        return hash(at)
      },
    },
  ]
  const [hot, cold] = await runGroup({ name: 'hash', cases }, false, seconds)
  return { hot: timing(hot!), cold: timing(cold!) }
}

function timing({ ns, rme, samples }: MicroResult): Timing {
  return { ns, rme, samples }
}
