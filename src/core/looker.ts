// Who looks at pages wherever they lie: on the stage (stage.ts), or in the memory of another module (onlooker.ts).

/** Sees a handful of pages, each at a place, from 0 on. */
export interface Looker {
  /** The halves of the last hash. */
  readonly low: number
  readonly high: number
  /** The bytes of a page, as they lie; not to be kept. */
  bytes(at: number): Uint8Array
  /** Is it zeros? */
  isZero(at: number): boolean
  /** Are those from one place to before another equal to the others at the same places of the stage? */
  areSame(at: number, end: number): boolean
  /** Hashes it: what comes out is in `low` and `high` until the next. */
  digest(at: number): void
}
