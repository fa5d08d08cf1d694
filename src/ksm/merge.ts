// The heart: what ksmd does with one page. Search first, commit later, compare again in between: whatever fails on the
// way is ordinary, leaves everything as it was, and is tried again in the next scan.
//
// Linux: cmp_and_merge_page() and below

import { FRAME_DIRTY, FRAME_LOCKED, MAPPING_KSM, RMAP_UNSTABLE, ZERO_PFN } from '../../assembly/abi.ts'
import { EAGAIN } from '../../assembly/hypervisor/layout.ts'
import { StableNodes } from '../core/stable-nodes.ts'
import type { MmStruct } from '../mm/model/mm-struct.ts'
import type { Vma } from '../mm/model/vma.ts'
import { markSoftDirty } from '../mm/page/ptes.ts'
import type { Batch } from './batch.ts'
import { BUSY } from './keyhole.ts'
import { findMergeableVma, presentPage, presentPageOf } from './mergeable.ts'
import { replacePage, writeProtectPage } from './replace.ts'
import { removeRmapItemFromTree } from './rmap-item.ts'
import { settleStable, staysSettled } from './settled.ts'
import { markAgain, testAndClearSoftDirty } from './soft-dirty.ts'
import { setAside, stableTreeInsert, stableTreeSearch } from './stable.ts'
import { canCount, hasNode, stableTreeAppend } from './stable-node.ts'
import type { KsmState, Trees } from './state.ts'
import { breakCow } from './unmerge.ts'
import { unstableTreeRemove, unstableTreeSearchInsert } from './unstable.ts'

/** Why a merge did not happen; 0 is success. Linux returns these negative. */
const OK = 0
const EFAULT = 14
/** The contents turned out different. Linux says EFAULT to this too. */
const DIFFERENT = 85

/** Deals with the first `count` pages of the window, in order. */
export function visitWindow(batch: Batch, count: number): void {
  const { ksm, window } = batch
  const { items, core, memory } = ksm
  // A window holds pages of one mm.
  const mm = memory.mm(items.mm(window.item(window.position(0))))
  const trees = ksm.treesOf(mm)
  batch.now = Math.floor(ksm.clock.now())
  if (batch.watched) {
    core.takeBack(window.position(0), count)
    for (let i = 0; i < count; i++) {
      visitWatched(batch, mm, trees, window.position(i))
      // Otherwise a virtual CPU would wait for the end of the batch.
      memory.cpuThreads.serve(EAGAIN)
    }
    return
  }
  core.hashWindow(window.position(0), count, trees.stable[0]!, trees.unstable[0]!)
  for (let i = 0; i < count; i++) {
    const at = window.position(i)
    visit(batch, trees, at)
    if (ksm.unsettled.length > 0) visitUnsettled(batch, mm, trees, at, i + 1)
  }
}

/** Deals with one page of the window. */
function visit(batch: Batch, trees: Trees, at: number): void {
  const { ksm, window } = batch
  const item = window.item(at)
  const pfn = window.pfn(at)
  if (!isCandidate(batch, at, item, pfn)) return
  ksm.frames.get(pfn)
  cmpAndMergePage(batch, trees, at, item, pfn)
  ksm.frames.put(pfn)
}

/**
 * Deals with the pages that were passed over and have a visit to come after all, as far as they lie before the page that
 * waits behind `others`. `at`: a place in the window that is not needed any more.
 */
function visitUnsettled(batch: Batch, mm: MmStruct, trees: Trees, at: number, others: number): void {
  const { window, ksm } = batch
  const { items, unsettled } = ksm
  const border = others < window.length ? items.vpn(window.item(window.position(others))) : Infinity
  while (unsettled.length > 0 && items.vpn(unsettled[0]!) <= border) {
    const item = unsettled.shift()!
    // It was not passed over, but waits for its turn.
    if (items.vpn(item) === border) continue
    window.set(at, item, presentPage(mm, items.vpn(item)), 'item')
    visit(batch, trees, at)
  }
}

/**
 * Deals with one page of the window while somebody acts in the middle of merges: they may have changed what the
 * cursor saw, and the bytes themselves, and may do so while the page is looked at.
 */
function visitWatched(batch: Batch, mm: MmStruct, trees: Trees, at: number): void {
  const { ksm, window } = batch
  const { frames, items, core, memory } = ksm
  const item = window.item(at)
  memory.race?.('scan: between cursor and merge')
  const pfn = mm.users === 0 ? 0 : presentPage(mm, items.vpn(item))
  if (pfn === 0 || !frames.tryGet(pfn)) {
    // It must not stay in the unstable tree for longer than one scan.
    if (items.state(item) === RMAP_UNSTABLE) unstableTreeRemove(ksm, item)
    return
  }
  if (hasNode(ksm, pfn)) window.set(at, item, pfn, 'node')
  else window.set(at, item, pfn, testAndClearSoftDirty(ksm, mm, items.vpn(item), pfn, 1) ? 'page' : 'item')
  memory.race?.('scan: before checksum')
  try {
    core.hashWindow(at, 1, trees.stable[0]!, trees.unstable[0]!)
  } catch (error) {
    frames.put(pfn) // the checksum may be an embedder's: nothing is to be left half done
    throw error
  }
  if (isCandidate(batch, at, item, pfn)) cmpAndMergePage(batch, trees, at, item, pfn)
  frames.put(pfn)
  memory.race?.('scan: between pages')
}

