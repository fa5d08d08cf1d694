// Sources that name processes: `pid:N`, `comm:NAME`, `all`.

import { PagefoldError } from '../../errors.ts'
import type { Image } from '../../image.ts'
import { copyOf } from './copy.ts'
import { commOf, processIds, whyUnreadable } from './proc.ts'
import { ProcessImage, type SharedFrames } from './process-image.ts'

const PID = /^pid:(\d+)$/
const COMM_PREFIX = 'comm:'
const ALL = 'all'

/** Whether a source names processes. A file of that name is meant with a directory before it: `./all`. */
export function namesProcesses(source: string): boolean {
  return source === ALL || source.startsWith('pid:') || source.startsWith(COMM_PREFIX)
}

/** How processes are opened. */
export interface ProcessPlan {
  /** Only memory that KSM was given. */
  readonly mergeable: boolean
  /** They are read when they are asked, and not put away at once. */
  readonly inUse: boolean
}

const HOW =
  "that takes root, CAP_SYS_PTRACE, or to be the same user where kernel.yama.ptrace_scope lets one's processes look at each other"

/**
 * Opens the processes that a source names, one image each. Throws ESRCH if there is none, EACCES if none may be read, EINVAL if none has
 * memory to merge; ENOTSUP where there is no /proc.
 */
export function openProcesses(source: string, plan: ProcessPlan, frames: SharedFrames): Image[] {
  const one = PID.exec(source)
  if (source.startsWith('pid:') && one === null) {
    throw new PagefoldError('EINVAL', `${source}: pid: takes the number of a process`)
  }
  const wanted = one === null ? named(source) : [Number(one[1])]
  if (wanted.length === 0) throw new PagefoldError('ESRCH', `${source}: no process is called that`)
  const opened: ProcessImage[] = []
  const counts = { gone: 0, denied: 0, empty: 0 }
  try {
    for (const pid of wanted) {
      const image = openProcess(pid, plan.mergeable, frames)
      if (typeof image === 'string') counts[image]++
      else opened.push(image)
    }
    if (opened.length === 0) throw nothingOf(source, counts, plan.mergeable)
  } catch (error) {
    for (const image of opened) image.close()
    throw error
  }
  const notes = notesOn(source, opened, counts)
  const images = plan.inUse ? opened : opened.map((image) => copyOf(image))
  return images.map((image, i) => (i === 0 ? withNotes(image, notes) : image))
}

/** Processes by their name; all of them for `all`. */
function named(source: string): number[] {
  const ids = processIds()
  if (source === ALL) return ids
  const name = source.slice(COMM_PREFIX.length)
  return ids.filter((pid) => {
    try {
      return commOf(pid) === name
    } catch (error) {
      if (whyUnreadable(error) === undefined) throw error
      return false
    }
  })
}

function openProcess(
  pid: number,
  mergeable: boolean,
  frames: SharedFrames,
): ProcessImage | 'gone' | 'denied' | 'empty' {
  try {
    const image = new ProcessImage(pid, mergeable, frames)
    if (image.pages > 0) return image
    image.close()
    return 'empty'
  } catch (error) {
    const why = whyUnreadable(error)
    if (why === undefined) throw error
    return why
  }
}

function nothingOf(
  source: string,
  { denied, empty }: { readonly denied: number; readonly empty: number },
  mergeable: boolean,
): PagefoldError {
  if (denied > 0) return new PagefoldError('EACCES', `${source}: not allowed to read its memory: ${HOW}`)
  if (empty === 0) return new PagefoldError('ESRCH', `${source}: no such process`)
  const what = mergeable
    ? 'no memory that KSM was given: madvise(MADV_MERGEABLE) or prctl(PR_SET_MEMORY_MERGE) does that'
    : 'no anonymous memory: a kernel thread, or a process that has ended?'
  return new PagefoldError('EINVAL', `${source}: ${what}`)
}

function notesOn(
  source: string,
  opened: readonly ProcessImage[],
  { denied }: { readonly denied: number },
): string[] {
  const sum = (of: (image: ProcessImage) => number): number =>
    opened.reduce((all, image) => all + of(image), 0)
  const [swapped, shared] = [sum(({ absent }) => absent), sum(({ shared }) => shared)]
  const shown = (pages: number): string => pages.toLocaleString('en-US')
  return [
    ...(denied > 0
      ? [`${source}: ${shown(denied)} of its processes are not to be read by you, and left out: ${HOW}`]
      : []),
    ...(swapped > 0 ? [`${source}: ${shown(swapped)} pages are swapped out, and not counted`] : []),
    ...(shared > 0
      ? [
          `${source}: ${shown(shared)} pages share a frame already (after a fork, or the page of zeros), and are not counted again`,
        ]
      : []),
  ]
}

/** The image itself, with notes: it is one of a class, whose methods it keeps. */
function withNotes(image: Image, notes: readonly string[]): Image {
  return Object.assign(image, { notes: [...image.notes, ...notes] })
}
