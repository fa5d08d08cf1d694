// The state of one address space (Linux: struct mm_struct): what faults, forks and the scanner work on. What a guest
// calls is in mm.ts.

import { expectOptions, expectString, PagefoldError } from '../../errors.ts'
import { type Notifier, Notifiers } from '../watch/notifier.ts'
import { Cpus } from './cpus.ts'
import type { UserfaultHandler } from './hooks.ts'
import type { Memory } from './memory.ts'
import { VmaList } from './vma-list.ts'

/** What Linux spends on an rmap item: profit is reckoned with it, so that the figures compare. */
export const LINUX_RMAP_ITEM_BYTES = 64

/** What an mm is made with. */
export interface MmOptions {
  /** For messages and tracepoints. */
  readonly name?: string
  /** Pages are merged only within a domain. Default: one domain for all, as Linux. */
  readonly domain?: string
}

/** Returns the options of a call that makes an mm. Throws TypeError unless they are strings, or not given. */
export function expectMmOptions(call: string, options: MmOptions): MmOptions {
  const given = expectOptions(call, options, { name: true, domain: true })
  expectString('name', given.name)
  expectString('domain', given.domain)
  return given
}

export class MmStruct {
  /** What messages and tracepoints call it. */
  readonly name: string
  /** @internal */
  readonly memory: Memory
  /** What rmap items name it by. @internal */
  readonly id: number
  /** The top of its page table. @internal */
  pgd: number
  /** @internal */
  readonly vmas = new VmaList()
  /** 1 while it lives, 0 once it is exiting. Linux: mm_users. @internal */
  users = 1
  /** Registered with the scanner. Linux: MMF_VM_MERGEABLE. @internal */
  mergeable = false
  /** Every eligible range is to be merged, now and later. Linux: MMF_VM_MERGE_ANY. @internal */
  mergeAny = false
  /** Has it been made as another is, with merged pages where it may have none? @internal */
  restored = false
  /** The merger's accounts of this mm; `zeroPages` is kept by the fault path and always exact. @internal */
  readonly ksm = { rmapItems: 0, mergingPages: 0, zeroPages: 0 }
  /** @internal */
  readonly notifiers: Notifiers
  /** @internal */
  readonly cpus: Cpus
  /** Who is told of writes to protected pages. @internal */
  userfault: UserfaultHandler | undefined = undefined
  /** Whose pages may be merged with this mm's: those of the same domain. @internal */
  readonly domain: string
  /** Who still needs the struct: the living process, the scanner. Linux: mm_count */
  #holders = 1

  /** @internal */
  constructor(memory: Memory, options: MmOptions = {}) {
    this.memory = memory
    this.cpus = new Cpus(memory.cpus)
    this.notifiers = new Notifiers(memory.gate, (step) => memory.notified?.(step, this))
    this.pgd = memory.pageTables.create()
    if (this.pgd === 0) {
      throw new PagefoldError(
        'ENOMEM',
        'no metadata left for page tables: create the host with more `mappings`',
      )
    }
    this.domain = options.domain ?? ''
    this.id = memory.addMm(this)
    if (this.id === 0) {
      memory.pageTables.destroy(this.pgd)
      throw new PagefoldError('EAGAIN', 'a host has at most 65535 mms: let some exit, and ksmd visit them')
    }
    this.name = options.name ?? `mm-${this.id}`
  }

  /** Throws ESRCH. @internal */
  addNotifier(notifier: Notifier): void {
    if (this.users === 0) throw new PagefoldError('ESRCH', `${this.name} has exited`)
    this.notifiers.add(notifier)
    this.memory.notifiers++
  }

  /** @internal */
  removeNotifier(notifier: Notifier): void {
    if (this.notifiers.remove(notifier)) this.memory.notifiers--
  }

  /** The mm has exited: nobody need be told anything any more. @internal */
  dropNotifiers(): void {
    this.memory.notifiers -= this.notifiers.clear()
  }

  /** Keeps the struct beyond exit. Linux: mmgrab(). @internal */
  grab(): void {
    this.#holders++
  }

  /** Linux: mmdrop(). @internal */
  drop(): void {
    if (--this.#holders === 0) this.memory.removeMm(this)
  }
}
