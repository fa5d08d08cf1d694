// Changes the code in thousands of small ways, one at a time, and sees whether a test notices. What no test notices is
// printed: a test is missing, or the code is not needed, or it is all the same (equivalent.ts says why).
//
//   npm run test:mutants -- [--mutate src/ksm/scan.ts]... [--sample 600 --seed 1] [--json FILE] [--tests cow]... [--jobs 1]
//
// All mutants are in one program, together with the tests, in a process that stays. Each test is run once without any and
// tells which mutants it reaches, and how often: that is its cost, the same on every machine. Each mutant is then tried with
// the tests that reach it: first those that found its neighbours, then the cheap ones and those that reach it often; together
// they may cost BUDGET.

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { random } from '../support/random.ts'
import { bundle, testFiles } from './bundle.ts'
import { Child, type Verdict } from './child.ts'
import { equivalentOf } from './equivalent.ts'
import { instrument, type Mutant } from './instrument.ts'

const FOLDERS = ['src/mm', 'src/ksm']
/** The least score, percent. */
const LEAST = 90
/** What all tests of a mutant may cost together, in millions, and what one costs beside the mutants that it reaches. */
const BUDGET = 200
const ONE_TEST = 20_000
/** How much more often a mutant may be reached than the code it replaces. */
const ENDLESS = { times: 100, more: 10_000 }
/** How many tests that killed in a file are tried first with its next mutant. */
const KILLERS = 8

interface Task {
  readonly mutate: readonly string[]
  readonly tests: readonly string[]
  readonly sample: number | undefined
  readonly seed: number
  readonly json: string | undefined
  readonly jobs: number
  readonly budget: number
  readonly again: string | undefined
}

/** The tests, by their numbers. */
interface Suite {
  readonly names: readonly string[]
  readonly ms: readonly number[]
  readonly cost: readonly number[]
  /** The tests that reach a place, and how often; the most promising first. */
  readonly reaching: ReadonlyMap<number, readonly (readonly [test: number, hits: number])[]>
  /** Places that are reached when modules are loaded. */
  readonly atLoad: ReadonlySet<number>
}

interface Result extends Mutant {
  readonly how: Verdict['how'] | 'not reached' | 'equivalent'
  readonly by?: string | undefined
  readonly error?: string | undefined
  readonly reason?: string | undefined
  readonly ms?: number
}

/** `root`: the repository; `folder`: where the program can find its packages. Resolves to the exit code. */
export async function main(args: readonly string[], root: string, folder: string): Promise<number> {
  const task = parseTask(args)
  const place = mkdtempSync(join(folder, 'mutants-'))
  try {
    // All of them, whichever are tried: a test's cost is to be the same.
    const sources = FOLDERS.flatMap((name) => sourcesIn(root, name)).map((name) => ({
      name,
      content: readFileSync(join(root, name), 'utf8'),
    }))
    const { mutants: every, code } = await instrument(sources, join(root, 'test/mutants/switch.ts'))
    const open = task.again === undefined ? () => true : openIn(task.again)
    const mutants = every.filter(
      (each) => task.mutate.some((name) => `${each.file}/`.startsWith(`${name}/`)) && open(each),
    )
    const files = testFiles(root).filter(
      (name) => task.tests.length === 0 || task.tests.some((part) => name.includes(part)),
    )
    const program = join(place, 'program.js')
    await bundle(root, files, code, program)
    const chosen = task.sample === undefined ? mutants : sampleOf(mutants, task.sample, task.seed)
    console.log(`${mutants.length} mutants in ${task.mutate.join(', ')}; tried: ${chosen.length}`)
    const suite = await runClean(program, root)
    const started = performance.now()
    const results = await tryMutants(chosen, suite, program, root, task)
    if (task.json !== undefined) writeFileSync(task.json, `${JSON.stringify(results, null, 1)}\n`)
    console.log(`${Math.round((performance.now() - started) / 1000)} s`)
    return report(results) >= LEAST ? 0 : 1
  } finally {
    rmSync(place, { recursive: true })
  }
}

