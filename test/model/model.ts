// The oracle: Linux 6.18's kernel samepage merging as a slow and obvious model, to compare other
// implementations with. It is written from a description of the kernel's behaviour, was checked against a
// running kernel history by history, and shares nothing with the library. Guests are processes with private
// anonymous regions: process p, region r, page i of it. A call of scan() is a number of complete full scans
// and nothing else runs meanwhile, so what the kernel needs only because of races (locks, BUSY, pages that
// change under the scanner) is absent. There is one NUMA node, no swap, no huge page, no memory shortage, and
// time stands still. Counters are not kept but counted: they lag behind the guests exactly because ksmd's
// items and nodes do. A page's Content object is its checksum too: no two contents collide.

import { type Content, contentOf, type Frame, Memory, PAGE_SIZE, type Page, type Pte } from './memory.ts'
import { ContentTree, HashTree, type Place, type Tree } from './trees.ts'

const REGION_PAGES = 1 << 16
const RMAP_ITEM_SIZE = 64

interface Mm {
  readonly pages: Map<number, Page>
  /** The slot's rmap_list, in ascending address order. */
  readonly items: RmapItem[]
  /** PR_SET_MEMORY_MERGE: everything is to be mergeable, now and later. */
  mergeAny: boolean
  exited: boolean
}

/** What ksmd remembers of one address. */
interface RmapItem {
  readonly mm: Mm
  readonly address: number
  oldchecksum: Content | null
  age: number
  remainingSkips: number
  /** Set while STABLE. */
  node: StableNode | null
  /** Set while UNSTABLE; seqnr is the scan that put it there. */
  place: Place<RmapItem> | null
  seqnr: number
}

/** A KSM page as the trees know it: a frame they hold no reference to and look at through the keyhole. */
export interface StableNode {
  readonly frame: Frame
  readonly items: RmapItem[]
  /** Set for a dup; a node without a chain is in the tree itself, at place. */
  chain: Chain | null
  place: Place<Entry> | null
}

/** Stands in the stable tree for several nodes of equal content. */
interface Chain {
  readonly place: Place<Entry>
  dups: StableNode[]
}

type Entry = StableNode | Chain
const isChain = (entry: Entry): entry is Chain => 'dups' in entry

export type Order = 'content' | 'hash'
export type Errno = string | null
export type Operation = readonly [string, ...(number | string)[]]

