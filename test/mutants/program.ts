// The process in which mutants are tried. Has all tests loaded; reads what to run from standard input, a line of JSON each,
// and says on descriptor 3 what becomes of it, so that whoever started it can see where it hangs.

import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import fc from 'fast-check'
import { takeCounts, theSwitch } from './switch.ts'
import { runTest, tests } from './vitest.ts'

/** What it is told: to run tests with a mutant, up to the first that fails; or, with mutant -1, each, counting. */
export interface Command {
  readonly mutant: number
  /** By their numbers. */
  readonly tests: readonly number[]
  /** How often the mutant may be reached in each. */
  readonly limits: readonly number[]
}

/** What it says. */
export type Word =
  | { readonly kind: 'ready'; readonly tests: readonly string[]; readonly reached: readonly number[] }
  | { readonly kind: 'begin'; readonly test: number }
  | {
      readonly kind: 'end'
      readonly test: number
      readonly ms: number
      readonly error: string | undefined
      /** Places reached, each with how often. */
      readonly reached: readonly (readonly [place: number, hits: number])[]
    }
  | {
      readonly kind: 'done'
      /** The test that failed, and whether the mutant was reached too often in it. */
      readonly killer: number | undefined
      readonly endless: boolean
      readonly error: string | undefined
      /** Something is left over that may go on while other mutants are tried. */
      readonly leftover: boolean
    }

/** Called last by the bundle, when all tests are loaded. */
export async function main(): Promise<void> {
  // What fails is enough to know here.
  fc.configureGlobal({ endOnFailure: true })
  let uncaught: unknown
  process.on('uncaughtException', (error) => {
    uncaught = error
  })
  process.on('unhandledRejection', (error) => {
    uncaught = error
  })
  const reached = takeCounts().map(([place]) => place)
  say({ kind: 'ready', tests: tests.map(({ file, name }) => `${file} > ${name}`), reached })
  const lines = createInterface({ input: process.stdin })
  const idle = process.getActiveResourcesInfo().length

  /** What the test failed with. */
  const run = async (test: number): Promise<{ error: unknown } | undefined> => {
    uncaught = undefined
    say({ kind: 'begin', test })
    try {
      await runTest(tests[test]!)
    } catch (error) {
      return { error }
    }
    // What is thrown later, by then.
    await new Promise(setImmediate)
    return uncaught === undefined ? undefined : { error: uncaught }
  }

  for await (const line of lines) {
    const command = JSON.parse(line) as Command
    if (command.mutant === -1) await runClean(command, run)
    else await runMutant(command, run, idle)
  }
  process.exit()
}

type Run = (test: number) => Promise<{ error: unknown } | undefined>

async function runClean(command: Command, run: Run): Promise<void> {
  for (const test of command.tests) {
    takeCounts()
    const start = performance.now()
    const failure = await run(test)
    const ms = performance.now() - start
    const error = failure === undefined ? undefined : textOf(failure.error)
    say({ kind: 'end', test, ms, error, reached: takeCounts() })
  }
  say({ kind: 'done', killer: undefined, endless: false, error: undefined, leftover: false })
}

async function runMutant({ mutant, tests, limits }: Command, run: Run, idle: number): Promise<void> {
  let killer: number | undefined
  let endless = false
  let error: string | undefined
  for (const [i, test] of tests.entries()) {
    theSwitch.activate(mutant, limits[i]!)
    const failure = await run(test)
    endless = theSwitch.wasEndless
    if (failure === undefined && !endless) continue
    killer = test
    error = textOf(failure?.error)
    break
  }
  theSwitch.activate(-1, Number.POSITIVE_INFINITY)
  await new Promise(setImmediate)
  const leftover = process.getActiveResourcesInfo().length > idle
  say({ kind: 'done', killer, endless, error, leftover })
}

function textOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!.slice(0, 200)
}

function say(word: Word): void {
  writeSync(3, `${JSON.stringify(word)}\n`)
}
