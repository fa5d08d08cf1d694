// What a user names as a source of memory: a file, standard input, processes, or a preset of synthetic guests.

import { PagefoldError } from '../errors.ts'
import type { Image } from '../image.ts'
import { openSynthSource, SYNTH_PREFIX } from '../synth/images.ts'
import { SharedFrames } from './live/process-image.ts'
import { namesProcesses, openProcesses } from './live/processes.ts'
import { openPlanned, openStandardInput } from './open.ts'
import { expectImageOptions, type ImageOptions, type ImagePlan } from './options.ts'

/** Names what comes in by standard input. */
const STANDARD_INPUT = '-'

/**
 * Opens the images of one source: a file or a pipe is one image, `-` is standard input, `pid:N`, `comm:NAME` and `all` are running
 * processes, a preset may be several; only a file takes a `base`. Throws what `openImage` does; of processes ESRCH, EACCES, EINVAL, ENOTSUP.
 */
export function openSource(source: string, options: ImageOptions = {}): Image[] {
  return openAll([source], expectImageOptions('openSource', options))
}

/** Opens the images of several sources; if one cannot be opened, none stays open. A frame that several processes share is counted once. */
export function openSources(sources: readonly string[], options: ImageOptions = {}): Image[] {
  return openAll(sources, expectImageOptions('openSources', options))
}

function openAll(sources: readonly string[], plan: ImagePlan): Image[] {
  const images: Image[] = []
  const frames = sources.some(namesProcesses) ? new SharedFrames() : undefined
  try {
    for (const source of sources) images.push(...openOne(source, plan, frames))
    return images
  } catch (error) {
    for (const image of images) image.close()
    throw error
  } finally {
    frames?.close()
  }
}

function openOne(source: string, plan: ImagePlan, frames: SharedFrames | undefined): Image[] {
  if (source === STANDARD_INPUT) return [openStandardInput(source, plan)]
  const kind = namesProcesses(source)
    ? 'processes'
    : source.startsWith(SYNTH_PREFIX)
      ? 'synthetic guests'
      : 'file'
  if (kind === 'file') return [openPlanned(source, plan)]
  if (plan.base !== undefined) {
    throw new PagefoldError('EINVAL', `${source}: a base is for sparse raw files, not for ${kind}`)
  }
  return kind === 'processes' ? openProcesses(source, plan, frames!) : openSynthSource(source)
}
