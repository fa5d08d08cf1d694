// Bytes from outside, as pages. What a file holds is recognised by its content, never by its name (formats.ts); a stream and a
// packed file are put away first (unpack.ts).

import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { PagefoldError } from '../errors.ts'
import type { Image } from '../image.ts'
import { chunksOf, DiskFile, type ImageFile, refuse } from './file.ts'
import { FileImage } from './file-image.ts'
import { type Format, HEAD_BYTES, type Kind, kindOf, RAW, TAIL_BYTES } from './formats.ts'
import { dataOf } from './holes.ts'
import { expectMemory } from './looks.ts'
import { expectImageOptions, type ImageOptions, type ImagePlan } from './options.ts'
import { layOut } from './ranges.ts'
import { spool } from './spool.ts'
import { readPipe, readStandardInput } from './stream.ts'
import { putAway } from './unpack.ts'
import { withBase } from './with-base.ts'

/** What a file's `blocks` count in. */
const STAT_BLOCK = 512

/**
 * Opens a memory image: a file, or a pipe, which is read to its end. Throws PagefoldError: ENOENT, EACCES, EINVAL with what is
 * wrong with it, ENOSPC if there is no room to unpack it; TypeError or RangeError for options there are not.
 */
export function openImage(path: string, options: ImageOptions = {}): Image {
  return openPlanned(path, expectImageOptions('openImage', options))
}

/** Opens a file as a raw image whatever it looks like. */
export function openRawImage(path: string): Image {
  return openImage(path, { format: 'raw' })
}

/** Opens what comes in by standard input. Throws what `openImage` does; EINVAL if it was read before. @internal */
export function openStandardInput(source: string, plan: ImagePlan): Image {
  return imageOf(fromStream(source, readStandardInput(source), plan), plan)
}

/** Opens a file or a pipe, the options checked already. @internal */
export function openPlanned(path: string, plan: ImagePlan): Image {
  const file = openUnpacked(path, plan)
  return plan.base === undefined ? imageOf(file, plan) : diffOf(file, plan, plan.base)
}

/** A file as it is, or what a pipe or a packed file held. */
function openUnpacked(path: string, plan: ImagePlan): DiskFile {
  const fd = openFile(path)
  let kept = false
  try {
    const stat = fstatSync(fd)
    if (stat.isDirectory()) throw refuse({ path }, 'a directory, not a memory image')
    if (stat.isFIFO()) return fromStream(path, readPipe(path, fd), plan)
    if (!stat.isFile()) throw refuse({ path }, 'neither a file nor a pipe')
    if (stat.size === 0) throw refuse({ path }, 'empty')
    const file = new DiskFile(path, fd, stat.size, stat.blocks * STAT_BLOCK)
    if (plan.format !== 'raw' && recognise(file).kind === 'packing') {
      return fromStream(path, chunksOf(file), plan)
    }
    kept = true
    return file
  } finally {
    if (!kept) closeSync(fd)
  }
}

function fromStream(path: string, chunks: Iterable<Uint8Array>, plan: ImagePlan): DiskFile {
  if (plan.base !== undefined) throw refuse({ path }, 'a base is for sparse files, and a stream has no holes')
  return plan.format === 'raw' ? spool(path, chunks) : putAway(path, chunks)
}

/** The image of a file that is not packed, or no longer. It owns the file, even if this throws. */
function imageOf(file: ImageFile, plan: ImagePlan): Image {
  return orClose(file, () => {
    const { format, file: view, notes } = formatOf(file, plan)
    const contents = format.open(view)
    const layout = layOut(view, contents, plan.absent)
    const { absent } = layout
    const left = absent === 0 ? [] : [`${file.path}: ${absentees(absent)}`]
    return new FileImage(view, format.format, contents, layout, [
      ...notes,
      ...(contents.notes ?? []),
      ...left,
    ])
  })
}

function absentees(pages: number): string {
  const shown = pages.toLocaleString('en-US')
  return `${shown} pages of the guest are not in it, and not counted; absent: 'zero' counts them as zeros`
}

/** The image of a diff snapshot and the one before. It owns the file, even if this throws. */
function diffOf(file: DiskFile, plan: ImagePlan, path: string): Image {
  return orClose(file, () => {
    const { format } = formatOf(file, plan)
    if (format !== RAW) throw refuse(file, `a base is for sparse raw files, and this is none: ${format.name}`)
    const data = dataOf(file)
    const base = openImage(path)
    return orClose(base, () => withBase(file, data, base))
  })
}

function orClose<Result>(owned: { close(): void }, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    owned.close()
    throw error
  }
}

/** The format of a file, and the file as that format's parser wants it. Throws EINVAL for one that is not read. */
function formatOf(file: ImageFile, plan: ImagePlan): { format: Format; file: ImageFile; notes: string[] } {
  const { kind, is } = recognise(file)
  if (plan.format === 'raw') return { format: RAW, file, notes: notesOn(file, { kind, is } as Kind) }
  if (kind === 'foreign') throw refuse(file, is.advice)
  if (kind === 'view') return formatOf(is.view(file), plan)
  const format = kind === 'format' ? is : RAW
  if (plan.format !== undefined && plan.format !== format.format) {
    throw refuse(file, `is not of format ${plan.format}: it begins otherwise`)
  }
  if (format === RAW) expectMemory(file)
  return { format, file, notes: [] }
}

/** Who says `raw` is taken by his word; only that he may be wrong is told. */
function notesOn({ path }: ImageFile, { kind, is }: Kind): string[] {
  if (is === RAW) return []
  const what = kind === 'foreign' ? is.advice.split(/[;:,] /)[0] : is.name
  return [`${path}: begins like ${what}, and is taken byte after byte, as format: 'raw' wants it`]
}

function recognise(file: ImageFile): Kind {
  const head = file.bytes(0, Math.min(HEAD_BYTES, file.size))
  const tailBytes = Math.min(TAIL_BYTES, file.size)
  const tail = file.bytes(file.size - tailBytes, tailBytes)
  return kindOf(head.toString('latin1'), tail.toString('latin1'))
}

function openFile(path: string): number {
  try {
    // A pipe that nobody writes to would not open otherwise; to a file it makes no difference.
    return openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new PagefoldError('ENOENT', `${path}: no such file`, { cause })
    if (code === 'EACCES') throw new PagefoldError('EACCES', `${path}: not allowed to read it`, { cause })
    throw new PagefoldError('EINVAL', `${path}: cannot be opened (${code ?? cause})`, { cause })
  }
}
