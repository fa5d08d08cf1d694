// Random histories: a few processes with little memory and few contents, so that pages merge, fork, fill chains and turn
// stale all the time. The same seed makes the same program for ever. Process 0 keeps registered memory that nobody
// touches: Linux completes no full scan without any.

import type { Operation, Program } from './history.ts'
import { type Random, random } from './random.ts'

/** A program begins with these; without them it is no program for a kernel. */
export const BEGINNING: readonly Operation[] = [
  ['spawn', 0],
  ['map', 0, 1, 2],
  ['mergeable', 0, 1, 0, 2],
  ['write', 0, 1, 0, 1],
  ['write', 0, 1, 1, 2],
]

export interface ProgramOptions {
  /** How many operations. Default: 300. */
  readonly ops?: number
  /** With reclaim, which needs swap. Default: true. */
  readonly pageout?: boolean
  /**
   * Of the wider kind: batches of 1 to 40 pages with guests acting in between, more holes, mremap that resizes, MADV_FREE,
   * populating, merge_across_nodes. Default: false.
   */
  readonly wide?: boolean
  /** Are the tracepoints part of the rows? Default: false. */
  readonly traced?: boolean
  /**
   * May pages be read that nobody has written to? Some kernels give such a read a page of its own in place of the zero page.
   * Default: true.
   */
  readonly untouchedReads?: boolean
}

export function randomProgram(seed: number, options: ProgramOptions = {}): Program {
  const generator = new Generator(random(seed), {
    pageout: true,
    wide: false,
    untouchedReads: true,
    ...options,
  })
  const program = generator.program(options.ops ?? 300)
  return options.traced === true ? { ...program, traced: true } : program
}

/** What a process has mapped: the pages of each region. Some of it may be wrong: errors are part of a history. */
type Mapped = Map<number, Set<number>>

interface Range {
  readonly p: number
  readonly r: number
  readonly first: number
  readonly count: number
}

const MAX_PROCESSES = 5
const REGION_PAGES = 12

type Kind = Pick<ProgramOptions, 'pageout' | 'wide' | 'untouchedReads'>

class Generator {
  private readonly random: Random
  private readonly untouchedReads: boolean
  private readonly live = new Map<number, Mapped>()
  private readonly mergeAny = new Set<number>()
  private readonly contents: number
  /** Places that may be pinned. */
  private pinned: [p: number, r: number, page: number][] = []
  private ops: Operation[] = [...BEGINNING]
  private lastProcess = 0
  private readonly choices: readonly (readonly [weight: number, add: () => void])[]
  private readonly weights: number

  constructor(random: Random, { pageout, wide, untouchedReads }: Required<Kind>) {
    this.random = random
    this.untouchedReads = untouchedReads
    this.contents = random.pick([3, 6, 40])
    // One in three programs does only what merging is made of.
    const beyond = random.chance(0.33) ? 0 : 1
    this.choices = [
      [3, () => this.spawn()],
      [7, () => this.map()],
      [50, () => this.write()],
      [4, () => this.onPage((p, r, page) => ['poke', p, r, page, random.below(4096), random.below(256)])],
      [untouchedReads ? 1 : 0, () => this.onPage((p, r, page) => ['read', p, r, page])],
      [1.5, () => this.onRange(({ p, r, first, count }) => ['mergeable', p, r, first, count])],
      [1.5, () => this.onRange(({ p, r, first, count }) => ['unmergeable', p, r, first, count])],
      [1.5, () => this.onRange(({ p, r, first, count }) => ['dontneed', p, r, first, count])],
      [1.5, () => this.unmap()],
      [3, () => this.fork()],
      [2, () => this.exit()],
      [0.5, () => this.ops.push(['run', random.chance(0.8) ? 2 : 3])],
      [1, () => this.knob()],
      [20, () => this.ops.push(['scan', random.pick([1, 1, 1, 2, 3])])],
      [2 * beyond, () => this.mprotect()],
      [2 * beyond, () => this.mremap()],
      [1.5 * beyond, () => this.pin()],
      [1 * beyond, () => this.unpin()],
      [1 * beyond, () => this.setMergeAny()],
      [0.3 * beyond, () => this.exec()],
      [
        (pageout ? 2.5 : 0) * beyond,
        () => this.onRange(({ p, r, first, count }) => ['pageout', p, r, first, count]),
      ],
      ...(wide ? this.widerChoices() : []),
    ]
    this.weights = this.choices.reduce((sum, [weight]) => sum + weight, 0)
  }

