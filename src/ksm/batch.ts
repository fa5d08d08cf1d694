// What a batch of the scan works with beside what lasts: the window of pages about to be visited, the helper threads that hash
// ahead, and what was read once for many pages. Functions that need none of it take the KsmState alone.

import type { Helpers } from '../core/helpers.ts'
import { Window } from '../core/window.ts'
import { SmartScan } from './smart-scan.ts'
import type { KsmState } from './state.ts'

export class Batch {
  readonly ksm: KsmState
  /** Pages that the cursor has passed. Empty between batches. */
  readonly window: Window
  /** Which pages are passed over. */
  readonly smartScan: SmartScan
  /** Threads that hash pages ahead of the scan. */
  readonly helpers: Helpers
  /** They do so in this batch. */
  helped = false
  /** Pages that the cursor passed over in the last fill of the window because they need no visit (settled.ts). */
  passed = 0
  /** What an embedder's checksum threw where nothing may be thrown. */
  thrown: { readonly error: unknown } | undefined = undefined
  /** Somebody acts in the middle of it (virtual CPUs on other threads): each page is looked at again at its visit. */
  watched = false
  /** What time it is, in ms: read once for every window of pages, which is as fine as Linux's jiffies. */
  now = 0

  constructor(ksm: KsmState, helpers: Helpers) {
    this.ksm = ksm
    this.window = new Window(ksm.memory.arena)
    this.smartScan = new SmartScan(ksm)
    this.helpers = helpers
  }
}
