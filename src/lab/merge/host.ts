// A host made for memory images, and an image taken into it: what everything here that merges some begins with.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { fits } from '../../core/arena.ts'
import { expectBoolean, expectInteger, expectOptions, PagefoldError } from '../../errors.ts'
import { Host } from '../../host.ts'
import type { Image } from '../../image.ts'
import { type Clock, stillClock } from '../../ksm/clock.ts'
import type { ScanPolicy } from '../../ksm/policy.ts'
import type { ChangesPolicy, GuestsPolicy, KnobName } from '../../ksm/tunables.ts'
import { STRATEGY_OPTIONS, type StrategyOptions } from '../../options.ts'
import { adviseHugePages } from './huge-pages.ts'
import type { MergedRange } from './sharing.ts'

/** How `hostFor` makes its host. */
export interface ImageHostOptions extends StrategyOptions {
  /** `still`: what would take two scans to merge is merged in one. Default: `running`, as Linux. */
  readonly guests?: GuestsPolicy
  /** How ksmd knows that a page has changed: the same result, another cost. Default: `log`. */
  readonly changes?: ChangesPolicy
  /** Threads that take checksums ahead of the scan. Default: 0. */
  readonly workers?: number
  /** Have the arena in huge pages, as `adviseHugePages` does. Default: false. */
  readonly hugePages?: boolean
  /** Which pages are passed over: a policy of your own. Default: none are. */
  readonly policy?: ScanPolicy
  /** Knobs to write before ksmd is let run. `smart_scan` is 0 unless given, or a policy is: images hold still. */
  readonly knobs?: Partial<Record<KnobName, number | string>>
  /** In how many mms the pages are: each has page tables of its own. Default: 1. */
  readonly mms?: number
  /** Default: one that stands still, so that what comes out does not depend on the speed of the machine. */
  readonly clock?: Clock
}

/** What four page tables, one a level, take the room of. */
const MAPPINGS_FOR_TABLES = 128

/** Every page has a frame of its own at first; breaking a merge takes the new frame before it gives up the old. */
const capacityFor = (pages: number, mms = 1) => ({
  frames: pages + 1,
  mappings: pages + 1024 + MAPPINGS_FOR_TABLES * mms,
})

/** Most pages of images that one host takes, in one mm, some 3.9 GiB: an arena is a WebAssembly memory, and those end at 4 GiB. */
export const MAX_IMAGE_PAGES: number = mostPages()

function mostPages(): number {
  let [low, high] = [1, 2 ** 32 / PAGE_SIZE]
  while (high - low > 1) {
    const middle = (low + high) >>> 1
    if (fits(capacityFor(middle))) low = middle
    else high = middle
  }
  return low
}

const IMAGE_HOST_OPTIONS: Readonly<Record<keyof ImageHostOptions, true>> = {
  guests: true,
  changes: true,
  workers: true,
  hugePages: true,
  policy: true,
  knobs: true,
  clock: true,
  mms: true,
  ...STRATEGY_OPTIONS,
}

/**
 * Makes a host with room for `pages` pages of images, its ksmd running and told nothing else than `options`; the caller
 * closes it. Throws PagefoldError: ENOMEM for more pages than an arena holds, ENOTSUP for huge pages that are not to be had, EINVAL or ERANGE for a knob; TypeError or
 * RangeError for a strategy there is not, or a checksum of your own that is not what it says.
 */
export function hostFor(pages: number, options: ImageHostOptions = {}): Promise<Host> {
  return hostMadeBy(Host.create, pages, options)
}

/** The same by another way of making hosts. @internal */
export async function hostMadeBy(
  make: typeof Host.create,
  pages: number,
  options: ImageHostOptions,
): Promise<Host> {
  expectOptions('hostFor', options, IMAGE_HOST_OPTIONS)
  const { knobs = {}, mms = 1, clock = stillClock, hugePages = false, ...given } = options
  expectBoolean('hugePages', hugePages)
  expectInteger('mms', mms, 0, MAX_IMAGE_PAGES)
  expectInteger('pages', pages, 0, Number.MAX_SAFE_INTEGER - 1024)
  const capacity = capacityFor(pages, mms)
  if (!fits(capacity)) {
    const tables = mms > 1 ? ` and the page tables of ${mms} mms` : ''
    throw new PagefoldError(
      'ENOMEM',
      `${pages} pages${tables} are more than an arena holds, ${MAX_IMAGE_PAGES}`,
    )
  }
  const host = await make({ ...capacity, ...given, clock })
  try {
    if (hugePages) adviseHugePages(host)
    if (given.policy === undefined) host.ksm.set('smart_scan', 0)
    for (const [name, value] of Object.entries(knobs)) host.ksm.set(name as KnobName, value)
    host.ksm.set('run', 1)
    return host
  } catch (error) {
    host.close()
    throw error
  }
}

/**
 * Takes an image into a host as a guest of its own, in one mapping that may be merged; `onProgress` hears how many pages
 * are in. The image may be closed afterwards. Throws PagefoldError: ENOMEM, EIO.
 */
export function loadGuest(host: Host, image: Image, onProgress?: (pages: number) => void): MergedRange {
  const { mm, address } = host.loadImage(image, onProgress === undefined ? {} : { onProgress })
  mm.madvise(address, image.pages * PAGE_SIZE, 'MADV_MERGEABLE')
  return { mm, address, pages: image.pages }
}
