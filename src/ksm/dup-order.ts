// Which dups of a chain are worth a look. Linux goes through all of them for every page that might join one, so a content that is
// in n pages costs n squared under a small max_page_sharing. But passing a dup that is full, and whose page is there, changes
// nothing; so only the others are kept at hand: those that may have room, and those whose page may be gone, in the
// order in which they hang on the chain. What a walk over them finds, and what it drops on its way, is what Linux's would.
//
// A dup is noted when it is hung on a chain, when its list gets longer or shorter, and when its frame no longer bears its key;
// a walk that finds it full and alive drops the note. The audit holds the notes against the chains.

/** A dup, and where it hung when it was noted. */
interface Note {
  readonly dup: number
  /** The greater is further in front. */
  readonly stamp: number
}

export class DupOrder {
  /** Of every dup: counted up whenever one is put in front. */
  readonly #stamps = new Map<number, number>()
  /** By chain. The root of each heap is the note furthest in front. */
  readonly #heaps = new Map<number, Note[]>()
  /** Dups whose note is true. */
  readonly #noted = new Set<number>()
  #lastStamp = 0

  /** A dup has been put in front of its chain. */
  pushed(dup: number, chain: number): void {
    this.#stamps.set(dup, ++this.#lastStamp)
    this.#noted.delete(dup)
    if (!this.#heaps.has(chain)) this.#heaps.set(chain, [])
    this.note(dup, chain)
  }

  /** A dup has been taken off. */
  taken(dup: number): void {
    this.#stamps.delete(dup)
    this.#noted.delete(dup)
  }

  /** A chain is no more; its last dup, if it had one, is none from now on. */
  ended(chain: number): void {
    this.#heaps.delete(chain)
  }

  /** Has it to be looked at by the next walk that comes so far? */
  isNoted(dup: number): boolean {
    return this.#noted.has(dup)
  }

  /** A dup may have room now, or have lost its page. */
  note(dup: number, chain: number): void {
    if (this.#noted.has(dup)) return
    this.#noted.add(dup)
    push(this.#heaps.get(chain)!, { dup, stamp: this.#stamps.get(dup)! })
  }

  /** The noted dup that is furthest in front; 0 if there is none. */
  front(chain: number): number {
    const heap = this.#heaps.get(chain)!
    for (;;) {
      const note = heap[0]
      if (note === undefined) return 0
      if (this.#noted.has(note.dup) && this.#stamps.get(note.dup) === note.stamp) return note.dup
      pop(heap)
    }
  }

  /** The same, whose note is dropped. */
  take(chain: number): number {
    const dup = this.front(chain)
    pop(this.#heaps.get(chain)!)
    this.#noted.delete(dup)
    return dup
  }
}

function push(heap: Note[], note: Note): void {
  let at = heap.push(note) - 1
  while (at > 0) {
    const above = (at - 1) >>> 1
    if (heap[above]!.stamp >= note.stamp) break
    heap[at] = heap[above]!
    at = above
  }
  heap[at] = note
}

/** Takes the root off, if there is one. */
function pop(heap: Note[]): void {
  const last = heap.pop()!
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let below = 2 * at + 1
    if (below + 1 < heap.length && heap[below + 1]!.stamp > heap[below]!.stamp) below++
    if (below >= heap.length || heap[below]!.stamp <= last.stamp) break
    heap[at] = heap[below]!
    at = below
  }
  heap[at] = last
}