  /**
   * No mlock: Linux holds pages that are unlocked for a while longer, in batches, and whether one can be merged or is free then
   * depends on the processor's.
   */
  private widerChoices(): (readonly [weight: number, add: () => void])[] {
    const { random } = this
    return [
      [40, () => this.ops.push(['batch', 1 + random.below(random.pick([3, 12, 40]))])],
      [4, () => this.hole()],
      [4, () => this.resize()],
      [2, () => this.overRange((p, r, first, count) => ['mprotect', p, r, first, count, this.prot([1, 3])])],
      [2, () => this.overRange((p, r, first, count) => ['mergeable', p, r, first, count])],
      [2, () => this.overRange((p, r, first, count) => ['unmergeable', p, r, first, count])],
      [1, () => this.overRange((p, r, first, count) => ['dontneed', p, r, first, count])],
      [1, () => this.overRange((p, r, first, count) => ['free', p, r, first, count])],
      [1.5, () => this.overRange((p, r, first, count) => ['populate', p, r, first, count, this.access()])],
      [0.5, () => this.ops.push(['knob', 'merge_across_nodes', random.below(2)])],
    ]
  }

  private access(): number {
    return this.untouchedReads ? this.random.below(2) : 1
  }

  /** Where reads are to find something, nothing is made read-only: what may be written to is faulted in by writing. */
  private prot(choices: readonly number[]): number {
    const prot = this.random.pick(choices)
    return this.untouchedReads || prot !== 1 ? prot : 3
  }

  /** One page out of the middle. */
  private hole(): void {
    this.onRange(({ p, r, first }) => {
      this.forget(p, r, first, 1)
      return ['unmap', p, r, first, 1]
    })
  }

  /** Any pages of a region, mapped or not: holes are part of the range, and so are lengths of nothing. */
  private overRange(operation: (p: number, r: number, first: number, count: number) => Operation): void {
    const range = this.range()
    if (range === undefined) return
    const first = this.random.below(REGION_PAGES)
    this.ops.push(operation(range.p, range.r, first, this.random.below(REGION_PAGES - first + 1)))
  }

  /** To another length, in place or over what lies elsewhere; the range may have holes in it. */
  private resize(): void {
    const { random } = this
    const from = this.range()
    if (from === undefined) return
    const { p, r, first } = from
    const mapped = this.live.get(p)!
    const count = 1 + random.below(REGION_PAGES)
    const newCount = 1 + random.below(REGION_PAGES)
    const toRegion = random.chance(0.5) ? r : 1 + Math.max(...mapped.keys())
    const toFirst = toRegion === r ? first : random.below(REGION_PAGES)
    this.ops.push(
      toRegion === r
        ? ['resize', p, r, first, count, newCount]
        : ['move_resize', p, r, first, count, newCount, toRegion, toFirst],
    )
    // What is mapped afterwards depends on what the kernel says; this is as good a guess as any.
    this.forget(p, r, first, count)
    const target = mapped.get(toRegion) ?? new Set<number>()
    for (const page of upTo(newCount)) target.add(toFirst + page)
    mapped.set(toRegion, target)
  }

  program(length: number): Program {
    const knobs = {
      max_page_sharing: this.random.pick([2, 3, 4, 16, 256]),
      use_zero_pages: this.random.pick([0, 0, 1]),
      smart_scan: this.random.pick([0, 0, 0, 1]),
      stable_node_chains_prune_millisecs: this.random.pick([0, 0, 1_000_000]),
    }
    while (this.ops.length < length - 1) this.step()
    return { knobs, ops: [...this.ops.slice(0, length - 1), ['scan', 2]] }
  }

  private step(): void {
    if (this.live.size === 0) this.spawn()
    let at = (this.random.below(1_000_000) / 1_000_000) * this.weights
    const choice = this.choices.find(([weight]) => {
      at -= weight
      return at < 0
    })
    choice?.[1]()
  }

  private spawn(): void {
    if (this.live.size >= MAX_PROCESSES) return
    const p = ++this.lastProcess
    this.live.set(p, new Map())
    this.ops.push(['spawn', p])
  }

