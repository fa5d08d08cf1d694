// What is measured in the small: the pieces of one page's visit, and the boundary between TypeScript and the core.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { Arena } from '../../src/core/arena.ts'
import { BareTree } from '../../src/core/bare-tree.ts'
import { FrameTable } from '../../src/core/frame-table.ts'
import { hasher } from '../../src/core/hasher.ts'
import { CHECKSUM_NAMES, type ChecksumName, expectStrategy } from '../../src/index.ts'
import { optional } from '../optional.ts'
import { guestMemory } from './memory.ts'
import type { MicroCase, MicroGroup } from './suite.ts'

/** Pages of the cold cases: more than any cache holds. */
const COLD_PAGES = 16_384
/** Nodes in the tree that is searched. */
const TREE_NODES = 20_000

export async function microGroups(smoke: boolean): Promise<MicroGroup[]> {
  const coldPages = smoke ? 64 : COLD_PAGES
  return [
    await comparison(coldPages),
    await checksums(coldPages),
    await trees(smoke ? 100 : TREE_NODES),
    await boundary(),
    await guestMemory(),
  ]
}

async function arenaWith(pages: number, checksum: ChecksumName = 'xxh3') {
  const arena = await Arena.create({ frames: pages, mappings: 65_536, ...expectStrategy({ checksum }) })
  const words = new Uint32Array(PAGE_SIZE / 4)
  const bytes = new Uint8Array(words.buffer)
  let state = 1
  for (let page = 0; page < pages; page++) {
    for (let i = 0; i < words.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      words[i] = state
    }
    arena.page(arena.firstPfn + page).set(bytes)
  }
  return arena
}

async function comparison(coldPages: number): Promise<MicroGroup> {
  const half = coldPages / 2
  const arena = await arenaWith(coldPages)
  const { core, firstPfn } = arena
  arena.pages(firstPfn + half, half).set(arena.pages(firstPfn, half))
  const hot = Buffer.concat([arena.page(firstPfn), arena.page(firstPfn)])
  const [left, right] = [hot.subarray(0, PAGE_SIZE), hot.subarray(PAGE_SIZE)]
  let at = 0
  return {
    name: 'compare two equal pages',
    cases: [
      {
        name: 'pagesIdentical, cached',
        bytes: PAGE_SIZE,
        run: () => core.pagesIdentical(firstPfn, firstPfn + half),
      },
      {
        name: 'comparePages, cached',
        bytes: PAGE_SIZE,
        run: () => core.comparePages(firstPfn, firstPfn + half),
      },
      { name: 'Buffer.compare, cached', bytes: PAGE_SIZE, run: () => Buffer.compare(left, right) },
      {
        name: 'comparePages, cold',
        bytes: PAGE_SIZE,
        run: () => {
          at = (at + 1) % half
          return core.comparePages(firstPfn + at, firstPfn + half + at)
        },
      },
    ],
  }
}

async function checksums(coldPages: number): Promise<MicroGroup> {
  const { h64Raw } = await (await optional('xxhash-wasm'))()
  const cases: MicroCase[] = []
  for (const name of CHECKSUM_NAMES) {
    const arena = await arenaWith(coldPages, name)
    const { firstPfn } = arena
    let at = 0
    const hash = hasher(arena)
    cases.push({ name: `${name}, cached`, bytes: PAGE_SIZE, run: () => hash(firstPfn) })
    cases.push({
      name: `${name}, cold`,
      bytes: PAGE_SIZE,
      run: () => {
        at = (at + 1) % coldPages
        return hash(firstPfn + at)
      },
    })
  }
  const page = new Uint8Array(PAGE_SIZE).fill(7)
  cases.push({
    name: 'xxhash-wasm h64Raw, cached',
    bytes: PAGE_SIZE,
    run: () => Number(h64Raw(page) & 0xffffn),
  })
  return { name: 'checksum of a page', cases }
}

async function trees(nodes: number): Promise<MicroGroup> {
  const tree = new BareTree(await arenaWith(1))
  let state = 7
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state
  }
  for (let i = 0; i < nodes; i++) tree.insert(next(), next())
  return {
    name: `a tree of ${nodes} nodes ordered by checksum`,
    cases: [
      {
        name: 'search for a key that is not there',
        bytes: 0,
        run: () => tree.search(next(), next()),
      },
      {
        name: 'insert and erase',
        bytes: 0,
        run: () => {
          const node = tree.insert(next(), next())
          if (node !== 0) tree.erase(node)
          return node
        },
      },
    ],
  }
}

async function boundary(): Promise<MicroGroup> {
  const arena = await arenaWith(16)
  const frames = new FrameTable(arena)
  const { core, firstPfn } = arena
  return {
    name: 'the boundary',
    cases: [
      { name: 'an empty loop', bytes: 0, run: () => 1 },
      { name: 'call into the core', bytes: 0, run: () => core.abiVersion() },
      { name: 'read a field of a frame from TypeScript', bytes: 0, run: () => frames.refcount(firstPfn) },
    ],
  }
}
