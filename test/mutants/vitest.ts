// Stands in for vitest where thousands of mutants are tried: the same tests, collected once and run one at a time, in any
// order, in a process that has loaded everything. Knows as much of vitest as the tests here use.

import { format } from 'node:util'
import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
} from '@vitest/expect'
import * as spies from '@vitest/spy'

type Body = (...args: never[]) => unknown
type Hook = () => unknown

interface Suite {
  readonly name: string
  readonly parent: Suite | undefined
  readonly before: Hook[]
  readonly after: Hook[]
}

export interface Test {
  readonly file: string
  readonly name: string
  readonly suite: Suite
  readonly body: () => unknown
}

/** Tests and suites that ask a kernel, or that take far longer than the rest and say what others of their kind say. */
const WITHOUT =
  /^the running kernel|at its original size|^fuzz|helpers change nothing but the time|^ksm06|^seed-(50(0[4-9]|[123])|600[3-8])/

export const tests: Test[] = []
let suite: Suite = { name: '', parent: undefined, before: [], after: [] }
let file = ''
let whenFinished: Hook[] = []

/** Each test file begins with a call of it. */
export function beginFile(name: string): void {
  file = name
  suite = { name: '', parent: undefined, before: [], after: [] }
}

function addSuite(name: string, body: Hook): void {
  if (WITHOUT.test(name)) return
  const outer = suite
  suite = { name, parent: outer, before: [], after: [] }
  body()
  suite = outer
}

function addTest(name: string, body: () => unknown): void {
  if (WITHOUT.test(name)) return
  tests.push({ file, name: `${nameOf(suite)}${name}`, suite, body })
}

function nameOf({ name, parent }: Suite): string {
  return parent === undefined ? '' : `${nameOf(parent)}${name} > `
}

/** What a test throws that says of itself that it cannot be run here. */
class Skipped extends Error {}

const context = {
  skip(condition: boolean, why?: string): void {
    if (condition) throw new Skipped(why)
  },
}

/** `it` and `describe` are called alike: a name, perhaps options, what to do, perhaps a timeout. */
function door(add: (name: string, body: () => unknown) => void) {
  const call = (name: string, ...rest: unknown[]): void => {
    const body = rest.find((each) => typeof each === 'function') as (given: typeof context) => unknown
    add(name, () => body(context))
  }
  const rows =
    (spread: boolean) =>
    (table: readonly unknown[]) =>
    (name: string, ...rest: unknown[]): void => {
      const body = rest.find((each) => typeof each === 'function') as Body
      table.forEach((row, i) => {
        const args = (spread && Array.isArray(row) ? row : [row]) as never[]
        add(
          `${format(name, ...args)
            .split('\n')[0]!
            .slice(0, 200)} [${i}]`,
          () => body(...args),
        )
      })
    }
  const nothing = Object.assign(() => {}, { each: () => () => {}, for: () => () => {} })
  const given = Object.assign(call, { each: rows(true), for: rows(false) })
  return Object.assign(given, {
    skip: nothing,
    skipIf: (condition: unknown) => (condition ? nothing : given),
    runIf: (condition: unknown) => (condition ? given : nothing),
  })
}

export const describe = door(addSuite)
export const it = door(addTest)
export const test = it

// A test is run alone: what is done before all is done before it.
export const beforeAll = (hook: Hook): void => void suite.before.push(hook)
export const beforeEach = beforeAll
export const afterEach = (hook: Hook): void => void suite.after.push(hook)
// What is done after all is for the end: other tests of the file may be run again.
export const afterAll = (hook: Hook): void => void process.on('exit', hook)
export const onTestFinished = (hook: Hook): void => void whenFinished.push(hook)

const stubbed = new Map<string, unknown>()
export const vi = {
  fn: spies.fn,
  spyOn: spies.spyOn,
  restoreAllMocks: spies.restoreAllMocks,
  stubGlobal(name: string, value: unknown): void {
    if (!stubbed.has(name)) stubbed.set(name, Reflect.get(globalThis, name))
    Reflect.set(globalThis, name, value)
  },
  unstubAllGlobals(): void {
    for (const [name, value] of stubbed) Reflect.set(globalThis, name, value)
    stubbed.clear()
  },
}

chai.use(JestExtend)
chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)
export const expect = Object.assign(
  (value: unknown, message?: string) => chai.expect(value, message),
  chai.expect,
  Reflect.get(globalThis, ASYMMETRIC_MATCHERS_OBJECT) as object,
)
Reflect.set(globalThis, GLOBAL_EXPECT, expect)

/** Runs one test with what is to be done before and after it. Throws what the test throws. */
export async function runTest({ suite, body }: Test): Promise<void> {
  whenFinished = []
  try {
    for (const { before } of outermostFirst(suite)) for (const hook of before) await hook()
    await body()
  } catch (error) {
    if (!(error instanceof Skipped)) throw error
  } finally {
    const after = [
      ...whenFinished.reverse(),
      ...outermostFirst(suite)
        .reverse()
        .flatMap((each) => each.after),
    ]
    for (const hook of after) await hook()
    spies.restoreAllMocks()
    vi.unstubAllGlobals()
  }
}

function outermostFirst(suite: Suite): Suite[] {
  return suite.parent === undefined ? [suite] : [...outermostFirst(suite.parent), suite]
}
