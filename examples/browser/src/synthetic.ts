// A guest without a program: memory of which half is what all guests have, and that somebody keeps writing to.

import { type Host, type Mm, PAGE_SIZE } from 'pagefold'
import { RAM_BASE } from '../../riscv/cpu/state.ts'

const USED = 0.5
/** Instructions that stand for one page written. */
const WRITE = 20_000

export class SyntheticGuest {
  readonly name: string
  readonly mm: Mm
  readonly said = ''
  written = 0
  private readonly pages: number
  private readonly own: number
  private debt = 0
  private random: number

  static create(host: Host, name: string, pages: number, own: number): SyntheticGuest {
    const mm = host.createMm({ name })
    mm.mmap(pages * PAGE_SIZE, { address: RAM_BASE })
    mm.madvise(RAM_BASE, pages * PAGE_SIZE, 'MADV_MERGEABLE')
    const guest = new SyntheticGuest(mm, name, pages, own)
    for (let page = 0; page < pages * USED; page++) guest.write(page, page % 2 === 0 ? 0 : own)
    return guest
  }

  private constructor(mm: Mm, name: string, pages: number, own: number) {
    this.mm = mm
    this.name = name
    this.pages = pages
    this.own = own
    this.random = own
  }

  /** Writes pages: something of its own, or what everybody has. */
  run(instructions: number): void {
    for (this.debt += instructions; this.debt >= WRITE; this.debt -= WRITE) {
      this.random = (Math.imul(this.random, 1664525) + 1013904223) >>> 0
      const page = (this.random >>> 8) % (this.pages * USED)
      this.write(page, (this.random & 128) !== 0 ? 0 : this.own + (this.random >>> 24))
      this.written++
    }
  }

  fork(name: string): SyntheticGuest {
    return new SyntheticGuest(this.mm.fork({ name }), name, this.pages, this.own + 7919)
  }

  exit(): void {
    this.mm.exit()
  }

  private write(page: number, content: number): void {
    // One page in eight is empty in every guest.
    const bytes = new Uint32Array(PAGE_SIZE / 4).fill(
      page % 8 === 0 && content === 0 ? 0 : page * 65537 + content,
    )
    this.mm.write(RAM_BASE + page * PAGE_SIZE, new Uint8Array(bytes.buffer))
  }
}
