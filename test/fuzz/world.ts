// One host with all that is known of it, on which calls are made: at rest, inside callbacks, and inside userfault handlers. Every answer is
// looked at; what is refused must be refused in the caller's words; and what guests must read is held against what is there.

import { FRAME_POISONED } from '../../assembly/abi.ts'
import {
  type Clock,
  type Errno,
  Host,
  type HostOptions,
  type Mm,
  PagefoldError,
  type Pin,
  type TraceName,
} from '../../src/index.ts'
import type { Callback } from '../../src/mm/model/gate.ts'
import { memoryOf } from '../support/inside.ts'
import { type Random, random } from '../support/random.ts'
import { contentBytes, PAGE } from '../support/world.ts'
import { type Attempt, spoiled } from './attempt.ts'
import { GENERATORS, METHOD_NAMES, type MethodName, SOMETIMES } from './generators.ts'
import { behind, type Cell, Guest, holds, isSame, type Page, patch, ZEROS } from './shadow.ts'
import { FuzzFile, type FuzzStore } from './sources.ts'
import { count, type Tally } from './tally.ts'

/** A call by name, and the seed of everything it draws: so any step can be left out without changing the others. */
export type Step = readonly [MethodName, number]

export interface Settings {
  readonly options: HostOptions
  /** Nobody watches: no notifiers, no listeners. Helpers are awake only then. */
  readonly unwatched: boolean
  /** Callbacks do nothing. */
  readonly quiet: boolean
}

/** Pages held, and where it is known what is read through them, page by page, whatever becomes of the mapping. */
export interface Held {
  readonly pin: Pin
  readonly cells: readonly (Cell | undefined)[]
  readonly offset: number
  readonly write: boolean
}

/** A write under way: the pages before `next` have been written. */
interface Writing {
  readonly guest: Guest
  readonly parts: readonly Part[]
  next: number
}
export interface Part {
  readonly vpn: number
  readonly offset: number
  readonly bytes: Uint8Array
}

/** One for all programs: nothing of theirs concerns it. */
let neighbour: World['other'] | undefined

async function makeNeighbour(): Promise<World['other']> {
  const host = await Host.create({ frames: 8 })
  const mm = host.createMm()
  const at = mm.mmap(2 * PAGE)
  mm.madvise(at, 2 * PAGE, 'MADV_MERGEABLE')
  host.ksm.set('run', 1)
  host.ksm.set('smart_scan', 0)
  return { host, mm, at }
}

