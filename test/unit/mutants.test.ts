// The mutation tester (test/mutants): which mutants there are, which are let off, and its stand-in for vitest.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { testFiles } from '../mutants/bundle.ts'
import { EQUIVALENT, equivalentOf } from '../mutants/equivalent.ts'
import { instrument } from '../mutants/instrument.ts'
import * as standIn from '../mutants/vitest.ts'

const read = (name: string) => ({
  name,
  content: readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'),
})

describe('mutants', () => {
  const SOURCE = `
export function f(a: number): string {
  if (a < 0) throw brokenInvariant('never')
  return a > 1
    ? 'many' : 'few'
}
`
  it('are made where they can mean something, each told by its line and text', async () => {
    const { mutants, code } = await instrument([{ name: 'f.ts', content: SOURCE }], '/switch.ts')
    const told = mutants.map(({ line, original, replacement }) => `${line}: ${original} -> ${replacement}`)
    expect(told.filter((each) => each.startsWith('4: '))).toEqual(
      ['true', 'false', 'a >= 1', 'a <= 1'].map((to) => `4: a > 1 -> ${to}`),
    )
    // No texts, and no checks of what cannot be.
    expect(told.filter((each) => /^[35]: /.test(each))).toEqual([])
    expect(new Set(mutants.filter(({ line }) => line === 4).map(({ place }) => place)).size).toBe(1)
    const text = code.get('f.ts')!
    for (const { id } of mutants) expect(text).toContain(`($S.active === ${id} && $S.hit())`)
    expect(text).not.toContain('stryMutAct')
  })

  it('are tried with tests that one program can hold: none that looks for files beside itself elsewhere', () => {
    const root = fileURLToPath(new URL('../..', import.meta.url))
    const files = testFiles(root)
    expect(files).toContain('test/unit/advice.test.ts')
    const elsewhere = /from '\.\.\/\.\.\/(?:examples|scripts)\//
    expect(files.filter((name) => elsewhere.test(read(name).content))).toEqual([])
  })

  it('that are let off are there', async () => {
    const named = EQUIVALENT.flatMap(({ file }) => (file === undefined ? [] : [file]))
    const sources = [...new Set([...named, 'src/ksm/merge.ts', 'src/ksm/unmerge.ts', 'src/ksm/scan.ts'])].map(
      read,
    )
    const { mutants } = await instrument(sources, '/switch.ts')
    const found = new Set(mutants.map(equivalentOf))
    expect(EQUIVALENT.filter((each) => !found.has(each))).toEqual([])
  })
})

describe('the stand-in for vitest', () => {
  it('runs a test with what its suites do before and after it, in any order, as often as wanted', async () => {
    const steps: string[] = []
    standIn.beginFile('some.test.ts')
    standIn.describe('outer', () => {
      standIn.beforeEach(() => steps.push('before outer'))
      standIn.afterEach(() => steps.push('after outer'))
      standIn.describe.each(['x', 'y'])('inner %s', (name: string) => {
        standIn.beforeEach(() => steps.push(`before ${name}`))
        standIn.it('passes', { timeout: 1 }, () => {
          standIn.onTestFinished(() => steps.push('finished'))
          steps.push(`test ${name}`)
        })
        standIn.it.skipIf(name === 'y')('fails', () => standIn.expect(name).to.equal('z'))
      })
    })
    expect(standIn.tests.map(({ file, name }) => `${file} > ${name}`)).toEqual([
      'some.test.ts > outer > inner x [0] > passes',
      'some.test.ts > outer > inner x [0] > fails',
      'some.test.ts > outer > inner y [1] > passes',
    ])
    await standIn.runTest(standIn.tests[2]!)
    expect(steps).toEqual(['before outer', 'before y', 'test y', 'finished', 'after outer'])
    await expect(standIn.runTest(standIn.tests[1]!)).rejects.toThrow('z')
    expect(steps.at(-1)).toBe('after outer')
  })
})
