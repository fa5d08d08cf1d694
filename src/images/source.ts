// What a user names as a source of memory: a file, or a preset of synthetic guests.

import type { Image } from '../image.ts'
import { openSynthSource, SYNTH_PREFIX } from '../synth/images.ts'
import { openImage } from './open.ts'

/** Opens the images of one source: a file is one image, a preset may be several. Throws PagefoldError. */
export function openSource(source: string): Image[] {
  return source.startsWith(SYNTH_PREFIX) ? openSynthSource(source) : [openImage(source)]
}

/** Opens the images of several sources; if one cannot be opened, none stays open. */
export function openSources(sources: readonly string[]): Image[] {
  const images: Image[] = []
  try {
    for (const source of sources) images.push(...openSource(source))
    return images
  } catch (error) {
    for (const image of images) image.close()
    throw error
  }
}
