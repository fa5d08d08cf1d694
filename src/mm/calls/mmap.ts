// mmap: a new range of an address space. Nothing is allocated until it is touched. Linux: do_mmap(), mmap_region()

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import {
  expectBoolean,
  expectInteger,
  expectObject,
  expectOneOf,
  expectOptions,
  mistake,
  outside,
  PagefoldError,
} from '../../errors.ts'
import { ADDRESS_LIMIT, addressOf, hex, pageAt, pagesOf, VPN_LIMIT } from '../model/address.ts'
import type { Memory } from '../model/memory.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { type PageSource, SharedObject, show } from '../model/shared-object.ts'
import { VM_HUGETLB, VM_MERGEABLE, VM_PFNMAP, VM_READ, VM_SHARED, VM_WRITE, Vma } from '../model/vma.ts'
import { mergeWithNeighbours } from '../model/vma-edit.ts'
import { isEligible } from './madvise.ts'
import { expectProt, type Prot } from './prot.ts'

/** What kind of mapping `mmap` makes, and where. */
export interface MmapOptions {
  /** Where, in bytes; must be free. Default: behind the last mapping. */
  readonly address?: number
  /** Default: PROT_READ | PROT_WRITE. */
  readonly prot?: Prot
  /** Shared mappings are not copied on write and never merged. Default: false. */
  readonly shared?: boolean
  /**
   * The file a private mapping shows: bytes, the last page of which is filled up with zeros, or whoever reads them, a page at a
   * time. A page is read when somebody first touches it and kept while the file is mapped anywhere on the host; all who
   * map the same object share it. A write goes to a copy, which is anonymous memory like any other and can be merged;
   * behind the end of the file every touch is EFAULT. Not for shared mappings. Linux: MAP_PRIVATE
   */
  readonly file?: Uint8Array | PageSource
  /** Where in the file the mapping begins, in bytes, a multiple of 4096. Default: 0. */
  readonly offset?: number
  /** NUMA node its pages are wanted on. Default: 0. */
  readonly node?: number
  /** Huge pages, or device memory without pages of its own: both are never merged. Default: ordinary pages. */
  readonly kind?: 'ordinary' | 'hugetlb' | 'pfnmap'
}

const OPTIONS = {
  address: true,
  prot: true,
  shared: true,
  file: true,
  offset: true,
  node: true,
  kind: true,
} as const
const KIND_FLAGS = { ordinary: 0, hugetlb: VM_HUGETLB, pfnmap: VM_PFNMAP }
const KINDS = ['ordinary', 'hugetlb', 'pfnmap'] as const

/** Maps a range and returns where it begins, in bytes. Throws TypeError, RangeError, EEXIST, ENOMEM. */
export function mmap(mm: MmStruct, length: number, options: MmapOptions): number {
  const pages = pagesOf(expectInteger('length', length, 1, ADDRESS_LIMIT))
  const given = expectOptions('mmap', options, OPTIONS)
  const { address, node = 0, shared = false, kind = 'ordinary', prot = VM_READ | VM_WRITE, file } = given
  const kindFlags = KIND_FLAGS[expectOneOf('kind', kind, KINDS)]
  const protFlags = expectProt(prot)
  const nid = expectInteger('node', node, 0, mm.memory.frames.numaNodes - 1)
  expectBoolean('shared', shared)
  const pgoff = expectPlaceInFile(given, pages)
  const start = address === undefined ? mm.vmas.findRoom(pages) : pageAt(address)
  if (start < 0) {
    throw new PagefoldError('ENOMEM', `${mm.name}: no hole of ${pages} pages in the address space`)
  }
  const end = start + pages
  if (end > VPN_LIMIT)
    throw mistake(new RangeError(`Expected the range to end below 2^44, got ${hex(addressOf(end))}`))
  expectFree(mm, start, end)
  const flags = protFlags | kindFlags | (shared ? VM_SHARED : 0)
  const vma = new Vma(mm, start, end, { flags, nid }, file === undefined ? start : pgoff)
  if (shared) show(vma, new SharedObject())
  if (mm.mergeAny && isEligible(vma)) {
    if (!mm.mergeable) mm.memory.ksm.enter(mm)
    vma.flags |= VM_MERGEABLE
  }
  if (file !== undefined) show(vma, openFile(mm.memory, file))
  mm.vmas.insert(vma)
  mergeWithNeighbours(mm, vma)
  return addressOf(start)
}

/** Where in its file a mapping begins, in pages. Throws TypeError, RangeError. */
function expectPlaceInFile({ file, offset = 0, shared, kind }: MmapOptions, pages: number): number {
  const pgoff = expectInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER) / PAGE_SIZE
  if (!Number.isInteger(pgoff) || pgoff + pages > VPN_LIMIT)
    throw mistake(
      new RangeError(`Expected \`offset\` to be a multiple of ${PAGE_SIZE} below 2^44, got ${offset}`),
    )
  if (file === undefined) {
    if (offset === 0) return 0
    throw mistake(new TypeError('Expected no `offset` without a `file`'))
  }
  if (shared === true || (kind ?? 'ordinary') !== 'ordinary')
    throw mistake(new TypeError('Expected a mapping with a `file` to be private and ordinary'))
  if (file instanceof Uint8Array) return pgoff
  expectObject('file', file, ['read'])
  const size = outside(() => file.pages)
  expectInteger('pages', size, 0, VPN_LIMIT)
  return pgoff
}

/** The file as the host knows it. */
function openFile({ files }: Memory, file: Uint8Array | PageSource): SharedObject {
  const known = files.get(file)
  if (known !== undefined) return known
  const opened = new SharedObject(file instanceof Uint8Array ? pagesOfBytes(file) : file, file)
  files.set(file, opened)
  return opened
}

function pagesOfBytes(bytes: Uint8Array): PageSource {
  return {
    pages: pagesOf(bytes.length),
    read(page, into) {
      const part = bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)
      into.set(part)
      into.fill(0, part.length)
    },
  }
}

function expectFree(mm: MmStruct, start: number, end: number): void {
  const [taken] = mm.vmas.within(start, end)
  if (taken === undefined) return
  const at = `${hex(addressOf(taken.start))}..${hex(addressOf(taken.end))}`
  throw new PagefoldError('EEXIST', `${mm.name}: ${at} is mapped already; munmap it first`)
}