/**
 * Did the page keep still since the last visit (or do all, the guests being stopped), or is it a merged page that this
 * mm has from a fork? Otherwise there is no more to do for it. The first half of Linux: cmp_and_merge_page()
 */
function isCandidate(batch: Batch, at: number, item: number, pfn: number): boolean {
  const { ksm } = batch
  const pageNode = StableNodes.ofMapping(ksm.frames.mapping(pfn))
  if (pageNode !== 0) {
    const { nodes } = ksm
    if (!nodes.isMigrating(pageNode)) {
      if (ksm.treeNid(nodes.pfn(pageNode)) !== nodes.nid(pageNode)) setAside(ksm, pageNode)
      else if (ksm.items.head(item) === pageNode) {
        settleStable(ksm, item)
        return false
      }
    }
    return true
  }
  if (staysSettled(ksm, item, batch.window.keyOf(at))) return false
  if (!removeRmapItemFromTree(ksm, item)) {
    markAgain(ksm, item)
    return false
  }
  const changed = ksm.core.checksumChanged(at) !== 0
  return !changed || ksm.guestsAreStill
}

/**
 * Merges a page with an equal one, or makes it findable for those to come. The caller holds a reference on it.
 * The second half of Linux: cmp_and_merge_page()
 */
function cmpAndMergePage(batch: Batch, trees: Trees, at: number, item: number, pfn: number): void {
  const { ksm } = batch
  if (ksm.tunables.use_zero_pages !== 0 && mergedWithZeroPage(ksm, item, pfn)) return

  // A page with a node was not hashed: its checksum stands in the node.
  const pageNode = StableNodes.ofMapping(ksm.frames.mapping(pfn))
  const key = pageNode === 0 ? batch.window.keyOf(at) : ksm.nodes.keyOf(pageNode)
  // First by checksum alone where that is the order: the merge compares anyway. Only if it finds the contents different
  // is it worth comparing on the way down too.
  if (joinKsmPage(batch, trees, item, pfn, key, ksm.trustsTies)) return
  const treeItem = unstableTreeSearchInsert(ksm, trees, item, pfn, key)
  if (treeItem !== 0) mergeTwoItems(batch, trees, item, pfn, key, treeItem)
}

/**
 * Merges a page with one that is merged already. False if there is none it could join. `byChecksum`: take equal
 * checksums for equal contents while searching.
 */
function joinKsmPage(
  batch: Batch,
  trees: Trees,
  item: number,
  pfn: number,
  key: number,
  byChecksum: boolean,
): boolean {
  const { ksm } = batch
  const ksmPfn = stableTreeSearch(batch, trees, pfn, key, byChecksum)
  // A page that moved to another NUMA node and found its place there.
  if (ksmPfn === pfn && ksm.items.head(item) === StableNodes.ofMapping(ksm.frames.mapping(pfn))) {
    ksm.frames.put(pfn)
    return true
  }
  const removed = removeRmapItemFromTree(ksm, item)
  if (ksmPfn === BUSY || !removed) {
    if (ksmPfn > 0) ksm.frames.put(ksmPfn)
    return true
  }
  if (ksmPfn === 0) return false
  if (!canCount(ksm, StableNodes.ofMapping(ksm.frames.mapping(ksmPfn)))) {
    ksm.frames.put(ksmPfn)
    return true
  }
  const err = tryToMergeWithKsmPage(ksm, item, pfn, ksmPfn)
  if (err === OK) appendAndSettle(ksm, item, StableNodes.ofMapping(ksm.frames.mapping(ksmPfn)))
  ksm.frames.put(ksmPfn)
  return err === DIFFERENT && byChecksum ? joinKsmPage(batch, trees, item, pfn, key, false) : true
}

/** Two pages nobody has merged yet turn out equal: the one being visited survives. */
function mergeTwoItems(
  batch: Batch,
  trees: Trees,
  item: number,
  pfn: number,
  key: number,
  treeItem: number,
): void {
  const { ksm } = batch
  const treePfn = presentPageOf(ksm, treeItem)
  const merged = tryToMergeTwoPages(ksm, item, pfn, treeItem, treePfn)
  ksm.frames.put(treePfn)
  if (!merged) return
  ksm.memory.race?.('merge: before stable insert')
  const node = stableTreeInsert(batch, trees, pfn, key)
  if (node === 0) {
    breakCow(ksm, treeItem)
    breakCow(ksm, item)
    return
  }
  appendAndSettle(ksm, treeItem, node)
  appendAndSettle(ksm, item, node)
}

