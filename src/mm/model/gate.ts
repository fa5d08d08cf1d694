// The door of a host: every public method of Host, Ksm, Mm, Pin and SecondaryMmu goes through `enter`, or through `look` if it
// changes nothing. Whatever comes out of the engine beside an ordinary refusal (a broken invariant, a trap in the core, a
// mistake of ours) closes the host for good, wherever it happened: what it holds can be looked at, and not be built on.

import { brokenInvariant, isOrdinary, PagefoldError } from '../../errors.ts'

export class Gate {
  /** What was found broken. */
  private broken: PagefoldError | undefined

  /** Runs a piece of the engine. Throws EUCLEAN if an invariant was found broken before, or is now; else what it throws. */
  enter<Result>(work: () => Result): Result {
    this.expectSound()
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
    if (this.broken !== undefined) throw this.broken
  }

  /** What to throw for what came out of the engine. */
  caught(error: unknown): unknown {
    return isOrdinary(error) ? error : this.close(error)
  }

  /** Is the host closed for good? */
  get isBroken(): boolean {
    return this.broken !== undefined
  }

  /** Calls that change something are refused from now on, with the first thing that was found. Returns what is thrown now. */
  private close(error: unknown): PagefoldError {
    const broken = error instanceof PagefoldError ? error : brokenInvariant(String(error), error)
    this.broken ??= broken
    return broken
  }
}
