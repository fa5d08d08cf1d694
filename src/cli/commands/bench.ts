// pagefold bench: merge throughput beside its peers.

import { type BenchResult, bench, Disagreement } from '../../../bench/macro/bench.ts'
import { PEERS } from '../../../bench/peers/index.ts'
import { CHECKSUM_NAMES, INDEX_NAMES, openSources } from '../../index.ts'
import { bold, bytes, count, plural, table } from '../format.ts'
import { Progress } from '../progress.ts'
import { expectName, expectNumber, parse, UsageError } from '../usage.ts'

const OTHERS = PEERS.map(({ name }) => name).filter((name) => name !== 'pagefold')
const DEFAULT_TRIALS = 5
const DEFAULT_SOURCE = 'synth:demo,pages=16384'

export const summary = 'merge throughput beside its peers: the same bytes in the same run'

export const help = `usage: pagefold bench [SOURCE...] [options]

Merges the same pages with pagefold and its peers, each trial in a process of its own, in turns, and compares the time
to converge (two full scans) and of a rescan. Every peer must merge the same pages with the same, or the exit code is 1.

  SOURCE                as for scan (default: ${DEFAULT_SOURCE})
  --peers NAME,NAME     ${OTHERS.join(', ')} (default: all); one that is not available says why
  --trials N            trials a peer, of which the medians are shown (default: ${DEFAULT_TRIALS})
  --index NAME          pagefold's: ${INDEX_NAMES.join(', ')} (default: hash)
  --checksum NAME       pagefold's: ${CHECKSUM_NAMES.join(', ')} (default: xxh3)
  --json                print one JSON object instead of text
  --help                this text`

const OPTIONS = {
  peers: { type: 'string' },
  trials: { type: 'string' },
  index: { type: 'string' },
  checksum: { type: 'string' },
  json: { type: 'boolean' },
} as const

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parse({ args, options: OPTIONS, allowPositionals: true, strict: true })
  const peers = values.peers?.split(',').filter((name) => name !== '')
  const unknown = peers?.find((name) => !OTHERS.includes(name) && name !== 'pagefold')
  if (unknown !== undefined)
    throw new UsageError(`--peers: no peer "${unknown}"; there are: ${OTHERS.join(', ')}`)
  const trials = expectNumber('--trials', values.trials, 1) ?? DEFAULT_TRIALS
  const index = expectName('--index', values.index, INDEX_NAMES) ?? 'hash'
  const checksum = expectName('--checksum', values.checksum, CHECKSUM_NAMES) ?? 'xxh3'
  const images = openSources(positionals.length > 0 ? positionals : [DEFAULT_SOURCE])
  const progress = new Progress()
  try {
    const result = bench({
      images,
      trials,
      index,
      checksum,
      ...(peers === undefined ? {} : { peers }),
      onProgress: (done, of, peer) => progress.show(`${peer.padEnd(8)}`, done, of),
    })
    progress.clear()
    console.log(values.json ? JSON.stringify(result) : describe(result))
    return 0
  } catch (error) {
    if (!(error instanceof Disagreement)) throw error
    progress.clear()
    console.error(`pagefold: ${error.message}`)
    return 1
  } finally {
    for (const image of images) image.close()
  }
}

function describe(result: BenchResult): string {
  const rows = Object.entries(result.peers).filter(([, peer]) => !('unavailable' in peer)) as [
    string,
    Exclude<BenchResult['peers'][string], { unavailable: string }>,
  ][]
  const missing = Object.entries(result.peers).flatMap(([name, peer]) =>
    'unavailable' in peer ? [`${name}: not available: ${peer.unavailable}`] : [],
  )
  const { pages_shared, pages_sharing, pages_unshared } = result.counters
  const head = `${plural(result.pages, 'page')}, ${bytes(result.pages * 4096)}; every peer: pages_shared ${count(pages_shared)}, pages_sharing ${count(pages_sharing)}, pages_unshared ${count(pages_unshared)}, digest ${result.digest}`
  const spread = (values: number[]): string =>
    `${Math.min(...values).toFixed(0)}..${Math.max(...values).toFixed(0)}`
  return [
    bold(head),
    table([
      { title: 'peer', cells: rows.map(([name]) => name) },
      { title: 'converge ns/page', cells: rows.map(([, peer]) => peer.converge_ns_per_page.toFixed(0)) },
      {
        title: 'min..max',
        cells: rows.map(([, peer]) => spread(peer.samples.map((sample) => sample.converge_ns_per_page))),
      },
      { title: 'rescan ns/page', cells: rows.map(([, peer]) => peer.rescan_ns_per_page.toFixed(0)) },
      { title: 'time over pagefold', cells: rows.map(([name]) => (result.ratios[name] ?? 1).toFixed(2)) },
    ]),
    ...missing,
  ].join('\n\n')
}
