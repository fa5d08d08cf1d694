// The virtual CPUs of one mm, and the window through which they see it: the array of leaves belongs to the engine, one for each mm
// that has CPUs. What they are promised stands in docs/hypervisor.md.

import type { CpuRecord } from '../../core/cpu-records.ts'
import type { LeafWindow } from '../page/page-table.ts'

/** The part of an mm that its CPUs see. */
export interface CpuWindow extends LeafWindow {
  /** Metadata pages that the array of leaves takes. */
  readonly pages: number
}

export class Cpus {
  /** Those attached. */
  readonly records = new Set<CpuRecord>()
  /** While there are any. */
  window: CpuWindow | undefined

  /** Leaves have been taken out of the window: nobody may use a pte's address from before. */
  forget(): void {
    for (const record of this.records) record.forget()
  }
}
