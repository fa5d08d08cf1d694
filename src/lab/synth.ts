// Synthetic guests: memory made from a seed, so that anyone can have the same without passing images around.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { PagefoldError } from '../errors.ts'
import type { Image } from '../image/image.ts'

export const SYNTH_PREFIX = 'synth:'

/** What a preset is made of. Shares are of all pages of an image; what is left over is unique. */
export interface SynthPreset {
  readonly images: number
  readonly pages: number
  /** Pages of zeros. */
  readonly zero: number
  /** Pages that every image has one of: a common kernel and libraries. */
  readonly shared: number
  /** Pages that occur several times inside one image, and how often. */
  readonly repeated: number
  readonly copies: number
}

export const PRESETS: Readonly<Record<string, SynthPreset>> = {
  demo: { images: 3, pages: 4096, zero: 0.12, shared: 0.4, repeated: 0.08, copies: 4 },
}

/**
 * Makes the images of `synth:PRESET[,key=value...]`; keys are `seed`, `pages`, `images`, and `image` for one of them
 * alone. Throws EINVAL for a preset or key that does not exist.
 */
export function synthImages(source: string): Image[] {
  const [name, ...settings] = source.slice(SYNTH_PREFIX.length).split(',')
  const preset = Object.hasOwn(PRESETS, name!) ? PRESETS[name!] : undefined
  if (preset === undefined) {
    throw new PagefoldError(
      'EINVAL',
      `${source}: no such preset; there are: ${Object.keys(PRESETS).join(', ')}`,
    )
  }
  const values = new Map(settings.map((setting) => parseSetting(source, setting)))
  const pages = values.get('pages') ?? preset.pages
  const images = values.get('images') ?? preset.images
  const seed = values.get('seed') ?? 1
  const chosen = values.get('image')
  if (pages < 1 || images < 1)
    throw new PagefoldError('EINVAL', `${source}: needs at least one page and one image`)
  if (chosen !== undefined && chosen >= images) {
    throw new PagefoldError('EINVAL', `${source}: image ${chosen} of ${images}; they are counted from 0`)
  }
  const which = chosen === undefined ? Array.from({ length: images }, (_, i) => i) : [chosen]
  return which.map(
    (image) => new SynthImage(`${SYNTH_PREFIX}${name},image=${image}`, { ...preset, pages }, seed, image),
  )
}

class SynthImage implements Image {
  readonly source: string
  readonly format = 'synth'
  readonly pages: number
  readonly notes = []
  private readonly contents: Uint32Array
  private readonly seed: number

  constructor(source: string, preset: SynthPreset, seed: number, image: number) {
    this.source = source
    this.pages = preset.pages
    this.seed = seed
    this.contents = shuffle(contentsOf(preset, image), seed * 31 + image)
  }

  addressOf(page: number): number {
    return page * PAGE_SIZE
  }

  read(first: number, count: number, into: Uint8Array): void {
    const words = new Uint32Array(PAGE_SIZE / 4)
    const bytes = new Uint8Array(words.buffer)
    for (let i = 0; i < count; i++) {
      fillPage(words, this.seed, this.contents[first + i]!)
      into.set(bytes, i * PAGE_SIZE)
    }
  }

  close(): void {}
}

/** Which content each page has: 0 is zeros, a number below `pages` is common to all images, others to this one. */
function contentsOf({ pages, zero, shared, repeated, copies }: SynthPreset, image: number): Uint32Array {
  const contents = new Uint32Array(pages)
  const zeroEnd = Math.round(pages * zero)
  const sharedEnd = zeroEnd + Math.round(pages * shared)
  const repeatedEnd = sharedEnd + Math.round(pages * repeated)
  const own = (image + 1) * pages
  for (let page = zeroEnd; page < pages; page++) {
    if (page < sharedEnd) contents[page] = page + 1
    else if (page < repeatedEnd) contents[page] = own + Math.floor((page - sharedEnd) / copies)
    else contents[page] = own + page
  }
  return contents
}

function fillPage(words: Uint32Array, seed: number, content: number): void {
  if (content === 0) {
    words.fill(0)
    return
  }
  const next = xorshift(seed, content)
  for (let i = 0; i < words.length; i++) words[i] = next()
  // The content's number, so that no two contents are equal however the random numbers fall.
  words[0] = content
}

function shuffle(contents: Uint32Array, seed: number): Uint32Array {
  const next = xorshift(seed, 0x9e3779b9)
  for (let i = contents.length - 1; i > 0; i--) {
    const j = next() % (i + 1)
    const other = contents[j]!
    contents[j] = contents[i]!
    contents[i] = other
  }
  return contents
}

/** Marsaglia's xorshift128 from two seeds. */
function xorshift(seed: number, stream: number): () => number {
  let x = Math.imul(seed ^ 0x85ebca6b, 0xcc9e2d51) >>> 0
  let y = Math.imul(stream ^ 0xc2b2ae35, 0x1b873593) >>> 0
  let z = 0x6c078965
  let w = 0x9908b0df
  return () => {
    const t = x ^ (x << 11)
    x = y
    y = z
    z = w
    w = (w ^ (w >>> 19) ^ t ^ (t >>> 8)) >>> 0
    return w
  }
}

function parseSetting(source: string, setting: string): [string, number] {
  const match = /^(seed|pages|images|image)=(\d+)$/.exec(setting)
  if (match === null) {
    throw new PagefoldError(
      'EINVAL',
      `${source}: "${setting}" is not one of seed=, pages=, images=, image= with a number`,
    )
  }
  return [match[1]!, Number(match[2])]
}
