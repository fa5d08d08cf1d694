// Snapshots as address spaces. The first of its kind in a host is read; it stays there, untouched, and what is handed out is a fork
// of it. One that is like it is a fork too, in which the pages that differ are written: so what is equal is one frame from the start,
// before any ksmd has come by. Pages of zeros have no frame.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Host } from '../host.ts'
import type { Mm } from '../mm/mm.ts'
import { LEAF_PAGES } from './leaves.ts'
import { ZERO_PAGE } from './pages.ts'
import { eachRun, readRun } from './reading.ts'
import type { Snapshot, StoreState } from './state.ts'

/** How `load` makes its mm. */
export interface LoadSnapshotOptions {
  /** For messages and tracepoints. Default: the snapshot's name. */
  readonly name?: string
  /** Called now and then with how many pages have been looked at, of how many. */
  readonly onProgress?: (done: number, of: number) => void
}

interface Pristine {
  readonly snapshot: Snapshot
  readonly mm: Mm
  readonly address: number
}

/** What stands in hosts, ready to be forked. Keeps no host alive. */
export class Loader {
  private readonly state: StoreState
  private readonly pristine = new WeakMap<Host, Pristine[]>()
  private hosts: WeakRef<Host>[] = []

  constructor(state: StoreState) {
    this.state = state
  }

  /** Throws what Host.createMm, Mm.mmap, write and fork do, EIO. */
  load(host: Host, snapshot: Snapshot, { name = snapshot.name, onProgress }: LoadSnapshotOptions): Mm {
    const there = this.pristine.get(host)?.filter(({ mm }) => isAlive(mm)) ?? []
    let pristine = there.find((one) => one.snapshot === snapshot)
    if (pristine === undefined) {
      pristine = this.make(host, snapshot, nearest(this.state, there, snapshot), onProgress)
      if (!this.pristine.has(host)) this.hosts.push(new WeakRef(host))
      this.pristine.set(host, [...there, pristine])
    }
    return pristine.mm.fork({ name })
  }

  /** Gives up what was made of a snapshot, or of all. What was handed out stays. */
  drop(snapshot?: Snapshot): void {
    this.hosts = this.hosts.filter((reference) => reference.deref() !== undefined)
    for (const reference of this.hosts) {
      const host = reference.deref()!
      const goes = (one: Pristine): boolean => snapshot === undefined || one.snapshot === snapshot
      const there = this.pristine.get(host)!
      for (const one of there) if (goes(one) && isAlive(one.mm)) one.mm.exit()
      this.pristine.set(
        host,
        there.filter((one) => !goes(one)),
      )
    }
  }

  private make(
    host: Host,
    snapshot: Snapshot,
    near: Pristine | undefined,
    onProgress: LoadSnapshotOptions['onProgress'],
  ): Pristine {
    const name = `${snapshot.name} (pristine)`
    const domain = snapshot.domain === '' ? {} : { domain: snapshot.domain }
    const mm = near?.mm.fork({ name }) ?? host.createMm({ name, ...domain })
    try {
      const address = near?.address ?? mm.mmap(snapshot.pages * PAGE_SIZE)
      this.fill(mm, address, snapshot, near?.snapshot, onProgress)
      return { snapshot, mm, address }
    } catch (error) {
      mm.exit()
      throw error
    }
  }

  /** Writes what an mm has not yet, which is empty or holds another snapshot. */
  private fill(
    mm: Mm,
    address: number,
    snapshot: Snapshot,
    held: Snapshot | undefined,
    onProgress: LoadSnapshotOptions['onProgress'],
  ): void {
    const bytes = new Uint8Array(LEAF_PAGES * PAGE_SIZE)
    const { state } = this
    for (let leaf = 0; leaf < snapshot.leaves.length; leaf++) {
      const first = leaf * LEAF_PAGES
      const end = Math.min(first + LEAF_PAGES, snapshot.pages)
      onProgress?.(end, snapshot.pages)
      for (const [from, to] of differingRuns(state, snapshot, held, leaf)) {
        eachRun(state, snapshot, [first + from, first + to], (page, at, count) => {
          const [start, length] = [address + at * PAGE_SIZE, count * PAGE_SIZE]
          if (page === ZERO_PAGE) {
            if (held !== undefined) mm.madvise(start, length, 'MADV_DONTNEED')
            return
          }
          const some = bytes.subarray(0, length)
          readRun(state, snapshot, [page, at, count], some)
          mm.write(start, some)
        })
      }
    }
  }
}

/** The runs of pages of a leaf of `snapshot`, counted from its first, that `held` has otherwise; all, if nothing is held. */
export function* differingRuns(
  state: StoreState,
  snapshot: Snapshot,
  held: Snapshot | undefined,
  leaf: number,
): Generator<readonly [from: number, to: number]> {
  const pages = state.pagesOf(snapshot, leaf)
  if (held === undefined || leaf >= held.leaves.length) {
    yield [0, pages.length]
    return
  }
  const others = state.pagesOf(held, leaf)
  if (snapshot.leaves[leaf] === held.leaves[leaf] && pages.length === others.length) return
  for (let at = 0; at < pages.length; ) {
    let end = at
    while (end < pages.length && pages[end] !== others[end]) end++
    if (end > at) yield [at, end]
    at = end + 1
  }
}

/** Pages that two snapshots do not have in common, and those that only the longer one has. */
export function differing(state: StoreState, a: Snapshot, b: Snapshot): number[] {
  const [long, short] = a.pages >= b.pages ? [a, b] : [b, a]
  const pages: number[] = []
  for (let leaf = 0; leaf < long.leaves.length; leaf++)
    for (const [from, to] of differingRuns(state, long, short, leaf))
      for (let at = from; at < to; at++) pages.push(leaf * LEAF_PAGES + at)
  return pages
}

/** The one that differs least, if at least half is the same. */
function nearest(state: StoreState, there: readonly Pristine[], snapshot: Snapshot): Pristine | undefined {
  let best: Pristine | undefined
  let least = snapshot.pages / 2
  for (const one of there) {
    const { domain, pages } = one.snapshot
    if (domain !== snapshot.domain || pages !== snapshot.pages) continue
    const differ = differing(state, one.snapshot, snapshot).length
    if (differ > least) continue
    best = one
    least = differ
  }
  return best
}

/** It has exited if its host was closed. */
function isAlive(mm: Mm): boolean {
  try {
    mm.ksmStat()
    return true
  } catch {
    return false
  }
}
