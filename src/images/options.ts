// What may be said about a file that is opened as a memory image.

import { expectBoolean, expectOneOf, expectOptions, expectString } from '../errors.ts'
import type { ImageFormat } from '../image.ts'
import { FORMATS } from './formats.ts'
import { ABSENT_POLICIES, type AbsentPolicy } from './ranges.ts'

/** How a file is opened as a memory image. */
export interface ImageOptions {
  /** What it is: `raw`, `elf`, `lime`, `kdump`, `avml`. Default: told by its content. `raw` takes any file as it is. */
  readonly format?: ImageFormat
  /** Pages of the guest that are not in the file: not counted, or counted as zeros. Default: `skip`. */
  readonly absent?: AbsentPolicy
  /** For a sparse raw file, a diff snapshot: the image that holds what is in its holes, by its path. */
  readonly base?: string
  /** Of processes: only memory that KSM was given. Default: all that it could be given. */
  readonly mergeable?: boolean
  /**
   * Processes are read when they are asked for pages, and `gone` tells of those that are no more. Default: they are copied into a
   * temporary file when they are opened.
   */
  readonly inUse?: boolean
}

/** The same, with nothing left open. */
export interface ImagePlan {
  readonly format: ImageFormat | undefined
  readonly absent: AbsentPolicy
  readonly base: string | undefined
  readonly mergeable: boolean
  readonly inUse: boolean
}

const IMAGE_OPTIONS: Readonly<Record<keyof ImageOptions, true>> = {
  format: true,
  absent: true,
  base: true,
  mergeable: true,
  inUse: true,
}

/** The formats that `format` may name. */
export const IMAGE_FORMATS: readonly ImageFormat[] = FORMATS.map(({ format }) => format)

/** Checks the options of `call` and fills in what they leave open. Throws TypeError or RangeError. */
export function expectImageOptions(call: string, options: ImageOptions): ImagePlan {
  expectOptions(call, options, IMAGE_OPTIONS)
  const { format, absent = 'skip', base, mergeable = false, inUse = false } = options
  return {
    format: format === undefined ? undefined : expectOneOf('format', format, IMAGE_FORMATS),
    absent: expectOneOf('absent', absent, ABSENT_POLICIES),
    base: expectString('base', base),
    mergeable: expectBoolean('mergeable', mergeable),
    inUse: expectBoolean('inUse', inUse),
  }
}
