// Synthetic guests as files: a raw image for every image and moment, and truth.json, which is written last. A directory
// without it is a directory of which nothing is known.

import { expectOptions, PagefoldError } from '../errors.ts'
import { type Files, files } from '../platform.ts'
import {
  type Sink,
  type SurveyHooks,
  surveyOf,
  synthTruth,
  TRUTH_OPTIONS,
  type TruthOptions,
} from './truth.ts'
import type { SynthTruth } from './truth-json.ts'

export const TRUTH_FILE = 'truth.json'

/** What `writeSynth` writes, and where. */
export interface WriteOptions extends TruthOptions {
  /** Made if it is not there. */
  readonly dir: string
  /** Take a directory that is not empty; images and the truth of an earlier run are removed, other files left. */
  readonly force?: boolean
  /** Called now and then, with how many pages of how many have been written, over all moments. */
  readonly onProgress?: SurveyHooks['onProgress']
}

/**
 * Writes every image of every moment, and truth.json. Throws EINVAL for a bad recipe, EEXIST for a directory that is not
 * empty, EACCES, ENOSPC or EIO for what the file system refuses, ENOTSUP where there are no files, EUCLEAN if a content collided.
 */
export function writeSynth(all: WriteOptions): SynthTruth {
  expectOptions('writeSynth', all, { ...TRUTH_OPTIONS, dir: true, force: true, onProgress: true })
  const { dir, force, onProgress, ...options } = all
  surveyOf(options) // nothing is removed for a recipe that is refused
  const platform = files('writeSynth')
  const { fs, path } = platform
  return refusing(platform, dir, () => {
    prepare(platform, dir, force ?? false)
    const sink = new FileSink(platform, dir)
    try {
      const truth = synthTruth(options, { sink, ...(onProgress === undefined ? {} : { onProgress }) })
      fs.writeFileSync(path.join(dir, TRUTH_FILE), `${JSON.stringify(truth, undefined, 1)}\n`)
      return truth
    } finally {
      sink.close()
    }
  })
}

function prepare({ fs, path }: Files, dir: string, force: boolean): void {
  fs.mkdirSync(dir, { recursive: true })
  const present = fs.readdirSync(dir)
  if (present.length === 0) return
  if (!force) {
    throw new PagefoldError(
      'EEXIST',
      `${dir}: not empty (${present[0]}, ...); --force overwrites synthetic images`,
    )
  }
  for (const name of present) if (isOurs(name)) fs.rmSync(path.join(dir, name))
}

function isOurs(name: string): boolean {
  return name === TRUTH_FILE || /^image-\d+\.t\d+\.raw$/.test(name)
}

class FileSink implements Sink {
  private readonly files: Files
  private readonly dir: string
  private fd: number | undefined

  constructor(files: Files, dir: string) {
    this.files = files
    this.dir = dir
  }

  begin(file: string): void {
    const { fs, path } = this.files
    this.fd = fs.openSync(path.join(this.dir, file), 'wx')
  }

  write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) done += this.files.fs.writeSync(this.fd!, bytes, done)
  }

  end(): void {
    this.close()
  }

  close(): void {
    if (this.fd !== undefined) this.files.fs.closeSync(this.fd)
    this.fd = undefined
  }
}

/** Runs `use`; what the file system refuses becomes a PagefoldError that names the directory. */
function refusing<Result>({ fs }: Files, dir: string, use: () => Result): Result {
  try {
    return use()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (cause instanceof PagefoldError || code === undefined) throw cause
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      throw new PagefoldError('EACCES', `${dir}: not allowed to write there`, { cause })
    }
    if (code === 'ENOSPC') throw new PagefoldError('ENOSPC', `${dir}: no space left`, { cause })
    if (fs.existsSync(dir) && (code === 'EEXIST' || code === 'ENOTDIR')) {
      throw new PagefoldError('EINVAL', `${dir}: not a directory`, { cause })
    }
    throw new PagefoldError('EIO', `${dir}: ${message}`, { cause })
  }
}
