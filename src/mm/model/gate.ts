// The door of a host: every public method of Host, Ksm, Mm, Pin and SecondaryMmu goes through `enter`, or through `look` if it
// changes nothing. Whatever comes out of the engine beside an ordinary refusal (a broken invariant, a trap in the core, a
// mistake of ours) closes the host for good, wherever it happened: what it holds can be looked at, and not be built on.
//
// While something of the embedder's is called (`call`), the engine is in the middle of something: calls that do more than look
// are refused then, with EDEADLK. Linux cannot call back into itself there either: locks are held. Which method answers in which
// callback stands in docs/callbacks.md. The userfault handler is no such callback: resolving the fault is what it is for,
// so it runs with nothing half done, and the fault begins again after it.

import { brokenInvariant, isOrdinary, outside, PagefoldError } from '../../errors.ts'

/** What of an embedder's is called in the middle of something. */
export const CALLBACKS = [
  'notifier',
  'tracepoint',
  'clock',
  'swap store',
  'file',
  'image',
  'progress',
  'checksum',
  'policy',
] as const
export type Callback = (typeof CALLBACKS)[number]

export class Gate {
  /** What was found broken. */
  #broken: PagefoldError | undefined
  /** Its owner has closed the host. */
  #shut = false
  /** What is being called. */
  #callback: Callback | undefined

  /**
   * Runs a piece of the engine. Throws EDEADLK inside a callback, EUCLEAN if an invariant was found broken before, or is
   * now, EINVAL when the host has been closed; else what it throws.
   */
  enter<Result>(work: () => Result): Result {
    this.expectFree()
    return this.look(work)
  }

  /** The same for what only looks: a host that is closed for good still answers. */
  look<Result>(work: () => Result): Result {
    try {
      return work()
    } catch (error) {
      throw this.caught(error)
    }
  }

  /**
   * Throws EUCLEAN if an invariant was found broken before. With `caught`, what `enter` is made of: for the few methods that
   * take no longer than a call through a function does.
   */
  expectSound(): void {
    if (this.#broken !== undefined) throw this.#broken
  }

  /** What to throw for what came out of the engine. */
  caught(error: unknown): unknown {
    return isOrdinary(error) ? error : this.#close(error)
  }

  /**
   * Calls something of the embedder's, which may only look meanwhile. What it throws goes through to whoever waits for it, and
   * breaks nothing here.
   */
  call<Result>(callback: Callback, work: () => Result): Result {
    const before = this.#callback
    this.#callback = callback
    try {
      return outside(work)
    } finally {
      this.#callback = before
    }
  }

  /** From now on only what looks answers. False if that was said before. */
  shutForGood(): boolean {
    const first = !this.#shut
    this.#shut = true
    return first
  }

  /** Throws EUCLEAN if an invariant was found broken before, EINVAL on a closed host, EDEADLK inside a callback. */
  expectFree(): void {
    this.expectSound()
    if (this.#shut) throw new PagefoldError('EINVAL', 'the host is closed')
    this.expectOutside()
  }

  /** Throws EDEADLK inside a callback. */
  expectOutside(): void {
    if (this.#callback === undefined) return
    const why = 'only calls that look are possible there, see docs/callbacks.md; do it when that call is over'
    throw new PagefoldError('EDEADLK', `inside a callback (${this.#callback}): ${why}`)
  }

  /** Is there nothing more to be expected: closed, or broken? */
  get isOver(): boolean {
    return this.#shut || this.isBroken
  }

  /** Is the host closed for good? */
  get isBroken(): boolean {
    return this.#broken !== undefined
  }

  /** Calls that change something are refused from now on, with the first thing that was found. Returns what is thrown now. */
  #close(error: unknown): PagefoldError {
    const broken = error instanceof PagefoldError ? error : brokenInvariant(String(error), error)
    this.#broken ??= broken
    return broken
  }
}
