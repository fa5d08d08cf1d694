// Memory images made for a test, in every format, from the same pages.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** A folder that is gone when the test is. */
export function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-test-'))
  onTestFinished(() => rmSync(dir, { recursive: true }))
  return dir
}

export function file(name: string, bytes: Uint8Array): string {
  const path = join(scratch(), name)
  writeFileSync(path, bytes)
  return path
}

export interface Segment {
  readonly physical?: number | bigint
  readonly virtual?: number | bigint
  readonly bytes: Uint8Array
  readonly memoryBytes?: number | bigint
  /** Says something else than the truth about the place in the file. */
  readonly offset?: number | bigint
  readonly fileBytes?: number | bigint
  readonly type?: number
  /** p_flags. */
  readonly flags?: number
}

/** An ELF64 core whose segments lie at unaligned places in the file, as QEMU and gdb make them. */
export function elfCore(
  segments: readonly Segment[],
  header: { type?: number; class?: number; data?: number } = {},
) {
  const table = 64
  // As many bytes as QEMU's, or what the headers need.
  const gap = Math.max(0x508, table + segments.length * 56)
  const head = Buffer.alloc(gap)
  head.set([0x7f, 0x45, 0x4c, 0x46, header.class ?? 2, header.data ?? 1, 1])
  head.writeUInt16LE(header.type ?? 4, 16)
  head.writeUInt16LE(62, 18)
  head.writeUInt32LE(1, 20)
  head.writeBigUInt64LE(BigInt(table), 32)
  head.writeUInt16LE(64, 52)
  head.writeUInt16LE(56, 54)
  head.writeUInt16LE(segments.length, 56)
  let offset = gap
  for (const [i, segment] of segments.entries()) {
    const at = table + i * 56
    head.writeUInt32LE(segment.type ?? 1, at)
    head.writeUInt32LE(segment.flags ?? 0, at + 4)
    head.writeBigUInt64LE(BigInt(segment.offset ?? offset), at + 8)
    head.writeBigUInt64LE(BigInt(segment.virtual ?? 0), at + 16)
    head.writeBigUInt64LE(BigInt(segment.physical ?? 0), at + 24)
    head.writeBigUInt64LE(BigInt(segment.fileBytes ?? segment.bytes.length), at + 32)
    head.writeBigUInt64LE(BigInt(segment.memoryBytes ?? segment.bytes.length), at + 40)
    offset += segment.bytes.length
  }
  return Buffer.concat([head, ...segments.map(({ bytes }) => bytes)])
}

export interface LimeRange {
  readonly first: number | bigint
  readonly last?: number | bigint
  readonly bytes: Uint8Array
  readonly version?: number
}

export function lime(ranges: readonly LimeRange[]): Buffer {
  return Buffer.concat(
    ranges.flatMap(({ first, last, bytes, version }) => {
      const header = Buffer.alloc(32)
      header.writeUInt32LE(0x4c694d45, 0)
      header.writeUInt32LE(version ?? 1, 4)
      header.writeBigUInt64LE(BigInt(first), 8)
      header.writeBigUInt64LE(BigInt(last ?? BigInt(first) + BigInt(bytes.length) - 1n), 16)
      return [header, bytes]
    }),
  )
}

/** `count` pages, each filled with its own number plus `start`. */
export function pages(count: number, start = 1): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.alloc(4096, start + i)))
}
