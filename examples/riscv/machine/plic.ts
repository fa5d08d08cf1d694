// The interrupt controller between devices and a hart: a PLIC with the two contexts of one hart, M (0) and S (1).

const SOURCES = 32
const PENDING = 0x1000
const ENABLE = 0x2000
const CONTEXT = 0x200000

export class Plic {
  /** Plain data: it can be copied, and posted to another thread. */
  readonly state = {
    priority: new Uint32Array(SOURCES),
    enabled: new Uint32Array(2),
    threshold: new Uint32Array(2),
    /** Sources a context has claimed and not completed: they stay silent so long. */
    claimed: 0,
    lines: 0,
  }

  /** A device raises its line, or lets it go. */
  set(source: number, on: boolean): void {
    this.state.lines = on ? this.state.lines | (1 << source) : this.state.lines & ~(1 << source)
  }

  /** Does the context have an interrupt to take? */
  interrupts(context: number): boolean {
    return this.best(context) !== 0
  }

  load(offset: number): number {
    if (offset < PENDING) return this.state.priority[(offset >>> 2) % SOURCES]!
    if (offset === PENDING) return (this.state.lines & ~this.state.claimed) >>> 0
    const context = contextOf(offset)
    if (context === undefined) return 0
    if (offset < CONTEXT) return offset % 0x80 === 0 ? this.state.enabled[context]! : 0
    if ((offset & 0xfff) === 0) return this.state.threshold[context]!
    return (offset & 0xfff) === 4 ? this.claim(context) : 0
  }

  store(offset: number, value: number): void {
    if (offset < PENDING) this.state.priority[(offset >>> 2) % SOURCES] = value & 7
    const context = contextOf(offset)
    if (context === undefined) return
    if (offset < CONTEXT) {
      if (offset % 0x80 === 0) this.state.enabled[context] = value & ~1
    } else if ((offset & 0xfff) === 0) this.state.threshold[context] = value & 7
    else if ((offset & 0xfff) === 4) this.state.claimed &= ~(1 << (value & 31))
  }

  private claim(context: number): number {
    const source = this.best(context)
    if (source !== 0) this.state.claimed |= 1 << source
    return source
  }

  private best(context: number): number {
    const ready = this.state.lines & ~this.state.claimed & this.state.enabled[context]!
    let best = 0
    let priority = this.state.threshold[context]!
    for (let source = 1; source < SOURCES; source++) {
      if ((ready & (1 << source)) === 0 || this.state.priority[source]! <= priority) continue
      best = source
      priority = this.state.priority[source]!
    }
    return best
  }
}

function contextOf(offset: number): number | undefined {
  const context = offset >= CONTEXT ? (offset - CONTEXT) >>> 12 : (offset - ENABLE) >>> 7
  return offset >= ENABLE && context < 2 ? context : undefined
}
