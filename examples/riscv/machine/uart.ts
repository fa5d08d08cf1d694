// The console: an ns16550a as far as drivers look at it. What the guest sends is there at once; what it is sent waits in a queue.

const DATA_READY = 1
const SENT = 0x60 // transmitter empty, nothing in its holding register either
const ENABLE_RECEIVED = 1
const ENABLE_SENT = 2
const NO_INTERRUPT = 1

export class Uart {
  private readonly out: (byte: number) => void
  private readonly received: number[] = []
  private enabled = 0
  private line = 0
  private modem = 0
  private scratch = 0
  private divisor = 0
  private fifo = false
  /** An interrupt that says "sent" is taken back by looking what it was. */
  private sentPending = false

  constructor(out: (byte: number) => void) {
    this.out = out
  }

  /** Types to the guest. */
  type(bytes: Uint8Array): void {
    this.received.push(...bytes)
  }

  get isInterrupting(): boolean {
    return (
      ((this.enabled & ENABLE_RECEIVED) !== 0 && this.received.length > 0) ||
      ((this.enabled & ENABLE_SENT) !== 0 && this.sentPending)
    )
  }

  load(register: number): number {
    const latch = (this.line & 0x80) !== 0
    switch (register) {
      case 0:
        return latch ? this.divisor & 0xff : (this.received.shift() ?? 0)
      case 1:
        return latch ? this.divisor >> 8 : this.enabled
      case 2:
        return this.identify()
      case 3:
        return this.line
      case 4:
        return this.modem
      case 5:
        return SENT | (this.received.length > 0 ? DATA_READY : 0)
      case 6:
        return 0xb0
      default:
        return this.scratch
    }
  }

  store(register: number, value: number): void {
    const latch = (this.line & 0x80) !== 0
    switch (register) {
      case 0:
        if (latch) this.divisor = (this.divisor & 0xff00) | value
        else {
          this.out(value)
          this.sentPending = true
        }
        break
      case 1:
        if (latch) this.divisor = (this.divisor & 0xff) | (value << 8)
        else {
          if ((value & ENABLE_SENT & ~this.enabled) !== 0) this.sentPending = true
          this.enabled = value & 15
        }
        break
      case 2:
        this.fifo = (value & 1) !== 0
        break
      case 3:
        this.line = value
        break
      case 4:
        this.modem = value
        break
      case 7:
        this.scratch = value
        break
      default:
    }
  }

  /** The same state, for a fork of the machine. */
  copyTo(other: Uart): void {
    const { received, enabled, line, modem, scratch, divisor, fifo, sentPending } = this
    other.received.push(...received)
    Object.assign(other, { enabled, line, modem, scratch, divisor, fifo, sentPending })
  }

  private identify(): number {
    const fifo = this.fifo ? 0xc0 : 0
    if ((this.enabled & ENABLE_RECEIVED) !== 0 && this.received.length > 0) return fifo | 4
    if ((this.enabled & ENABLE_SENT) !== 0 && this.sentPending) {
      this.sentPending = false
      return fifo | 2
    }
    return fifo | NO_INTERRUPT
  }
}
