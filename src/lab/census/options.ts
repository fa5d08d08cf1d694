// What a census can be told: its options, checked, with nothing left open.

import { expectBoolean, expectInteger, expectOptions, mistake, PagefoldError } from '../../errors.ts'
import { MAX_WORKERS } from '../../host-options.ts'
import type { Image } from '../../image.ts'
import { defaultTunables, parseKnob } from '../../ksm/tunables.ts'
import { processors } from '../../platform.ts'
import { expectSameShape } from '../merge/same-shape.ts'
import { censusKey } from './key.ts'
import type { CensusContents } from './listed.ts'
import { nodesOfImages } from './nodes.ts'
import { CENSUS_KNOBS, type CensusKnob } from './result.ts'

/** What `census` counts, and how. Only `images` must be given. */
export interface CensusOptions {
  /** One mm each, in this order. They stay open. */
  readonly images: readonly Image[]
  /** The same images at a later moment: a page that differs is volatile, and merges with nothing. */
  readonly later?: readonly Image[]
  /** Reads the images once more, so many milliseconds after the first time: what differs is volatile. 8 bytes a page. */
  readonly againAfter?: number
  /** Knobs as they would be; default: Linux's. */
  readonly knobs?: Partial<Record<CensusKnob, number | string>>
  /** The NUMA node of each image, for merge_across_nodes=0. Default: where most of its pages lie, if all images tell; else all on one. */
  readonly nodes?: readonly number[]
  /** Key of the fingerprints, 32 hexadecimal digits: the same in censuses that are to be joined. Default: drawn anew. */
  readonly key?: string
  /** Compares the bytes of every page with those of the first that had its fingerprint. Four bytes a content, and slow. */
  readonly verify?: boolean
  /** Says where contents were first met. Four bytes a content. */
  readonly locate?: boolean
  /** Contents that pay most are listed, at most so many. Default: 20. */
  readonly most?: number
  /** Milliseconds in which all should be merged: says what pages_to_scan does it. */
  readonly within?: number
  /** Threads that read beside this one. Default: with it one a processor, at most 8; none for less than 512 MiB. */
  readonly workers?: number
  /** Called now and then: pages read, of how many. */
  readonly onProgress?: (done: number, of: number) => void
  /** Called at the end with every content, while they are there. */
  readonly onContents?: (contents: CensusContents) => void | Promise<void>
}

const OPTIONS: Readonly<Record<keyof CensusOptions, true>> = {
  images: true,
  later: true,
  againAfter: true,
  knobs: true,
  nodes: true,
  key: true,
  verify: true,
  locate: true,
  most: true,
  within: true,
  workers: true,
  onProgress: true,
  onContents: true,
}

const MOST_DEFAULT_THREADS = 8
/** Fewer pages are read sooner than threads have started. */
const FEW_PAGES = 131_072

/** The options of a census, checked. */
export type CensusPlan = ReturnType<typeof censusPlan>

/** Checks the options and fills in what they leave open. Throws what `census` does. */
export function censusPlan(given: CensusOptions) {
  const options = expectOptions('census', given, OPTIONS)
  const { images, later = [], nodes, most, againAfter, within } = options
  if (images.length === 0) throw new PagefoldError('EINVAL', 'no image to count')
  for (const [name, number] of Object.entries({ most, againAfter, within })) {
    if (number !== undefined) expectInteger(name, number, 0, Number.MAX_SAFE_INTEGER)
  }
  for (const name of ['verify', 'locate'] as const) {
    if (options[name] !== undefined) expectBoolean(name, options[name])
  }
  if (later.length > 0 && againAfter !== undefined) {
    throw mistake(new TypeError('census: `later` or `againAfter`, not both'))
  }
  expectSameShape(images, later)
  if (nodes !== undefined && nodes.length !== images.length) {
    throw new PagefoldError('EINVAL', `${nodes.length} nodes for ${images.length} images`)
  }
  for (const node of nodes ?? []) expectInteger('nodes', node, 0, 2 ** 31 - 1)
  const pages = images.reduce((sum, image) => sum + image.pages, 0)
  const threads = pages < FEW_PAGES ? 1 : Math.min(processors(), MOST_DEFAULT_THREADS)
  const workers = expectInteger('workers', options.workers ?? threads - 1, 0, MAX_WORKERS)
  return {
    ...options,
    knobs: knobsOf(options.knobs ?? {}),
    nodes: nodesOfImages(images, nodes),
    pages,
    workers,
    key: censusKey(options.key),
  }
}

function knobsOf(given: Partial<Record<string, number | string>>): Record<CensusKnob, number> {
  const known: readonly string[] = CENSUS_KNOBS
  for (const name of Object.keys(given)) {
    if (known.includes(name)) continue
    throw new PagefoldError(
      'EINVAL',
      `no knob "${name}" that a census goes by; there are: ${CENSUS_KNOBS.join(', ')}`,
    )
  }
  const boot = defaultTunables()
  const pairs = CENSUS_KNOBS.map((name) => [name, parseKnob(name, given[name] ?? boot[name])])
  return Object.fromEntries(pairs) as Record<CensusKnob, number>
}
