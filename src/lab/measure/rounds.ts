// Measuring several candidates beside each other: in rounds, each candidate once a round, in an order drawn anew for each. So
// whatever slows the machine down for a while slows all of them, and none is always measured behind the same other.

import { cpuTime, machineCpuTime } from '../../platform.ts'
import { decisions, shuffle } from '../../synth/random.ts'
import { type Load, loadOf, type RoundLoad } from './load.ts'

/** What one turn of a candidate took, in milliseconds. */
export interface Lap {
  /** Processor time. */
  readonly cpu_ms: number
  readonly wall_ms: number
  /** Processor time that was spent for it outside of this process, a part of `cpu_ms` or beside it. */
  readonly outside_ms?: number
}

/** Something that is measured beside others. */
export interface Candidate<Taken extends Lap = Lap> {
  readonly name: string
  /** Does its work once; undefined: it takes no part any more. */
  lap(): Taken | undefined | Promise<Taken | undefined>
}

/** How `inRounds` goes about it. */
export interface RoundsOptions {
  readonly rounds: number
  /** Rounds before them that are not counted: the compiler's. Default: 0. */
  readonly warmUp?: number
  /** Of the generator that draws the orders. Default: `ORDER_SEED`. */
  readonly seed?: number
  /** Milliseconds of processor time that were spent for the measuring, if that is known. Default: this process's. */
  readonly ours?: () => number | undefined
  /** Called before each turn. */
  readonly onProgress?: (done: number, of: number, name: string) => void
  /** Called after each round. */
  readonly onRound?: () => void
}

/** What came of it. */
export interface Measured<Taken extends Lap> {
  /** By name, a lap a round; fewer of one that took no part to the end. */
  readonly laps: ReadonlyMap<string, readonly Taken[]>
  /** What else the machine did meanwhile. */
  readonly load: Load
}

/** What orders of turns are drawn from, unless told otherwise: the same in every run. */
export const ORDER_SEED = 1

/** The order of `count` candidates in a round, by their numbers: the same for the same seed and round. */
export function orderOf(count: number, seed: number, round: number): readonly number[] {
  return [
    ...shuffle(
      Uint32Array.from({ length: count }, (_, i) => i),
      decisions(seed, round),
    ),
  ]
}

/** Measures candidates in rounds. Throws what a candidate throws. */
export async function inRounds<Taken extends Lap>(
  candidates: readonly Candidate<Taken>[],
  options: RoundsOptions,
): Promise<Measured<Taken>> {
  const { rounds, warmUp = 0, seed = ORDER_SEED, ours = cpuTime } = options
  const laps = new Map<string, Taken[]>(candidates.map(({ name }) => [name, []]))
  const left = new Set<string>()
  const seen: RoundLoad[] = []
  let done = 0
  for (let round = 0; round < warmUp + rounds; round++) {
    const began = { wall: performance.now(), others: othersTime(ours) }
    const taken: Taken[] = []
    for (const i of orderOf(candidates.length, seed, round)) {
      const { name, lap } = candidates[i]!
      options.onProgress?.(done++, (warmUp + rounds) * candidates.length, name)
      if (left.has(name)) continue
      const one = await lap()
      if (one === undefined) {
        left.add(name)
        continue
      }
      taken.push(one)
      if (round >= warmUp) laps.get(name)!.push(one)
    }
    const outside = taken.reduce((sum, { outside_ms = 0 }) => sum + outside_ms, 0)
    const ended = othersTime(ours)
    const known = began.others !== undefined && ended !== undefined
    const theirs = known ? ended - began.others! - outside : null
    if (round >= warmUp) seen.push(roundLoad(taken, theirs, performance.now() - began.wall))
    options.onRound?.()
  }
  return { laps, load: loadOf(seen, [...laps.values()]) }
}

/** Processor time that was not spent for the measuring, since the machine was started. */
function othersTime(ours: () => number | undefined): number | undefined {
  const [all, own] = [machineCpuTime(), ours()]
  return all === undefined || own === undefined ? undefined : all - own
}

function roundLoad(taken: readonly Lap[], theirs: number | null, elapsed: number): RoundLoad {
  const wall = taken.reduce((sum, { wall_ms }) => sum + wall_ms, 0)
  const had = taken.reduce((sum, { cpu_ms, wall_ms }) => sum + Math.min(cpu_ms, wall_ms), 0)
  return {
    waited: wall === 0 ? 0 : 1 - had / wall,
    others: theirs === null ? null : Math.max(0, theirs) / elapsed,
  }
}
