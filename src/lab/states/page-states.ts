// What became of every page of some ranges, and which pages belong together. Read from page tables, rmap items and
// contents while nothing is scanning, not from the counters, so that it can be held against them.

import { FRAME_SWAPCACHE, PAGE_SIZE, RMAP_UNSTABLE, ZERO_PFN } from '../../../assembly/abi.ts'
import type { Host } from '../../host.ts'
import { findMergeableVma, mayBeJoined } from '../../ksm/mergeable.ts'
import { wasSkipped } from '../../ksm/smart-scan.ts'
import type { KsmState } from '../../ksm/state.ts'
import type { MmStruct } from '../../mm/model/mm-struct.ts'
import { isKsm } from '../../mm/page/rmap.ts'
import type { MergedRange } from '../merge/sharing.ts'
import { equalFrames } from './contents.ts'
import { PAGE_STATES, type PageState } from './page-state.ts'

/** One entry a page, the ranges one after the other. */
export interface PageStates {
  /** Indexes into PAGE_STATES. */
  readonly states: Uint8Array
  /**
   * Pages that belong together have the same number, counted from 1 in order of appearance: those that share a frame,
   * and unmerged ones with those they are equal to. 0: none.
   */
  readonly groups: Uint32Array
}

/** A frame that some page of the ranges maps. */
interface FrameUse {
  readonly merged: boolean
  readonly domain: string
  /** The range of its first page. */
  readonly range: number
  /** Do pages of several ranges map it? */
  between: boolean
}

/** The frames with one content that a page of one tree could be merged with. */
interface Place {
  readonly domain: string
  readonly nid: number
  frames: number
  /** A merged one, 0 if there is none. */
  mergedPfn: number
  /** May another page join one of the merged ones? */
  room: boolean
}

/** Says what became of each page. To be called at rest; costs a checksum a frame. Throws ESRCH if an mm has exited. */
export function pageStates(host: Host, ranges: readonly MergedRange[]): PageStates {
  const ksm = host.ksm.state
  const frames = new FrameUses(ksm, ranges)
  const pages = ranges.reduce((sum, range) => sum + range.pages, 0)
  const states = new Uint8Array(pages)
  const groups = new Uint32Array(pages)
  const groupByKey = new Map<number, number>()
  let page = 0
  for (const range of ranges) {
    const { mm } = range
    const itemAt = itemsOf(ksm, mm)
    for (const [vpn, pfn] of framesOf(range)) {
      const state = stateOf(ksm, frames, mm, vpn, pfn, itemAt(vpn))
      states[page] = PAGE_STATES.indexOf(state)
      const key = frames.groupKey(mm, pfn, state)
      if (key !== undefined) {
        const group = groupByKey.get(key) ?? groupByKey.size + 1
        groupByKey.set(key, group)
        groups[page] = group
      }
      page++
    }
  }
  return { states, groups }
}

function stateOf(
  ksm: KsmState,
  frames: FrameUses,
  mm: MmStruct,
  vpn: number,
  pfn: number,
  item: number,
): PageState {
  if (pfn === 0) return 'absent'
  if (pfn === ZERO_PFN) return 'zero'
  const use = frames.use(pfn)
  if (use.merged) {
    if (ksm.frames.mapcount(pfn) === 1) return 'alone'
    if (ksm.core.isZeroPage(pfn) !== 0) return 'zero'
    return use.between ? 'shared_between' : 'shared_within'
  }
  if (findMergeableVma(mm, vpn) === undefined) return 'not_eligible'
  if (item === 0) return 'volatile'
  if (ksm.items.state(item) === RMAP_UNSTABLE) return frames.whyUnmerged(mm, pfn)
  if (wasSkipped(ksm, item)) return 'skipped'
  return isHeld(ksm, pfn) && frames.whyUnmerged(mm, pfn) === 'waiting' ? 'waiting' : 'volatile'
}

/** Has somebody a reference on a frame beside those who map it? Then it cannot be write-protected. */
function isHeld({ frames }: KsmState, pfn: number): boolean {
  const cached = frames.hasFlag(pfn, FRAME_SWAPCACHE) ? 1 : 0
  return frames.refcount(pfn) > frames.mapcount(pfn) + cached
}

