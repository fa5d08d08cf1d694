// Smart scan: has the policy in force (policy.ts) decide about each page that the cursor comes to, and keeps the books.
//
// Linux: should_skip_rmap_item()

import { COUNTER_PAGES_SKIPPED, PAGE_SIZE, RMAP_UNSTABLE } from '../../assembly/abi.ts'
import { expectBoolean, expectInteger } from '../errors.ts'
import { POLICIES, type ScannedPage, type ScanPolicy } from './policy.ts'
import { removeRmapItemFromTree } from './rmap-item.ts'
import type { KsmState } from './state.ts'

/** What an item has room for. */
const MAX_SKIPS = 15

export class SmartScan {
  readonly #ksm: KsmState
  readonly #policy: ScanPolicy
  /** The page that the policy is asked about. */
  readonly #page: PageAtHand

  constructor(ksm: KsmState) {
    const { skipping } = ksm.options
    this.#ksm = ksm
    const own = typeof skipping !== 'string'
    this.#page = own ? new PageOfOwn(ksm) : new PageAtHand(ksm)
    this.#policy = own ? guarded(ksm, skipping, this.#page) : POLICIES[skipping]
  }

  /** Decides whether a page is passed over in this scan, and notes it in its item. One that is merged never is. */
  shouldSkip(item: number, merged: boolean): boolean {
    const ksm = this.#ksm
    const page = this.#page
    if (!ksm.tunables.smart_scan || merged) return false
    const { items } = ksm
    page.item = item
    const skip = this.#policy.skip(page)
    items.growOlder(item)
    if (skip) {
      ksm.counters[COUNTER_PAGES_SKIPPED]!++
      // It must not stay in the unstable tree for longer than one scan.
      removeRmapItemFromTree(ksm, item)
    }
    items.setPassedOver(item, skip)
    return skip
  }
}

/** Was a page passed over when the scan last came by? */
export function wasSkipped(ksm: KsmState, item: number): boolean {
  return ksm.tunables.smart_scan !== 0 && ksm.items.passedOver(item)
}

/** An item as a policy sees it. */
class PageAtHand implements ScannedPage {
  readonly #ksm: KsmState
  item = 0

  constructor(ksm: KsmState) {
    this.#ksm = ksm
  }

  get age(): number {
    return this.#ksm.items.age(this.item)
  }

  get skips(): number {
    return this.#ksm.items.skips(this.item)
  }

  set skips(skips: number) {
    this.#ksm.items.setSkips(this.item, skips)
  }

  get mm(): string {
    return this.#ksm.memory.mm(this.#ksm.items.mm(this.item)).name
  }

  get address(): number {
    return this.#ksm.items.vpn(this.item) * PAGE_SIZE
  }

  get scan(): number {
    return this.#ksm.seqnr
  }

  get unshared(): boolean {
    return this.#ksm.items.state(this.item) === RMAP_UNSTABLE
  }

  get zero(): boolean {
    return this.age > 0 && this.#ksm.items.oldchecksum(this.item) === this.#ksm.zeroChecksum
  }
}

/** The same for an embedder's policy, which may keep with a page what there is room for. */
class PageOfOwn extends PageAtHand {
  override get skips(): number {
    return super.skips
  }

  override set skips(skips: number) {
    super.skips = expectInteger('skips', skips, 0, MAX_SKIPS)
  }
}

/** An embedder's policy: where it throws nothing is left half done, and it is held to what it may answer. */
function guarded(ksm: KsmState, own: ScanPolicy, page: PageAtHand): ScanPolicy {
  const ask = (): boolean => expectBoolean(`skip()\` of policy \`${own.name}`, own.skip(page))
  const skip = (): boolean => {
    try {
      return ksm.memory.gate.call('policy', ask)
    } catch (error) {
      removeRmapItemFromTree(ksm, page.item)
      throw error
    }
  }
  return { name: own.name, skip }
}