async function runClean(program: string, root: string): Promise<Suite> {
  const child = new Child(program, root)
  try {
    const ready = await child.ready()
    if (ready === undefined) throw new Error(`the tests cannot be loaded: ${child.lastWords}`)
    const { tests: names } = ready
    const ms: number[] = []
    const cost: number[] = []
    const reaching = new Map<number, [test: number, hits: number][]>()
    await child.clean([...names.keys()], (end) => {
      ms[end.test] = end.ms
      cost[end.test] = end.reached.reduce((sum, [, hits]) => sum + hits, ONE_TEST)
      if (end.error !== undefined) {
        console.log(`left out, it fails without a mutant: ${names[end.test]}: ${end.error}`)
        return
      }
      for (const [place, hits] of end.reached) {
        if (!reaching.has(place)) reaching.set(place, [])
        reaching.get(place)!.push([end.test, hits])
      }
    })
    // A cheap test is likely to be about the place, and one that comes there often to find what is rare.
    const price = ([test, hits]: readonly [number, number]): number => cost[test]! / Math.sqrt(hits)
    for (const tests of reaching.values()) tests.sort((a, b) => price(a) - price(b) || a[0] - b[0])
    const seconds = Math.round(ms.reduce((sum, each) => sum + each, 0) / 1000)
    const total = cost.reduce((sum, each) => sum + each, 0)
    console.log(
      `${names.length} tests, ${seconds} s without a mutant, ${Math.round(total / 1e6)} million places reached`,
    )
    return { names, ms, cost, reaching, atLoad: new Set(ready.reached) }
  } finally {
    child.end()
  }
}

async function tryMutants(
  mutants: readonly Mutant[],
  suite: Suite,
  program: string,
  root: string,
  { jobs, budget }: Task,
): Promise<Result[]> {
  const results: Result[] = []
  const killers = new Map<string, number[]>()
  const queue = mutants.entries()
  const work = async (): Promise<void> => {
    let child: Child | undefined
    for (const [i, mutant] of queue) {
      const reason = equivalentOf(mutant)?.reason
      const recent = killers.get(mutant.file) ?? []
      const tests = testsFor(mutant, suite, recent, budget)
      if (reason !== undefined) {
        results[i] = { ...mutant, how: 'equivalent', reason }
      } else if (tests.length === 0) {
        results[i] = { ...mutant, how: 'not reached' }
      } else {
        const atLoad = suite.atLoad.has(mutant.place)
        if (atLoad) child?.end()
        if (atLoad || child === undefined) child = new Child(program, root, atLoad ? mutant.id : undefined)
        const start = performance.now()
        const { verdict, usable } = await tryMutant(child, mutant, tests, suite)
        if (!usable || atLoad) {
          child.end()
          child = undefined
        }
        const { how, killer, error } = verdict
        results[i] = {
          ...mutant,
          how,
          by: killer === undefined ? undefined : suite.names[killer],
          error,
          ms: performance.now() - start,
        }
        if (killer !== undefined) {
          killers.set(mutant.file, [killer, ...recent.filter((other) => other !== killer)].slice(0, KILLERS))
        }
      }
      const { how } = results[i]!
      if (how === 'survived' || how === 'not reached') console.log(lineOf(results[i]!))
      if ((i + 1) % 100 === 0) console.log(`${i + 1} of ${mutants.length}`)
    }
    child?.end()
  }
  await Promise.all(Array.from({ length: jobs }, work))
  return results
}

const asked = new WeakSet<Child>()

async function tryMutant(
  child: Child,
  mutant: Mutant,
  tests: readonly (readonly [test: number, hits: number])[],
  suite: Suite,
): Promise<{ verdict: Verdict; usable: boolean }> {
  if (!asked.has(child)) {
    asked.add(child)
    const ready = await child.ready()
    if (ready === undefined || ready.tests.length !== suite.names.length) {
      return { verdict: { how: 'killed', error: 'loading fails' }, usable: false }
    }
  }
  const command = {
    mutant: mutant.id,
    tests: tests.map(([test]) => test),
    limits: tests.map(([, hits]) => hits * ENDLESS.times + ENDLESS.more),
  }
  return child.run(command, suite.ms)
}

/** Those that are affordable; first the ones that killed lately. */
function testsFor(
  { place }: Mutant,
  { reaching, atLoad, cost, names }: Suite,
  recent: readonly number[],
  budget: number,
): (readonly [test: number, hits: number])[] {
  const everyTest = (): (readonly [number, number])[] =>
    [...names.keys()].sort((a, b) => cost[a]! - cost[b]! || a - b).map((test) => [test, 1_000_000] as const)
  const all = atLoad.has(place) ? everyTest() : (reaching.get(place) ?? [])
  let spent = 0
  const affordable = all.filter(([test], i) => {
    spent += cost[test]!
    return i === 0 || spent <= budget
  })
  const rank = ([test]: readonly [number, number]): number => {
    const at = recent.indexOf(test)
    return at < 0 ? recent.length : at
  }
  return affordable
    .map((each, i) => ({ each, i }))
    .sort((a, b) => rank(a.each) - rank(b.each) || a.i - b.i)
    .map(({ each }) => each)
}

