// Many guests on one host, and one thread: each gets its slice, ksmd runs in between.

import type { Host } from 'pagefold'
import { Guest, type SavedGuest } from '../machine/guest.ts'
import { QUESTION, type Software } from './software.ts'

/** The machine at one moment. */
export interface Sample {
  /** Milliseconds since the fleet was made. */
  readonly ms: number
  readonly framesUsed: number
  readonly pagesShared: number
  readonly pagesSharing: number
  /** Merged pages that were copied because a guest wrote to them. */
  readonly cowBreaks: number
  /** Millions of instructions, all guests together. */
  readonly instructions: number
  readonly guestsRunning: number
}

/** What Threads is to a fleet; where there are no threads it need not be there. */
export interface FleetThreads {
  add(guest: Guest, module: WebAssembly.Module): void
}

export class Fleet {
  readonly guests: Guest[] = []
  readonly samples: Sample[] = []
  readonly host: Host
  private readonly module: WebAssembly.Module
  private readonly threads: FleetThreads | undefined
  private readonly began = performance.now()
  private next = 0

  /** `module`: cpu.wasm. `threads`: where guests are to run but for those that are going to be forked. */
  constructor(host: Host, module: WebAssembly.Module, threads?: FleetThreads) {
    this.host = host
    this.module = module
    this.threads = threads
  }

  /** One more guest, about to boot. `number`: 0: it will ask. */
  boot(software: Software, number: number): Guest {
    const { name, firmware, ramBytes } = software
    const thread = number !== 0 && this.threads !== undefined
    const guest = Guest.create(this.host, this.module, {
      name: `${name}-${number}`,
      ramBytes,
      firmware,
      thread,
    })
    software.load(guest.machine, number)
    return this.take(guest)
  }

  /** Forks a guest that waits to be told its number, once for each number from `first` to `last`, and ends it. */
  fork(guest: Guest, first: number, last: number): void {
    this.guests.splice(this.guests.indexOf(guest), 1)
    for (let number = first; number <= last; number++) {
      const copy = guest.fork(guest.name.replace(/\d+$/, String(number)), this.threads !== undefined)
      copy.machine.type(`${number}\n`)
      this.take(copy)
    }
    guest.exit()
  }

  /** One more guest, that goes on where it was saved. */
  restore(saved: SavedGuest): Guest {
    return this.take(Guest.restore(this.host, this.module, saved, this.threads !== undefined))
  }

  /** Gives the next guest that runs its slice. Returns it; undefined: none runs any more. */
  turn(instructions: number): Guest | undefined {
    const { guests } = this
    for (let i = 0; i < guests.length; i++) {
      const guest = guests[this.next++ % guests.length]!
      if (guest.state === 'stopped' || guest.isOnThread) continue
      guest.run(instructions)
      return guest
    }
    return undefined
  }

  private take(guest: Guest): Guest {
    this.guests.push(guest)
    if (guest.isOnThread) this.threads?.add(guest, this.module)
    return guest
  }

  /** Looks, and keeps what it sees. */
  sample(): Sample {
    const { frames, ksm } = this.host
    const { pages_shared, pages_sharing } = ksm.counters()
    const sample = {
      ms: performance.now() - this.began,
      framesUsed: frames.total - frames.free,
      pagesShared: pages_shared,
      pagesSharing: pages_sharing,
      cowBreaks: this.host.vmstat().cow_ksm,
      instructions: this.guests.reduce((sum, { machine }) => sum + machine.instructions, 0) / 1e6,
      guestsRunning: this.guests.filter(({ state }) => state !== 'stopped').length,
    }
    this.samples.push(sample)
    return sample
  }

  /** Guests that ended badly, or said that something was wrong. */
  get wrong(): readonly Guest[] {
    return this.guests.filter(
      ({ machine, lines }) => (machine.exitCode ?? 0) !== 0 || lines.some((line) => line.includes('wrong')),
    )
  }
}

/** Does the guest wait to be told its number? */
export function isAsking(guest: Guest): boolean {
  return guest.lines.at(-2)?.includes(QUESTION) ?? false
}
