// Which guests should live together: those that have contents in common, as Memory Buddies places them (Wood and others, VEE 2009), but by the
// contents themselves. Guests are placed one after the other where they have most in common, then exchanged as long as that saves more.

import { expectInteger, mistake } from '../../errors.ts'
import { below, decisions, shuffle } from '../../synth/random.ts'

/** Guests to place. */
export interface PlacementTask {
  /** The contents of each guest, by any numbers below `contents`; each once. */
  readonly guests: readonly (readonly number[])[]
  readonly contents: number
  /** How many guests each host takes. */
  readonly hosts: readonly number[]
  /** Where guests are now, the host of each: where nothing better is found they stay. */
  readonly now?: readonly number[]
  /** Default: 1. */
  readonly seed?: number
}

/** Where guests are. */
export interface Placement {
  /** The host of each guest. */
  readonly hostOf: readonly number[]
  /** Contents that need not be kept twice on a host, of all hosts. */
  readonly saved: number
}

/** Exchanges that are tried where not all pairs are: so many a guest, of many guests fewer, but never less than the least. */
const TRIES = { most: 64, least: 4, together: 50_000 }
/** Fewer guests than these: all pairs are tried, from several beginnings. */
const FEW = 64
const BEGINNINGS = 24

/** What a placement saves. */
export function savedBy({ guests }: Pick<PlacementTask, 'guests'>, hostOf: readonly number[]): number {
  const there = new Map<number, Set<number>>()
  let saved = 0
  for (const [guest, contents] of guests.entries()) {
    const host = there.get(hostOf[guest]!) ?? new Set<number>()
    there.set(hostOf[guest]!, host)
    for (const content of contents) {
      if (host.has(content)) saved++
      else host.add(content)
    }
  }
  return saved
}

/** Guests drawn onto hosts, for comparison. */
export function placeAtRandom(task: PlacementTask, seed: number): Placement {
  expectTask(task)
  const hostOf = shuffled(slotsOf(task.hosts), seed).slice(0, task.guests.length)
  return { hostOf, saved: savedBy(task, hostOf) }
}

/**
 * Places guests so that those on a host have much in common: on some hosts of few guests mostly the best there is, on many a good one. Throws RangeError if they
 * are more than the hosts take.
 */
export function placeGuests(task: PlacementTask): Placement {
  expectTask(task)
  const { guests, now, seed = 1 } = task
  const few = guests.length <= FEW
  const bySize = [...guests.keys()].sort((a, b) => guests[b]!.length - guests[a]!.length || a - b)
  const beginnings: ((places: Places) => void)[] = Array.from(
    { length: few ? BEGINNINGS : 1 },
    (_, i) => (places) => {
      for (const guest of i === 0 ? bySize : shuffled(bySize, seed + i))
        places.put(guest, places.bestHostFor(guest))
    },
  )
  if (now !== undefined) {
    beginnings.unshift((places) => {
      for (const guest of guests.keys()) places.put(guest, now[guest]!)
    })
  }
  let best: Placement | undefined
  for (const begin of beginnings) {
    const places = new Places(task)
    begin(places)
    improve(places, task, few, seed)
    const placed = { hostOf: [...places.hostOf], saved: savedBy(task, places.hostOf) }
    if (best === undefined || placed.saved > best.saved) best = placed
  }
  return now === undefined ? best! : { ...best!, hostOf: renamed(task, best!.hostOf, now) }
}

/** The same placement with fewest moves: of hosts that take as many guests each gets the guests of which it has most already. */
function renamed({ hosts }: PlacementTask, hostOf: readonly number[], now: readonly number[]): number[] {
  const stay = new Map<string, { from: number; to: number; guests: number }>()
  for (const [guest, from] of hostOf.entries()) {
    const to = now[guest]!
    if (hosts[from] !== hosts[to]) continue
    const pair = stay.get(`${from} ${to}`) ?? { from, to, guests: 0 }
    pair.guests++
    stay.set(`${from} ${to}`, pair)
  }
  const names = new Map<number, number>()
  const taken = new Set<number>()
  for (const { from, to } of [...stay.values()].sort((a, b) => b.guests - a.guests)) {
    if (names.has(from) || taken.has(to)) continue
    names.set(from, to)
    taken.add(to)
  }
  for (const host of hosts.keys()) {
    if (names.has(host)) continue
    const to = hosts.findIndex((room, other) => room === hosts[host] && !taken.has(other))
    names.set(host, to)
    taken.add(to)
  }
  return hostOf.map((host) => names.get(host)!)
}

