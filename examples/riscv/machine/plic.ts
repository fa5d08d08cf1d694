// The interrupt controller between devices and a hart: a PLIC with the two contexts of one hart, M (0) and S (1).

const SOURCES = 32
const PENDING = 0x1000
const ENABLE = 0x2000
const CONTEXT = 0x200000

export class Plic {
  private readonly priority = new Uint32Array(SOURCES)
  private readonly enabled = new Uint32Array(2)
  private readonly threshold = new Uint32Array(2)
  /** Sources a context has claimed and not completed: they stay silent so long. */
  private claimed = 0
  private lines = 0

  /** A device raises its line, or lets it go. */
  set(source: number, on: boolean): void {
    this.lines = on ? this.lines | (1 << source) : this.lines & ~(1 << source)
  }

  /** Does the context have an interrupt to take? */
  interrupts(context: number): boolean {
    return this.best(context) !== 0
  }

  load(offset: number): number {
    if (offset < PENDING) return this.priority[(offset >>> 2) % SOURCES]!
    if (offset === PENDING) return (this.lines & ~this.claimed) >>> 0
    const context = contextOf(offset)
    if (context === undefined) return 0
    if (offset < CONTEXT) return offset % 0x80 === 0 ? this.enabled[context]! : 0
    if ((offset & 0xfff) === 0) return this.threshold[context]!
    return (offset & 0xfff) === 4 ? this.claim(context) : 0
  }

  store(offset: number, value: number): void {
    if (offset < PENDING) this.priority[(offset >>> 2) % SOURCES] = value & 7
    const context = contextOf(offset)
    if (context === undefined) return
    if (offset < CONTEXT) {
      if (offset % 0x80 === 0) this.enabled[context] = value & ~1
    } else if ((offset & 0xfff) === 0) this.threshold[context] = value & 7
    else if ((offset & 0xfff) === 4) this.claimed &= ~(1 << (value & 31))
  }

  /** The same state, for a fork of the machine. */
  copyTo(other: Plic): void {
    other.priority.set(this.priority)
    other.enabled.set(this.enabled)
    other.threshold.set(this.threshold)
    other.claimed = this.claimed
    other.lines = this.lines
  }

  private claim(context: number): number {
    const source = this.best(context)
    if (source !== 0) this.claimed |= 1 << source
    return source
  }

  private best(context: number): number {
    const ready = this.lines & ~this.claimed & this.enabled[context]!
    let best = 0
    let priority = this.threshold[context]!
    for (let source = 1; source < SOURCES; source++) {
      if ((ready & (1 << source)) === 0 || this.priority[source]! <= priority) continue
      best = source
      priority = this.priority[source]!
    }
    return best
  }
}

function contextOf(offset: number): number | undefined {
  const context = offset >= CONTEXT ? (offset - CONTEXT) >>> 12 : (offset - ENABLE) >>> 7
  return offset >= ENABLE && context < 2 ? context : undefined
}
