// The thread with the engine: a host, its guests, ksmd beside them. An engine may wait, so it never runs on a page's own thread.

import { Host, PAGE_SIZE } from 'pagefold'
import { pageStates } from 'pagefold/lab'
import cpuUrl from '../../riscv/build/cpu.wasm?url'
import { RAM_BASE } from '../../riscv/cpu/state.ts'
import { Guest } from '../../riscv/machine/guest.ts'
import programUrl from '../../riscv/programs/pages.elf?url'
import { bareProgram, type Software } from '../../riscv/run/software.ts'
import type { Answer, Kind, Order, Picture } from './protocol.ts'
import { SyntheticGuest } from './synthetic.ts'

const RAM = 3 << 20
const PAGES = RAM / PAGE_SIZE
const MOST_GUESTS = 16
const TURN_MS = 20
const PICTURE_MS = 100

type AnyGuest = Guest | SyntheticGuest

class World {
  private readonly host: Host
  private readonly cpu: WebAssembly.Module
  private readonly software: Software
  private guests: AnyGuest[] = []
  private kind: Kind = 'riscv'
  private numbers = 0
  private instructions = 0
  private executed = 0
  private paused = false
  private readonly began = performance.now()
  private pictured = 0

  private constructor(host: Host, cpu: WebAssembly.Module, software: Software) {
    this.host = host
    this.cpu = cpu
    this.software = software
  }

  static async create(): Promise<World> {
    const [cpu, program] = await Promise.all([fetched(cpuUrl), fetched(programUrl)])
    const host = await Host.create({ frames: MOST_GUESTS * PAGES })
    host.ksm.start()
    return new World(host, await WebAssembly.compile(cpu), bareProgram('pages', new Uint8Array(program), RAM))
  }

  obey(order: Order): void {
    switch (order.order) {
      case 'guests':
        this.populate(order.kind, order.count)
        break
      case 'knob':
        this.host.ksm.set(order.name, order.value)
        break
      case 'pace':
        this.instructions = order.instructions
        break
      case 'pause':
        this.paused = order.on
        break
      case 'fork':
        this.fork()
        break
    }
  }

  /** Gives every guest its turn, and now and then says how things look. */
  tick(): void {
    if (!this.paused) for (const [i, guest] of this.guests.entries()) this.run(i, guest)
    const now = performance.now()
    if (now - this.pictured >= PICTURE_MS) {
      this.pictured = now
      const picture = this.picture()
      const answer: Answer = { picture }
      postMessage(answer, { transfer: [picture.states.buffer, picture.groups.buffer] })
    }
    setTimeout(() => this.tick(), TURN_MS)
  }

  private run(i: number, guest: AnyGuest): void {
    if (this.instructions === 0) return
    guest.run(this.instructions)
    this.executed += this.instructions
    // One that has come to its end makes room for another.
    if (!(guest instanceof Guest) || guest.state !== 'stopped') return
    guest.exit()
    this.guests[i] = this.boot()
  }

  private boot(): AnyGuest {
    const number = ++this.numbers
    const name = `guest ${number}`
    if (this.kind === 'synthetic') return SyntheticGuest.create(this.host, name, PAGES, number * 1000)
    const guest = Guest.create(this.host, this.cpu, { name, ramBytes: RAM, firmware: false })
    this.software.load(guest.machine, number)
    return guest
  }

  private populate(kind: Kind, count: number): void {
    const kept = kind === this.kind ? count : 0
    for (const guest of this.guests.splice(kept)) guest.exit()
    this.kind = kind
    while (this.guests.length < count) this.guests.push(this.boot())
  }

  private fork(): void {
    const [first] = this.guests
    if (first === undefined) return
    if (this.guests.length >= MOST_GUESTS - 4) this.guests.pop()?.exit()
    this.guests.push(first.fork(`${first.name.split(',')[0]}, fork ${++this.numbers}`))
  }

  private picture(): Picture {
    const { host } = this
    const { states, groups } = pageStates(
      host,
      this.guests.map(({ mm }) => ({ mm, address: RAM_BASE, pages: PAGES })),
    )
    const { pages_shared, pages_sharing, pages_unshared, full_scans } = host.ksm.counters()
    return {
      guests: this.guests.map((guest) => ({ name: guest.name, said: saidBy(guest) })),
      pagesPerGuest: PAGES,
      states,
      groups,
      seconds: (performance.now() - this.began) / 1000,
      usedFrames: host.frames.total - host.frames.free,
      counters: { pages_shared, pages_sharing, pages_unshared, full_scans },
      cowBreaks: host.vmstat().cow_ksm,
      millionInstructions: this.executed / 1e6,
    }
  }
}

function saidBy(guest: AnyGuest): string {
  if (guest instanceof SyntheticGuest) return `${guest.written} pages written`
  return guest.lines.findLast((line) => line !== '') ?? 'booting'
}

async function fetched(url: string): Promise<ArrayBuffer> {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  return response.arrayBuffer()
}

/** What goes wrong is said in the page. */
function tell(error: unknown): void {
  const answer: Answer = { trouble: error instanceof Error ? error.message : String(error) }
  postMessage(answer)
}

const orders: Order[] = []
let world: World | undefined

addEventListener('message', ({ data }: MessageEvent<Order>) => {
  if (world === undefined) orders.push(data)
  else {
    try {
      world.obey(data)
    } catch (error) {
      tell(error)
    }
  }
})

World.create().then((made) => {
  world = made
  for (const order of orders) made.obey(order)
  made.tick()
}, tell)
