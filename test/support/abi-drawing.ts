// How the layout of assembly/abi.ts is drawn a second time, for tests: as rows of parts with widths instead of offsets.

import * as abi from '../../assembly/abi.ts'

export type Name = keyof typeof abi
export const ABI: Readonly<Record<Name, number>> = { ...abi }
export const NAMES = Object.keys(ABI) as Name[]

/** A stretch of a record, in bytes, or of a word, in bits. */
export interface Part {
  /** What is there; of a gap, why nothing is. */
  readonly what: string
  readonly width: number
  readonly gap?: true
  /** The constants that say where it is, and what each has to be if it begins at `at`. */
  pins(at: number): readonly (readonly [Name, number])[]
}

export interface Drawing {
  readonly name: string
  /** In the unit of its parts, or the constant that says it. */
  readonly size: number | Name
  /** What it looks like in each of its states; each fills it without overlap. */
  readonly faces: Readonly<Record<string, readonly Part[]>>
  /** What shares a place on purpose: one, the other, and why they never meet. */
  readonly shared: readonly (readonly [string, string, string])[]
  /** Is how it is made up the core's business alone? */
  readonly core: boolean
}

/** A record of bytes, which only the core knows. */
export function record(
  name: string,
  size: Name,
  faces: Drawing['faces'] | readonly Part[],
  shared: Drawing['shared'] = [],
): Drawing {
  return { name, size, faces: facesOf(faces), shared, core: true }
}

/** A word of bits, from the lowest on. */
export function word(
  name: string,
  size: number,
  core: boolean,
  faces: Drawing['faces'] | readonly Part[],
  shared: Drawing['shared'] = [],
): Drawing {
  return { name, size, faces: facesOf(faces), shared, core }
}

function facesOf(faces: Drawing['faces'] | readonly Part[]): Drawing['faces'] {
  return Array.isArray(faces) ? { always: faces } : (faces as Drawing['faces'])
}

/** A field of a record. With several names it is one field to several readers. */
export function field(names: Name | readonly Name[], bytes: number, what?: string): Part {
  const all: readonly Name[] = typeof names === 'string' ? [names] : names
  return { what: what ?? all[0]!, width: bytes, pins: (at) => all.map((name) => [name, at]) }
}

/** Fields of 32 bits each. */
export function words(...names: Name[]): Part[] {
  return names.map((name) => field(name, 4))
}

/** Single bits, each known by its value. */
export function flags(...names: Name[]): Part[] {
  return names.map((name) => ({ what: name, width: 1, pins: (at) => [[name, 2 ** at]] }))
}

/** Some bits of a word: `shift` is where they begin, `mask` what they hold when shifted down. */
export function bits(what: string, width: number, by: { shift?: Name; mask?: Name }): Part {
  const pins = (at: number): [Name, number][] => {
    const pinned: [Name, number][] = []
    if (by.shift !== undefined) pinned.push([by.shift, at])
    if (by.mask !== undefined) pinned.push([by.mask, 2 ** width - 1])
    return pinned
  }
  return { what, width, pins }
}

/** What no constant names. */
export function unnamed(what: string, width: number): Part {
  return { what, width, pins: () => [] }
}

/** Nothing, for a reason. */
export function gap(width: number, why: string): Part {
  return { ...unnamed(why, width), gap: true }
}