  private map(): void {
    const p = this.process()
    const mapped = this.live.get(p)!
    const r = 1 + Math.max(0, ...mapped.keys())
    const count = 1 + this.random.below(REGION_PAGES)
    mapped.set(r, new Set(upTo(count)))
    this.ops.push(['map', p, r, count])
    if (this.random.chance(this.mergeAny.has(p) ? 0.1 : 0.85)) this.ops.push(['mergeable', p, r, 0, count])
    for (const page of upTo(count)) {
      if (this.random.chance(0.85)) this.ops.push(['write', p, r, page, this.random.below(this.contents)])
    }
  }

  private write(): void {
    this.onPage((p, r, page) => ['write', p, r, page, this.random.below(this.contents)])
  }

  private unmap(): void {
    this.onRange(({ p, r, first, count }) => {
      this.forget(p, r, first, count)
      return ['unmap', p, r, first, count]
    })
  }

  private mprotect(): void {
    const prot = this.prot([0, 1, 1, 3, 3, 3])
    this.onRange(({ p, r, first, count }) => ['mprotect', p, r, first, count, prot])
  }

  /** Into a region of its own, a hole, or over what is there. */
  private mremap(): void {
    const from = this.range()
    if (from === undefined) return
    const { p, r, first, count } = from
    const mapped = this.live.get(p)!
    const toRegion = this.random.chance(0.5)
      ? 1 + Math.max(...mapped.keys())
      : this.random.pick([...mapped.keys()])
    if (toRegion === r) return
    const toFirst = this.random.below(REGION_PAGES)
    this.forget(p, r, first, count)
    const target = mapped.get(toRegion) ?? new Set()
    for (const page of upTo(count)) target.add(toFirst + page)
    mapped.set(toRegion, target)
    this.ops.push(['mremap', p, r, first, count, toRegion, toFirst])
  }

  private pin(): void {
    const op = this.random.pick(this.untouchedReads ? (['pin', 'dma_pin'] as const) : (['dma_pin'] as const))
    this.onPage((p, r, page) => {
      this.pinned.push([p, r, page])
      return [op, p, r, page]
    })
  }

  private unpin(): void {
    if (this.pinned.length === 0) return
    const place = this.random.pick(this.pinned)
    this.pinned = this.pinned.filter((other) => other !== place)
    if (this.live.has(place[0])) this.ops.push(['unpin', ...place])
  }

  private setMergeAny(): void {
    const p = this.process()
    const value = this.mergeAny.has(p) ? 0 : 1
    if (value === 1) this.mergeAny.add(p)
    else this.mergeAny.delete(p)
    this.ops.push(['merge_any', p, value])
  }

  private fork(): void {
    if (this.live.size > MAX_PROCESSES) return
    const p = this.process()
    const q = ++this.lastProcess
    this.live.set(q, new Map([...this.live.get(p)!].map(([r, pages]) => [r, new Set(pages)])))
    if (this.mergeAny.has(p)) this.mergeAny.add(q)
    this.ops.push(['fork', p, q])
  }

  private exec(): void {
    const p = this.process()
    this.live.set(p, new Map())
    this.ops.push(['exec', p])
  }

  private exit(): void {
    if (this.live.size < 2) return
    const p = this.process()
    this.live.delete(p)
    this.ops.push(['exit', p])
  }

  private knob(): void {
    const { random } = this
    this.ops.push(
      random.pick<Operation>([
        ['knob', 'max_page_sharing', random.pick([1, 2, 5, 256])],
        ['knob', 'use_zero_pages', random.below(2)],
        ['knob', 'smart_scan', random.below(2)],
      ]),
    )
  }

  private process(): number {
    return this.random.pick([...this.live.keys()])
  }

  private onPage(operation: (p: number, r: number, page: number) => Operation): void {
    const range = this.range()
    if (range !== undefined) this.ops.push(operation(range.p, range.r, range.first))
  }

  private onRange(operation: (range: Range) => Operation): void {
    const range = this.range()
    if (range !== undefined) this.ops.push(operation(range))
  }

  /** Pages of some process that lie side by side. */
  private range(): Range | undefined {
    const p = this.process()
    const regions = [...this.live.get(p)!].filter(([, pages]) => pages.size > 0)
    if (regions.length === 0) return undefined
    const [r, pages] = this.random.pick(regions)
    const first = this.random.pick([...pages])
    let count = 1
    while (pages.has(first + count) && this.random.chance(0.6)) count++
    return { p, r, first, count }
  }

  private forget(p: number, r: number, first: number, count: number): void {
    for (const page of upTo(count))
      this.live
        .get(p)!
        .get(r)!
        .delete(first + page)
  }
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}
