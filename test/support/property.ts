// How often, and from which seed, properties are tried: few times and always the same in `npm test`, a million operations
// from a new seed in `npm run test:long`.

/** Operations a property is to be tried with; 0: the few of the short run. */
const OPERATIONS = Number(process.env.PAGEFOLD_OPERATIONS ?? 0)
const SEED = process.env.PAGEFOLD_SEED

/** How long one property may take, ms. */
export const PROPERTY_TIMEOUT = OPERATIONS === 0 ? 60_000 : 7_200_000

export interface Effort {
  readonly seed: number
  readonly numRuns: number
}

/**
 * The runs for a property whose programs have about `length` operations: `short` of them, or a `share` of the long run.
 * The seed of a long run is printed, and can be given again as PAGEFOLD_SEED.
 */
export function effort(name: string, length: number, short: number, share: number): Effort {
  const seed = SEED === undefined ? (OPERATIONS === 0 ? 1 : Date.now() & 0x7fff_ffff) : Number(SEED)
  const numRuns = OPERATIONS === 0 ? short : Math.ceil((OPERATIONS * share) / length)
  if (OPERATIONS !== 0) console.log(`${name}: ${numRuns} runs, PAGEFOLD_SEED=${seed}`)
  return { seed, numRuns }
}
