// `npm run bench:growth`: every operation's cost in what it is linear in. Nothing may be worse than n log n.

import { CALLS } from './calls.ts'
import { LOOKS } from './looks.ts'
import { type Grown, type Growth, grow } from './measure.ts'
import { SCANNING } from './scans.ts'

export const GROWTHS: readonly Growth[] = [...CALLS, ...SCANNING, ...LOOKS]

/** Measures those whose name contains one of `names` (all if there are none), and shows each as it is done. */
export async function growth(
  names: readonly string[],
  smoke: boolean,
  show: (grown: Grown) => void,
): Promise<Grown[]> {
  const wanted = GROWTHS.filter(({ name }) => names.length === 0 || names.some((part) => name.includes(part)))
  const all: Grown[] = []
  for (const one of wanted) {
    const grown = await grow(one, smoke)
    show(grown)
    all.push(grown)
  }
  return all
}
