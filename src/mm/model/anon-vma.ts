// anon_vmas: who may map an anonymous page. Each fork adds one below its parent's; all of a forest hang on one root,
// which lives until the last of them is gone. Whoever wants to find a page's mappings later (an rmap item, a
// migration) holds a reference on the page's anon_vma, and may drop it long after every process has exited.
//
// Linux: include/linux/rmap.h, anon_vma_prepare(), anon_vma_clone(), anon_vma_fork(), unlink_anon_vmas(). The lock of
// a forest lies in its root; here one thread changes structure, so nothing is locked.

import { brokenInvariant } from '../../errors.ts'
import type { Vma } from './vma.ts'

/** A frame's `mapping` has 30 bits for it. */
export const MAX_ANON_VMA_ID = 2 ** 30 - 1

export class AnonVma {
  /** What a frame's `mapping` and an rmap item name it by. */
  readonly id: number
  readonly root: AnonVma
  readonly parent: AnonVma
  /** One for being linked to any vma at all, one for each child of this root, one for each temporary holder. */
  refcount = 1
  /** anon_vmas whose parent this is; a root counts itself. */
  numChildren = 0
  /** vmas that put new pages here. */
  numActiveVmas = 0
  /** Every vma that may map a page of this anon_vma. Linux: the interval tree rb_root */
  readonly vmas = new Set<Vma>()

  constructor(id: number, parent: AnonVma | undefined) {
    this.id = id
    this.parent = parent ?? this
    this.root = parent?.root ?? this
  }
}

export class AnonVmas {
  /** Called when one is freed, for tests that watch the order. */
  onFree: ((anonVma: AnonVma) => void) | undefined
  private readonly byId = new Map<number, AnonVma>()
  /**
   * A page that nobody maps any more may name its anon_vma long after that has gone, so an id is used again only when all have been:
   * one that is neither an anon_vma's nor named by any page at that moment.
   */
  private lastId = 0
  private stillNamed: ReadonlySet<number> = new Set()
  /** The ids that pages name, whoever holds them. */
  private readonly namedByPages: () => ReadonlySet<number>

  constructor(namedByPages: () => ReadonlySet<number> = () => new Set()) {
    this.namedByPages = namedByPages
  }

  /** How many exist. */
  get live(): number {
    return this.byId.size
  }

  [Symbol.iterator](): IterableIterator<AnonVma> {
    return this.byId.values()
  }

  /** The anon_vma of an id that somebody holds a reference for. */
  of(id: number): AnonVma {
    const anonVma = this.byId.get(id)
    if (anonVma === undefined) throw brokenInvariant(`anon_vma ${id} was used after it was freed`)
    return anonVma
  }

  /** The anon_vma of any id; undefined if it has been freed. */
  find(id: number): AnonVma | undefined {
    return this.byId.get(id)
  }

  /** Gives a vma an anon_vma if it has none: a neighbour's if that could have been one vma with it, else a new root. */
  prepare(vma: Vma, reusable: AnonVma | undefined): void {
    if (vma.anonVma !== undefined) return
    let anonVma = reusable
    if (anonVma === undefined) {
      anonVma = this.alloc(undefined)
      anonVma.numChildren++
    }
    vma.anonVma = anonVma
    link(vma, anonVma)
    anonVma.numActiveVmas++
  }

  /** Links `vma` to all that `from` is linked to, oldest first. Linux: anon_vma_clone() */
  clone(vma: Vma, from: Vma): void {
    for (const anonVma of from.anonVmaChain) {
      link(vma, anonVma)
      // An anon_vma that nobody fills and that has at most one child may be filled by another: forests of processes
      // that fork and exit would grow for ever otherwise. The root counts itself as a child, so this is never the root
      // of a forest that has another member.
      if (vma.anonVma === undefined && anonVma.numChildren < 2 && anonVma.numActiveVmas === 0) {
        vma.anonVma = anonVma
      }
    }
    if (vma.anonVma !== undefined) vma.anonVma.numActiveVmas++
  }

  /** Gives a child's copy of a vma its own anon_vma below the parent's. Linux: anon_vma_fork() */
  fork(vma: Vma, parentVma: Vma): void {
    const parent = parentVma.anonVma
    if (parent === undefined) return
    this.clone(vma, parentVma)
    if (vma.anonVma !== undefined) return
    const anonVma = this.alloc(parent)
    anonVma.numActiveVmas++
    parent.numChildren++
    // For its whole life: the root must outlast every member, even those that only an rmap item still holds.
    anonVma.root.refcount++
    vma.anonVma = anonVma
    link(vma, anonVma)
  }

  /** Unlinks a vma, newest first so that the root goes last, and frees what nobody else needs. */
  unlink(vma: Vma): void {
    const emptied: AnonVma[] = []
    for (const anonVma of vma.anonVmaChain.toReversed()) {
      anonVma.vmas.delete(vma)
      if (anonVma.vmas.size > 0) continue
      anonVma.parent.numChildren--
      emptied.push(anonVma)
    }
    vma.anonVmaChain.length = 0
    if (vma.anonVma !== undefined) vma.anonVma.numActiveVmas--
    vma.anonVma = undefined
    for (const anonVma of emptied) this.put(anonVma)
  }

  /** Takes a reference on one that somebody holds already: a count is never raised from 0. */
  get(anonVma: AnonVma): void {
    this.of(anonVma.id).refcount++
  }

  /** Drops a reference: the child goes first, then, if that was its last, the root. Linux: __put_anon_vma() */
  put(anonVma: AnonVma): void {
    if (--this.of(anonVma.id).refcount > 0) return
    this.release(anonVma)
    if (anonVma.root !== anonVma) this.put(anonVma.root)
  }

  private alloc(parent: AnonVma | undefined): AnonVma {
    const anonVma = new AnonVma(this.nextId(), parent)
    this.byId.set(anonVma.id, anonVma)
    return anonVma
  }

  private nextId(): number {
    do {
      if (this.lastId === MAX_ANON_VMA_ID) {
        this.lastId = 0
        this.stillNamed = this.namedByPages()
      }
      this.lastId++
    } while (this.byId.has(this.lastId) || this.stillNamed.has(this.lastId))
    return this.lastId
  }

  private release(anonVma: AnonVma): void {
    this.byId.delete(anonVma.id)
    this.onFree?.(anonVma)
  }
}

function link(vma: Vma, anonVma: AnonVma): void {
  vma.anonVmaChain.push(anonVma)
  anonVma.vmas.add(vma)
}
