// Guests on threads that check their own memory while it is merged, forked, swapped out, moved and taken snapshots of. PAGEFOLD_STRESS_SECONDS
// says how long; `npm run test:long` takes ten minutes.

import { expect, it } from 'vitest'
import { stress } from '../support/stress.ts'

const SECONDS = Number(process.env.PAGEFOLD_STRESS_SECONDS ?? 4)
const SEED = Number(process.env.PAGEFOLD_SEED ?? 1)

it('no guest on another thread ever finds anything but what it wrote', {
  timeout: SECONDS * 2000 + 120_000,
}, async () => {
  const result = await stress(4, SECONDS * 1000, SEED)
  if (SECONDS > 60) console.log(`PAGEFOLD_SEED=${SEED}: ${JSON.stringify(result)}`)
  expect(result).toMatchObject({ wrong: 0, where: '' })
  for (const what of ['rounds', 'copied', 'forks', 'faults'] as const)
    expect(result[what], what).toBeGreaterThan(0)
})
