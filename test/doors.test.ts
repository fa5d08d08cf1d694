// What is behind a door is told where it is written down: every exported name, and every public member of an exported class,
// has a comment for readers, which the API reference is made from; and no type goes by a value that stays inside. Read as
// text, as the house formats it: a declaration stands at the beginning of a line, a member two spaces in, and a comment for
// readers ends on the line above.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
// @ts-expect-error: no types, and none needed
import { doors } from '../scripts/doors.mjs'

const ROOT = resolve(import.meta.dirname, '..')
const DOORS: { name: string; source: string }[] = doors()
const read = (name: string): string => readFileSync(join(ROOT, name), 'utf8')

/** Where a name that a file exports is declared: it may come from another. */
function declarationOf(file: string, name: string): { file: string; name: string; at: number } {
  const text = read(file)
  const own = new RegExp(
    `^export (?:async |abstract )*(?:function\\*?|class|interface|type|const) ${name}\\b`,
    'm',
  ).exec(text)
  if (own !== null) return { file, name, at: own.index }
  for (const { from, names } of reexports(text)) {
    const origin = names.get(name)
    if (origin !== undefined) return declarationOf(join(dirname(file), from), origin)
  }
  throw new Error(`${file} exports ${name}, but says nowhere what it is`)
}

/** What a file passes on: the files, and by what name here which name there. */
function reexports(text: string): { from: string; names: Map<string, string> }[] {
  return [...text.matchAll(/^export (?:type )?\{([^}]*)\} from '(\.[^']+)'/gm)].map(([, list, from]) => {
    const entries = list!.split(',').map((entry) => entry.trim().replace(/^type /, ''))
    const pairs = entries.filter((entry) => entry !== '').map((entry) => entry.split(' as '))
    return { from: from!, names: new Map(pairs.map(([there, here = there]) => [here!, there!])) }
  })
}

/** All names that a door exports. */
function exportsOf(file: string): string[] {
  const text = read(file)
  const own = [...text.matchAll(/^export (?:async |abstract )*\w+ (\w+)\b/gm)].map(([, name]) => name!)
  const declared = own.filter((name) => !['from', 'type'].includes(name))
  return [...declared, ...reexports(text).flatMap(({ names }) => [...names.keys()])]
}

function hasComment(text: string, at: number): boolean {
  return text.slice(0, at).endsWith('*/\n')
}

/** Public members of the class declared at `at` that have no comment. */
function silentMembers(text: string, at: number): string[] {
  const body = text.slice(at, text.indexOf('\n}', at) + 1)
  const members = body.matchAll(/^ {2}(?!private|constructor|static \{)(?:[a-z]+ )*(\w+)(?=[(:<?! ])/gm)
  const silent = [...members].filter(({ index }) => !hasComment(text, at + index))
  return silent.map(([, name]) => name!).filter((name, i, all) => all[i - 1] !== name)
}

/** The values that the type declared at `at` is made from. */
function valuesNamed(text: string, at: number): string[] {
  const [declaration] = text.slice(at).split(/\n(?=\n|\/|export)/, 1)
  if (!declaration!.startsWith('export type')) return []
  return [...declaration!.matchAll(/\btypeof (?!globalThis)(\w+)/g)].map(([, value]) => value!)
}

describe.each(DOORS)('$name', ({ source }) => {
  const names = exportsOf(source)
  const told = names.map((name) => declarationOf(source, name).name)

  it('exports something', () => {
    expect(names.length).toBeGreaterThan(3)
    expect(new Set(names).size).toBe(names.length)
  })

  it.each(names)('says what %s is', (name) => {
    const { file, name: there, at } = declarationOf(source, name)
    const text = read(file)
    expect(hasComment(text, at), `${file}: a comment above ${there}`).toBe(true)
    if (text.slice(at).startsWith('export class')) {
      expect(silentMembers(text, at), `${file}: members of ${there} without a comment`).toEqual([])
    }
    for (const value of valuesNamed(text, at)) {
      expect(told, `${file}: ${there} goes by ${value}, which the door does not export`).toContain(value)
    }
  })
})

describe('doors', () => {
  it('are the index.ts of each room that has one', () => {
    const rooms = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    const indexes = rooms.filter((name) => /(^|\/)index\.ts$/.test(name.replaceAll('\\', '/')))
    expect(DOORS.map(({ source }) => source).sort()).toEqual(
      indexes.map((name) => `src/${name.replaceAll('\\', '/')}`).sort(),
    )
  })
})
