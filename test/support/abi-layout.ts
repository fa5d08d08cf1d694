// All of assembly/abi.ts, sorted by what each constant is: where a field of a record lies, how a word of bits is made up, a
// value that names something, a size, or what the layout itself is known by. test/unit/abi.test.ts holds that nothing is
// missing and everything fits; test/tidy.test.ts takes from here which constants nobody but the core may use.

import { XXH3_SECRET } from '../../src/core/xxh3-secret.ts'
import { ABI, type Drawing, NAMES, type Name } from './abi-drawing.ts'
import { RECORDS } from './abi-records.ts'
import { WORDS } from './abi-words.ts'

/** Values of which each names something else. */
export interface Values {
  readonly name: string
  readonly of: readonly Name[]
  /** None is as large as this. */
  readonly below: number
  readonly core: boolean
}

const starting = (prefix: string): Name[] => NAMES.filter((name) => name.startsWith(prefix))

export const VALUES: readonly Values[] = [
  {
    name: 'phases of a ticket',
    of: ['TICKET_OWN', 'TICKET_OFFERED', 'TICKET_TAKEN', 'TICKET_WRITING', 'TICKET_DONE'],
    below: 2 ** ABI.TICKET_SHIFT,
    core: true,
  },
  {
    name: 'states of helpers',
    of: ['HELPERS_ASLEEP', 'HELPERS_AWAKE', 'HELPERS_CLOSING'],
    below: 3,
    core: true,
  },
  {
    name: 'slab caches',
    of: ['CACHE_TABLE', 'CACHE_RMAP', 'CACHE_NODE'],
    below: ABI.CACHE_COUNT,
    core: true,
  },
  {
    name: 'tags of a mapping',
    of: ['MAPPING_ANON', 'MAPPING_KSM'],
    below: ABI.MAPPING_TAG + 1,
    core: false,
  },
  {
    name: 'states of an rmap item',
    of: ['RMAP_VOLATILE', 'RMAP_UNSTABLE', 'RMAP_STABLE'],
    below: ABI.RMAP_STATE_MASK + 1,
    core: false,
  },
  { name: 'kinds of a node', of: starting('KIND_'), below: ABI.NODE_KIND_MASK + 1, core: false },
  // Found by their names, so that one more needs no line here.
  { name: 'orders of the trees', of: starting('INDEX_'), below: 2 ** 32, core: false },
  { name: 'checksums', of: starting('CHECKSUM_'), below: 2 ** 32, core: false },
  {
    name: 'counters',
    of: starting('COUNTER_').filter((name) => name !== 'COUNTER_COUNT'),
    below: ABI.COUNTER_COUNT,
    core: false,
  },
]

/** What each has to be, and whether it is the core's business alone. The sizes of records are in their drawings. */
export const SIZES: Readonly<Partial<Record<Name, { readonly is: number; readonly core: boolean }>>> = {
  PAGE_SIZE: { is: 2 ** ABI.PAGE_SHIFT, core: false },
  WORDS_PER_PAGE: { is: ABI.PAGE_SIZE / 4, core: false },
  WINDOW_LENGTH: { is: 512, core: false },
  TABLE_ENTRIES: { is: 2 ** ABI.TABLE_SHIFT, core: false },
  TABLE_BYTES: { is: ABI.TABLE_ENTRIES * 4, core: true },
  CACHE_COUNT: { is: 3, core: true },
  COUNTER_COUNT: { is: 64, core: true },
  SECRET_BYTES: { is: XXH3_SECRET.length, core: true },
  TREE_FLAGS: { is: ABI.TREE_BLACK | ABI.TREE_TOP, core: true },
  // A page's number rather than a size: the second of the arena, as its beginning is drawn.
  ZERO_PFN: { is: 1, core: false },
}

/** What a binary and an arena are known by. */
export const IDENTITY: readonly Name[] = ['ABI_MAGIC', 'ABI_VERSION']

/** The constants that a drawing places. */
export function placed({ faces }: Drawing): Name[] {
  const parts = Object.values(faces).flat()
  return [...new Set(parts.flatMap((part) => part.pins(0).map(([name]) => name)))]
}

/** The constants that say how long records are. */
export const RECORD_SIZES = [
  ...new Set(RECORDS.flatMap(({ size }) => (typeof size === 'string' ? [size] : []))),
].filter((name) => !(name in SIZES))

/** What each constant is. One that is missing here is not in the layout, whoever uses it. */
export const KINDS: Readonly<Record<string, readonly Name[]>> = {
  fields: [...new Set(RECORDS.flatMap(placed))],
  bits: [...new Set(WORDS.flatMap(placed))],
  values: VALUES.flatMap(({ of }) => of),
  sizes: [...(Object.keys(SIZES) as Name[]), ...RECORD_SIZES],
  identity: IDENTITY,
}

/** The constants that only the core and its door may use. What is neither theirs nor in this layout is theirs too. */
export const CORE_ONLY: readonly Name[] = (() => {
  const everybodys = new Set([
    ...WORDS.flatMap((drawing) => (drawing.core ? [] : placed(drawing))),
    ...VALUES.flatMap(({ of, core }) => (core ? [] : of)),
    ...(Object.keys(SIZES) as Name[]).filter((name) => !SIZES[name]!.core),
  ])
  for (const drawing of [...RECORDS, ...WORDS.filter(({ core }) => core)])
    for (const name of placed(drawing)) everybodys.delete(name)
  return NAMES.filter((name) => !everybodys.has(name))
})()

export { RECORDS, WORDS }
