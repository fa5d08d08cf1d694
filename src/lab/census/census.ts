// A census: whether merging would pay, on memory of any size. Each page is read once and only its fingerprint is kept; what ksmd would
// come to follows from how often each content occurs.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { Image } from '../../image.ts'
import { peakMemory } from '../../platform.ts'
import { Fingerprinter, PRINT_WORDS, samePrint } from './binary.ts'
import { Contents } from './contents.ts'
import { contentsOf, payingMost } from './listed.ts'
import { censusModule } from './module.ts'
import { type CensusOptions, type CensusPlan, censusPlan } from './options.ts'
import { type Counted, countersOf, distinctOf, savedOf, sharedBetween } from './outcome.ts'
import { paceOf, pagesToScanFor } from './pace.ts'
import { Recheck } from './recheck.ts'
import type { CensusResult } from './result.ts'
import { steadyPages } from './steady.ts'

const DEFAULT_MOST = 20
/** Images whose matrix is made; it has as many rows and columns. */
const MATRIX_IMAGES = 1024
/** Two contents come to one sum with a chance of at most 2^-90, and to one SipHash of it with one of 2^-128 (assembly/census.ts). */
const PAIR_BOUND = 2 ** -90 + 2 ** -128

/**
 * Counts what ksmd would come to on images of any size. Throws PagefoldError: EINVAL or ERANGE for a knob or what does not fit together, EIO,
 * ENOMEM for more contents than memory; EUCLEAN if `verify` finds two contents with one fingerprint; TypeError or RangeError for options.
 */
export async function census(options: CensusOptions): Promise<CensusResult> {
  const began = performance.now()
  const plan = censusPlan(options)
  const { images, contents, zeros, zero, notCounted, verified } = await count(plan)
  const counted: Counted = {
    spreads: [...contents.histories.spreads()],
    zeros,
    volatile: notCounted.reduce((sum, { volatile }) => sum + volatile, 0),
    nodes: plan.nodes.nodes,
  }
  await plan.onContents?.(contentsOf(contents, zero, zeros))
  const { counters, profit } = countersOf(counted, plan.knobs)
  const saved = savedOf(counted, plan.knobs)
  const distinct = distinctOf(counted)
  const pages = images.reduce((sum, image, i) => sum + image.pages - notCounted[i]!.gone, 0)
  const zero_pages = zeros.reduce((sum, some) => sum + some, 0)
  const all = contents.count + Math.min(zero_pages, 1)
  const { within } = plan
  return {
    pages,
    distinct: all,
    zero_pages,
    images: images.map(({ source, format, pages, absent = 0 }, i) => ({
      source,
      format,
      pages: pages - notCounted[i]!.gone,
      absent_pages: absent,
      distinct: distinct[i]!,
      zero_pages: zeros[i]!,
      volatile_pages: notCounted[i]!.volatile,
      gone_pages: notCounted[i]!.gone,
      node: plan.nodes.nodes[i]!,
      part_on_other_nodes: plan.nodes.elsewhere[i]!,
    })),
    knobs: plan.knobs,
    nodes_by: plan.nodes.by,
    counters,
    saved,
    bytes_saved: (saved.zero + saved.within + saved.between) * PAGE_SIZE,
    shared_between: images.length > MATRIX_IMAGES ? [] : sharedBetween(counted, plan.knobs),
    profit,
    most: payingMost(contents, images, plan.most ?? DEFAULT_MOST),
    pace: paceOf(pages, plan.knobs),
    ...(within === undefined
      ? {}
      : { pages_to_scan_wanted: pagesToScanFor(pages, plan.knobs.sleep_millisecs, within) }),
    fingerprint_bits: 128,
    collision_bound: Math.min(1, ((all * (all - 1)) / 2) * PAIR_BOUND),
    ...(verified === undefined ? {} : { verified_pages: verified }),
    workers: plan.workers,
    table_bytes: contents.bytes,
    peak_memory_bytes: peakMemory() ?? 0,
    elapsed_ms: Math.round(performance.now() - began),
  }
}

/** Pages of an image that are in no content, and those that were compared. */
interface NotCounted {
  volatile: number
  gone: number
}

/** Meets every page. */
async function count(plan: CensusPlan) {
  const { images, onProgress, locate = false, verify = false, pages } = plan
  const module = censusModule()
  const zero = new Fingerprinter(module, plan.key).zero()
  const zeros = images.map(() => 0)
  const notCounted: NotCounted[] = images.map(() => ({ volatile: 0, gone: 0 }))
  const firsts = firstPages(images)
  const recheck = verify ? new Recheck(images, firsts) : undefined
  const located = locate || verify
  const contents = new Contents(module, { pages, zero, located, again: recheck?.compare })
  let done = 0
  for await (const { stretch, volatile } of steadyPages(plan, module)) {
    const { image, first, count, prints, gone } = stretch
    const page = firsts[image]! + first
    const meet = (from: number, to: number): void => {
      const some = prints.subarray(from * PRINT_WORDS, to * PRINT_WORDS)
      zeros[image]! += contents.meet(some, image, page + from)
      if (recheck !== undefined) expectZeros(recheck, some, zero, page + from)
    }
    let from = 0
    for (let i = 0; (gone ?? volatile) !== undefined && i < count; i++) {
      if (!gone?.[i] && !volatile?.[i]) continue
      notCounted[image]![gone?.[i] ? 'gone' : 'volatile']++
      if (from < i) meet(from, i)
      from = i + 1
    }
    meet(from, count)
    done += count
    onProgress?.(done, pages)
  }
  contents.settle()
  return { images, contents, zeros, zero, notCounted, verified: recheck?.verified }
}

function expectZeros(recheck: Recheck, prints: Uint32Array, zero: Uint32Array, page: number): void {
  for (let i = 0; i < prints.length / PRINT_WORDS; i++) {
    if (samePrint(prints, i, zero, 0)) recheck.expectZeros(page + i)
  }
}

/** The first page of each image among those of all. */
function firstPages(images: readonly Image[]): number[] {
  let all = 0
  return images.map(({ pages }) => {
    all += pages
    return all - pages
  })
}
