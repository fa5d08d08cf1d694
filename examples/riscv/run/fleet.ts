// Many guests on one host, and one thread: each gets its slice, ksmd runs in between.

import type { Host } from 'pagefold'
import { Guest } from '../machine/guest.ts'
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

export class Fleet {
  readonly guests: Guest[] = []
  readonly samples: Sample[] = []
  readonly host: Host
  private readonly module: WebAssembly.Module
  private readonly software: Software
  private readonly began = performance.now()
  private next = 0

  /** `module`: cpu.wasm. */
  constructor(host: Host, module: WebAssembly.Module, software: Software) {
    this.host = host
    this.module = module
    this.software = software
  }

  /** One more guest, about to boot. `number`: 0: it will ask. */
  boot(number: number): Guest {
    const { name, firmware, ramBytes } = this.software
    const guest = Guest.create(this.host, this.module, { name: `${name}-${number}`, ramBytes, firmware })
    this.software.load(guest.machine, number)
    this.guests.push(guest)
    return guest
  }

  /** Forks a guest that waits to be told its number, once for each number from `first` to `last`; the guest itself becomes `first`. */
  fork(guest: Guest, first: number, last: number): void {
    const copies = []
    for (let number = first + 1; number <= last; number++) {
      const copy = guest.fork(`${this.software.name}-${number}`)
      copy.machine.type(`${number}\n`)
      copies.push(copy)
    }
    guest.machine.type(`${first}\n`)
    this.guests.push(...copies)
  }

  /** Gives the next guest that runs its slice. Returns it; undefined: none runs any more. */
  turn(instructions: number): Guest | undefined {
    const { guests } = this
    for (let i = 0; i < guests.length; i++) {
      const guest = guests[this.next++ % guests.length]!
      if (guest.state === 'stopped') continue
      guest.run(instructions)
      return guest
    }
    return undefined
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
