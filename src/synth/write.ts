// Synthetic guests as files: a raw image for every image and moment, and truth.json. They are written in a directory inside
// the one that was asked for, which is also the lock of whoever is at work there, and take the place of what an earlier run left
// when all of them are whole, truth.json last. A directory without it is a directory of which nothing is known.

import { expectOptions, PagefoldError } from '../errors.ts'
import { type Files, files, isRunning, ownPid, writeRefused } from '../platform.ts'
import {
  drained,
  type Sink,
  type SurveyHooks,
  surveyOf,
  TRUTH_OPTIONS,
  type TruthOptions,
  truthSteps,
} from './truth.ts'
import type { SynthTruth } from './truth-json.ts'

export const TRUTH_FILE = 'truth.json'
/** Where a run has its files until they are whole. */
const WORKSHOP = '.pagefold-synth'
/** In there: who is at work. */
const PID_FILE = 'pid'

/** What `writeSynth` writes, and where. */
export interface WriteOptions extends TruthOptions {
  /** Made if it is not there. */
  readonly dir: string
  /** Take a directory that is not empty; images and the truth of an earlier run are replaced, other files left. */
  readonly force?: boolean
  /** Called now and then, with how many pages of how many have been written, over all moments. */
  readonly onProgress?: SurveyHooks['onProgress']
}

/**
 * Writes every image of every moment, and truth.json, all or nothing. Throws EINVAL for a bad recipe, EEXIST for a directory
 * that is not empty, EBUSY if another run is writing there, EACCES, ENOSPC or EIO for what the file system refuses, ENOTSUP where
 * there are no files, EUCLEAN if a content collided.
 */
export function writeSynth(all: WriteOptions): SynthTruth {
  return drained(writeSynthSteps(all))
}

/**
 * The same, some megabytes a step, for programs that have to look at something else now and then: `next()` until it is done, or
 * `return()`, after which nothing is left of it.
 */
export function* writeSynthSteps(all: WriteOptions): Generator<void, SynthTruth> {
  expectOptions('writeSynth', all, { ...TRUTH_OPTIONS, dir: true, force: true, onProgress: true })
  const { dir, force, onProgress, ...options } = all
  surveyOf(options) // nothing is removed for a recipe that is refused
  const platform = files('writeSynth')
  const { fs, path } = platform
  const workshop = path.join(dir, WORKSHOP)
  let made: string | undefined
  try {
    made = fs.mkdirSync(dir, { recursive: true })
    occupy(platform, dir, workshop)
    try {
      expectRoomFor(platform, dir, force ?? false)
      const truth = yield* writeAll(new FileSink(platform, workshop), options, onProgress)
      fs.writeFileSync(path.join(workshop, TRUTH_FILE), `${JSON.stringify(truth, undefined, 1)}\n`)
      handOver(platform, workshop, dir)
      return truth
    } finally {
      fs.rmSync(workshop, { recursive: true, force: true })
    }
  } catch (cause) {
    throw writeRefused(platform, dir, cause)
  } finally {
    if (made !== undefined) removeEmpty(platform, dir, made)
  }
}

/** Takes away `dir` and those above it, up to `top`, as far as there is nothing in them. */
function removeEmpty({ fs, path }: Files, dir: string, top: string): void {
  const last = path.resolve(top)
  try {
    for (let at = path.resolve(dir); at.length >= last.length; at = path.dirname(at)) fs.rmdirSync(at)
  } catch {
    // Somebody has something there: this run, or another.
  }
}

function* writeAll(
  sink: FileSink,
  options: TruthOptions,
  onProgress: WriteOptions['onProgress'],
): Generator<void, SynthTruth> {
  try {
    return yield* truthSteps(options, { sink, ...(onProgress === undefined ? {} : { onProgress }) })
  } finally {
    sink.close()
  }
}

/** Makes the workshop, which nobody else can then. One that a run has left that was killed goes. Throws EBUSY. */
function occupy({ fs, path }: Files, dir: string, workshop: string): void {
  try {
    fs.mkdirSync(workshop)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const pidFile = path.join(workshop, PID_FILE)
    // Without a number it is just being made.
    const pid = fs.existsSync(pidFile) ? Number(fs.readFileSync(pidFile, 'utf8')) : undefined
    if (pid === undefined || isRunning(pid)) {
      const who = pid === undefined ? '' : ` (process ${pid})`
      throw new PagefoldError(
        'EBUSY',
        `${dir}: another run is writing there${who}; if none is, remove ${workshop}`,
      )
    }
    fs.rmSync(workshop, { recursive: true, force: true })
    fs.mkdirSync(workshop)
  }
  fs.writeFileSync(path.join(workshop, PID_FILE), String(ownPid()))
}

function expectRoomFor({ fs }: Files, dir: string, force: boolean): void {
  const [present] = fs.readdirSync(dir).filter((name) => name !== WORKSHOP)
  if (present === undefined || force) return
  throw new PagefoldError(
    'EEXIST',
    `${dir}: not empty (${present}, ...); --force overwrites synthetic images`,
  )
}

/** Puts what is whole in the place of what was there before: from the moment on that the old truth goes until the new one comes. */
function handOver({ fs, path }: Files, workshop: string, dir: string): void {
  fs.rmSync(path.join(dir, TRUTH_FILE), { force: true })
  for (const name of fs.readdirSync(dir)) if (isOurs(name)) fs.rmSync(path.join(dir, name))
  const fresh = fs.readdirSync(workshop).filter((name) => isOurs(name) && name !== TRUTH_FILE)
  for (const name of [...fresh, TRUTH_FILE]) fs.renameSync(path.join(workshop, name), path.join(dir, name))
}

function isOurs(name: string): boolean {
  return name === TRUTH_FILE || /^image-\d+\.t\d+\.raw$/.test(name)
}

class FileSink implements Sink {
  private readonly files: Files
  private readonly dir: string
  private fd: number | undefined = undefined

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
