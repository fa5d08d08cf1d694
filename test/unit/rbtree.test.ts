import { describe, expect, it } from 'vitest'
import { CACHE_RMAP, LINK_ROOT, TREE_BLACK, TREE_LEFT, TREE_PARENT, TREE_RIGHT } from '../../assembly/abi.ts'
import type { Arena } from '../../src/core/arena.ts'
import { BareTree } from '../../src/core/bare-tree.ts'
import { RESULT } from '../../src/core/key.ts'
import { type RbNode, RbTree } from '../model/rbtree.ts'
import { bareArena } from '../support/arena.ts'
import { random } from '../support/random.ts'

/** One tree in the arena, ordered by numbers the test keeps, beside a textbook tree with the same history. */
class Twins {
  readonly keys = new Map<number, number>()
  readonly reference = new RbTree<number>()
  private readonly referenceNodes = new Map<number, RbNode<number>>()
  private readonly arena: Arena
  private readonly slot: number

  constructor(arena: Arena) {
    this.arena = arena
    this.slot = arena.allocRoots()
  }

  insert(key: number): void {
    const node = this.arena.core.slabAlloc(CACHE_RMAP)
    let link = this.slot | LINK_ROOT
    for (let at = this.load(this.slot); at !== 0; at = this.load(link)) {
      link = at + (key < this.keys.get(at)! ? TREE_LEFT : TREE_RIGHT)
    }
    this.keys.set(node, key)
    this.arena.core.insert(node, link)

    let parent = this.reference.leaf
    let side: 'left' | 'right' = 'left'
    for (let at = this.reference.root; at !== this.reference.leaf; at = at[side]) {
      parent = at
      side = key < at.value ? 'left' : 'right'
    }
    this.referenceNodes.set(node, this.reference.insert(key, parent, side))
  }

  erase(node: number): void {
    this.arena.core.erase(node)
    this.arena.core.slabFree(CACHE_RMAP, node)
    this.keys.delete(node)
    this.reference.erase(this.referenceNodes.get(node)!)
    this.referenceNodes.delete(node)
  }

  /** Shape and colours, from the top down. */
  shape(node = this.load(this.slot)): unknown {
    if (node === 0) return null
    const black = (this.load(node + TREE_PARENT) & TREE_BLACK) !== 0
    const children = [this.shape(this.load(node + TREE_LEFT)), this.shape(this.load(node + TREE_RIGHT))]
    return [this.keys.get(node), black, ...children]
  }

  referenceShape(node = this.reference.root): unknown {
    if (node === this.reference.leaf) return null
    return [node.value, !node.red, this.referenceShape(node.left), this.referenceShape(node.right)]
  }

  /** Number of nodes, or what is broken. */
  check(): number {
    return this.arena.core.checkTree(this.slot, 0)
  }

  inOrder(): number[] {
    const order: number[] = []
    const { core } = this.arena
    for (let node = core.first(this.slot); node !== 0; node = core.next(node))
      order.push(this.keys.get(node)!)
    return order
  }

  corrupt(at: number, change: (word: number) => number): void {
    this.arena.u32[at >>> 2] = change(this.load(at))
  }

  top(): number {
    return this.load(this.slot)
  }

  load(address: number): number {
    return this.arena.u32[address >>> 2]!
  }
}

async function twins(): Promise<Twins> {
  return new Twins(await bareArena({ index: 'content' }))
}

describe('the red-black tree', () => {
  it.each([1, 2, 3, 4, 5])(
    'keeps its rules and the textbook shape after every step, seed %i',
    async (seed) => {
      const tree = await twins()
      const rnd = random(seed)
      for (let step = 0; step < 700; step++) {
        const growing = Math.floor(step / 120) % 2 === 0
        if (tree.keys.size === 0 || rnd.chance(growing ? 0.8 : 0.25)) tree.insert(rnd.below(1000) / 1)
        else tree.erase(rnd.pick([...tree.keys.keys()]))
        expect(tree.check(), `step ${step}`).toBe(tree.keys.size)
        expect(tree.shape(), `step ${step}`).toEqual(tree.referenceShape())
      }
      expect(tree.inOrder()).toEqual([...tree.keys.values()].sort((a, b) => a - b))
    },
  )

  it.each<[string, (i: number) => number]>([
    ['ascending', (i) => i],
    ['descending', (i) => -i],
    ['from both ends', (i) => (i % 2 === 0 ? i : -i)],
  ])('takes keys %s and gives them up again', async (_, keyOf) => {
    const tree = await twins()
    for (let i = 0; i < 200; i++) tree.insert(keyOf(i))
    expect(tree.check()).toBe(200)
    for (const node of [...tree.keys.keys()]) {
      tree.erase(node)
      expect(tree.check()).toBe(tree.keys.size)
    }
    expect(tree.top()).toBe(0)
  })

  it('has a check that sees broken rules', async () => {
    const breakages: [at: number, change: (word: number) => number][] = []
    const tree = await twins()
    for (let i = 0; i < 20; i++) tree.insert(i)
    const top = tree.top()
    const left = tree.load(top + TREE_LEFT)
    breakages.push([top + TREE_PARENT, (word) => word & ~TREE_BLACK])
    breakages.push([left + TREE_PARENT, (word) => word ^ TREE_BLACK])
    breakages.push([left + TREE_PARENT, (word) => word + 32])
    for (const [at, change] of breakages) {
      const saved = tree.load(at)
      tree.corrupt(at, change)
      expect(tree.check()).toBeLessThan(0)
      tree.corrupt(at, () => saved)
    }
    expect(tree.check()).toBe(20)
  })
})

describe('search', () => {
  it('ordered by checksum, walks to the node with the key or to where it belongs', async () => {
    const arena = await bareArena({ index: 'hash', frames: 64 })
    const tree = new BareTree(arena)
    const rnd = random(5)
    const known = new Map<string, number>()
    for (let i = 0; i < 600; i++) {
      // Few high words, so that trees get deep, and low words that differ in one bit or in the top bit.
      const upper = rnd.pick([0, 1, 0x7fffffff, 0x80000000, 0xffffffff])
      const low = (rnd.below(200) * 0x01000001) >>> 0
      const found = tree.search(upper, low)
      const name = `${upper}:${low}`
      if (known.has(name)) {
        expect(found).toBe(known.get(name))
        expect(tree.insert(upper, low)).toBe(0)
        continue
      }
      expect(found).toBeLessThan(0)
      known.set(name, tree.insert(upper, low))
    }
    let nodes = 0
    for (let slot = 0; slot < arena.rootSlots; slot++) {
      nodes += arena.core.checkTree(arena.rootSlot(tree.roots, slot), 1)
    }
    expect(nodes).toBe(known.size)
  })

  it('ordered by content, stops at every node', async () => {
    const arena = await bareArena({ index: 'content' })
    const { core } = arena
    const roots = arena.allocRoots()
    expect(arena.rootSlots).toBe(1)
    const link = -core.search(roots, RESULT)
    expect(link).toBe(roots | LINK_ROOT)
    const item = core.slabAlloc(CACHE_RMAP)
    core.insert(item, link)
    expect(core.search(roots, RESULT)).toBe(item)
    expect(core.searchBelow(item + TREE_RIGHT, RESULT)).toBe(-(item + TREE_RIGHT))
  })
})
