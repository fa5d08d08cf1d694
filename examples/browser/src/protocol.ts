// What the page and the thread with the engine tell each other.

/** What guests are. */
export type Kind = 'riscv' | 'synthetic'

/** Knobs of ksmd that the page has. */
export type KnobName = 'pages_to_scan' | 'sleep_millisecs' | 'use_zero_pages' | 'smart_scan' | 'run'

export type Order =
  | { readonly order: 'guests'; readonly kind: Kind; readonly count: number }
  | { readonly order: 'knob'; readonly name: KnobName; readonly value: number }
  /** Instructions of a guest's turn. */
  | { readonly order: 'pace'; readonly instructions: number }
  | { readonly order: 'pause'; readonly on: boolean }
  | { readonly order: 'fork' }

/** All that is shown, of one moment. */
export interface Picture {
  readonly guests: readonly { readonly name: string; readonly said: string }[]
  readonly pagesPerGuest: number
  /** A byte a page, all guests one after another: an index into `PAGE_STATES`. */
  readonly states: Uint8Array
  /** Likewise: pages with the same number share a frame, or have the same content; 0: nobody else. */
  readonly groups: Uint32Array
  readonly seconds: number
  readonly usedFrames: number
  readonly counters: Readonly<
    Record<'pages_shared' | 'pages_sharing' | 'pages_unshared' | 'full_scans', number>
  >
  readonly cowBreaks: number
  readonly millionInstructions: number
}

export type Answer = { readonly picture: Picture } | { readonly trouble: string }
