// What a batch of the scan works with beside what lasts: the window of pages about to be visited, the helper threads that hash
// ahead, and what was read once for many pages. Functions that need none of it take the KsmState alone.

import type { Helpers } from '../core/helpers.ts'
import { Window } from '../core/window.ts'
import type { KsmState } from './state.ts'

export class Batch {
  readonly ksm: KsmState
  /** Pages that the cursor has passed. Empty between batches. */
  readonly window: Window
  /** Threads that hash pages ahead of the scan. */
  readonly helpers: Helpers
  /** They do so in this batch. */
  helped = false
  /** Somebody is called back in the middle of merges (notifiers, tracepoints): each page is looked at again at its visit. */
  watched = false
  /** What time it is, in ms: read once for every window of pages, which is as fine as Linux's jiffies. */
  now = 0

  constructor(ksm: KsmState, helpers: Helpers) {
    this.ksm = ksm
    this.window = new Window(ksm.memory.arena)
    this.helpers = helpers
  }
}
