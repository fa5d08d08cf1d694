// Mutants that no test can tell from the code, each with the reason. Told by their text, so that they are found again when
// lines move.

import type { Mutant } from './instrument.ts'

export interface Equivalent {
  /** Left out: any. */
  readonly file?: string
  /** The line it begins in, without the spaces around it. Left out: any. */
  readonly line?: string
  /** What is replaced. Left out: any. */
  readonly from?: string
  readonly to: string
  readonly reason: string
}

const MM = 'src/mm'
const KSM = 'src/ksm'

export const EQUIVALENT: readonly Equivalent[] = [
  ...['trace.active', 'memory.trace.active'].map((from) => ({
    from,
    to: 'true',
    reason: 'saves time: nobody listens, so nobody hears',
  })),
  {
    file: `${MM}/fault/shared.ts`,
    from: 'object.name !== undefined',
    to: 'true',
    reason: 'no file is known by no name',
  },
  {
    file: `${MM}/page/bytes.ts`,
    from: 'count === from.length',
    to: 'false',
    reason: 'saves time: a view of all of it is as good',
  },
  {
    file: `${MM}/page/page-table.ts`,
    line: 'if (place === this.#cachedPlace && pgd === this.#cachedPgd) return this.#cachedTable',
    to: 'false',
    reason: 'saves time: the walk finds the same table',
  },
  {
    file: `${MM}/fault/fault.ts`,
    line: "if (!ptePresent(pte)) return tries > 0 ? handleMmFault(mm, vpn, kind, tries - 1) : 'EAGAIN'",
    from: '!ptePresent(pte)',
    to: 'true',
    reason: 'what has come in is found there when the fault begins again',
  },
  {
    file: `${MM}/mm.ts`,
    line: "const { force = false } = options === undefined ? {} : expectOptions('write', options, { force: true })",
    to: 'false',
    reason: 'only the names of options count',
  },
  {
    file: `${MM}/mm.ts`,
    line: "const { write = false } = expectOptions('get', options, { write: true })",
    to: 'false',
    reason: 'only the names of options count',
  },
  {
    file: `${MM}/calls/make-equal.ts`,
    line: 'else if (hasOwnPages(vma)) {',
    from: 'hasOwnPages(vma)',
    to: 'true',
    reason: 'saves time: what is shared is the same for both, and a device’s has no ptes',
  },
  ...['reclaims', 'reuseKsm'].map((name) => ({
    file: `${MM}/model/memory.ts`,
    line: `${name} = false`,
    to: 'true',
    reason: 'every host sets it to what it was asked for',
  })),
  ...['next', 'prev'].map((name) => ({
    file: `${MM}/model/vma-list.ts`,
    from: `this.#placeAt(vma.start)?.${name}`,
    to: `this.#placeAt(vma.start).${name}`,
    reason: 'a vma of the list has a place in it',
  })),
  ...['true', 'false', 'last - first <= this.leaves.size'].map((to) => ({
    file: `${MM}/watch/secondary-mmu.ts`,
    from: 'last - first < this.leaves.size',
    to,
    reason: 'saves time: tables of the range or all that there are, in neither is anything else forgotten',
  })),
  {
    file: `${MM}/watch/secondary-mmu.ts`,
    from: '[start >>> TABLE_SHIFT, (end - 1) >>> TABLE_SHIFT]',
    to: '[]',
    reason: 'saves time: all tables that there are are gone through then',
  },
  {
    file: `${MM}/model/vma-list.ts`,
    from: 'vma.start < root.vma.start',
    to: 'vma.start <= root.vma.start',
    reason: 'no two vmas begin at one address',
  },
  {
    file: `${MM}/model/vma-list.ts`,
    from: 'root.start - from',
    to: 'root.start + from',
    reason: 'saves time: a part of the tree without a hole is gone through',
  },
  {
    file: `${MM}/model/vma-list.ts`,
    from: 'place.rank > root.rank',
    to: 'true',
    reason: 'only how deep the tree is depends on it',
  },
  {
    file: `${MM}/model/vma-edit.ts`,
    line: 'if (a.anonVma === undefined && b.anonVma !== undefined) {',
    from: 'b.anonVma !== undefined',
    to: 'true',
    reason: 'without an anon_vma on either side there is no chain to copy',
  },
  {
    file: `${MM}/calls/mremap.ts`,
    from: 'mm.vmas.at(moved)?.has',
    to: 'mm.vmas.at(moved).has',
    reason: 'what has just been moved there is mapped there',
  },
  ...['ours', 'theirs'].map((table) => ({
    file: `${MM}/page/page-table.ts`,
    from: `${table} === 0`,
    to: 'false',
    reason: 'at address 0 lie zeros, which are empty ptes',
  })),
  {
    file: `${MM}/calls/mremap.ts`,
    from: 'whole.anonVma !== undefined',
    to: 'true',
    reason: 'saves time: without an anon_vma nothing of it is merged',
  },
  {
    file: `${KSM}/chain.ts`,
    line: 'if (pfn > 0 && !hasRoom(ksm, dup)) continue',
    from: 'pfn > 0',
    to: 'pfn >= 0',
    reason: '0 has been left out before',
  },
  {
    file: `${KSM}/merge.ts`,
    line: 'if (staysSettled(ksm, item, batch.window.keyOf(at))) return false',
    from: 'false',
    to: 'true',
    reason: 'saves time: it finds nobody, as before, and comes back to its place',
  },
  ...[
    ['tunables.run !== KSM_RUN_UNMERGE', 'true', 'hooks', 'with run=2 no stable node is left'],
    [
      'frames.mapcount(pfn) > 0',
      'frames.mapcount(pfn) <= 0',
      'hotplug',
      'saves time: all mms are gone through for the rest',
    ],
    ['batch.helped', 'false', 'ksmd', 'saves time: nobody is woken, and nobody helps'],
    [
      '(flags & FRAME_SWAPCACHE) === 0',
      'true',
      'soft-dirty',
      'saves time: the page is read once more than it need be',
    ],
    ['found > 0', 'found >= 0', 'stable', 'a search ends at a node or at an empty link, and neither is 0'],
    ['found < 0', 'found <= 0', 'stable', 'a search ends at a node or at an empty link, and neither is 0'],
  ].map(([from, to, file, reason]) => ({ file: `${KSM}/${file}.ts`, from: from!, to: to!, reason: reason! })),
  {
    file: `${KSM}/settled.ts`,
    from: 'ksm.core.search(trees.stable[ksm.treeNid(pfn)]!, key) < 0',
    to: 'ksm.core.search(trees.stable[ksm.treeNid(pfn)]!, key) <= 0',
    reason: 'a search ends at a node or at an empty link, and neither is 0',
  },
  {
    file: `${KSM}/scan.ts`,
    line: 'if (vma.anonVma === undefined) cursor.vpn = vma.end',
    from: 'vma.anonVma === undefined',
    to: 'false',
    reason: 'saves time: without an anon_vma no page of it is the own',
  },
  {
    file: `${MM}/calls/mremap.ts`,
    line: 'if (target !== undefined) unmapRange(mm, target, target + pages)',
    from: 'target !== undefined',
    to: 'true',
    reason: 'at no address nothing is unmapped',
  },
  {
    file: `${MM}/page/rmap.ts`,
    line: 'if (vpn >= 0 && !visit(vma.mm, vma, vpn)) return',
    from: 'vpn >= 0',
    to: 'true',
    reason: 'saves time: nothing is mapped at -1',
  },
  {
    file: `${MM}/reclaim/swap.ts`,
    line: 'freed: [],',
    to: '["Stryker was here"]',
    reason: 'a store that is not full has a slot above the lowest',
  },
  {
    file: `${KSM}/scan.ts`,
    from: 'ksm.tunables.smart_scan !== 0 && items.state(next) === RMAP_STABLE',
    to: 'ksm.tunables.smart_scan !== 0 || items.state(next) === RMAP_STABLE',
    reason: 'saves time: waits where it need not',
  },
  {
    file: `${KSM}/merge.ts`,
    from: 'mm.users === 0',
    to: 'false',
    reason: 'saves time: an mm that has exited has no pages',
  },
  {
    file: `${MM}/reclaim/unmap-page.ts`,
    line: 'if (memory.cpuThreads.count === 0) return',
    to: 'false',
    reason: 'saves time: where there is no thread there is nobody to wait for',
  },
  {
    file: `${MM}/vcpu/attach.ts`,
    line: 'if (cpuThreads.count === 1) void serveUntilGone(mm.memory)',
    to: 'true',
    reason: 'a second loop finds nothing to answer',
  },
  {
    file: `${MM}/model/vma-list.ts`,
    from: 'before >= 0',
    to: 'before > 0',
    reason: 'no room is looked for below MMAP_BASE',
  },
  {
    file: `${MM}/model/anon-vma.ts`,
    line: 'if (vma.anonVma === undefined && anonVma.numChildren < 2 && anonVma.numActiveVmas === 0) {',
    from: 'vma.anonVma === undefined',
    to: 'true',
    reason: 'which of two that nobody fills is filled is all the same',
  },
  {
    file: `${KSM}/scan.ts`,
    line: 'if (slots.head.next === slots.head) return false',
    from: 'false',
    to: 'true',
    reason: 'the batch that goes on finds nobody registered, and ends',
  },
  {
    file: `${MM}/calls/make-equal.ts`,
    line: 'if (vma.anonVma === undefined && other.anonVma !== undefined) return false',
    from: 'other.anonVma !== undefined',
    to: 'true',
    reason: 'saves time: an empty mapping is the same when it is made anew',
  },
  {
    file: `${MM}/fault/fault.ts`,
    line: "if (kind === 'read') return mapFilePage(mm, vpn, page)",
    from: "kind === 'read'",
    to: 'true',
    reason: 'a write comes back, and is copied then',
  },
  {
    file: `${MM}/fault/fault.ts`,
    line: "if (kind === 'write' && pteWrite(pte)) {",
    from: "kind === 'write'",
    to: "kind !== 'write'",
    reason: 'saves time: what may be written is used again as it is',
  },
  {
    file: `${KSM}/settled-tables.ts`,
    from: 'known.pages <= most',
    to: 'known.pages < most',
    reason: 'saves time: the items say the same',
  },
  ...['true', 'pages <= most'].map((to) => ({
    file: `${KSM}/settled-tables.ts`,
    from: 'pages < most',
    to,
    reason: 'saves time: what is noted then holds as well, but is not met again where it begins',
  })),
  {
    file: `${KSM}/chain.ts`,
    from: 'ksm.memory.race === undefined',
    to: 'true',
    reason: 'both walks come to the same, as a test of them says',
  },
  {
    file: `${KSM}/chain.ts`,
    from: 'nodes.first(chain) !== chosen',
    to: 'true',
    reason: 'saves time: one in front is put there once more',
  },
  {
    file: `${KSM}/chain.ts`,
    from: '!prune && front !== 0 && hasRoom(ksm, front) && getKsmPage(ksm, front) > 0',
    to: 'false',
    reason: 'saves time: it is taken first below, and its note put back',
  },
  ...[
    ['[]', '["Stryker was here"]', 'what is no note is dropped when it is met'],
    [
      '{ this.#heaps.delete(chain) }',
      '{}',
      'saves memory: notes of dups that hang elsewhere are dropped when they are met',
    ],
    ['this.#noted.has(dup)', 'false', 'saves memory: a dup that is noted twice is taken once'],
    ...[
      ['heap[above]!.stamp >= note.stamp', 'heap[above]!.stamp > note.stamp'],
      ['heap[below + 1]!.stamp > heap[below]!.stamp', 'heap[below + 1]!.stamp >= heap[below]!.stamp'],
      ['heap[below]!.stamp <= last.stamp', 'heap[below]!.stamp < last.stamp'],
    ].map((pair) => [...pair, 'equal stamps are one dup’s: either note is as good']),
  ].map(([from, to, reason]) => ({ file: `${KSM}/dup-order.ts`, from: from!, to: to!, reason: reason! })),
  {
    file: `${KSM}/settled.ts`,
    from: 'seen++',
    to: 'seen--',
    reason: 'counted down it is a multiple of the step as often',
  },
  {
    file: `${KSM}/settled.ts`,
    from: 'items.vpn(item) > items.vpn(visited)',
    to: 'items.vpn(item) >= items.vpn(visited)',
    reason: 'an item that is being visited does not meet itself',
  },
  {
    file: `${KSM}/settled.ts`,
    from: 'items.state(item) === RMAP_UNSTABLE',
    to: 'true',
    reason: 'the upper half of a merged page’s checksum is its anon_vma: of no content that anybody has',
  },
  {
    file: `${KSM}/settled.ts`,
    line: 'const behind = slot === cursor.slot ? items.vpn(item) < cursor.vpn : slot.passedIn === seqnr',
    from: 'items.vpn(item) < cursor.vpn',
    to: 'items.vpn(item) <= cursor.vpn',
    reason: 'the page at the cursor is the next to be visited, and taken out of its tree then',
  },
  {
    file: `${KSM}/stable.ts`,
    line: 'if (found > 0) frames.put(nodes.pfn(found))',
    from: 'found > 0',
    to: 'true',
    reason: 'no node has frame 0, the zero page, whose references do not count',
  },
  {
    file: `${KSM}/ksmd.ts`,
    line: 'batch.helped = helpers.count > 0 && !batch.watched && pages >= WINDOW_LENGTH',
    from: 'helpers.count > 0',
    to: 'helpers.count >= 0',
    reason: 'saves time: nobody is woken, and nobody helps',
  },
  {
    file: `${KSM}/scan.ts`,
    line: 'function offerWindow({ ksm, helpers, window }: Batch): void {',
    to: '{}',
    reason: 'saves time: what helpers do not read ahead is read when its turn comes',
  },
  {
    file: `${KSM}/state.ts`,
    from: "mm.domain === ''",
    to: 'false',
    reason: 'saves time: the trees of no domain are found by its name too',
  },
  {
    file: `${KSM}/unmerge.ts`,
    line: 'vpn = nextPte(mm, vpn, Math.min(end, vma.end))',
    from: 'Math.min(end, vma.end)',
    to: 'Math.max(end, vma.end)',
    reason: 'saves time: what is found behind the end ends the loop',
  },
  {
    file: `${KSM}/unstable.ts`,
    from: 'treePfn === pfn',
    to: 'false',
    reason: 'saves time: a page compared with itself is equal',
  },
  {
    file: `${MM}/calls/gup.ts`,
    line: "if (vma === undefined) return 'EFAULT'",
    from: 'vma === undefined',
    to: 'false',
    reason: 'the fault says EFAULT too',
  },
  {
    file: `${MM}/calls/madvise.ts`,
    line: 'default:',
    to: 'default:',
    reason: 'undefined is as false',
  },
  {
    file: `${MM}/model/mm-struct.ts`,
    line: 'const given = expectOptions(call, options, { name: true, domain: true })',
    to: 'false',
    reason: 'only the names of options count',
  },
  {
    file: `${MM}/model/vma-list.ts`,
    line: '#draw(): number {',
    to: '{}',
    reason: 'only how deep the tree is depends on it',
  },
  {
    file: `${MM}/model/vma-list.ts`,
    line: 'if (left.rank > right.rank) {',
    to: 'left.rank <= right.rank',
    reason: 'only how deep the tree is depends on it',
  },
  {
    file: `${MM}/page/frames.ts`,
    line: 'while (got < count && pool.fresh < pool.end && !this.#isUnusable(pool.fresh)) {',
    from: 'pool.fresh < pool.end',
    to: 'pool.fresh >= pool.end',
    reason: 'without runs frames are taken one by one',
  },
  {
    file: `${MM}/page/frames.ts`,
    line: 'if (this.keyLost !== undefined && (before & MAPPING_TAG) === MAPPING_KSM) this.keyLost(before)',
    to: 'this.keyLost !== undefined || (before & MAPPING_TAG) === MAPPING_KSM',
    reason: 'what is no stable node is no dup: whoever is told does nothing',
  },
  {
    file: `${MM}/reclaim/swap.ts`,
    line: 'for (let slot = 0; slot < info.slots; slot++) {',
    from: 'slot < info.slots',
    to: 'slot <= info.slots',
    reason: 'behind the last slot nothing is counted',
  },
  {
    file: `${MM}/reclaim/swap-out.ts`,
    line: 'for (let pass = 0; pass < MAX_PASSES && errno === undefined; pass++) {',
    from: 'errno === undefined',
    to: 'true',
    reason: 'what failed is tried again, and fails again',
  },
  {
    file: `${MM}/reclaim/unmap-page.ts`,
    line: 'if (memory.frames.mapcount(pfn) === 0) return found',
    to: 'false',
    reason: 'saves time: nobody is found who maps it, and an anon_vma that is gone is not either',
  },
  {
    file: `${MM}/fault/userfault.ts`,
    line: 'if (vma.has(VM_UFFD_WP)) outside(() => mm.userfault?.onWriteProtect({ address: addressOf(vpn) }))',
    to: 'true',
    reason: 'a protected pte lies in a registered range',
  },
  {
    file: `${MM}/fault/userfault.ts`,
    line: 'if (vma.has(VM_UFFD_WP)) outside(() => mm.userfault?.onWriteProtect({ address: addressOf(vpn) }))',
    to: 'mm.userfault.onWriteProtect',
    reason: 'a registered range has a handler',
  },
  {
    file: `${KSM}/chain.ts`,
    line: 'return pfn > 0 ? chosen : amongAll(ksm, chain, prune)',
    from: 'pfn > 0',
    to: 'true',
    reason:
      'a dup that is not noted is there, unless somebody acts in between, and then all are looked at anyway',
  },
  {
    file: `${KSM}/chain.ts`,
    line: 'if (chosen === BUSY) return BUSY',
    to: 'false',
    reason: 'BUSY is no node: it is not the first, and has no room',
  },
  {
    file: `${KSM}/clock.ts`,
    line: 'export const stillClock: Clock = { now: () => 0, cpu: () => 0, sleep: (_, signal) => timer(0, signal) }',
    to: '() => undefined',
    reason: 'soundClock makes 0 of what is no time',
  },
  {
    file: `${KSM}/hotplug.ts`,
    line: 'return frames.mapcount(pfn) > 0',
    to: 'true',
    reason: 'saves time: goes on to look for nobody',
  },
  {
    file: `${KSM}/ksmd.ts`,
    line: 'batch.helped = helpers.count > 0 && !batch.watched && pages >= WINDOW_LENGTH',
    to: 'false',
    reason: 'saves time: helpers change nothing but that',
  },
  {
    file: `${KSM}/scan.ts`,
    line: 'items.vpn(next) < vpn || (ksm.tunables.smart_scan !== 0 && items.state(next) === RMAP_STABLE && !merged)',
    from: 'ksm.tunables.smart_scan !== 0',
    to: 'true',
    reason: 'saves time: waits where it need not',
  },
  {
    file: `${KSM}/scan.ts`,
    line: 'if (ksm.memory.race !== undefined) return 1',
    to: 'true',
    reason: 'saves time: looking ahead changes nothing',
  },
]

/** Why a mutant need not be killed; undefined if it must be. */
export function equivalentOf({ file, where, original, replacement }: Mutant): Equivalent | undefined {
  return EQUIVALENT.find(
    (each) =>
      each.to === replacement &&
      (each.file ?? file) === file &&
      (each.line ?? where) === where &&
      (each.from ?? original) === original,
  )
}
