// The formats of memory images: what each begins with, and who reads it, or what to do instead. Recognising a file, refusing
// one and the help text all go by this table.

import type { ImageFormat } from '../image.ts'
import { parseElfCore } from './elf-core.ts'
import { parseLime } from './lime.ts'
import type { Contents, ImageFile } from './ranges.ts'
import { parseRaw } from './raw.ts'

/** A format that is read. */
export interface Format {
  readonly format: ImageFormat
  /** For people. */
  readonly name: string
  /** How a file of it begins, a character a byte. */
  readonly magic: string
  /** Finds the guest's memory in a file that begins so. Throws PagefoldError, EINVAL, with what is wrong with it. */
  readonly open: (file: ImageFile) => Contents
}

/** A format that is known and not read. */
interface ForeignFormat {
  readonly magic: string
  /** What it is, and what to do instead. */
  readonly advice: string
}

/** What a file is that begins like nothing else here. */
export const RAW: Format = { format: 'raw', name: 'raw', magic: '', open: parseRaw }

/** Those that are read and told by their beginning. */
const KNOWN: readonly Format[] = [
  { format: 'elf', name: 'ELF64 core', magic: '\x7fELF', open: parseElfCore },
  { format: 'lime', name: 'LiME', magic: 'EMiL', open: parseLime },
]

const FOREIGN: readonly ForeignFormat[] = [
  {
    magic: 'KDUMP   ',
    advice: 'a kdump-compressed dump; convert it with `makedumpfile -E` or dump without -z',
  },
  { magic: 'makedumpfile', advice: 'a flattened kdump; unpack it with `makedumpfile -R`' },
  { magic: 'AVML', advice: 'a compressed AVML dump; convert it with `avml-convert`' },
  { magic: '\x1f\x8b', advice: 'gzip-compressed; unpack it first' },
  { magic: '\x28\xb5\x2f\xfd', advice: 'zstd-compressed; unpack it first' },
  { magic: '\xfd7zXZ', advice: 'xz-compressed; unpack it first' },
]

/** The names of all formats that are read. */
export const FORMAT_NAMES: readonly string[] = [RAW, ...KNOWN].map(({ name }) => name)

/** How much of a file's beginning `formatOf` wants to see, in bytes. */
export const HEAD_BYTES = Math.max(...[...KNOWN, ...FOREIGN].map(({ magic }) => magic.length))

/** Tells what a file is by its beginning, a character a byte; for one that is known and not read, what to do instead. */
export function formatOf(head: string): Format | ForeignFormat {
  return [...KNOWN, ...FOREIGN].find(({ magic }) => head.startsWith(magic)) ?? RAW
}
