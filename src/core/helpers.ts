// Helper threads: they take checksums of pages that the scan is about to visit, so that it finds them done. What is
// merged, and what is counted, is the same with any number of them, as long as there is metadata; assembly/helper.ts says why.

import {
  HEADER_HELPERS,
  HELPERS_ASLEEP,
  HELPERS_AWAKE,
  HELPERS_BELL,
  HELPERS_CLOSING,
  HELPERS_END,
  HELPERS_STABLE,
  HELPERS_STATE,
  HELPERS_UNSTABLE,
} from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import { sharingRefused, startThread } from '../platform.ts'
import type { Arena } from './arena.ts'
import type { HelperData } from './helper.ts'
import program from './helper.ts?program'

const STATE = (HEADER_HELPERS + HELPERS_STATE) / 4
const BELL = (HEADER_HELPERS + HELPERS_BELL) / 4
const END = (HEADER_HELPERS + HELPERS_END) / 4
const STABLE = (HEADER_HELPERS + HELPERS_STABLE) / 4
const UNSTABLE = (HEADER_HELPERS + HELPERS_UNSTABLE) / 4

export class Helpers {
  readonly count: number
  readonly #words: Int32Array
  readonly #data: HelperData
  #closed = false

  constructor({ memory, module, i32, strategy }: Arena, count: number) {
    this.#data = { module, own: strategy.own?.module, memory }
    this.#words = i32
    this.count = count
  }

  /** Starts them, asleep. They keep no process alive. Throws EAGAIN if one does not start. */
  async start(): Promise<void> {
    try {
      for (let started = 0; started < this.count; started++) await startThread(program, this.#data)
    } catch (cause) {
      this.close()
      const refused = sharingRefused()
      if (refused !== undefined) throw refused
      const why = (cause as Error).message
      throw new PagefoldError(
        'EAGAIN',
        `a worker did not start: ${why}: create the host without \`workers\``,
        {
          cause,
        },
      )
    }
  }

  /** Has them look for pages, until they are told to sleep. */
  wake(): void {
    this.#tell(HELPERS_AWAKE)
    this.#ring()
  }

  sleep(): void {
    this.#tell(HELPERS_ASLEEP)
  }

  /**
   * Lets them see the pages of the window before a position, and the trees that those will be searched for in. What was
   * written plainly until then, tickets included, they see too: they look at nothing behind the position.
   */
  offer(end: number, stableRoots: number, unstableRoots: number): void {
    this.#words[STABLE] = stableRoots
    this.#words[UNSTABLE] = unstableRoots
    Atomics.store(this.#words, END, end)
  }

  /** Has them end. */
  close(): void {
    this.#tell(HELPERS_CLOSING)
    this.#closed = true
    this.#ring()
  }

  #tell(state: number): void {
    // One that has not yet seen that it is to end must not be told otherwise.
    if (this.#closed) return
    Atomics.store(this.#words, STATE, state)
  }

  #ring(): void {
    Atomics.add(this.#words, BELL, 1)
    Atomics.notify(this.#words, BELL)
  }
}
