// The programs in examples/, one a door, run as a user runs them: on the built package, by its name. What each prints stands
// in the comment at its end, and README and docs/ show them as they are.

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
// @ts-expect-error: no types, and none needed
import { doors } from '../../scripts/doors.mjs'
import { elfCore, pages, scratch } from '../support/files.ts'

const ROOT = resolve(import.meta.dirname, '../..')
/** Of the doors; strategies of one's own are in a folder beside (own-strategies.test.ts). */
const EXAMPLES = readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.mjs'))
/** The doors, by the name of the example of each. */
const DOORS = new Map<string, string>(
  doors().map(({ name }: { name: string }) => [`${name.split('/').at(-1)}.mjs`, name]),
)
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8')

/** Runs an example in a folder of its own; returns what it prints. */
function run(name: string, folder: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'examples', name), ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
  })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return stdout
}

/** The comment at the end of an example. */
function promised(name: string): string {
  const [, comment] = /\n\n((?:\/\/.*\n)+)$/.exec(read(`examples/${name}`)) ?? []
  return comment!.replace(/^\/\/ ?/gm, '')
}

describe('examples', () => {
  it('are there for every door, and for nothing else', () => {
    expect([...EXAMPLES].sort()).toEqual([...DOORS.keys()].sort())
  })

  it.each(EXAMPLES)('%s uses its door, is small, and prints what it says', (name) => {
    const text = read(`examples/${name}`)
    expect(text).toContain(`from '${DOORS.get(name)}'`)
    expect(text).toMatch(new RegExp(`^// examples/${name}: `))
    expect(text.split('\n').length).toBeLessThan(40)
    expect(run(name, scratch())).toBe(promised(name))
  })

  it('images.mjs opens files of several formats', () => {
    const folder = scratch()
    const bytes = pages(10)
    writeFileSync(join(folder, 'a.raw'), bytes)
    writeFileSync(join(folder, 'b.core'), elfCore([{ physical: 0x1000, bytes }]))
    expect(run('images.mjs', folder, 'a.raw', 'b.core')).toBe(
      'a.raw: raw, 10 pages\n' +
        'b.core: elf, 10 pages\n' +
        '11 of 21 frames are free:\n' +
        '10 pages share the frame of another, 0 the page of zeros\n',
    )
  })

  it('report.mjs writes a page that opens by itself', () => {
    const folder = scratch()
    run('report.mjs', folder, 'out.html')
    const html = readFileSync(join(folder, 'out.html'), 'utf8')
    expect(html).toMatch(/^<!doctype html>\n<!-- pagefold report -->/)
    expect(html).toContain('Three small guests')
  })

  it('are what the texts show: each block that begins with the name of one is that file, and each is shown once', () => {
    const texts = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((name) => `docs/${name}`)].filter(
      (name) => name.endsWith('.md'),
    )
    const shown = texts.flatMap((from) =>
      [...read(from).matchAll(/^```(?:js|ts)\n(\/\/ (examples\/[\w./-]+\.\w+).*?)^```$/gms)].map(
        ([, text, name]) => ({ from, text, name: name! }),
      ),
    )
    for (const { from, text, name } of shown) expect(text, `${from} shows another ${name}`).toBe(read(name))
    const own = readdirSync(join(ROOT, 'examples/own')).map((name) => `own/${name}`)
    const all = [...EXAMPLES, ...own].map((name) => `examples/${name}`)
    expect(shown.map(({ name }) => name).sort()).toEqual(all.sort())
  })
})
