// The whole public API called at random, with callbacks that act: what may be done in them is done, and what may not must be refused. Held
// against a shadow of every guest's bytes, and the audit. `npm run test:long` makes ten million calls; a failure prints its seed
// and the shortest program that fails.

import { describe, expect, it, vi } from 'vitest'
import { Gate } from '../../src/mm/model/gate.ts'
import { FrameBytes } from '../../src/mm/page/bytes.ts'
import { CLASS_NAMES, publicMethods } from '../support/public-methods.ts'
import { METHOD_NAMES } from './generators.ts'
import { fuzz } from './run.ts'
import { described, newTally } from './tally.ts'

const WANTED = Number(process.env.PAGEFOLD_FUZZ_OPERATIONS ?? 0)
const IS_LONG = WANTED > 0
const OPERATIONS = IS_LONG ? WANTED : 20_000
/** Calls after which a long run says how far it is. */
const PART = 250_000
const SEED = Number(process.env.PAGEFOLD_SEED ?? (IS_LONG ? Date.now() & 0x7fff_ffff : 1))

describe('the whole API at random', () => {
  it('has a generator for every public method', () => {
    const methods = CLASS_NAMES.flatMap((name) => publicMethods(name).map((method) => `${name}.${method}`))
    expect([...METHOD_NAMES].sort()).toEqual(methods.sort())
  })

  it('nothing is read that was not written, nothing acts where it may not, nothing is left behind', {
    timeout: 14_400_000,
  }, async () => {
    const tally = newTally()
    const start = performance.now()
    let seed = SEED
    for (let done = 0; done < OPERATIONS; done = Math.min(OPERATIONS, done + PART)) {
      seed = await fuzz(seed, Math.min(OPERATIONS, done + PART), tally)
      const seconds = Math.round((performance.now() - start) / 1000)
      if (IS_LONG) console.log(`fuzzer, PAGEFOLD_SEED=${SEED}, ${seconds} s\n${described(tally)}`)
    }
    for (const method of METHOD_NAMES) expect(tally.operations.get(method) ?? 0, method).toBeGreaterThan(0)
  })

  it.each([
    [
      'a write lost when a page is copied',
      () => vi.spyOn(FrameBytes.prototype, 'copy').mockImplementation(() => {}),
      /not the bytes that were written|read other bytes|changed since a snapshot/,
    ],
    [
      'a gate that is open inside callbacks',
      () => vi.spyOn(Gate.prototype, 'expectOutside').mockImplementation(() => {}),
      /inside a callback/,
    ],
  ])('finds %s, and says by which calls', async (_, breakIt, found) => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    const broken = breakIt()
    try {
      const error = await fuzz(1, 20_000, newTally()).catch((thrown: Error) => thrown)
      expect(error).toMatchObject({ message: expect.stringMatching(found) })
      const { message } = error as Error
      expect(message).toMatch(/^seed \d+: step \d+, /)
      expect(message.split('steps: [')[1]!.split('\n').length, message).toBeLessThan(60)
    } finally {
      broken.mockRestore()
      log.mockRestore()
    }
  })
})