/** The frames that the pages of some ranges map, and which of them are equal. */
class FrameUses {
  private readonly ksm: KsmState
  private readonly uses = new Map<number, FrameUse>()
  private readonly equal: Map<number, readonly number[]>
  private readonly places = new Map<readonly number[], Place[]>()

  constructor(ksm: KsmState, ranges: readonly MergedRange[]) {
    this.ksm = ksm
    for (const [i, range] of ranges.entries()) {
      for (const [, pfn] of framesOf(range)) if (pfn !== 0) this.note(pfn, i, range.mm.domain)
    }
    this.equal = equalFrames(ksm.memory, this.uses.keys())
  }

  use(pfn: number): FrameUse {
    return this.uses.get(pfn)!
  }

  /** Why a page that has kept still is not merged. */
  whyUnmerged(mm: MmStruct, pfn: number): PageState {
    const places = this.placesOf(pfn)
    if (places.length === 0) return 'unique'
    const nid = this.ksm.treeNid(pfn)
    const own = places.find((place) => place.domain === mm.domain && place.nid === nid)!
    if (own.mergedPfn !== 0) return own.room ? 'waiting' : 'sharing_limit'
    if (own.frames > 1) return 'waiting'
    return places.some((place) => place.domain === mm.domain && place !== own) ? 'other_node' : 'other_domain'
  }

  /** Pages with the same key belong together; undefined: to nobody. */
  groupKey(mm: MmStruct, pfn: number, state: PageState): number | undefined {
    if (state === 'absent' || state === 'unique' || state === 'not_eligible') return undefined
    if (this.use(pfn).merged) return pfn
    if (state === 'volatile' || state === 'skipped') return undefined
    const places = this.placesOf(pfn).filter((place) => place.mergedPfn !== 0)
    const nearest = places.find((place) => place.domain === mm.domain) ?? places[0]
    return nearest?.mergedPfn ?? this.equal.get(pfn)![0]
  }

  private note(pfn: number, range: number, domain: string): void {
    const use = this.uses.get(pfn)
    if (use !== undefined) {
      use.between ||= use.range !== range
      return
    }
    const merged = pfn === ZERO_PFN || isKsm(this.ksm.memory, pfn)
    this.uses.set(pfn, { merged, domain, range, between: false })
  }

  /** Where the content of a frame is found; nowhere if it is the only one with it. */
  private placesOf(pfn: number): readonly Place[] {
    const equal = this.equal.get(pfn)
    if (equal === undefined) return []
    let places = this.places.get(equal)
    if (places === undefined) {
      places = []
      for (const other of equal) this.addTo(places, other)
      this.places.set(equal, places)
    }
    return places
  }

  private addTo(places: Place[], pfn: number): void {
    const { domain, merged } = this.use(pfn)
    const nid = this.ksm.treeNid(pfn)
    let place = places.find((known) => known.domain === domain && known.nid === nid)
    if (place === undefined) {
      place = { domain, nid, frames: 0, mergedPfn: 0, room: false }
      places.push(place)
    }
    place.frames++
    if (!merged) return
    place.mergedPfn ||= pfn
    place.room ||= pfn === ZERO_PFN || mayBeJoined(this.ksm, pfn)
  }
}

/** The virtual pages of a range, each with the frame it maps (0: none). */
function* framesOf({ mm, address, pages }: MergedRange): Generator<[vpn: number, pfn: number]> {
  for (let vpn = address / PAGE_SIZE; vpn < address / PAGE_SIZE + pages; vpn++) {
    yield [vpn, mm.pfn(vpn * PAGE_SIZE) ?? 0]
  }
}

/** Finds the rmap item of a virtual page, 0 if there is none; to be asked in ascending order. */
function itemsOf(ksm: KsmState, mm: MmStruct): (vpn: number) => number {
  const { items } = ksm
  let item = ksm.slots.of(mm)?.rmapList ?? 0
  return (vpn) => {
    while (item !== 0 && items.vpn(item) < vpn) item = items.next(item)
    return item !== 0 && items.vpn(item) === vpn ? item : 0
  }
}
