// What the calls of an mm have in common: they are a living mm's, they go through the door, and their ranges are checked.

import { expectInteger, PagefoldError } from '../errors.ts'
import { ADDRESS_LIMIT, expectAddress, hex, type PageRange, pageRange } from './model/address.ts'
import type { Gate } from './model/gate.ts'
import { MmStruct } from './model/mm-struct.ts'

export class MmHandle extends MmStruct {
  /** @internal */
  protected expectRange(address: number, length: number, min: number): void {
    expectAddress(address)
    expectInteger('length', length, min, ADDRESS_LIMIT - address)
  }

  /** A range for the calls that Linux refuses an empty one; the others do nothing then. @internal */
  protected someRange(address: number, length: number, call: string): PageRange {
    const range = pageRange(address, length)
    if (range.start < range.end) return range
    throw new PagefoldError('EINVAL', `${this.name}: ${call} of no bytes at ${hex(address)}`)
  }

  /** What every call goes through that only a living mm can answer. @internal */
  protected enter<Result>(work: () => Result): Result {
    const gate = this.expectAlive()
    gate.expectOutside()
    return gate.look(work)
  }

  /** @internal */
  protected expectAlive(): Gate {
    const { gate } = this.memory
    gate.expectSound()
    this.expectUsers()
    return gate
  }

  /** @internal */
  protected expectUsers(): void {
    if (this.users === 0) throw new PagefoldError('ESRCH', `${this.name} has exited`)
  }
}
