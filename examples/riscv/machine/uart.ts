// The console: an ns16550a as far as drivers look at it. What the guest sends is there at once; what it is sent waits in a queue.

const DATA_READY = 1
const SENT = 0x60 // transmitter empty, nothing in its holding register either
const ENABLE_RECEIVED = 1
const ENABLE_SENT = 2
const NO_INTERRUPT = 1

export class Uart {
  /** Plain data: it can be copied, and posted to another thread. */
  readonly state = {
    received: [] as number[],
    enabled: 0,
    line: 0,
    modem: 0,
    scratch: 0,
    divisor: 0,
    fifo: false,
    /** An interrupt that says "sent" is taken back by looking what it was. */
    sentPending: false,
  }
  private readonly out: (byte: number) => void

  constructor(out: (byte: number) => void) {
    this.out = out
  }

  /** Types to the guest. */
  type(bytes: Uint8Array): void {
    this.state.received.push(...bytes)
  }

  get isInterrupting(): boolean {
    return (
      ((this.state.enabled & ENABLE_RECEIVED) !== 0 && this.state.received.length > 0) ||
      ((this.state.enabled & ENABLE_SENT) !== 0 && this.state.sentPending)
    )
  }

  load(register: number): number {
    const latch = (this.state.line & 0x80) !== 0
    switch (register) {
      case 0:
        return latch ? this.state.divisor & 0xff : (this.state.received.shift() ?? 0)
      case 1:
        return latch ? this.state.divisor >> 8 : this.state.enabled
      case 2:
        return this.identify()
      case 3:
        return this.state.line
      case 4:
        return this.state.modem
      case 5:
        return SENT | (this.state.received.length > 0 ? DATA_READY : 0)
      case 6:
        return 0xb0
      default:
        return this.state.scratch
    }
  }

  store(register: number, value: number): void {
    const latch = (this.state.line & 0x80) !== 0
    switch (register) {
      case 0:
        if (latch) this.state.divisor = (this.state.divisor & 0xff00) | value
        else {
          this.out(value)
          this.state.sentPending = true
        }
        break
      case 1:
        if (latch) this.state.divisor = (this.state.divisor & 0xff) | (value << 8)
        else {
          if ((value & ENABLE_SENT & ~this.state.enabled) !== 0) this.state.sentPending = true
          this.state.enabled = value & 15
        }
        break
      case 2:
        this.state.fifo = (value & 1) !== 0
        break
      case 3:
        this.state.line = value
        break
      case 4:
        this.state.modem = value
        break
      case 7:
        this.state.scratch = value
        break
      default:
    }
  }

  private identify(): number {
    const fifo = this.state.fifo ? 0xc0 : 0
    if ((this.state.enabled & ENABLE_RECEIVED) !== 0 && this.state.received.length > 0) return fifo | 4
    if ((this.state.enabled & ENABLE_SENT) !== 0 && this.state.sentPending) {
      this.state.sentPending = false
      return fifo | 2
    }
    return fifo | NO_INTERRUPT
  }
}
