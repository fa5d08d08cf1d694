// The memory of a process while it runs: which pages there are is looked up when it is opened, what is in them when they are read. A page
// that is gone by then reads as zeros and is said to be gone.

import { closeSync, openSync, readSync } from 'node:fs'
import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { Image } from '../../image.ts'
import { firstWhere } from '../search.ts'
import { nodesOf } from './numa.ts'
import { anonymousPages, commOf, KernelPages, mappingsOf } from './proc.ts'

/** Pages that are counted once, though several processes have them, and what the kernel says of pages. */
export class SharedFrames {
  readonly kernel = new KernelPages()
  private readonly seen = new Set<number>()

  /** Whether a page that others may have too is one to count: not the zero page, and not one that was counted, unless KSM has merged it. */
  isToCount(pfn: number): boolean {
    if (pfn === 0) return true
    if (this.kernel.isZeroPage(pfn)) return false
    if (this.kernel.isMerged(pfn)) return true
    if (this.seen.has(pfn)) return false
    this.seen.add(pfn)
    return true
  }

  close(): void {
    this.kernel.close()
  }
}

/** Runs of pages with adjacent addresses: the first page of each, and its address. */
type Runs = { readonly page: number; readonly address: number }[]

export class ProcessImage implements Image {
  readonly source: string
  readonly format = 'process'
  readonly pages: number
  readonly absent: number
  readonly pid: number
  readonly nodes: ReadonlyMap<number, number> | undefined
  readonly notes: readonly string[] = []
  /** Pages that were not counted because another process that was looked at has the same frame, or the kernel's page of zeros. */
  readonly shared: number
  private readonly memory: number
  private readonly runs: Runs
  /** Pages whose bytes may be the zero page's, where only the bytes tell: the pages that others may have too and whose numbers are hidden. */
  private readonly doubtful: ReadonlySet<number>
  private readonly missing = new Set<number>()

  /** Throws what the file system does. */
  constructor(pid: number, mergeable: boolean, frames: SharedFrames) {
    this.pid = pid
    this.source = `pid:${pid} (${commOf(pid)})`
    const runs: Runs = []
    const doubtful = new Set<number>()
    let [pages, absent, shared, next] = [0, 0, 0, -1]
    const mappings = mappingsOf(pid, mergeable)
    const pagemap = openSync(`/proc/${pid}/pagemap`, 'r')
    try {
      for (const mapping of mappings) {
        absent += anonymousPages(pagemap, mapping, ({ address, exclusive, pfn }) => {
          if (!exclusive && !frames.isToCount(pfn)) {
            shared++
            return
          }
          if (!exclusive && pfn === 0) doubtful.add(pages)
          if (address !== next) runs.push({ page: pages, address })
          next = address + PAGE_SIZE
          pages++
        })
      }
    } finally {
      closeSync(pagemap)
    }
    this.runs = runs
    this.pages = pages
    this.absent = absent
    this.shared = shared
    this.doubtful = doubtful
    this.nodes = nodesOf(pid, mappings)
    this.memory = openSync(`/proc/${pid}/mem`, 'r')
  }

  addressOf(page: number): number {
    const run = this.runs[this.runOf(page)]!
    return run.address + (page - run.page) * PAGE_SIZE
  }

  read(first: number, count: number, into: Uint8Array): void {
    const end = first + count
    let run = this.runOf(first)
    for (let page = first; page < end; run++) {
      const last = Math.min(end, this.runs[run + 1]?.page ?? this.pages)
      const { page: start, address } = this.runs[run]!
      this.readRun(
        page,
        last - page,
        address + (page - start) * PAGE_SIZE,
        into.subarray((page - first) * PAGE_SIZE),
      )
      page = last
    }
  }

  gone(page: number): boolean {
    return this.missing.has(page)
  }

  close(): void {
    closeSync(this.memory)
  }

  private runOf(page: number): number {
    const { runs } = this
    return firstWhere(runs.length, (i) => runs[i]!.page > page) - 1
  }

  /** Reads pages at adjacent addresses. Where a page is gone, those behind it may still be there, unless the process is gone too. */
  private readRun(first: number, count: number, address: number, into: Uint8Array): void {
    let done = 0
    const bytes = count * PAGE_SIZE
    while (done < bytes) {
      const got = this.readSome(into.subarray(done, bytes), address + done)
      if (got !== undefined && got >= PAGE_SIZE) {
        const whole = got - (got % PAGE_SIZE)
        for (let at = done; at < done + whole; at += PAGE_SIZE) {
          const page = first + at / PAGE_SIZE
          this.missing.delete(page)
          if (this.doubtful.has(page) && isZeros(into.subarray(at, at + PAGE_SIZE))) this.missing.add(page)
        }
        done += whole
        continue
      }
      const left = got === 0 ? bytes - done : PAGE_SIZE
      into.fill(0, done, done + left)
      for (let at = done; at < done + left; at += PAGE_SIZE) this.missing.add(first + at / PAGE_SIZE)
      done += left
    }
  }

  /** Bytes read; 0: the process is gone; undefined: the first page is. */
  private readSome(into: Uint8Array, address: number): number | undefined {
    try {
      return readSync(this.memory, into, 0, into.length, address)
    } catch {
      return undefined
    }
  }
}

function isZeros(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0)
}
