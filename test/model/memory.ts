// The oracle model's memory: physical pages, the page table entries that map them, and copy-on-write.

import type { StableNode } from './model.ts'

export const PAGE_SIZE = 4096

/** The bytes of a page. Pages of equal bytes share one Content. */
export interface Content {
  readonly bytes: Uint8Array
}

/** A physical page. `ksm` and `node` together are the kernel's tagged `mapping` word. */
export interface Frame {
  readonly id: number
  content: Content
  /** 0: free. The mappings' references are included. */
  refcount: number
  mapcount: number
  /** AnonExclusive: its one mapping may write to it without asking. */
  exclusive: boolean
  ksm: boolean
  node: StableNode | null
}

/** A present page table entry. Dirty on the zero page is KSM's mark: "I put it there". */
export interface Pte {
  frame: Frame
  dirty: boolean
}

/** One page of a mapped region; its vma's VM_MERGEABLE, VM_READ and VM_WRITE are kept per page. */
export interface Page {
  mergeable: boolean
  readable: boolean
  writable: boolean
  pte: Pte | null
}

/** Page content number c: the word c over and over, and a last word that depends on c. 0 is all zero. */
export function contentOf(c: number): Uint8Array {
  const words = new DataView(new ArrayBuffer(PAGE_SIZE))
  for (let at = 0; at < PAGE_SIZE; at += 4) words.setUint32(at, c, true)
  words.setUint32(PAGE_SIZE - 4, Math.imul(c, 2654435761), true)
  return new Uint8Array(words.buffer)
}

export class Memory {
  readonly zero: Frame
  framesInUse = 0
  #lastId = 0
  readonly #contents = new Map<string, Content>()

  constructor() {
    const content = this.#intern(new Uint8Array(PAGE_SIZE))
    this.zero = { id: 0, content, refcount: 1, mapcount: 0, exclusive: false, ksm: false, node: null }
  }

  #intern(bytes: Uint8Array): Content {
    const key = String.fromCharCode(...bytes)
    const content = this.#contents.get(key) ?? { bytes: bytes.slice() }
    this.#contents.set(key, content)
    return content
  }

  /** An anonymous page, not the zero page, mapped there. */
  anonymous(page: Page): Pte | null {
    return page.pte?.frame === this.zero ? null : page.pte
  }

  isKsmZero(page: Page): boolean {
    return page.pte?.frame === this.zero && page.pte.dirty
  }

  read(page: Page): Pte {
    page.pte ??= { frame: this.zero, dirty: false }
    return page.pte
  }

  write(page: Page, change: (bytes: Uint8Array) => Uint8Array): void {
    const frame = this.anonymous(page)?.frame
    // A KSM page is copied even for its last user: it never becomes an ordinary page again.
    const reuse = frame && (frame.exclusive || (!frame.ksm && frame.refcount === 1))
    const pte = reuse ? page.pte! : this.#copy(page)
    pte.frame.exclusive = true
    pte.dirty = true
    pte.frame.content = this.#intern(change(pte.frame.content.bytes))
  }

  /** Gives a KSM page's user a private copy, still clean. */
  breakKsm(page: Page): void {
    if (page.pte?.frame.ksm || this.isKsmZero(page)) this.#copy(page)
  }

  #copy(page: Page): Pte {
    const { content } = this.read(page).frame
    this.zap(page)
    const id = ++this.#lastId
    const frame = { id, content, refcount: 1, mapcount: 1, exclusive: true, ksm: false, node: null }
    this.framesInUse++
    page.pte = { frame, dirty: false }
    return page.pte
  }

  zap(page: Page): void {
    const frame = this.anonymous(page)?.frame
    page.pte = null
    if (!frame) return
    frame.mapcount--
    this.put(frame)
  }

  put(frame: Frame): void {
    if (--frame.refcount === 0) this.framesInUse--
  }

  /** Maps a page that is mapped elsewhere, or the zero page. */
  share(page: Page, frame: Frame, dirty: boolean): void {
    this.zap(page)
    page.pte = { frame, dirty }
    if (frame === this.zero) return
    frame.refcount++
    frame.mapcount++
    frame.exclusive = false
  }
}
