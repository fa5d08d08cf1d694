// The formats of memory images: what each begins with, and who reads it. Recognising a file, the names that `format` takes and
// the help text all go by these tables; what is known and not read is in foreign.ts.

import type { ImageFormat } from '../image.ts'
import { parseAvml } from './avml.ts'
import { parseElfCore } from './elf-core.ts'
import type { ImageFile } from './file.ts'
import { FOREIGN, type Foreign } from './foreign.ts'
import { parseKdump } from './kdump.ts'
import { parseLime } from './lime.ts'
import { viewFlattened } from './packed/flattened.ts'
import { unpackGzip } from './packed/gzip.ts'
import { unpackLz4 } from './packed/lz4.ts'
import { unpackZstd } from './packed/zstd.ts'
import type { Contents } from './range.ts'
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

/** A way in which a file of any format may be packed. */
export interface Packing {
  readonly name: string
  readonly magic: string
  /** Unpacks a stream. Throws if it is damaged. */
  readonly unpack: (chunks: Iterable<Uint8Array>) => Iterable<Uint8Array>
}

/** A way in which a file may be rearranged. */
export interface View {
  readonly name: string
  readonly magic: string
  /** The file as it was meant. It owns the other. */
  readonly view: (file: ImageFile) => ImageFile
}

export type Kind =
  | { readonly kind: 'format'; readonly is: Format }
  | { readonly kind: 'packing'; readonly is: Packing }
  | { readonly kind: 'view'; readonly is: View }
  | { readonly kind: 'foreign'; readonly is: Foreign }

/** What a file is that begins like nothing else here. */
export const RAW: Format = { format: 'raw', name: 'raw', magic: '', open: parseRaw }

/** Those that are read and told by their beginning. */
const KNOWN: readonly Format[] = [
  { format: 'elf', name: 'ELF64 core', magic: '\x7fELF', open: parseElfCore },
  { format: 'lime', name: 'LiME', magic: 'EMiL', open: parseLime },
  { format: 'kdump', name: 'kdump', magic: 'KDUMP   ', open: parseKdump },
  { format: 'avml', name: 'AVML', magic: 'AVML', open: parseAvml },
]

const PACKINGS: readonly Packing[] = [
  { name: 'gzip', magic: '\x1f\x8b\x08', unpack: unpackGzip },
  { name: 'zstd', magic: '\x28\xb5\x2f\xfd', unpack: unpackZstd },
  { name: 'lz4', magic: '\x04\x22\x4d\x18', unpack: unpackLz4 },
]

const VIEWS: readonly View[] = [
  { name: 'a flattened dump', magic: 'makedumpfile\0\0\0\0', view: viewFlattened },
]

/** All formats that are read, raw first. */
export const FORMATS: readonly Format[] = [RAW, ...KNOWN]

/** Their names, for people. */
export const FORMAT_NAMES: readonly string[] = FORMATS.map(({ name }) => name)

/** What files of them may be packed by. */
export const PACKING_NAMES: readonly string[] = PACKINGS.map(({ name }) => name)

const endOf = ({ magic, at = 0 }: { readonly magic: string; readonly at?: number }): number =>
  at < 0 ? 0 : at + magic.length

/** How much of a file's beginning `kindOf` wants to see, in bytes. */
export const HEAD_BYTES = Math.max(...[...KNOWN, ...PACKINGS, ...VIEWS, ...FOREIGN].map(endOf))

/** How much of its end. */
export const TAIL_BYTES = Math.max(...FOREIGN.map(({ at = 0 }) => -at))

/** Tells what a file is by its beginning, a character a byte, and its end where that is known. */
export function kindOf(head: string, tail = ''): Kind {
  const begins = ({ magic }: { magic: string }): boolean => head.startsWith(magic)
  const format = KNOWN.find(begins)
  if (format !== undefined) return { kind: 'format', is: format }
  const packing = PACKINGS.find(begins)
  if (packing !== undefined) return { kind: 'packing', is: packing }
  const view = VIEWS.find(begins)
  if (view !== undefined) return { kind: 'view', is: view }
  const foreign = FOREIGN.find(({ magic, at = 0 }) =>
    at < 0 ? tail.startsWith(magic, tail.length + at) : head.startsWith(magic, at),
  )
  return foreign === undefined ? { kind: 'format', is: RAW } : { kind: 'foreign', is: foreign }
}
