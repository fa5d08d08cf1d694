// A frame's descriptor in words, for eyes and tests.

import {
  FRAME_DIRTY,
  FRAME_EXCLUSIVE,
  FRAME_LOCKED,
  FRAME_NOT_UPTODATE,
  FRAME_OFFLINE,
  FRAME_PINNED,
  FRAME_POISONED,
  FRAME_SWAPCACHE,
  MAPPING_ANON,
  MAPPING_KSM,
  MAPPING_TAG,
} from '../../../assembly/abi.ts'
import type { Frames } from './frames.ts'

/** What a frame's descriptor says. Linux: struct page, dump_page() */
export interface FrameInfo {
  readonly pfn: number
  /** References: one for each mapping and pin, and one for the swap cache. */
  readonly refcount: number
  /** Ptes that map it. */
  readonly mapcount: number
  /** Whose page it is. `anon`: an ordinary one; `ksm`: a merged one; undefined: free. `id` tells owners apart. */
  readonly mapping: { readonly kind: 'anon' | 'ksm'; readonly id: number } | undefined
  /** For an ordinary anonymous page: the virtual page number it was first mapped at. */
  readonly index: number
  /** The NUMA node it lies on. */
  readonly node: number
  /** What is set: `locked`, `exclusive`, `dirty`, `swapcache`, `hwpoison`, `pinned`, `offline`, `not uptodate`. */
  readonly flags: readonly string[]
}

const FLAG_NAMES: readonly [number, string][] = [
  [FRAME_LOCKED, 'locked'],
  [FRAME_EXCLUSIVE, 'exclusive'],
  [FRAME_DIRTY, 'dirty'],
  [FRAME_SWAPCACHE, 'swapcache'],
  [FRAME_POISONED, 'hwpoison'],
  [FRAME_PINNED, 'pinned'],
  [FRAME_OFFLINE, 'offline'],
  [FRAME_NOT_UPTODATE, 'not uptodate'],
]

/** Reads the descriptor of a frame. */
export function describeFrame(frames: Frames, pfn: number): FrameInfo {
  const mapping = frames.mapping(pfn)
  const flags = frames.flags(pfn)
  return {
    pfn,
    refcount: frames.refcount(pfn),
    mapcount: frames.mapcount(pfn),
    mapping: (mapping & MAPPING_ANON) === 0 ? undefined : mappingInfo(mapping),
    index: frames.index(pfn),
    node: frames.nid(pfn),
    flags: FLAG_NAMES.filter(([bit]) => (flags & bit) !== 0).map(([, name]) => name),
  }
}

function mappingInfo(mapping: number): FrameInfo['mapping'] {
  const ksm = (mapping & MAPPING_TAG) === MAPPING_KSM
  return { kind: ksm ? 'ksm' : 'anon', id: mapping >>> 2 }
}
