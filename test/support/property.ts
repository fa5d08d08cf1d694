// How often, and from which seed, properties are tried: few times and always the same in `npm test`, a million operations
// from a new seed in `npm run test:long`.

import fc from 'fast-check'

/** Operations all properties are to be tried with; 0: the few of the short run. */
const OPERATIONS = Number(process.env.PAGEFOLD_OPERATIONS ?? 0)
const SEED = process.env.PAGEFOLD_SEED

/** Is this the long run? */
export const IS_LONG = OPERATIONS !== 0

/** How long one property may take, ms. */
export const PROPERTY_TIMEOUT = IS_LONG ? 7_200_000 : 60_000

export interface Effort {
  readonly name: string
  /** Operations a program has, about. */
  readonly length: number
  /** Programs in the short run. */
  readonly runs: number
  /** Which part of the long run's operations. */
  readonly share: number
}

/**
 * Tries a property on random programs. What fails is shrunk, and reported with its seed. A long run says how much it did,
 * and with which seed: PAGEFOLD_SEED gives it again.
 */
export async function tryPrograms<Program>(
  { name, length, runs, share }: Effort,
  programs: fc.Arbitrary<Program>,
  lengthOf: (program: Program) => number,
  run: (program: Program) => Promise<void>,
): Promise<void> {
  const seed = SEED === undefined ? (IS_LONG ? Date.now() & 0x7fff_ffff : 1) : Number(SEED)
  const numRuns = IS_LONG ? Math.ceil((OPERATIONS * share) / length) : runs
  if (IS_LONG) console.log(`${name}: ${numRuns} programs, PAGEFOLD_SEED=${seed}`)
  let operations = 0
  const property = fc.asyncProperty(programs, async (program) => {
    operations += lengthOf(program)
    await run(program)
  })
  const start = performance.now()
  await fc.assert(property, { seed, numRuns })
  const seconds = Math.round((performance.now() - start) / 1000)
  if (IS_LONG) console.log(`${name}: ${operations} operations in ${seconds} s`)
}
