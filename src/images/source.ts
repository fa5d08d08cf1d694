// What a user names as a source of memory: a file, standard input, or a preset of synthetic guests.

import { PagefoldError } from '../errors.ts'
import type { Image } from '../image.ts'
import { openSynthSource, SYNTH_PREFIX } from '../synth/images.ts'
import { openPlanned, openStandardInput } from './open.ts'
import { expectImageOptions, type ImageOptions, type ImagePlan } from './options.ts'

/** Names what comes in by standard input. */
const STANDARD_INPUT = '-'

/**
 * Opens the images of one source: a file or a pipe is one image, `-` is standard input, a preset may be several, and takes no
 * `base`. Throws what `openImage` does.
 */
export function openSource(source: string, options: ImageOptions = {}): Image[] {
  return openOne(source, expectImageOptions('openSource', options))
}

/** Opens the images of several sources; if one cannot be opened, none stays open. */
export function openSources(sources: readonly string[], options: ImageOptions = {}): Image[] {
  const plan = expectImageOptions('openSources', options)
  const images: Image[] = []
  try {
    for (const source of sources) images.push(...openOne(source, plan))
    return images
  } catch (error) {
    for (const image of images) image.close()
    throw error
  }
}

function openOne(source: string, plan: ImagePlan): Image[] {
  if (source === STANDARD_INPUT) return [openStandardInput(source, plan)]
  if (!source.startsWith(SYNTH_PREFIX)) return [openPlanned(source, plan)]
  if (plan.base === undefined) return openSynthSource(source)
  throw new PagefoldError('EINVAL', `${source}: a base is for sparse raw files, not for synthetic guests`)
}
