// Who shares what with whom: draws groups of duplicates until their share of all pages is reached, and gives each place
// in images that have room.

import type { Names } from './names.ts'
import type { SynthParameters } from './parameters.ts'
import { below, chance, type Next } from './random.ts'
import { parseSharers } from './sharers.ts'

/** Runs of contents that occur in several places: page i of a run has content `ids[run] + i`. */
export interface Runs {
  readonly ids: number[]
  readonly lengths: number[]
  /** For each image the runs that lie in it, by index; one may lie in it several times. */
  readonly byImage: readonly number[][]
}

/** Draws runs until `wanted` pages have a duplicate. `room` is how many of them an image can take. */
export function shareOut(
  parameters: SynthParameters,
  images: number,
  wanted: number,
  room: number,
  names: Names,
  next: Next,
): Runs {
  const runs: Runs = { ids: [], lengths: [], byImage: Array.from({ length: images }, () => []) }
  const rooms = new Array<number>(images).fill(room)
  const draw = parseSharers(parameters.sharers, images)(next)
  let longest = names.run
  for (let left = wanted; left >= 2; ) {
    const sharers = Math.min(draw(), left)
    if (sharers < 2) break
    const length = Math.min(longest, Math.floor(left / sharers))
    const places = placesOf(sharers, length, rooms, parameters, next)
    if (places.length < 2) {
      for (const image of places) rooms[image]! += length
      if (length === 1) break
      longest = 1 // what room there is is scattered
      continue
    }
    for (const image of places) runs.byImage[image]!.push(runs.ids.length)
    runs.ids.push(names.freshRun())
    runs.lengths.push(length)
    left -= places.length * length
  }
  return runs
}

/** The images that one run lies in, as often as it does; takes the room. */
function placesOf(
  sharers: number,
  length: number,
  rooms: number[],
  { selfShare, sharers: law }: SynthParameters,
  next: Next,
): number[] {
  const images = rooms.length
  const home = below(next, images)
  let away = below(next, images)
  const places: number[] = []
  for (let member = 0; member < sharers; member++) {
    const stays = law !== 'images' && (member === 0 || images === 1 || chance(next, selfShare))
    // Those that do not stay go round all the others before any gets a second.
    const target = stays ? home : (home + (law === 'images' ? member : 1 + (away++ % (images - 1)))) % images
    const image = withRoom(rooms, target, length)
    if (image === undefined) break
    rooms[image]! -= length
    places.push(image)
  }
  return places
}

function withRoom(rooms: readonly number[], from: number, length: number): number | undefined {
  for (let i = 0; i < rooms.length; i++) {
    const image = (from + i) % rooms.length
    if (rooms[image]! >= length) return image
  }
  return undefined
}
