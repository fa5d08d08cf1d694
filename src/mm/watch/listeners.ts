// Who is to be called, each as often as it was put there. Mms and tracepoints call more often than anybody comes or goes: the row is
// made when it is wanted, and kept until then.

export class Listeners<Listener> {
  readonly #times = new Map<Listener, number>()
  #row: readonly Listener[] | undefined

  get isEmpty(): boolean {
    return this.#times.size === 0
  }

  has(listener: Listener): boolean {
    return this.#times.has(listener)
  }

  add(listener: Listener): void {
    this.#times.set(listener, (this.#times.get(listener) ?? 0) + 1)
    this.#row = undefined
  }

  /** Takes a listener back once. False if it is not there. */
  remove(listener: Listener): boolean {
    const times = this.#times.get(listener)
    if (times === undefined) return false
    if (times === 1) return this.removeAll(listener)
    this.#times.set(listener, times - 1)
    this.#row = undefined
    return true
  }

  /** Takes a listener back however often it is there. False if it is not. */
  removeAll(listener: Listener): boolean {
    this.#row = undefined
    return this.#times.delete(listener)
  }

  clear(): void {
    this.#times.clear()
    this.#row = undefined
  }

  /** All in a row, which never changes: a listener may come or go while it is gone through. */
  all(): readonly Listener[] {
    this.#row ??= [...this.#times].flatMap(([listener, times]) => new Array<Listener>(times).fill(listener))
    return this.#row
  }
}
