// The oracle model's two kinds of tree over page contents: one ordered by memcmp like Linux's, where a search
// looks at every entry on its way down, and a map, where it looks at an entry of equal content or at none.

import { type Content, PAGE_SIZE } from './memory.ts'
import { type RbNode, RbTree } from './rbtree.ts'

export interface Place<T> {
  value: T
}

export interface Walk<T> {
  /** Where equal content is. */
  place: Place<T> | null
  /** Puts a value where the walk ended; only if there is no equal content. */
  insert(value: T): Place<T>
}

export interface Tree<T> {
  /** `look` tells the content of each entry on the way. Its null ends the walk: the result is null too. */
  walk(content: Content, look: (place: Place<T>) => Content | null): Walk<T> | null
  erase(place: Place<T>): void
  /** What is to be removed next if all is to go but those that cannot: null when there is nothing more to try. */
  next(busy: ReadonlySet<Place<T>>): Place<T> | null
}

/** memcmp of two pages. */
function compare(a: Content, b: Content): number {
  if (a === b) return 0
  let i = 0
  while (i < PAGE_SIZE && a.bytes[i] === b.bytes[i]) i++
  return i === PAGE_SIZE ? 0 : a.bytes[i]! - b.bytes[i]!
}

export class ContentTree<T> implements Tree<T> {
  readonly #tree = new RbTree<T>()

  walk(content: Content, look: (place: Place<T>) => Content | null): Walk<T> | null {
    const { leaf } = this.#tree
    let parent = leaf
    let side: 'left' | 'right' = 'left'
    let at = this.#tree.root
    while (at !== leaf) {
      const found = look(at)
      if (!found) return null
      const order = compare(content, found)
      if (order === 0) break
      parent = at
      side = order < 0 ? 'left' : 'right'
      at = at[side]
    }
    return { place: at === leaf ? null : at, insert: (value) => this.#tree.insert(value, parent, side) }
  }

  erase(place: Place<T>): void {
    this.#tree.erase(place as RbNode<T>)
  }

  /** The root, and no other. */
  next(busy: ReadonlySet<Place<T>>): Place<T> | null {
    const { root, leaf } = this.#tree
    return root === leaf || busy.has(root) ? null : root
  }
}

export class HashTree<T> implements Tree<T> {
  readonly #places = new Map<Content, Place<T>>()

  walk(content: Content, look: (place: Place<T>) => Content | null): Walk<T> | null {
    const place = this.#places.get(content) ?? null
    if (place && !look(place)) return null
    const insert = (value: T): Place<T> => {
      const added = { value }
      this.#places.set(content, added)
      return added
    }
    return { place, insert }
  }

  erase(place: Place<T>): void {
    for (const [content, at] of this.#places) if (at === place) this.#places.delete(content)
  }

  /** Any: there is no root here. */
  next(busy: ReadonlySet<Place<T>>): Place<T> | null {
    return [...this.#places.values()].find((place) => !busy.has(place)) ?? null
  }
}