/** Its pte maps the node's page by now. */
function appendAndSettle(ksm: KsmState, item: number, node: number): void {
  stableTreeAppend(ksm, item, node)
  settleStable(ksm, item)
}

/**
 * Makes `pfn` a merged page and puts it in the place of `treePfn` too. False if either step failed; then both are
 * private again. Linux: try_to_merge_two_pages()
 */
function tryToMergeTwoPages(
  ksm: KsmState,
  item: number,
  pfn: number,
  treeItem: number,
  treePfn: number,
): boolean {
  if (tryToMergeWithKsmPage(ksm, item, pfn, 0) !== OK) return false
  ksm.memory.race?.('merge: between the two halves')
  if (tryToMergeWithKsmPage(ksm, treeItem, treePfn, pfn) === OK) return true
  breakCow(ksm, item)
  return false
}

/**
 * Puts a merged page in the place of an item's page, or with ksmPfn 0 makes the item's own page a merged one. On
 * success the item holds a reference on the anon_vma through which its mapping can be found again.
 * Linux: try_to_merge_with_ksm_page()
 */
function tryToMergeWithKsmPage(ksm: KsmState, item: number, pfn: number, ksmPfn: number): number {
  const { items, memory } = ksm
  const mm = memory.mm(items.mm(item))
  const vma = findMergeableVma(mm, items.vpn(item))
  let err = EFAULT
  if (vma !== undefined) {
    err = tryToMergeOnePage(ksm, mm, vma, pfn, ksmPfn, items.vpn(item))
    // Whoever was called back may have unmapped it meanwhile.
    const anonVma = findMergeableVma(mm, items.vpn(item))?.anonVma
    if (anonVma === undefined) {
      err = EFAULT
    } else if (err === OK) {
      removeRmapItemFromTree(ksm, item)
      // In the place of the upper half of the checksum.
      items.setAnonVma(item, anonVma.id)
      markSoftDirty(mm, items.vpn(item))
      memory.anonVmas.get(anonVma)
    }
  }
  if (memory.trace.active) {
    // The page that is kept; the one given up may be anybody's by now.
    const kept = ksmPfn === 0 ? pfn : ksmPfn
    const event = { ksm_page: ksmPfn, pfn: kept, rmap_item: item, mm: mm.name, err: errnoOf(err) }
    memory.trace.emit('ksm_merge_with_ksm_page', event)
  }
  return err
}

/**
 * Replaces one mapping of `pfn` by the equal page `ksmPfn`, or with ksmPfn 0 turns the page itself into a merged one,
 * in no tree yet. Linux: try_to_merge_one_page()
 */
function tryToMergeOnePage(
  ksm: KsmState,
  mm: MmStruct,
  vma: Vma,
  pfn: number,
  ksmPfn: number,
  vpn: number,
): number {
  const { frames, core, memory } = ksm
  if (pfn === ksmPfn) return OK // a fork: it maps the merged page already
  if (!frames.isAnon(pfn) || frames.hasFlag(pfn, FRAME_LOCKED)) return EFAULT
  frames.setFlag(pfn, FRAME_LOCKED)
  let err = EFAULT
  const pte = writeProtectPage(mm, vma, vpn, pfn)
  if (pte !== 0) {
    memory.race?.('merge: before compare', mm)
    if (ksmPfn === 0) {
      frames.setMapping(pfn, MAPPING_KSM)
      frames.setFlag(pfn, FRAME_DIRTY)
      err = OK
    } else if (core.pagesIdentical(pfn, ksmPfn) === 0) {
      err = DIFFERENT
    } else {
      memory.race?.('merge: after compare', mm)
      if (replacePage(mm, vpn, pfn, ksmPfn, pte)) err = OK
    }
  }
  frames.clearFlag(pfn, FRAME_LOCKED)
  return err
}

/** True if the page was a page of zeros and need not be looked at further. Linux: try_to_merge_with_zero_page() */
function mergedWithZeroPage(ksm: KsmState, item: number, pfn: number): boolean {
  const { items, memory } = ksm
  // One that is merged but has lost its node is tried, in vain, as Linux does.
  if (items.oldchecksum(item) !== ksm.zeroChecksum || hasNode(ksm, pfn)) return false
  const mm = memory.mm(items.mm(item))
  if (mm.domain !== '' && !ksm.options.zeroPagesAcrossDomains) return false
  const vma = findMergeableVma(mm, items.vpn(item))
  if (vma === undefined) return true
  const err = tryToMergeOnePage(ksm, mm, vma, pfn, ZERO_PFN, items.vpn(item))
  if (memory.trace.active) {
    memory.trace.emit('ksm_merge_one_page', {
      pfn: ZERO_PFN,
      rmap_item: item,
      mm: mm.name,
      err: errnoOf(err),
    })
  }
  return err === OK
}

/** What a tracepoint tells: 0 or a negative errno. */
function errnoOf(err: number): number {
  return err === OK ? 0 : -EFAULT
}
