// Programs of the fuzzer: made from a seed, run, and made short when they fail.

import {
  CHECKSUM_NAMES,
  CHECKSUM_TRAITS,
  COW_POLICIES,
  type HostOptions,
  SMART_SCAN_POLICIES,
} from '../../src/index.ts'
import { random } from '../support/random.ts'
import { leaveOut } from '../support/shrink.ts'
import { SOMETIMES } from './generators.ts'
import { newTally, sumOf, type Tally } from './tally.ts'
import { type Settings, type Step, World } from './world.ts'

export interface FuzzProgram {
  readonly settings: Settings
  readonly steps: readonly Step[]
}

/** How many steps a program has. */
export const LENGTH = 2500
/** Steps between two full checks. */
const EVERY = 100

/** The program of a seed, always the same. */
export function programOf(seed: number, length = LENGTH): FuzzProgram {
  const draw = random(seed)
  const unwatched = draw.below(5) === 0
  const checksum = draw.below(2) === 0 ? 'xxh3' : draw.pick(CHECKSUM_NAMES)
  const bits =
    CHECKSUM_TRAITS[checksum].bits > 0 && draw.below(4) === 0 ? { checksumBits: 1 + draw.below(4) } : {}
  const options: HostOptions = {
    frames: draw.pick([32, 64, 96, 160]),
    index: draw.pick(['content', 'hash']),
    checksum,
    ...bits,
    numaNodes: draw.pick([1, 1, 2, 3]),
    cowPolicy: draw.below(2) === 0 ? 'anon_exclusive' : draw.pick(COW_POLICIES),
    reuseKsm: draw.below(4) === 0,
    smartScan: draw.pick(SMART_SCAN_POLICIES),
    changes: draw.below(4) === 0 ? 'checksum' : 'log',
    guests: draw.below(8) === 0 ? 'still' : 'running',
    zeroPagesAcrossDomains: draw.below(2) === 0,
    workers: draw.below(unwatched ? 4 : 50) === 0 ? 1 + draw.below(2) : 0,
    ...(draw.below(6) === 0 ? { mappings: draw.pick([100, 300]) } : {}),
  }
  const steps = Array.from({ length }, (): Step => [draw.pick(SOMETIMES), draw.below(2 ** 32)])
  return { settings: { options, unwatched, quiet: false }, steps: [...BEGINNING, ...steps] }
}

/** ksmd runs, and there is somebody to look at. */
const BEGINNING: readonly Step[] = [
  ['Host.createMm', 1],
  ['Host.createMm', 2],
]

/** Which step went wrong, and how. */
export class FuzzFailure extends Error {
  readonly at: number

  constructor(program: FuzzProgram, at: number, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    super(`step ${at}, ${JSON.stringify(program.steps[at] ?? 'the end')}: ${what}`, { cause })
    this.at = at
  }

  /** What went wrong, without the numbers. */
  get kind(): string {
    return this.message
      .replace(/^step .*?\]: /, '')
      .split('\n')[0]!
      .replace(/0x[\da-f]+|\d+/g, '#')
      .slice(0, 60)
  }
}

/** Runs a program from an empty host to an empty host, everything being checked after every so many steps. Throws FuzzFailure. */
export async function runProgram(program: FuzzProgram, tally: Tally = newTally(), every = 1): Promise<void> {
  const world = await World.create(program.settings, tally)
  const uncaught = takeUncaught((error) => world.expectOwn('a callback', error))
  let at = 0
  try {
    world.begin()
    for (const [i, step] of program.steps.entries()) {
      at = i
      await world.step(step)
      if ((i + 1) % every > 0) continue
      await Promise.resolve()
      world.check()
    }
    at = program.steps.length
    await world.finish()
  } catch (error) {
    throw new FuzzFailure(program, at, error)
  } finally {
    await new Promise((resolve) => setImmediate(resolve))
    uncaught()
  }
}

/** What listeners throw comes up as uncaught, which is not to end the test; returns what gives it back to whoever had it. */
function takeUncaught(take: (error: unknown) => void): () => void {
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', take)
  return () => {
    process.removeListener('uncaughtException', take)
    for (const listener of before) process.on('uncaughtException', listener)
  }
}

/** How it fails, if everything is checked after every so many steps. */
async function failureOf(program: FuzzProgram, every: number): Promise<FuzzFailure | undefined> {
  try {
    await runProgram(program, newTally(), every)
    return undefined
  } catch (error) {
    if (error instanceof FuzzFailure) return error
    throw error
  }
}

/** The shortest program found that still fails so. */
export async function shrinkProgram(program: FuzzProgram, failure: FuzzFailure): Promise<FuzzProgram> {
  let shortest = { ...program, steps: program.steps.slice(0, failure.at + 1) }
  const failsStill = async (candidate: FuzzProgram, every?: number): Promise<FuzzProgram | undefined> => {
    const again = await failureOf(candidate, every ?? Math.max(1, candidate.steps.length))
    if (again?.kind !== failure.kind) return undefined
    shortest = { ...candidate, steps: candidate.steps.slice(0, again.at + 1) }
    return shortest
  }
  // Once after every step: then it need be checked only at the end.
  await failsStill(shortest, 1)
  await failsStill({ ...shortest, settings: { ...shortest.settings, quiet: true } })
  for (let length = Number.POSITIVE_INFINITY; shortest.steps.length < length; ) {
    length = shortest.steps.length
    await leaveOut(shortest.steps, 0, async (steps) => (await failsStill({ ...shortest, steps }))?.steps)
  }
  for (const name of Object.keys(shortest.settings.options)) {
    if (name === 'frames') continue
    const { [name as 'index']: _, ...options } = shortest.settings.options
    await failsStill({ ...shortest, settings: { ...shortest.settings, options } })
  }
  await failsStill({ ...shortest, settings: { ...shortest.settings, unwatched: true } })
  return shortest
}

/** A program as a test would have it. */
export const written = ({ settings, steps }: FuzzProgram): string =>
  `{\n  settings: ${JSON.stringify(settings)},\n  steps: [\n${steps.map((step) => `    ${JSON.stringify(step)},\n`).join('')}  ],\n}`

/**
 * Runs programs, of seeds in a row, until so many calls have been made; returns the next seed. Throws with the seed and the shortest program
 * that fails.
 */
export async function fuzz(firstSeed: number, operations: number, tally: Tally): Promise<number> {
  let seed = firstSeed
  for (; sumOf(tally.operations) < operations; seed++) {
    const program = programOf(seed)
    const { stackTraceLimit } = Error
    try {
      // Most of what is refused is refused on purpose: nobody reads those stacks.
      Error.stackTraceLimit = 0
      await runProgram(program, tally, EVERY)
    } catch (error) {
      if (!(error instanceof FuzzFailure)) throw error
      Error.stackTraceLimit = stackTraceLimit
      console.log(`seed ${seed}: ${error.message}; looking for a shorter program`)
      const shortest = await shrinkProgram(program, error)
      const again = (await failureOf(shortest, 1)) ?? error
      throw new Error(`seed ${seed}: ${again.message}\nshortest program:\n${written(shortest)}`, {
        cause: again,
      })
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
  }
  return seed
}
