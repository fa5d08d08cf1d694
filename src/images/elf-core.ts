// ELF64 core files: QEMU's dump-guest-memory, VirtualBox's dumpvmcore, gdb's gcore. Only the PT_LOAD segments matter.
// Specification: System V ABI, "Object Files" and "Program Header"

import { type Contents, type ImageFile, refuse } from './ranges.ts'

const EHDR_BYTES = 64
const PHDR_BYTES = 56
const CLASS_64 = 2
const LITTLE_ENDIAN = 1
const ET_CORE = 4
const PT_LOAD = 1
/** More than 65534 segments: the number is in the first section header. */
const PN_XNUM = 0xffff

export function parseElfCore(file: ImageFile): Contents {
  const header = file.bytes(0, EHDR_BYTES)
  if (header[4] !== CLASS_64) throw refuse(file, 'a 32-bit ELF file; only 64-bit cores are read')
  if (header[5] !== LITTLE_ENDIAN)
    throw refuse(file, 'a big-endian ELF file; only little-endian cores are read')
  const type = header.readUInt16LE(16)
  if (type !== ET_CORE) throw refuse(file, `an ELF file but no core (type ${type}): a program or library?`)
  if (header.readUInt16LE(54) !== PHDR_BYTES)
    throw refuse(file, 'an ELF core with program headers of unknown size')
  const tableOffset = offset(file, header, 32)
  const table = file.bytes(tableOffset, segmentCount(file, header) * PHDR_BYTES)
  const segments: {
    physical: number
    virtual: number
    offset: number
    fileBytes: number
    memoryBytes: number
  }[] = []
  for (let at = 0; at < table.length; at += PHDR_BYTES) {
    if (table.readUInt32LE(at) !== PT_LOAD) continue
    const segment = {
      offset: offset(file, table, at + 8),
      virtual: address(table, at + 16),
      physical: address(table, at + 24),
      fileBytes: offset(file, table, at + 32),
      memoryBytes: address(table, at + 40),
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
  // A hypervisor's dump orders guest memory by physical address; a process has only virtual ones, all physical are 0.
  const isPhysical = segments.some((segment) => segment.physical !== 0)
  const ranges = segments.map(({ physical, virtual, ...range }) => ({
    ...range,
    address: isPhysical ? physical : virtual,
  }))
  return { ranges }
}

function segmentCount(file: ImageFile, header: Buffer): number {
  const count = header.readUInt16LE(56)
  if (count !== PN_XNUM) return count
  const sectionHeader = file.bytes(offset(file, header, 40), 64)
  return sectionHeader.readUInt32LE(44)
}

/** A place or size in the file: anything beyond its end is as good as its end plus one. */
function offset(file: ImageFile, bytes: Buffer, at: number): number {
  const value = bytes.readBigUInt64LE(at)
  return value > BigInt(file.size) ? file.size + 1 : Number(value)
}

/** An address or size in memory; beyond 2^53 it is absurd anyhow, and rejected as that later. */
function address(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at))
}
