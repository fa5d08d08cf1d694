// What Linux tells of processes under /proc: who there is, which mappings KSM may have, which of their pages are anonymous and in memory.
// A process may go at any time, and may be nobody's to look at: both are ordinary.

import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { type Errno, PagefoldError } from '../../errors.ts'

/** Why a process cannot be read: it has gone, or is not ours to read. */
export type Unreadable = 'gone' | 'denied'

/** Tells which of both an error says; undefined: neither. */
export function whyUnreadable(error: unknown): Unreadable | undefined {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ESRCH') return 'gone'
  return code === 'EACCES' || code === 'EPERM' ? 'denied' : undefined
}

/** All processes but this one, ascending. Throws ENOTSUP where there is no /proc. */
export function processIds(): number[] {
  try {
    const names = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    const ids = names.map(Number).filter((pid) => pid !== process.pid)
    return ids.sort((a, b) => a - b)
  } catch (cause) {
    const code: Errno = 'ENOTSUP'
    throw new PagefoldError(code, 'processes can be read where Linux has its /proc: there is none here', {
      cause,
    })
  }
}

/** What a process is called, as in `ps -o comm`. Throws what the file system does. */
export function commOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, 'utf8').trimEnd()
}

/** A mapping that KSM may have: [start, end), in bytes. */
export interface Mapping {
  readonly start: number
  readonly end: number
  /** Bytes of anonymous pages in it. */
  readonly anonymous: number
}

/**
 * Flags that keep KSM away: shared, may be shared, page frames without pages, of a device, not to be grown, huge, mixed, droppable.
 * Linux: vma_ksm_compatible().
 */
const FOREIGN = ['sh', 'ms', 'pf', 'io', 'de', 'ht', 'mm', 'dp']
const MERGEABLE = 'mg'

/**
 * The mappings of a process that hold anonymous memory which KSM may have: all that it could be given, or, `mergeable`, those that it was
 * given. Throws what the file system does.
 */
export function mappingsOf(pid: number, mergeable: boolean): Mapping[] {
  return parseSmaps(readFileSync(`/proc/${pid}/smaps`, 'utf8'), mergeable)
}

/** The same of the text of a smaps. */
export function parseSmaps(text: string, mergeable: boolean): Mapping[] {
  const mappings: Mapping[] = []
  let [start, end, anonymous] = [0, 0, 0]
  for (const line of text.split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
    if (range !== null) {
      start = Number.parseInt(range[1]!, 16)
      end = Number.parseInt(range[2]!, 16)
      anonymous = 0
    } else if (line.startsWith('Anonymous:')) anonymous = Number.parseInt(line.slice(10), 10) * 1024
    else if (line.startsWith('VmFlags:')) {
      const flags = line.slice(8).trim().split(' ')
      const may = !flags.some((flag) => FOREIGN.includes(flag)) && (!mergeable || flags.includes(MERGEABLE))
      if (may && anonymous > 0) mappings.push({ start, end, anonymous })
    }
  }
  return mappings
}

/** Bits of the upper half of an entry of a pagemap: present, swapped, of a file or shared, mapped once. */
const PRESENT = 0x8000_0000
const SWAPPED = 0x4000_0000
const FILE = 0x2000_0000
const EXCLUSIVE = 0x0100_0000
/** Of the page's number in memory, the bits that are in the upper half. */
const PFN_HIGH = 0x007f_ffff
const ENTRY_BYTES = 8
const ENTRIES = 8192

/** An anonymous page that is in memory. */
export interface AnonymousPage {
  readonly address: number
  /** No other mapping has it. */
  readonly exclusive: boolean
  /** Its number in memory; 0 where it is not for us to know. */
  readonly pfn: number
}

/**
 * Calls `use` for each anonymous page of a mapping that is in memory, ascending, the zero page among them; returns how many are swapped
 * out. `pagemap` is the process's. Throws what the file system does.
 */
export function anonymousPages(
  pagemap: number,
  { start, end }: Mapping,
  use: (page: AnonymousPage) => void,
): number {
  const bytes = Buffer.alloc(ENTRIES * ENTRY_BYTES)
  let swapped = 0
  for (let address = start; address < end; ) {
    const wanted = Math.min(ENTRIES, (end - address) / PAGE_SIZE) * ENTRY_BYTES
    const got = readSync(pagemap, bytes, 0, wanted, (address / PAGE_SIZE) * ENTRY_BYTES)
    if (got < ENTRY_BYTES) break
    for (let at = 0; at + ENTRY_BYTES <= got; at += ENTRY_BYTES, address += PAGE_SIZE) {
      const high = bytes.readUInt32LE(at + 4)
      if ((high & SWAPPED) !== 0) swapped++
      else if ((high & PRESENT) !== 0 && (high & FILE) === 0) {
        const pfn = (high & PFN_HIGH) * 2 ** 32 + bytes.readUInt32LE(at)
        use({ address, exclusive: (high & EXCLUSIVE) !== 0, pfn })
      }
    }
  }
  return swapped
}

/** Flags of /proc/kpageflags. */
const KSM = 1 << 21
const ZERO_PAGE = 1 << 24

/** What the kernel says of pages by their numbers, for whoever may know. */
export class KernelPages {
  private readonly fd: number | undefined
  private readonly known = new Map<number, number>()
  private readonly entry = Buffer.alloc(ENTRY_BYTES)

  constructor() {
    try {
      this.fd = openSync('/proc/kpageflags', 'r')
    } catch {
      // Only root may; without it pages that nobody tells of are taken for what they look like.
    }
  }

  /** The one page of zeros that all share; false where nobody tells. */
  isZeroPage(pfn: number): boolean {
    return (this.flagsOf(pfn) & ZERO_PAGE) !== 0
  }

  /** Merged by KSM. */
  isMerged(pfn: number): boolean {
    return (this.flagsOf(pfn) & KSM) !== 0
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd)
  }

  private flagsOf(pfn: number): number {
    if (this.fd === undefined || pfn === 0) return 0
    let flags = this.known.get(pfn)
    if (flags === undefined) {
      const got = readSync(this.fd, this.entry, 0, ENTRY_BYTES, pfn * ENTRY_BYTES)
      flags = got === ENTRY_BYTES ? this.entry.readUInt32LE(0) : 0
      this.known.set(pfn, flags)
    }
    return flags
  }
}