function improve(places: Places, { guests }: PlacementTask, few: boolean, seed: number): void {
  if (few) {
    for (let better = true; better; ) {
      better = false
      for (let a = 0; a < guests.length; a++) {
        for (let host = 0; host < places.free.length; host++) better = places.moveIfBetter(a, host) || better
        for (let b = a + 1; b < guests.length; b++) better = places.exchangeIfBetter(a, b) || better
      }
    }
    return
  }
  const next = decisions(seed, 2)
  const { length } = guests
  const tries = Math.max(length * TRIES.least, Math.min(length * TRIES.most, TRIES.together))
  for (let tried = 0; tried < tries; tried++) {
    places.exchangeIfBetter(below(next, guests.length), below(next, guests.length))
  }
}

/** Which guest is where, and what is on each host. */
class Places {
  readonly hostOf: number[]
  /** Guests that each host still takes. */
  readonly free: number[]
  private readonly guests: PlacementTask['guests']
  /** For each content the hosts that have it, and how many guests there. */
  private readonly hostsOf: Map<number, number>[]

  constructor({ guests, contents, hosts }: PlacementTask) {
    this.guests = guests
    this.free = [...hosts]
    this.hostOf = guests.map(() => -1)
    this.hostsOf = Array.from({ length: contents }, () => new Map<number, number>())
  }

  /** Where a guest has most in common with those that are there; of equals the emptiest. */
  bestHostFor(guest: number): number {
    const common = new Int32Array(this.free.length)
    for (const content of this.guests[guest]!) {
      for (const host of this.hostsOf[content]!.keys()) common[host]!++
    }
    let best = -1
    for (const [host, free] of this.free.entries()) {
      if (free === 0) continue
      if (
        best < 0 ||
        common[host]! > common[best]! ||
        (common[host] === common[best] && free > this.free[best]!)
      ) {
        best = host
      }
    }
    return best
  }

  /** Returns how much more is saved. */
  put(guest: number, host: number): number {
    let saved = 0
    for (const content of this.guests[guest]!) {
      const hosts = this.hostsOf[content]!
      const there = hosts.get(host) ?? 0
      if (there > 0) saved++
      hosts.set(host, there + 1)
    }
    this.hostOf[guest] = host
    this.free[host]!--
    return saved
  }

  /** Returns how much less is saved. */
  private take(guest: number): number {
    const host = this.hostOf[guest]!
    let saved = 0
    for (const content of this.guests[guest]!) {
      const hosts = this.hostsOf[content]!
      const left = hosts.get(host)! - 1
      if (left > 0) {
        saved++
        hosts.set(host, left)
      } else hosts.delete(host)
    }
    this.free[host]!++
    return saved
  }

  exchangeIfBetter(a: number, b: number): boolean {
    const [hostA, hostB] = [this.hostOf[a]!, this.hostOf[b]!]
    if (hostA === hostB) return false
    const before = this.take(a) + this.take(b)
    if (this.put(a, hostB) + this.put(b, hostA) > before) return true
    this.take(a)
    this.take(b)
    this.put(a, hostA)
    this.put(b, hostB)
    return false
  }

  moveIfBetter(guest: number, host: number): boolean {
    const from = this.hostOf[guest]!
    if (from === host || this.free[host] === 0) return false
    const before = this.take(guest)
    if (this.put(guest, host) > before) return true
    this.take(guest)
    this.put(guest, from)
    return false
  }
}

function slotsOf(hosts: readonly number[]): number[] {
  return hosts.flatMap((room, host) => Array.from({ length: room }, () => host))
}

function shuffled(items: readonly number[], seed: number): number[] {
  return [...shuffle(Uint32Array.from(items), decisions(seed, 1))]
}

function expectTask({ guests, hosts }: PlacementTask): void {
  for (const room of hosts) expectInteger('hosts', room, 0, Number.MAX_SAFE_INTEGER)
  const room = hosts.reduce((sum, some) => sum + some, 0)
  if (guests.length > room)
    throw mistake(new RangeError(`${guests.length} guests for hosts that take ${room}`))
}
