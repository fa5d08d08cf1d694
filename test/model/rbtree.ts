// A textbook red-black tree (Cormen, Leiserson, Rivest, Stein, with a sentinel leaf), for the oracle model.
// It keeps no order of its own: the caller walks from `root` and says below which leaf a new node goes. An
// erased node with two children is replaced by its in-order successor; Linux's rbtree does the same in every
// case, so both trees have the same shape, and the shape decides which nodes a search passes over.

export interface RbNode<T> {
  value: T
  red: boolean
  parent: RbNode<T>
  left: RbNode<T>
  right: RbNode<T>
}

type Side = 'left' | 'right'
const other = (side: Side): Side => (side === 'left' ? 'right' : 'left')

export class RbTree<T> {
  readonly leaf: RbNode<T>
  root: RbNode<T>

  constructor() {
    const leaf = { value: undefined, red: false } as unknown as RbNode<T>
    leaf.parent = leaf.left = leaf.right = leaf
    this.leaf = this.root = leaf
  }

  first(from: RbNode<T> = this.root): RbNode<T> {
    let node = from
    while (node.left !== this.leaf) node = node.left
    return node
  }

  /** Hangs a new node below `parent` (the leaf when the tree is empty), in its empty place on `side`. */
  insert(value: T, parent: RbNode<T>, side: Side): RbNode<T> {
    const node: RbNode<T> = { value, red: true, parent, left: this.leaf, right: this.leaf }
    if (parent === this.leaf) this.root = node
    else parent[side] = node
    this.#fixInsert(node)
    return node
  }

  erase(node: RbNode<T>): void {
    let lostRed = node.red
    let hole: RbNode<T>
    if (node.left === this.leaf || node.right === this.leaf) {
      hole = node.left === this.leaf ? node.right : node.left
      this.#replace(node, hole)
    } else {
      const next = this.first(node.right)
      lostRed = next.red
      hole = next.right
      if (next.parent === node) {
        hole.parent = next
      } else {
        this.#replace(next, hole)
        next.right = node.right
        next.right.parent = next
      }
      this.#replace(node, next)
      next.left = node.left
      next.left.parent = next
      next.red = node.red
    }
    if (!lostRed) this.#fixErase(hole)
  }

  // The sentinel's parent may be set here: fixErase climbs from it.
  #replace(node: RbNode<T>, by: RbNode<T>): void {
    if (node.parent === this.leaf) this.root = by
    else if (node === node.parent.left) node.parent.left = by
    else node.parent.right = by
    by.parent = node.parent
  }

  #rotate(node: RbNode<T>, side: Side): void {
    const up = node[other(side)]
    node[other(side)] = up[side]
    if (up[side] !== this.leaf) up[side].parent = node
    this.#replace(node, up)
    up[side] = node
    node.parent = up
  }

  #fixInsert(inserted: RbNode<T>): void {
    let node = inserted
    while (node.parent.red) {
      const grand = node.parent.parent
      const side: Side = node.parent === grand.left ? 'left' : 'right'
      const uncle = grand[other(side)]
      if (uncle.red) {
        node.parent.red = uncle.red = false
        grand.red = true
        node = grand
      } else {
        if (node === node.parent[other(side)]) {
          node = node.parent
          this.#rotate(node, side)
        }
        node.parent.red = false
        grand.red = true
        this.#rotate(grand, other(side))
      }
    }
    this.root.red = false
  }

  #fixErase(hole: RbNode<T>): void {
    let node = hole
    while (node !== this.root && !node.red) {
      const side: Side = node === node.parent.left ? 'left' : 'right'
      let sibling = node.parent[other(side)]
      if (sibling.red) {
        sibling.red = false
        node.parent.red = true
        this.#rotate(node.parent, side)
        sibling = node.parent[other(side)]
      }
      if (!sibling.left.red && !sibling.right.red) {
        sibling.red = true
        node = node.parent
      } else {
        if (!sibling[other(side)].red) {
          sibling[side].red = false
          sibling.red = true
          this.#rotate(sibling, other(side))
          sibling = node.parent[other(side)]
        }
        sibling.red = node.parent.red
        node.parent.red = false
        sibling[other(side)].red = false
        this.#rotate(node.parent, side)
        node = this.root
      }
    }
    node.red = false
  }
}
