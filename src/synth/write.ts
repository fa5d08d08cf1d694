// Synthetic guests as files: a raw image for every image and moment, and truth.json, which is written last. A directory
// without it is a directory of which nothing is known.

import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { PagefoldError } from '../errors.ts'
import {
  type Sink,
  type SurveyHooks,
  type SynthTruth,
  surveyOf,
  synthTruth,
  type TruthOptions,
} from './truth.ts'

export const TRUTH_FILE = 'truth.json'

export interface WriteOptions extends TruthOptions {
  /** Made if it is not there. */
  readonly dir: string
  /** Take a directory that is not empty; images and the truth of an earlier run are removed, other files left. */
  readonly force?: boolean
  readonly onProgress?: SurveyHooks['onProgress']
}

/**
 * Writes every image of every moment, and truth.json. Throws EINVAL for a bad recipe, EEXIST for a directory that is not
 * empty, EACCES, ENOSPC or EIO for what the file system refuses, EUCLEAN if a content collided.
 */
export function writeSynth({ dir, force, onProgress, ...options }: WriteOptions): SynthTruth {
  surveyOf(options) // nothing is removed for a recipe that is refused
  return refusing(dir, () => {
    prepare(dir, force ?? false)
    const sink = new FileSink(dir)
    try {
      const truth = synthTruth(options, { sink, ...(onProgress === undefined ? {} : { onProgress }) })
      writeFileSync(join(dir, TRUTH_FILE), `${JSON.stringify(truth, undefined, 1)}\n`)
      return truth
    } finally {
      sink.close()
    }
  })
}

function prepare(dir: string, force: boolean): void {
  mkdirSync(dir, { recursive: true })
  const present = readdirSync(dir)
  if (present.length === 0) return
  if (!force) {
    throw new PagefoldError(
      'EEXIST',
      `${dir}: not empty (${present[0]}, ...); --force overwrites synthetic images`,
    )
  }
  for (const name of present) if (isOurs(name)) rmSync(join(dir, name))
}

function isOurs(name: string): boolean {
  return name === TRUTH_FILE || /^image-\d+\.t\d+\.raw$/.test(name)
}

class FileSink implements Sink {
  private readonly dir: string
  private fd: number | undefined

  constructor(dir: string) {
    this.dir = dir
  }

  begin(file: string): void {
    this.fd = openSync(join(this.dir, file), 'wx')
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += writeSync(this.fd!, bytes, done)
  }

  end(): void {
    this.close()
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd)
    this.fd = undefined
  }
}

/** Runs `use`; what the file system refuses becomes a PagefoldError that names the directory. */
function refusing<Result>(dir: string, use: () => Result): Result {
  try {
    return use()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (cause instanceof PagefoldError || code === undefined) throw cause
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      throw new PagefoldError('EACCES', `${dir}: not allowed to write there`, { cause })
    }
    if (code === 'ENOSPC') throw new PagefoldError('ENOSPC', `${dir}: no space left`, { cause })
    if (existsSync(dir) && (code === 'EEXIST' || code === 'ENOTDIR')) {
      throw new PagefoldError('EINVAL', `${dir}: not a directory`, { cause })
    }
    throw new PagefoldError('EIO', `${dir}: ${message}`, { cause })
  }
}