function report(results: readonly Result[]): number {
  const rows = [...new Set(results.map(({ file }) => file))].sort()
  console.log(
    '\nfile                              mutants  killed  timed out  survived  not reached  equivalent   score',
  )
  for (const file of rows)
    console.log(
      rowOf(
        file,
        results.filter((result) => result.file === file),
      ),
    )
  console.log(rowOf('all', results))
  for (const how of ['survived', 'not reached', 'equivalent'] as const) {
    const some = results.filter((result) => result.how === how)
    if (some.length > 0) console.log(`\n${how}:`)
    for (const result of some) console.log(lineOf(result))
  }
  return scoreOf(results)
}

function lineOf({ file, line, original, replacement, how, reason }: Result): string {
  return `${file}:${line}  ${brief(original)}  ->  ${brief(replacement)}  (${reason ?? how})`
}

function rowOf(name: string, results: readonly Result[]): string {
  const count = (how: Result['how']): number => results.filter((result) => result.how === how).length
  const figures = [
    String(results.length).padStart(8),
    String(count('killed')).padStart(8),
    String(count('timed out')).padStart(11),
    String(count('survived')).padStart(10),
    String(count('not reached')).padStart(13),
    String(count('equivalent')).padStart(12),
    `${scoreOf(results).toFixed(1)} %`.padStart(9),
  ]
  return name.padEnd(33) + figures.join('')
}

/** Percent of those that are not equivalent. */
function scoreOf(results: readonly Result[]): number {
  const counted = results.filter(({ how }) => how !== 'equivalent')
  const found = counted.filter(({ how }) => how === 'killed' || how === 'timed out')
  return counted.length === 0 ? 100 : (100 * found.length) / counted.length
}

function brief(code: string): string {
  return code.length <= 90 ? code : `${code.slice(0, 60)} ... ${code.slice(-25)}`
}

/** Was a mutant left alive in the results in `file`? */
function openIn(file: string): (mutant: Mutant) => boolean {
  const nameOf = ({ file, where, original, replacement }: Mutant): string =>
    JSON.stringify([file, where, original, replacement])
  const results = JSON.parse(readFileSync(file, 'utf8')) as Result[]
  const alive = new Set(results.filter(({ how }) => how === 'survived' || how === 'not reached').map(nameOf))
  return (mutant) => alive.has(nameOf(mutant))
}

function sampleOf(mutants: readonly Mutant[], count: number, seed: number): Mutant[] {
  const { below } = random(seed)
  const drawn = [...mutants]
  for (let i = 0; i < Math.min(count, drawn.length); i++) {
    const other = i + below(drawn.length - i)
    ;[drawn[i], drawn[other]] = [drawn[other]!, drawn[i]!]
  }
  return drawn.slice(0, count).sort((a, b) => a.id - b.id)
}

/** `name`: a file or a folder. */
function sourcesIn(root: string, name: string): string[] {
  if (!statSync(join(root, name)).isDirectory()) return [name]
  return readdirSync(join(root, name))
    .sort()
    .flatMap((each) => sourcesIn(root, `${name}/${each}`))
    .filter((each) => each.endsWith('.ts') && !each.endsWith('.d.ts'))
}

function parseTask(args: readonly string[]): Task {
  const { values } = parseArgs({
    args: [...args],
    options: {
      mutate: { type: 'string', multiple: true, default: FOLDERS },
      tests: { type: 'string', multiple: true, default: [] },
      sample: { type: 'string' },
      seed: { type: 'string', default: '1' },
      json: { type: 'string' },
      jobs: { type: 'string', default: '1' },
      budget: { type: 'string', default: String(BUDGET) },
      again: { type: 'string' },
    },
  })
  const { mutate, tests, sample, json, again } = values
  const [seed, jobs, budget] = [values.seed, values.jobs, values.budget].map(Number)
  return {
    mutate,
    tests,
    sample: sample === undefined ? undefined : Number(sample),
    seed: seed!,
    json,
    jobs: jobs!,
    budget: budget! * 1e6,
    again,
  }
}