export class Model {
  readonly #order: Order
  readonly #memory = new Memory()
  readonly #processes = new Map<number, Mm>()
  /** Registered mms in scanning order. At rest the cursor is at the head of this list. */
  #slots: Mm[] = []
  readonly #stable: Tree<Entry>
  #unstable: Tree<RmapItem>
  readonly #chains = new Set<Chain>()
  readonly #pins = new Map<string, Frame[]>()
  /** Completed full scans; full_scans to users. */
  #seqnr = 0
  #pagesScanned = 0
  #pagesSkipped = 0
  readonly #knobs = new Map([
    ['pages_to_scan', 100],
    ['sleep_millisecs', 20],
    ['merge_across_nodes', 1],
    ['max_page_sharing', 256],
    ['use_zero_pages', 0],
    ['stable_node_chains_prune_millisecs', 2000],
    ['smart_scan', 1],
  ])

  constructor({ order }: { order: Order }) {
    this.#order = order
    this.#stable = this.#newTree()
    this.#unstable = this.#newTree()
  }

  #newTree<T>(): Tree<T> {
    return this.#order === 'content' ? new ContentTree() : new HashTree()
  }

  // ---- What guests and the administrator do. Each returns the errno name Linux gives, or null.

  /** One operation of a history, like ['write', 1, 1, 0, 42]. */
  apply([name, ...args]: Operation): Errno {
    return (this as unknown as Record<string, (...args: unknown[]) => Errno>)[name]!(...args)
  }

  spawn(p: number): Errno {
    this.#processes.set(p, { pages: new Map(), items: [], mergeAny: false, exited: false })
    return null
  }

  map(p: number, r: number, count: number): Errno {
    const mm = this.#mm(p)
    const range = this.#range(r, 0, count)
    if (range.some((address) => mm.pages.has(address))) return 'EEXIST'
    if (mm.mergeAny) this.#register(mm)
    for (const address of range) {
      mm.pages.set(address, { mergeable: mm.mergeAny, readable: true, writable: true, pte: null })
    }
    return null
  }

  unmap(p: number, r: number, first: number, count: number): Errno {
    this.dontneed(p, r, first, count)
    for (const address of this.#range(r, first, count)) this.#mm(p).pages.delete(address)
    return null
  }

  dontneed(p: number, r: number, first: number, count: number): Errno {
    return this.#madvise(p, r, first, count, (page) => this.#memory.zap(page))
  }

  mergeable(p: number, r: number, first: number, count: number): Errno {
    return this.#madvise(p, r, first, count, (page) => {
      if (!page.mergeable) this.#register(this.#mm(p))
      page.mergeable = true
    })
  }

  unmergeable(p: number, r: number, first: number, count: number): Errno {
    return this.#madvise(p, r, first, count, (page) => {
      // A KSM page can be in other places too (see #mergeOne) and stays there.
      if (page.mergeable) this.#memory.breakKsm(page)
      page.mergeable = false
    })
  }

  /** PR_SET_MEMORY_MERGE */
  merge_any(p: number, on: number): Errno {
    const mm = this.#mm(p)
    if (mm.mergeAny === (on !== 0)) return null
    mm.mergeAny = on !== 0
    if (mm.mergeAny) this.#register(mm)
    for (const page of mm.pages.values()) {
      if (page.mergeable && !mm.mergeAny) this.#memory.breakKsm(page)
      page.mergeable = mm.mergeAny
    }
    return null
  }

  /** Bit 0 of `prot`: may be read; bit 1: may be written to. */
  mprotect(p: number, r: number, first: number, count: number, prot: number): Errno {
    for (const address of this.#range(r, first, count)) {
      const page = this.#mm(p).pages.get(address)
      if (!page) return 'ENOMEM'
      page.readable = (prot & 1) !== 0
      page.writable = (prot & 2) !== 0
    }
    return null
  }

  /** A whole page: content number `content` (see contentOf) or its bytes. */
  write(p: number, r: number, page: number, content: number | Uint8Array): Errno {
    const bytes = typeof content === 'number' ? contentOf(content) : content
    return this.#fault(p, r, page, 'writable', (found) => this.#memory.write(found, () => bytes))
  }

  poke(p: number, r: number, page: number, offset: number, byte: number): Errno {
    return this.#fault(p, r, page, 'writable', (found) =>
      this.#memory.write(found, (bytes) => bytes.with(offset, byte)),
    )
  }

  read(p: number, r: number, page: number): Errno {
    return this.#fault(p, r, page, 'readable', (found) => this.#memory.read(found))
  }

  /** Takes a plain extra reference, as a pipe or a disk write under way has one, to the frame mapped now. */
  pin(p: number, r: number, page: number): Errno {
    return this.#fault(p, r, page, 'readable', (found) => {
      const { frame } = this.#memory.read(found)
      const name = `${p} ${r} ${page}`
      frame.refcount++
      this.#pins.set(name, [...(this.#pins.get(name) ?? []), frame])
    })
  }

  /** Drops all references pin() took under this page's name, whatever is mapped there by now. */
  unpin(p: number, r: number, page: number): Errno {
    const name = `${p} ${r} ${page}`
    for (const frame of this.#pins.get(name) ?? []) this.#memory.put(frame)
    this.#pins.delete(name)
    return null
  }

  fork(p: number, q: number): Errno {
    const parent = this.#mm(p)
    const child: Mm = { pages: new Map(), items: [], mergeAny: parent.mergeAny, exited: false }
    for (const [address, original] of parent.pages) {
      const page = { ...original, pte: null }
      child.pages.set(address, page)
      const { pte } = original
      if (pte) this.#memory.share(page, pte.frame, pte.dirty)
    }
    this.#processes.set(q, child)
    if (this.#slots.includes(parent)) this.#slots.push(child)
    return null
  }

  /** The references that a process took, through its pipes, go with it. */
  exit(p: number): Errno {
    const mm = this.#mm(p)
    for (const name of [...this.#pins.keys()]) {
      const [owner, r, page] = name.split(' ').map(Number)
      if (owner === p) this.unpin(p, r!, page!)
    }
    for (const page of mm.pages.values()) this.#memory.zap(page)
    mm.exited = true
    this.#processes.delete(p)
    if (!this.#slots.includes(mm)) return null
    this.#unregister(mm)
    // Ksmd frees the items, and visits this mm first for it.
    if (mm.items.length > 0) this.#slots.unshift(mm)
    return null
  }

  knob(name: string, value: number): Errno {
    const now = this.#knobs.get(name)
    if (now === undefined) return 'ENOENT'
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** 32) return 'EINVAL'
    if (/^(use_zero_pages|smart_scan|merge_across_nodes)$/.test(name) && value > 1) return 'EINVAL'
    if (name === 'max_page_sharing' && (value < 2 || value >= 2 ** 31)) return 'EINVAL'
    if (/^(max_page_sharing|merge_across_nodes)$/.test(name) && value !== now) {
      if (this.counters().pages_shared! > 0 || !this.#removeAllStableNodes()) return 'EBUSY'
    }
    this.#knobs.set(name, value)
    return null
  }

  /** Writes the knob `run`: 2 unmerges everything. Ksmd is at rest afterwards, whatever the value. */
  run(value: number): Errno {
    if (value !== 0 && value !== 1 && value !== 2) return 'EINVAL'
    if (value !== 2) return null
    for (const mm of this.#slots) {
      for (const page of mm.pages.values()) if (page.mergeable) this.#memory.breakKsm(page)
      this.#removeTrailingItems(mm, 0)
    }
    this.#slots = this.#slots.filter((mm) => !mm.exited)
    this.#removeAllStableNodes()
    this.#seqnr = 0
    return null
  }

  /** n complete full scans. Without a registered mm none completes: Linux would wait for one. */
  scan(n: number): Errno {
    for (let i = 0; i < n && this.#slots.length > 0; i++) {
      this.#unstable = this.#newTree()
      for (const mm of [...this.#slots]) this.#scanMm(mm)
      this.#seqnr++
    }
    return null
  }

  // ---- What can be seen from outside.

  counters(): Record<string, number> {
    const items = this.#slots.flatMap((mm) => mm.items)
    const stable = items.filter((item) => item.node)
    const pages_shared = new Set(stable.map((item) => item.node)).size
    const pages_sharing = stable.length - pages_shared
    const pages_unshared = items.filter((item) => item.place).length
    const ksm_zero_pages = [...this.#processes.values()].reduce((sum, mm) => sum + this.#ksmZeroPages(mm), 0)
    const chains = [...this.#chains]
    return {
      pages_shared,
      pages_sharing,
      pages_unshared,
      pages_volatile: items.length - stable.length - pages_unshared,
      ksm_zero_pages,
      pages_skipped: this.#pagesSkipped,
      pages_scanned: this.#pagesScanned,
      stable_node_chains: chains.length,
      stable_node_dups: chains.flatMap((chain) => chain.dups).length,
      general_profit: (pages_sharing + ksm_zero_pages) * PAGE_SIZE - items.length * RMAP_ITEM_SIZE,
      full_scans: this.#seqnr,
    }
  }

  /** /proc/PID/ksm_stat */
  mmStat(p: number): Record<string, number> {
    const mm = this.#mm(p)
    const ksm_rmap_items = mm.items.length
    const ksm_zero_pages = this.#ksmZeroPages(mm)
    const ksm_merging_pages = mm.items.filter((item) => item.node).length
    const saved = (ksm_merging_pages + ksm_zero_pages) * PAGE_SIZE
    const ksm_process_profit = saved - ksm_rmap_items * RMAP_ITEM_SIZE
    return { ksm_rmap_items, ksm_zero_pages, ksm_merging_pages, ksm_process_profit }
  }

  /** The page as its guest sees it; undefined where nothing is mapped or nothing was touched. */
  bytes(p: number, r: number, page: number): Uint8Array | undefined {
    return this.#page(p, r, page)?.pte?.frame.content.bytes.slice()
  }

  /** The same number for the same physical page, never used again for another; 0 is the zero page. */
  frameOf(p: number, r: number, page: number): number | undefined {
    return this.#page(p, r, page)?.pte?.frame.id
  }

  framesInUse(): number {
    return this.#memory.framesInUse
  }

  // ---- Address spaces.

  #mm(p: number): Mm {
    const mm = this.#processes.get(p)
    if (!mm) throw new Error(`no process ${p}`)
    return mm
  }

  #range(r: number, first: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => r * REGION_PAGES + first + i)
  }

  #page(p: number, r: number, page: number): Page | undefined {
    return this.#mm(p).pages.get(r * REGION_PAGES + page)
  }

  #fault(
    p: number,
    r: number,
    page: number,
    access: 'readable' | 'writable',
    act: (page: Page) => void,
  ): Errno {
    const found = this.#page(p, r, page)
    if (!found?.[access]) return 'EFAULT'
    act(found)
    return null
  }

  /** Holes are an error, but only after the rest was done. */
  #madvise(p: number, r: number, first: number, count: number, act: (page: Page) => void): Errno {
    const pages = this.#range(r, first, count).map((address) => this.#mm(p).pages.get(address))
    for (const page of pages) if (page) act(page)
    return pages.includes(undefined) ? 'ENOMEM' : null
  }

  #ksmZeroPages(mm: Mm): number {
    return [...mm.pages.values()].filter((page) => this.#memory.isKsmZero(page)).length
  }

  // ---- The scanner.

  #register(mm: Mm): void {
    if (!this.#slots.includes(mm)) this.#slots.push(mm)
  }

  #unregister(mm: Mm): void {
    this.#slots = this.#slots.filter((slot) => slot !== mm)
  }

  #scanMm(mm: Mm): void {
    const pages = [...mm.pages].filter(([, page]) => page.mergeable && !mm.exited)
    let passed = 0
    for (const [address, page] of pages.sort(([a], [b]) => a - b)) {
      const frame = this.#memory.anonymous(page)?.frame
      if (!frame) continue
      const item = this.#nextItem(mm, passed++, address)
      if (this.#skip(item, frame)) continue
      this.#pagesScanned++
      frame.refcount++
      this.#cmpAndMerge(item, frame)
      this.#memory.put(frame)
    }
    this.#removeTrailingItems(mm, passed)
    if (pages.length === 0) this.#unregister(mm)
  }

  /** The item for address, to be at index `at`: those there with lower addresses were not visited and go. */
  #nextItem(mm: Mm, at: number, address: number): RmapItem {
    while (at < mm.items.length && mm.items[at]!.address < address) this.#freeItem(mm, at)
    if (mm.items[at]?.address !== address) {
      const fresh = { oldchecksum: null, age: 0, remainingSkips: 0, node: null, place: null, seqnr: 0 }
      mm.items.splice(at, 0, { mm, address, ...fresh })
    }
    return mm.items[at]!
  }

  #removeTrailingItems(mm: Mm, from: number): void {
    while (mm.items.length > from) this.#freeItem(mm, from)
  }

  #freeItem(mm: Mm, at: number): void {
    this.#removeFromTree(mm.items[at]!)
    mm.items.splice(at, 1)
  }

  /** Smart scan. It goes by what is mapped now: an item still STABLE ages too if its page was copied. */
  #skip(item: RmapItem, frame: Frame): boolean {
    if (!this.#knobs.get('smart_scan') || frame.ksm) return false
    const age = item.age
    item.age = Math.min(age + 1, 255)
    if (age < 3) return false
    if (item.remainingSkips === 0) {
      item.remainingSkips = age <= 3 ? 1 : age <= 5 ? 2 : age <= 8 ? 4 : 8
      return false
    }
    item.remainingSkips--
    this.#pagesSkipped++
    this.#removeFromTree(item)
    return true
  }

  /** The caller holds a reference to `frame`, which is mapped at the item's address. */
  #cmpAndMerge(item: RmapItem, frame: Frame): void {
    if (frame.node) {
      if (item.node !== frame.node) {
        // A forked mapping of a KSM page joins it, full or not.
        this.#removeFromTree(item)
        this.#append(item, frame.node)
      }
      return
    }
    this.#removeFromTree(item)
    if (item.oldchecksum !== frame.content) {
      item.oldchecksum = frame.content
      return
    }
    const { zero } = this.#memory
    const useZero = this.#knobs.get('use_zero_pages') && frame.content === zero.content
    if (useZero && this.#mergeOne(item, frame, zero)) return
    const kframe = this.#stableSearch(frame.content)
    if (kframe) {
      if (this.#mergeOne(item, frame, kframe)) this.#append(item, kframe.node!)
      return
    }
    const twin = this.#unstableSearchInsert(item, frame)
    if (twin) this.#mergeTwo(item, frame, twin)
  }

  /** The scanned page's frame survives. */
  #mergeTwo(item: RmapItem, frame: Frame, twin: RmapItem): void {
    const twinFrame = this.#present(twin)!.frame
    twinFrame.refcount++
    if (this.#mergeOne(item, frame, null)) {
      if (this.#mergeOne(twin, twinFrame, frame)) {
        this.#removeFromTree(twin)
        const node = this.#stableInsert(frame)
        this.#append(twin, node)
        this.#append(item, node)
      } else {
        // Elsewhere the frame may stay mapped: a KSM page without a node, for good.
        this.#memory.breakKsm(item.mm.pages.get(item.address)!)
      }
    }
    this.#memory.put(twinFrame)
  }

  /** What an item's address maps, if it is an anonymous page in a mergeable place. */
  #present({ mm, address }: RmapItem): Pte | null {
    const page = mm.pages.get(address)
    return page?.mergeable ? this.#memory.anonymous(page) : null
  }

  /**
   * Maps kframe in place of frame, or with null makes frame itself a KSM page: in all its mappings, also
   * those other processes have had since a fork, in places that need not be mergeable any more.
   */
  #mergeOne(item: RmapItem, frame: Frame, kframe: Frame | null): boolean {
    const pte = this.#present(item)
    // A KSM page cannot be found through its anon_vma, so it is not merged a second time.
    if (pte?.frame !== frame || frame.ksm) return false
    if (pte.dirty || frame.exclusive) {
      // A reference beside the mappings' and the scanner's own may be one that writes.
      if (frame.mapcount + 1 !== frame.refcount) return false
      pte.dirty = false
      frame.exclusive = false
    }
    if (kframe) {
      this.#memory.share(item.mm.pages.get(item.address)!, kframe, kframe === this.#memory.zero)
    } else {
      frame.ksm = true
    }
    return true
  }

  // ---- Items in and out of the trees.

  #append(item: RmapItem, node: StableNode): void {
    node.items.push(item)
    item.node = node
  }

  #removeFromTree(item: RmapItem): void {
    if (item.node) {
      if (!this.#keyhole(item.node)) return
      item.node.items.splice(item.node.items.indexOf(item), 1)
      item.node = null
    } else if (item.place) {
      const age = (this.#seqnr - item.seqnr) & 0xff
      if (age > 1) throw new Error('an unstable item was not visited in a full scan')
      // At age 1 the tree it was in is no more.
      if (age === 0) this.#unstable.erase(item.place)
      item.place = null
    }
  }

  #unstableSearchInsert(item: RmapItem, frame: Frame): RmapItem | null {
    const walk = this.#unstable.walk(frame.content, ({ value }) => {
      const other = this.#present(value)?.frame
      // Never substitute a page for its forked self.
      return other && other !== frame ? other.content : null
    })
    if (!walk) return null
    if (walk.place) return walk.place.value
    item.place = walk.insert(item)
    item.seqnr = this.#seqnr
    return null
  }

  // ---- The stable tree.

  /** Is the node's frame still its own? If not the node goes, and lets go of all its items. */
  #keyhole(node: StableNode): boolean {
    if (node.frame.refcount > 0 && node.frame.node === node) return true
    this.#removeNode(node)
    return false
  }

  #removeNode(node: StableNode): void {
    for (const item of node.items) item.node = null
    if (node.chain) node.chain.dups.splice(node.chain.dups.indexOf(node), 1)
    else this.#stable.erase(node.place!)
  }

  #removeChain(chain: Chain): void {
    this.#stable.erase(chain.place)
    this.#chains.delete(chain)
  }

  /** Could the node take another item, after `more` others? One that has no items takes none. */
  #hasRoom(node: StableNode, more = 0): boolean {
    return node.items.length > 0 && node.items.length + more < this.#knobs.get('max_page_sharing')!
  }

  /** A live node for a place of the tree, of a chain the best. Null: there was none, the place is gone. */
  #resolve(place: Place<Entry>, mayPrune: boolean): StableNode | null {
    const entry = place.value
    if (!isChain(entry)) return this.#keyhole(entry) ? entry : null
    const prune = mayPrune && this.#knobs.get('stable_node_chains_prune_millisecs') === 0
    let best: StableNode | null = null
    for (const dup of [...entry.dups]) {
      if (!this.#keyhole(dup)) continue
      const better = best && (!this.#hasRoom(best) || dup.items.length > best.items.length)
      if (!best || (better && this.#hasRoom(dup))) best = dup
      if (!prune && this.#hasRoom(best)) break
    }
    if (!best) {
      this.#removeChain(entry)
    } else if (entry.dups.length === 1) {
      this.#chains.delete(entry)
      best.chain = null
      best.place = place
      place.value = best
    } else if (entry.dups[0] !== best && this.#hasRoom(best, 1)) {
      entry.dups = [best, ...entry.dups.filter((dup) => dup !== best)]
    }
    return best
  }

  /** Where content is or belongs. Begins again at the root when something stale on the way was removed. */
  #stableWalk(content: Content, mayPrune: boolean) {
    for (;;) {
      let last: StableNode | null = null
      const walk = this.#stable.walk(content, (place) => {
        last = this.#resolve(place, mayPrune)
        return last?.frame.content ?? null
      })
      if (walk) return { ...walk, found: walk.place && (last as StableNode | null) }
    }
  }

  #stableSearch(content: Content): Frame | null {
    const { found } = this.#stableWalk(content, true)
    return found && this.#hasRoom(found) ? found.frame : null
  }

  #stableInsert(frame: Frame): StableNode {
    const { place, insert } = this.#stableWalk(frame.content, false)
    const node: StableNode = { frame, items: [], chain: null, place: null }
    if (place) {
      node.chain = isChain(place.value) ? place.value : this.#makeChain(place, place.value)
      node.chain.dups.unshift(node)
    } else {
      node.place = insert(node)
    }
    frame.node = node
    return node
  }

  #makeChain(place: Place<Entry>, first: StableNode): Chain {
    const chain = { place, dups: [first] }
    this.#chains.add(chain)
    first.chain = chain
    place.value = chain
    return chain
  }

  /** Takes away what the tree offers next, again and again; false when a page of some is still mapped. */
  #removeAllStableNodes(): boolean {
    const busy = new Set<Place<Entry>>()
    for (let place = this.#stable.next(busy); place; place = this.#stable.next(busy)) {
      if (!this.#removeEntry(place.value)) busy.add(place)
    }
    return busy.size === 0
  }

  #removeEntry(entry: Entry): boolean {
    for (const node of isChain(entry) ? [...entry.dups] : [entry]) {
      if (!this.#keyhole(node)) continue
      if (node.frame.mapcount > 0) return false
      node.frame.node = null
      this.#removeNode(node)
    }
    if (isChain(entry)) this.#removeChain(entry)
    return true
  }
}
