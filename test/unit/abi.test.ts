// The layout fits and cannot drift: every constant of assembly/abi.ts is drawn a second time in test/support/abi-layout.ts,
// every record is filled without overlap, and no change of either goes by without another ABI_VERSION.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ABI, type Drawing, NAMES, type Name } from '../support/abi-drawing.ts'
import { KINDS, RECORDS, SIZES, VALUES, WORDS } from '../support/abi-layout.ts'

/**
 * The digest of all names and values of each layout there has been. A new one is a new line: a core that was built for another
 * layout is refused because of its version, and of nothing else.
 */
const DIGESTS: Readonly<Record<number, string>> = {
  3: '043a47e4e1c9029c',
  4: '083b10bc870838d1',
  5: '95ee1873b64b5b58',
  6: '3dbe52e03d827fad',
  7: 'bba3caf58dbb22f2',
  8: 'f42062ec6f015f49',
}

const ASSEMBLY = resolve(import.meta.dirname, '../../assembly')
const sizeOf = ({ size }: Drawing): number => (typeof size === 'number' ? size : ABI[size])

interface Place {
  what: string
  start: number
  end: number
}

/** Where everything of a face that is no gap lies. */
function places(parts: Drawing['faces'][string]): Place[] {
  let at = 0
  return parts.flatMap(({ what, width, gap }) => {
    const start = at
    at += width
    return gap ? [] : [{ what, start, end: at }]
  })
}

/** Things of different names that lie over each other in two faces, as `one / other`, in alphabetical order. */
function overlaps({ faces }: Drawing): string[] {
  const all = Object.values(faces).flatMap(places)
  const found = new Set<string>()
  for (const one of all) {
    for (const other of all) {
      if (one.what < other.what && one.start < other.end && other.start < one.end)
        found.add(`${one.what} / ${other.what}`)
    }
  }
  return [...found].sort()
}

describe('the layout', () => {
  it('knows what every constant is, and each is one thing', () => {
    const kindsOf = (name: Name): string[] => Object.keys(KINDS).filter((kind) => KINDS[kind]!.includes(name))
    for (const name of NAMES) {
      const hint = `${name} of assembly/abi.ts has to be drawn once in test/support/abi-layout.ts`
      expect(kindsOf(name), hint).toHaveLength(1)
    }
    expect(Object.values(KINDS).flat().sort()).toEqual([...NAMES].sort())
  })

  it('says a number for every constant, of 32 bits', () => {
    for (const name of NAMES) expect(ABI[name] >>> 0, name).toBe(ABI[name])
  })

  const faces = [...RECORDS, ...WORDS].flatMap((drawing) =>
    Object.entries(drawing.faces).map(([face, parts]) => ({ ...drawing, drawing, face, parts })),
  )

  it.each(faces)('$name, $face: filled to the end, nothing over anything else', ({ drawing, parts }) => {
    let at = 0
    for (const part of parts) {
      for (const [name, expected] of part.pins(at)) expect(ABI[name], name).toBe(expected)
      at += part.width
    }
    expect(at, `the size of ${drawing.name}`).toBe(sizeOf(drawing))
  })

  it.each([...RECORDS, ...WORDS])('$name: only what is said to shares a place', (drawing) => {
    const said = drawing.shared.map(([one, other]) => [one, other].sort().join(' / '))
    expect(overlaps(drawing)).toEqual(said.sort())
    for (const [, , why] of drawing.shared) expect(why).not.toBe('')
  })

  it.each(RECORDS)('$name: every field can be read in one go', ({ faces }) => {
    for (const { what, start, end } of Object.values(faces).flatMap(places)) {
      // Lengths of 24 bits are read as words, and whatever is longer than a word of 64 bits is many of those.
      const width = end - start === 3 ? 4 : Math.min(8, end - start)
      expect(start % width, what).toBe(0)
    }
  })

  it.each(VALUES)('$name: no two are the same, all fit', ({ of, below }) => {
    expect(of.length).toBeGreaterThan(0)
    expect(new Set(of.map((name) => ABI[name])).size).toBe(of.length)
    for (const name of of) expect(ABI[name], name).toBeLessThan(below)
  })

  it('has the sizes that follow from one another', () => {
    for (const [name, size] of Object.entries(SIZES)) expect(ABI[name as Name], name).toBe(size.is)
    expect(ABI.CACHE_COUNT).toBe(VALUES.find(({ name }) => name === 'slab caches')!.of.length)
  })

  it('has the sizes that the core reckons with', () => {
    // A position is masked to its place in the ring.
    expect(ABI.WINDOW_LENGTH & (ABI.WINDOW_LENGTH - 1)).toBe(0)
    // Addresses of objects have five bits to spare (the mapping's generation, links), and slabs cut pages without rest.
    for (const bytes of [ABI.RMAP_BYTES, ABI.NODE_BYTES, ABI.TABLE_BYTES]) {
      expect(bytes % 32).toBe(0)
      expect(ABI.PAGE_SIZE % bytes).toBe(0)
    }
    expect(Math.max(ABI.TREE_LEFT, ABI.TREE_RIGHT)).toBeLessThan(32)
    // Each of the four levels of a page table takes as many bits of the virtual page number.
    expect(4 * ABI.TABLE_SHIFT).toBe(32)
  })

  it('has a new ABI_VERSION whenever it changes', () => {
    const listed = NAMES.filter((name) => name !== 'ABI_VERSION')
      .sort()
      .map((name) => `${name}=${ABI[name]}`)
    const digest = createHash('sha256').update(listed.join('\n')).digest('hex').slice(0, 16)
    const known = DIGESTS[ABI.ABI_VERSION]
    const next = Math.max(...Object.keys(DIGESTS).map(Number)) + 1
    const hint =
      known === undefined
        ? `write the digest of ABI_VERSION ${ABI.ABI_VERSION} down in DIGESTS of test/unit/abi.test.ts`
        : `the layout has changed: raise ABI_VERSION to ${next} and write its digest down in DIGESTS`
    expect(digest, hint).toBe(known)
  })
})

describe('the structs of the core', () => {
  const code = (name: string): string => readFileSync(resolve(ASSEMBLY, name), 'utf8')
  const pins = code('struct.ts')
  const structs = [...pins.matchAll(/^export class (\w+)[^{]*\{([^}]*)\}/gm)].map(([, name, body]) => ({
    name: name!,
    fields: [...body!.matchAll(/^ {2}(\w+):/gm)].map(([, one]) => one!),
  }))
  const users = readdirSync(ASSEMBLY)
    .filter((name) => name.endsWith('.ts') && name !== 'struct.ts')
    .map(code)

  it('are found', () => {
    expect(structs.length).toBeGreaterThan(0)
  })

  it.each(structs)('$name is one that the core uses', ({ name }) => {
    expect(users.some((text) => text.includes(`changetype<${name}>`))).toBe(true)
  })

  it.each(structs)('$name has every field pinned to abi.ts, and its end', ({ name, fields }) => {
    expect(fields.filter((one) => !pins.includes(`offsetof<${name}>('${one}') != `))).toEqual([])
    expect(pins.includes(`offsetof<${name}>() `), 'its end').toBe(true)
  })
})
