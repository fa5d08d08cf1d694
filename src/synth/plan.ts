// A plan: which content each page has, before any byte of it exists. Pages are counted over all images, those of image 0
// first. A content is named by three numbers: two pages are equal exactly if their names are, and that is verified when
// images are written (truth.ts).

/** How a content's bytes are made; content.ts makes them. */
export const KINDS = [
  'zero',
  'same-filled',
  'random',
  'text',
  'pointers',
  'sparse',
  'similar',
  'collide-xxh64',
  'collide-xxh3',
  'demo',
] as const
export type Kind = (typeof KINDS)[number]
export const KIND = Object.fromEntries(KINDS.map((name, number) => [name, number])) as Record<Kind, number>

/** What a page of a synthetic guest is there for. */
export type PageClass =
  | 'zero'
  | 'same-filled'
  | 'duplicate'
  | 'thrashed'
  | 'near'
  | 'similar'
  | 'colliding'
  | 'volatile'
  | 'unique'

/** The letter that stands for each class in truth.json. */
export const CLASSES: Readonly<Record<PageClass, string>> = {
  zero: 'z',
  'same-filled': 'f',
  duplicate: 'd',
  thrashed: 't',
  near: 'n',
  similar: 's',
  colliding: 'c',
  volatile: 'v',
  unique: 'u',
}
export const CLASS_NAMES = Object.keys(CLASSES) as PageClass[]
export const CLASS = Object.fromEntries(CLASS_NAMES.map((name, number) => [name, number])) as Record<
  PageClass,
  number
>

/** Marks a patch as what tells a near-duplicate from its like, not as a later write. */
export const NEAR_PATCH = 0x8000_0000

export interface Plan {
  /** Pages an image. */
  readonly pages: number
  readonly images: number
  /** For every page of every image: the content's kind, its number, and what was changed in it since (0: nothing). */
  readonly kinds: Uint8Array
  readonly ids: Uint32Array
  readonly patches: Uint32Array
  /** Number of its class in CLASS_NAMES. */
  readonly classes: Uint8Array
}

export function emptyPlan(pages: number, images: number): Plan {
  const total = pages * images
  return {
    pages,
    images,
    kinds: new Uint8Array(total),
    ids: new Uint32Array(total),
    patches: new Uint32Array(total),
    classes: new Uint8Array(total),
  }
}
