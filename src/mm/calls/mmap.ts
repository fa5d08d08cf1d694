// mmap: a new range of an address space. Nothing is allocated until it is touched. Linux: do_mmap(), mmap_region()

import {
  expectBoolean,
  expectInteger,
  expectOneOf,
  expectOptions,
  mistake,
  PagefoldError,
} from '../../errors.ts'
import { ADDRESS_LIMIT, addressOf, hex, pageAt, pagesOf, VPN_LIMIT } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { SharedObject } from '../model/shared-object.ts'
import { VM_HUGETLB, VM_MERGEABLE, VM_PFNMAP, VM_READ, VM_SHARED, VM_WRITE, Vma } from '../model/vma.ts'
import { mergeWithNeighbours } from '../model/vma-edit.ts'
import { isEligible } from './madvise.ts'
import { expectProt, type Prot } from './prot.ts'
import { refused } from './refused.ts'

/** What kind of mapping `mmap` makes, and where. */
export interface MmapOptions {
  /** Where, in bytes; must be free. Default: behind the last mapping. */
  readonly address?: number
  /** Default: PROT_READ | PROT_WRITE. */
  readonly prot?: Prot
  /** Shared mappings are not copied on write and never merged. Default: false. */
  readonly shared?: boolean
  /** NUMA node its pages are wanted on. Default: 0. */
  readonly node?: number
  /** Huge pages, or device memory without pages of its own: both are never merged. Default: ordinary pages. */
  readonly kind?: 'ordinary' | 'hugetlb' | 'pfnmap'
}

const OPTIONS = { address: true, prot: true, shared: true, node: true, kind: true } as const
const KIND_FLAGS = { ordinary: 0, hugetlb: VM_HUGETLB, pfnmap: VM_PFNMAP }
const KINDS = ['ordinary', 'hugetlb', 'pfnmap'] as const

/** Maps a range and returns where it begins, in bytes. Throws TypeError, RangeError, EEXIST, ENOMEM. */
export function mmap(mm: MmStruct, length: number, options: MmapOptions): number {
  const pages = pagesOf(expectInteger('length', length, 1, ADDRESS_LIMIT))
  const {
    address,
    node = 0,
    shared = false,
    kind = 'ordinary',
    prot,
  } = expectOptions('mmap', options, OPTIONS)
  const kindFlags = KIND_FLAGS[expectOneOf('kind', kind, KINDS)]
  const protFlags = expectProt(prot ?? VM_READ | VM_WRITE)
  const nid = expectInteger('node', node, 0, mm.memory.frames.numaNodes - 1)
  expectBoolean('shared', shared)
  const start = address === undefined ? mm.vmas.findRoom(pages) : pageAt(address)
  if (start < 0) {
    throw new PagefoldError('ENOMEM', `${mm.name}: no hole of ${pages} pages in the address space`)
  }
  const end = start + pages
  if (end > VPN_LIMIT)
    throw mistake(new RangeError(`Expected the range to end below 2^44, got ${hex(addressOf(end))}`))
  expectFree(mm, start, end)
  const flags = protFlags | kindFlags | (shared ? VM_SHARED : 0)
  const vma = new Vma(mm, start, end, { flags, nid })
  if (shared) vma.shared = new SharedObject()
  if (mm.mergeAny && isEligible(vma)) {
    const errno = mm.mergeable ? undefined : mm.memory.ksm.enter(mm)
    if (errno !== undefined) throw refused(mm, errno, 'mmap')
    vma.flags |= VM_MERGEABLE
  }
  mm.vmas.insert(vma)
  mergeWithNeighbours(mm, vma)
  return addressOf(start)
}

function expectFree(mm: MmStruct, start: number, end: number): void {
  const [taken] = mm.vmas.within(start, end)
  if (taken === undefined) return
  const at = `${hex(addressOf(taken.start))}..${hex(addressOf(taken.end))}`
  throw new PagefoldError('EEXIST', `${mm.name}: ${at} is mapped already; munmap it first`)
}