export const SLOTS = 5
const MAX_DEPTH = 2
/** What the engine's own errors look like, and a caller's mistake does not. */
const RAW =
  /Cannot |is not a function|is not iterable|is not defined|undefined \(|null \(|Invalid |not serialize|Maximum call/

export class World {
  readonly host: Host
  readonly tally: Tally
  readonly settings: Settings
  /** Another machine, which nothing that happens here concerns. */
  readonly other: { readonly host: Host; readonly mm: Mm; readonly at: number }
  readonly guests: (Guest | undefined)[] = new Array(SLOTS).fill(undefined)
  /** The last that have exited. */
  readonly exited: Guest[] = []
  readonly pins: Held[] = []
  readonly released: Pin[] = []
  readonly stores: FuzzStore[] = []
  readonly files: FuzzFile[]
  readonly listeners: [TraceName, (event: unknown) => void][] = []
  readonly offline: { start: number; end: number }[] = []
  /** The next range that cannot wait is refused. */
  refuses = false
  /** Frames reported as broken. */
  failures = 0
  closed = false
  /** Calls that acted, in whatever place: what was known before one is not known after it. */
  acts = 0
  /** The steps of daemons that sleep. */
  readonly sleepers: (() => void)[] = []
  /** Callbacks do nothing: at the end anyway. */
  private quiet: boolean
  private named = 0
  private readonly writing: Writing[] = []
  /** What callbacks do. */
  private whim: Random = random(0)
  private inside = false
  private depth = 0
  private readonly thrown = new Set<unknown>()
  private failure: Error | undefined

  static async create(settings: Settings, tally: Tally): Promise<World> {
    let world: World | undefined
    const tick = (): number => {
      world?.callback('clock')
      return world === undefined ? 0 : world.time()
    }
    const clock: Clock = {
      now: tick,
      cpu: tick,
      sleep: (_, signal) => {
        world?.awake()
        return new Promise((resolve) => {
          world?.sleepers.push(resolve)
          signal.addEventListener('abort', () => resolve(), { once: true })
          if (signal.aborted) resolve()
        })
      },
    }
    const host = await Host.create({ ...settings.options, clock })
    neighbour ??= await makeNeighbour()
    world = new World(host, neighbour, settings, tally)
    return world
  }

  private constructor(host: Host, other: World['other'], settings: Settings, tally: Tally) {
    this.host = host
    this.other = other
    this.settings = settings
    this.quiet = settings.quiet
    this.tally = tally
    this.files = [1, 3, 6].map((pages, i) => new FuzzFile(this, pages, i === 1))
    tally.hosts++
  }

  begin(): void {
    this.host.ksm.set('run', 1)
  }

  /** A step at rest. Throws with what is wrong. */
  async step([method, seed]: Step): Promise<void> {
    this.whim = random(seed ^ 0x5bd1e995)
    const answer = this.perform(method, random(seed))
    if (answer instanceof Promise) await answer.catch((error) => this.expectOwn(method, error))
    if (this.failure !== undefined) throw this.failure
    this.expectQuiet()
  }

  /** Makes one call, with arguments drawn, and takes over what follows from it. */
  perform(method: MethodName, draw: Random): unknown {
    const attempt = GENERATORS[method].make(this, draw)
    if (attempt === undefined) return undefined
    count(this.tally.operations, method)
    const wrong = draw.below(12) === 0 ? spoiled(attempt, draw) : undefined
    const looks = GENERATORS[method].looks && !this.closed
    if (!looks) this.acts++
    const { acts } = this
    if (wrong === undefined && !this.closed) attempt.before?.()
    let answer: unknown
    try {
      answer = attempt.call(...(wrong ?? attempt.args))
    } catch (error) {
      this.refusedRightly(method, attempt, error, wrong, acts)
      return undefined
    }
    if (wrong !== undefined) this.fail(`${method} took ${shown(wrong)}`)
    if (this.closed && !GENERATORS[method].onClosed) this.fail(`${method} was done on a closed host`)
    if (attempt.mistake === true && !this.closed) this.fail(`${method} took ${shown(attempt.args)}`)
    if (attempt.impossible === true && acts === this.acts)
      this.fail(`${method} was done, should be ${attempt.errnos.join(' or ')}: ${shown(attempt.args)}`)
    if (answer instanceof Promise) answer.catch((error) => this.expectOwn(method, error))
    if (!this.closed || GENERATORS[method].onClosed) attempt.done?.(answer)
    return answer
  }

  /** Something of ours is called in the middle of something. */
  callback(kind: Callback): void {
    count(this.tally.callbacks, kind)
    if (this.inside || this.quiet || this.whim.below(6) > 0) return
    this.inside = true
    try {
      this.ask(kind, this.whim)
      if (this.whim.below(30) === 0) throw this.own(`${kind} throws`)
    } finally {
      this.inside = false
    }
  }

  /** A write is about to happen where its guest wanted to hear of it: anything may be done. */
  userfault(guest: Guest, address: number): void {
    count(this.tally.callbacks, 'userfault')
    const vpn = Math.floor(address / PAGE)
    const under = this.writing.findLast((writing) => writing.guest === guest)
    // What comes before has been written.
    if (under !== undefined && !guest.gone) this.putBefore(under, vpn)
    const letGo = (): void => {
      try {
        guest.mm.userfaultWriteProtect(vpn * PAGE, PAGE, false)
      } catch (error) {
        if (!(error instanceof PagefoldError) || error.code === 'EUCLEAN') this.fail(`userfault: ${error}`)
      }
    }
    if (this.quiet || this.depth === MAX_DEPTH) {
      letGo()
      return
    }
    const roll = this.whim.below(10)
    if (roll === 0) throw this.own('userfault throws')
    if (roll === 1) return
    if (roll > 5) this.actWithin(1 + this.whim.below(2))
    letGo()
  }

  /** Between two batches of ksmd anything may be done too. */
  awake(): void {
    count(this.tally.callbacks, 'sleep')
    if (!this.quiet && this.depth === 0 && this.whim.below(3) === 0) this.actWithin(1)
  }

  private actWithin(calls: number): void {
    this.depth++
    for (let i = 0; i < calls; i++) this.perform(this.whim.pick(SOMETIMES), random(this.whim.below(2 ** 32)))
    this.depth--
  }

  /** A call inside a callback: what looks answers, what acts is refused and changes nothing. */
  private ask(kind: Callback, draw: Random): void {
    if (draw.below(40) === 0) {
      this.workElsewhere()
      return
    }
    const method = draw.pick(METHOD_NAMES)
    const attempt = GENERATORS[method].make(this, draw)
    if (attempt === undefined) return
    const { inCallback } = GENERATORS[method]
    const wrong = draw.below(12) === 0 ? spoiled(attempt, draw) : undefined
    const before = this.picture()
    try {
      const answer = attempt.call(...(wrong ?? attempt.args))
      if (answer instanceof Promise) answer.catch((error) => this.expectOwn(method, error))
      if (inCallback === 'refused') this.fail(`${method} was done inside a callback (${kind})`)
      if (wrong !== undefined) this.fail(`${method} took ${shown(wrong)} inside a callback (${kind})`)
      if (inCallback === 'answers') attempt.done?.(answer)
      count(this.tally.inside, 'answered')
    } catch (error) {
      if (this.failure !== undefined) throw error
      const code = error instanceof PagefoldError ? error.code : this.mistakeOf(method, error)
      const right =
        inCallback === 'answers'
          ? code !== 'EDEADLK' && (wrong !== undefined || this.isExpected(attempt, code))
          : code === 'EDEADLK' ||
            (wrong !== undefined && code === 'mistake') ||
            (inCallback === 'either' && this.isExpected(attempt, code))
      if (!right && !this.isOver(code)) this.fail(`${method} inside a callback (${kind}): ${error}`)
      count(this.tally.inside, code)
    }
    const after = this.picture()
    if (inCallback === 'refused' && before !== after)
      this.fail(`${method}, refused inside a callback (${kind}), changed ${before} to ${after}`)
  }

  /** Other hosts are not concerned. */
  private workElsewhere(): void {
    const { host, mm, at } = this.other
    const content = 1 + this.whim.below(3)
    const bytes = contentBytes(content)
    mm.write(at, bytes)
    mm.write(at + PAGE, bytes)
    host.ksm.scan(2)
    if (mm.pfn(at) !== mm.pfn(at + PAGE) || !isSame(mm.read(at, PAGE), bytes))
      this.fail('another host did not do its work inside a callback')
    count(this.tally.inside, 'another host')
  }

  /** What would be otherwise if something had happened. */
  private picture(): string {
    const { arena, frames, trace, notifiers, swap } = memoryOf(this.host)
    const vmas = this.guests.map((guest) => guest && [...guest.mm.vmas].length)
    const knobs = this.host.ksm.counters()
    const { used, total } = swap.usage
    return [
      arena.counters.join(),
      frames.free,
      notifiers,
      trace.active,
      used,
      total,
      vmas,
      Object.values(knobs),
    ].join(' ')
  }

  /** A host that is closed, or an mm that has exited, says so first. */
  private isOver(code: string): boolean {
    return code === 'ESRCH' || (code === 'EINVAL' && this.closed)
  }

  private isExpected({ errnos, mistake }: Attempt, code: string): boolean {
    return errnos.includes(code as Errno) || (mistake === true && code === 'mistake')
  }

  /** Is what was thrown the right answer? */
  private refusedRightly(
    method: MethodName,
    attempt: Attempt,
    error: unknown,
    wrong: readonly unknown[] | undefined,
    acts: number,
  ): void {
    if (this.failure !== undefined) throw this.failure
    const args = shown(wrong ?? attempt.args)
    if (this.thrown.has(error)) {
      count(this.tally.refused, "the callback's own")
      attempt.failed?.(error)
      return
    }
    const code = error instanceof PagefoldError ? error.code : this.mistakeOf(method, error)
    count(this.tally.refused, code)
    if (code === 'EUCLEAN' || code === 'EDEADLK') this.fail(`${method} of ${args}: ${error}`)
    if (wrong !== undefined) return
    if (this.closed && code === 'EINVAL') return
    const undisturbed = acts === this.acts
    const right = this.isExpected(attempt, code) || (!undisturbed && code === 'ESRCH')
    if (!right) this.fail(`${method} of ${args}: ${error}`)
    if (!this.closed) attempt.failed?.(error)
  }

  /** A mistake in the words of whoever made it, or a failure of ours. */
  private mistakeOf(method: string, error: unknown): 'mistake' {
    const isMistake = error instanceof TypeError || error instanceof RangeError
    if (!isMistake || RAW.test(error.message)) {
      this.fail(`${method}: a raw ${error instanceof Error ? (error.stack ?? error) : String(error)}`)
    }
    return 'mistake'
  }

  /** What an error of a callback's own is told by. */
  own(message: string): Error {
    const error = new Error(message)
    this.thrown.add(error)
    return error
  }

  /** What came up as uncaught: only what a notifier, a listener or a clock threw may. */
  expectOwn(where: string, error: unknown): void {
    if (!this.thrown.has(error) && this.failure === undefined) this.note(`${where}: uncaught: ${error}`)
  }

  private note(message: string): Error {
    this.failure ??= new Error(message)
    return this.failure
  }

  fail(message: string): never {
    throw this.note(message)
  }

  /** Names are told apart in what memoryFailure() reports. */
  freshName(): string {
    return `guest ${++this.named}`
  }

  /** A new guest takes a free place. */
  seat(mm: Mm): Guest {
    const guest = new Guest(mm)
    const place = this.guests.indexOf(undefined)
    if (place < 0 || this.closed) {
      mm.exit()
      guest.gone = true
      return guest
    }
    this.guests[place] = guest
    if (!this.settings.unwatched) mm.registerNotifier(this.notifierOf(guest))
    return guest
  }

  notifierOf(guest: Guest): ReturnType<Guest['notifier']> {
    return guest.notifier(
      () => this.callback('notifier'),
      () => this.refuses,
    )
  }

  /** It has exited. */
  unseat(guest: Guest): void {
    const place = this.guests.indexOf(guest)
    if (place >= 0) this.guests[place] = undefined
    guest.gone = true
    this.exited.push(guest)
    if (this.exited.length > 3) this.exited.shift()?.cpu?.detach()
  }

  /** Is something half done at this moment? */
  get isInside(): boolean {
    return this.inside
  }

  get living(): Guest[] {
    return this.guests.filter((guest) => guest !== undefined)
  }

  /** Milliseconds that a clock tells: odd ones too. */
  private clockTime = 0
  time(): number {
    if (this.quiet) return this.clockTime
    const roll = this.whim.below(20)
    if (roll === 0)
      return this.whim.pick([Number.NaN, -1, Number.POSITIVE_INFINITY, 0, undefined as never, '7' as never])
    this.clockTime += roll === 1 ? 3000 : roll
    return this.clockTime
  }

  /** A decision of a callback's: one time in so many. */
  whimOf(times: number): boolean {
    return !this.quiet && this.whim.below(times) === 0
  }

  /** A guest's write, of which each page is known to have been done or not. */
  beginWriting(guest: Guest, parts: readonly Part[]): void {
    this.writing.push({ guest, parts, next: 0 })
  }

  /** `refused`: inside a callback, where a page may be between two frames. */
  endWriting(outcome: 'done' | 'partly' | 'refused'): void {
    const writing = this.writing.pop()!
    const { guest, parts } = writing
    if (guest.gone || outcome === 'refused') return
    if (outcome === 'done') this.putBefore(writing, Number.POSITIVE_INFINITY)
    // Pages before the one that failed have been written.
    while (outcome === 'partly' && writing.next < parts.length && this.wasPut(guest, parts[writing.next]!))
      writing.next++
  }

  private putBefore(writing: Writing, vpn: number): void {
    const { guest, parts } = writing
    for (; writing.next < parts.length && parts[writing.next]!.vpn < vpn; writing.next++) {
      const part = parts[writing.next]!
      const page = guest.pages.get(part.vpn)
      if (page === undefined) this.fail(`${guest.mm.name}: a write to page ${part.vpn}, which is not mapped`)
      patch(page.cell, part.offset, part.bytes)
      this.settle(guest, part.vpn, page)
    }
  }

  private wasPut(guest: Guest, { vpn, offset, bytes }: Part): boolean {
    const page = guest.pages.get(vpn)
    if (page === undefined || page.lost) return false
    const there = this.behind(guest, vpn, page)
    if (there === 'broken') return false
    const cell = { ...page.cell }
    patch(cell, offset, bytes)
    const was = isSame(cell.bytes, there.bytes) || (cell.alt !== undefined && isSame(cell.alt, there.bytes))
    if (!was) return false
    // Bytes that stood there before do not tell whether they were written.
    if (isSame(cell.bytes, page.cell.bytes)) return true
    patch(page.cell, offset, bytes)
    this.settle(guest, vpn, page)
    return true
  }

  /** A page that had been given up has been written to: now it stays. */
  settle(guest: Guest, vpn: number, page: Page): void {
    if (page.cell.alt === undefined) return
    this.compare(guest, vpn, page)
    page.cell.alt = undefined
  }

  /** A page that was swapped out and given up is gone at once: who holds its frame and its guest have parted. */
  partFromPins(guest: Guest, vpn: number, page: Page): void {
    const there = this.behind(guest, vpn, page)
    const held = this.pins.some(({ pin, cells }) =>
      cells.some((cell, i) => cell === page.cell && (there === 'broken' || pin.pfns[i] !== there.pfn)),
    )
    if (held) page.cell = { bytes: ZEROS }
  }

  /** Is there a reason for ENOMEM? */
  get isShort(): boolean {
    return this.settings.options.mappings !== undefined || this.host.frames.free < 12
  }

  behind(guest: Guest, vpn: number, page: Page): ReturnType<typeof behind> {
    return behind(this.host, guest.mm, vpn, page, (device, slot) => {
      const { swap } = memoryOf(this.host)
      const store = this.stores.find((one) => swap.find(one) === device)
      return store?.page(slot) ?? this.fail(`no store of device ${device}`)
    })
  }

  /** Holds one page against its shadow. */
  compare(guest: Guest, vpn: number, page: Page): void {
    if (page.lost || page.kind === 'device') return
    this.tally.pages++
    const there = this.behind(guest, vpn, page)
    if (there === 'broken') {
      // Swapped out when its frame broke: nobody could be told.
      if (this.failures === 0) this.fail(`${guest.mm.name}, page ${vpn}: lost, and nothing has failed`)
      page.lost = true
    } else if (!holds(page, there.bytes)) {
      this.fail(`${guest.mm.name}, page ${vpn} (${page.kind}): not the bytes that were written`)
    }
    const known = guest.mmu?.peek(vpn * PAGE)
    if (known !== undefined && (there === 'broken' || known.pfn !== (guest.mm.pfn(vpn * PAGE) ?? -1)))
      this.fail(`${guest.mm.name}, page ${vpn}: the secondary MMU maps frame ${known.pfn}`)
  }

  /** After every step: nothing is left open. */
  private expectQuiet(): void {
    if (this.closed) return
    for (const guest of this.living) {
      if (guest.openRanges !== 0)
        this.fail(`${guest.mm.name}: ${guest.openRanges} ranges began and did not end`)
    }
  }

  /** Everything there is to check. */
  check(): void {
    this.tally.audits++
    this.host.audit()
    const [warning] = this.host.warnings()
    if (warning !== undefined) this.fail(warning)
    for (const guest of this.living) {
      this.expectMappings(guest)
      for (const [vpn, page] of guest.pages) this.compare(guest, vpn, page)
      const open = guest.mmu?.openRanges.length ?? 0
      if (open !== 0) this.fail(`${guest.mm.name}: the secondary MMU has ${open} open ranges`)
    }
  }

  private expectMappings({ mm, pages }: Guest): void {
    let mapped = 0
    for (const { address, size, flags } of mm.smaps()) {
      mapped += size / PAGE
      for (let at = address; at < address + size; at += PAGE) {
        const page = pages.get(at / PAGE)
        if (page === undefined) this.fail(`${mm.name}, page ${at / PAGE}: mapped, and should not be`)
        const wanted = flagsOf(page)
        const found = flags.filter((flag) => CHECKED_FLAGS.has(flag)).sort()
        if (found.join() !== wanted.join())
          this.fail(`${mm.name}, page ${at / PAGE}: flags ${found}, should be ${wanted}`)
      }
    }
    if (mapped !== pages.size) this.fail(`${mm.name}: ${mapped} pages mapped, should be ${pages.size}`)
  }

  /** Ends everything: every frame must come back, and every record go. */
  async finish(): Promise<void> {
    const { host } = this
    this.quiet = true
    for (const store of this.stores) store.failing = false
    await host.ksm.stop().catch((error) => this.expectOwn('stop', error))
    for (const { pin } of this.pins.splice(0)) pin.release()
    if (!this.closed) {
      for (const guest of this.living) guest.mmu?.close()
      for (const guest of this.living) {
        guest.mm.exit()
        this.unseat(guest)
      }
      for (const { cpu } of this.exited) cpu?.detach()
      for (const { start, end } of this.offline.splice(0)) host.online(start, end)
      for (const store of this.stores.splice(0)) host.swapOff(store)
      host.ksm.set('run', 1)
      host.ksm.scan(2)
      host.ksm.set('run', 2)
      this.check()
      this.expectNothingLeft()
      host.close()
    }
    host.audit()
    if (this.failure !== undefined) throw this.failure
  }

  private expectNothingLeft(): void {
    const { arena, frames, anonVmas, notifiers, swap, files, objectPages } = memoryOf(this.host)
    let broken = 0
    for (let pfn = arena.firstPfn; pfn < arena.endPfn; pfn++)
      if (frames.hasFlag(pfn, FRAME_POISONED)) broken++
    const left = {
      frames: this.host.frames.total - broken - this.host.frames.free,
      anonVmas: anonVmas.live,
      mms: [...memoryOf(this.host).mms()].length,
      notifiers,
      swapSlots: swap.usage.used,
      files: files.size,
      objectPages: objectPages.size,
      lazyFree: [...Array(arena.endPfn).keys()].filter((pfn) => frames.lazyFree.has(pfn)).length,
      ...arena.objects(),
    }
    const leaks = Object.entries(left).filter(([, number]) => number !== 0)
    if (leaks.length > 0) this.fail(`left behind: ${JSON.stringify(Object.fromEntries(leaks))}`)
  }
}

const CHECKED_FLAGS = new Set(['rd', 'wr', 'sh', 'lo', 'dc', 'wf', 'pf', 'ht'])

function flagsOf({ prot, kind, locked, dontFork, wipeOnFork }: Page): string[] {
  const flags: (string | false)[] = [
    (prot & 1) !== 0 && 'rd',
    (prot & 2) !== 0 && 'wr',
    kind === 'shared' && 'sh',
    kind === 'device' && 'pf',
    kind === 'huge' && 'ht',
    locked && 'lo',
    dontFork && 'dc',
    wipeOnFork && 'wf',
  ]
  return flags.filter((flag) => flag !== false).sort()
}

function shown(args: readonly unknown[]): string {
  const one = (value: unknown): string => {
    if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function')
      return `${typeof value} ${String(value)}`
    if (value instanceof Uint8Array) return `${value.length} bytes`
    if (typeof value !== 'object' || value === null) return String(value)
    const parts = Object.entries(value).map(
      ([key, part]) => `${key}: ${typeof part === 'object' ? typeof part : String(part)}`,
    )
    return `{${parts.join(', ')}}`
  }
  return `(${args.map(one).join(', ')})`
}
