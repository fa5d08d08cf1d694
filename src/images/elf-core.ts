// ELF64 core files: QEMU's dump-guest-memory, VirtualBox's dumpvmcore, a crash kernel's /proc/vmcore, what the kernel and gdb's
// gcore write of a process. Only the PT_LOAD segments matter.
// Specification: System V ABI, "Object Files" and "Program Header"

import type { Buffer } from 'node:buffer'
import { PAGE_SIZE } from '../../assembly/abi.ts'
import { type ImageFile, refuse } from './file.ts'
import type { Contents } from './range.ts'

const EHDR_BYTES = 64
const PHDR_BYTES = 56
const CLASS_64 = 2
const LITTLE_ENDIAN = 1
const ET_CORE = 4
const PT_LOAD = 1
/** p_flags: may the segment be written? */
const PF_W = 2
/** More than 65534 segments: the number is in the first section header. */
const PN_XNUM = 0xffff

interface Segment {
  readonly physical: number
  readonly virtual: number
  readonly offset: number
  readonly fileBytes: number
  readonly memoryBytes: number
  readonly permissions: number
}

export function parseElfCore(file: ImageFile): Contents {
  const header = file.bytes(0, EHDR_BYTES)
  if (header[4] !== CLASS_64) throw refuse(file, 'a 32-bit ELF file; only 64-bit cores are read')
  if (header[5] !== LITTLE_ENDIAN)
    throw refuse(file, 'a big-endian ELF file; only little-endian cores are read')
  const type = header.readUInt16LE(16)
  if (type !== ET_CORE) {
    const memory = `If it is memory that begins with one, say so: format: 'raw'`
    throw refuse(file, `an ELF file but no core (type ${type}): a program or library? ${memory}`)
  }
  if (header.readUInt16LE(54) !== PHDR_BYTES)
    throw refuse(file, 'an ELF core with program headers of unknown size')
  const segments = segmentsOf(file, header)
  if (segments.length === 0 && header.readUInt16LE(60) > 0) {
    throw refuse(file, "an ELF core that holds no memory in segments: Xen's dump-core? That is not read")
  }
  // A hypervisor's dump orders guest memory by physical address; a process has only virtual ones, all physical are 0.
  const isPhysical = segments.some((segment) => segment.physical !== 0)
  const ranges = segments.map(({ physical, virtual, permissions, ...range }) => ({
    ...range,
    address: isPhysical ? physical : virtual,
  }))
  return { ranges, notes: isPhysical ? [] : notesOn(file, segments) }
}

function segmentsOf(file: ImageFile, header: Buffer): Segment[] {
  const table = file.bytes(offset(file, header, 32), segmentCount(file, header) * PHDR_BYTES)
  const segments: Segment[] = []
  for (let at = 0; at < table.length; at += PHDR_BYTES) {
    if (table.readUInt32LE(at) !== PT_LOAD) continue
    const segment = {
      permissions: table.readUInt32LE(at + 4),
      offset: offset(file, table, at + 8),
      virtual: address(file, table, at + 16),
      physical: address(file, table, at + 24),
      fileBytes: offset(file, table, at + 32),
      memoryBytes: address(file, table, at + 40),
    }
    const which = `segment ${at / PHDR_BYTES}`
    if (segment.fileBytes > segment.memoryBytes)
      throw refuse(file, `${which} is larger in the file than in memory`)
    if (segment.offset + segment.fileBytes > file.size) {
      const end = segment.offset + segment.fileBytes
      throw refuse(file, `truncated: ${which} ends at byte ${end}, the file has ${file.size}`)
    }
    segments.push(segment)
  }
  return segments
}

function segmentCount(file: ImageFile, header: Buffer): number {
  const count = header.readUInt16LE(56)
  if (count !== PN_XNUM) return count
  const sectionHeader = file.bytes(offset(file, header, 40), 64)
  return sectionHeader.readUInt32LE(44)
}

/** Pages looked at before saying of a segment that it is zeros. */
const SAMPLES = 16

/**
 * Pages that a process never had count as zeros where somebody wrote zeros, and nobody sees it by the number. A debugger does that in
 * memory that was only reserved (PROT_NONE: arenas of threads, heaps of sanitizers and runtimes), and tells of no permission but
 * to read. The kernel leaves such mappings out, but of one that was touched anywhere it writes all, what is untouched as holes.
 */
function notesOn(file: ImageFile, segments: readonly Segment[]): string[] {
  const bytesOf = (some: readonly Segment[]): number =>
    some.reduce((sum, { fileBytes }) => sum + fileBytes, 0)
  const all = bytesOf(segments)
  const reserved = segments.filter((segment) => (segment.permissions & PF_W) === 0 && isZeros(file, segment))
  const share = (bytes: number): string => `${file.path}: ${Math.round((100 * bytes) / all)} % of it are`
  const [zeros, holes] = [bytesOf(reserved), file.size - (file.allocated ?? file.size)]
  const notes: string[] = []
  if (zeros * 2 > all) {
    notes.push(
      `${share(zeros)} zeros in mappings that cannot be written: memory only reserved, where a debugger wrote zeros; a core by ` +
        'the kernel leaves them out (docs/formats.md)',
    )
  }
  if (holes * 2 > all) {
    notes.push(
      `${share(Math.min(holes, all))} holes in the file: pages the process never touched, which count as zeros`,
    )
  }
  return notes
}

function isZeros(file: ImageFile, { offset, fileBytes }: Segment): boolean {
  if (fileBytes < PAGE_SIZE) return false
  const step = Math.max(PAGE_SIZE, Math.floor((fileBytes - PAGE_SIZE) / (SAMPLES - 1)))
  for (let at = 0; at + PAGE_SIZE <= fileBytes; at += step) {
    if (!file.bytes(offset + at, PAGE_SIZE).every((byte) => byte === 0)) return false
  }
  return true
}

/** A place or size in the file: anything beyond its end is as good as its end plus one. */
function offset(file: ImageFile, bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at)
  return value > BigInt(file.size) ? file.size + 1 : Number(value)
}

/** An address or size in memory. Whole pages are exact numbers up to 2^64, and nothing else is taken beyond 2^53. */
function address(file: ImageFile, bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at)
  const number = Number(value)
  if (BigInt(number) !== value)
    throw refuse(file, `0x${value.toString(16)} is beyond 2^53 and no page's address`)
  return number
}
