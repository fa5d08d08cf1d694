// pagefold store: snapshots in a directory, equal pages of which are kept once.

import { type Image, openSources } from '../../images/index.ts'
import { PAGE_SIZE } from '../../index.ts'
import { type SnapshotInfo, SnapshotStore, type StopSignal, type Verification } from '../../store/index.ts'
import { about } from '../about.ts'
import { bold, bytes, count, percent, plural, prose, table } from '../format.ts'
import { sayNotes } from '../images.ts'
import type { StoreJson } from '../json.ts'
import { type Given, given, json, optionLines, parse, reading, value } from '../options.ts'
import { complain, print, printable, printJson } from '../output.ts'
import { Progress } from '../progress.ts'
import { interruptible } from '../signals.ts'
import { paint } from '../terminal.ts'
import { UsageError } from '../usage.ts'

const OPTIONS = {
  name: value('NAME', 'save: what to call the snapshot, if it is one (default: its source)'),
  like: value('NAME', 'save: a snapshot that most pages equal at the same place'),
  domain: value('NAME', 'save, list, stats: whose; pages are shared only within a domain'),
  note: value('TEXT', 'save: what is to be remembered with it'),
  'in-order': value('NAME', 'compact: a snapshot that is to be read in one go, in its order'),
  ...reading,
  json: json(),
}

export const help = `usage: pagefold store save DIR SOURCE... [options]
       pagefold store list DIR [--domain NAME]
       pagefold store restore DIR NAME FILE
       pagefold store drop DIR NAME...
       pagefold store compact DIR [--in-order NAME]
       pagefold store stats|verify DIR

Keeps snapshots of memory in DIR, and pages that are equal only once. save takes
what the other commands take: files of every format, a preset of synthetic
guests, - for standard input; each image is a snapshot, there when the command
ends and not before. restore writes a raw file. drop forgets snapshots; space
comes back with segments that are empty then, the rest with compact, which
can also put the pages of one snapshot in its order: one that was saved after
many others is restored as fast as the first then. verify reads every page and
exits with 1 if a snapshot is not whole.

One process writes at a time; list, restore, stats and verify read beside it.

${optionLines(OPTIONS)}`

type Options = Given<typeof OPTIONS>['values']
type Result = Omit<StoreJson, keyof ReturnType<typeof about> | 'action' | 'directory'>

/** What an action is called with, does, and says. */
interface Action {
  /** Names behind the directory: at least, and at most. */
  readonly names: readonly [number, number]
  readonly wants: string
  readonly takes: readonly (keyof Options)[]
  readonly readonly: boolean
  /** What the names are, where they are sources: opened before the store is, so that what is refused leaves none behind. */
  opens?(names: readonly string[], values: Options): Image[]
  run(
    store: SnapshotStore,
    names: readonly string[],
    values: Options,
    work: Work,
    images: readonly Image[],
  ): Promise<Result>
  describe(result: Result, store: SnapshotStore): string
}

interface Work {
  readonly signal: StopSignal
  onProgress(done: number, of: number): void
}

const ANY = Number.POSITIVE_INFINITY

const ACTIONS: Readonly<Record<StoreJson['action'], Action>> = {
  save: {
    names: [1, ANY],
    wants: 'SOURCE...',
    takes: ['name', 'like', 'domain', 'note', 'format', 'absent'],
    readonly: false,
    opens: (sources, { format, absent }) => openSources(sources, given({ format, absent })),
    run: save,
    describe: ({ saved }) =>
      table([
        { title: 'snapshot', cells: saved!.map(({ name }) => printable(name)) },
        { title: 'pages', cells: saved!.map(({ pages }) => count(pages)) },
        { title: 'zeros', cells: saved!.map(({ zero_pages }) => count(zero_pages)), gives: 1 },
        { title: 'added', cells: saved!.map(({ added_pages }) => count(added_pages)) },
        { title: '', cells: saved!.map(({ added_bytes }) => bytes(added_bytes)) },
      ]),
  },
  list: {
    names: [0, 0],
    wants: '',
    takes: ['domain'],
    readonly: true,
    run: async (store, _, { domain }) => ({ snapshots: store.list(given({ domain })) }),
    describe: ({ snapshots }) => listed(snapshots!),
  },
  restore: {
    names: [2, 2],
    wants: 'NAME FILE',
    takes: [],
    readonly: true,
    async run(store, [name, file], _, work) {
      await store.export(name!, file!, work)
      return { restored: { name: name!, file: file!, bytes: store.get(name!)!.bytes } }
    },
    describe: ({ restored }) =>
      `${printable(restored!.name)}: ${bytes(restored!.bytes)} are in ${printable(restored!.file)}.`,
  },
  drop: {
    names: [1, ANY],
    wants: 'NAME...',
    takes: [],
    readonly: false,
    async run(store, names) {
      for (const name of new Set(names)) expectThere(store, name)
      for (const name of new Set(names)) await store.drop(name)
      return { dropped: [...new Set(names)], stats: store.stats() }
    },
    describe: ({ dropped, stats }) =>
      `${plural(dropped!.length, 'snapshot')} dropped; compact gives back ${bytes(stats!.bytes_free)}.`,
  },
  compact: {
    names: [0, 0],
    wants: '',
    takes: ['in-order'],
    readonly: false,
    async run(store, _names, { 'in-order': inOrder }, { onProgress }) {
      if (inOrder !== undefined) expectThere(store, inOrder)
      const before = store.stats().bytes_held
      await store.compact({ ...given({ inOrder }), onProgress })
      return { given_back: before - store.stats().bytes_held, stats: store.stats() }
    },
    describe: ({ given_back, stats }) =>
      `${bytes(given_back!)} given back; ${bytes(stats!.bytes_held)} are held.`,
  },
  stats: {
    names: [0, 0],
    wants: '',
    takes: ['domain'],
    readonly: true,
    run: async (store, _, { domain }) => ({ stats: store.stats(given({ domain })) }),
    describe: ({ stats }) => described(stats!),
  },
  verify: {
    names: [0, 0],
    wants: '',
    takes: [],
    readonly: true,
    run: async (store, _names, _values, work) => ({ verification: await store.verify(work) }),
    describe: ({ verification }) => verified(verification!),
  },
}

export async function run(args: string[]): Promise<number> {
  const [name = '', ...rest] = args
  const actions = Object.keys(ACTIONS).join(', ')
  if (!Object.hasOwn(ACTIONS, name)) {
    const what = name === '' ? 'no action given' : `no action ${JSON.stringify(name)}`
    throw new UsageError(`${what}; there are: ${actions}; see pagefold store --help`)
  }
  const action = ACTIONS[name as StoreJson['action']]
  const { values, positionals } = parse(OPTIONS, rest)
  const [dir, ...names] = positionals
  const [least, most] = action.names
  if (dir === undefined || names.length < least || names.length > most) {
    const wants = `DIR${action.wants === '' ? '' : ` ${action.wants}`}`
    throw new UsageError(`store ${name} takes ${wants}, got ${JSON.stringify(positionals.join(' '))}`)
  }
  const strange = Object.keys(values).find((one) => one !== 'json' && !action.takes.includes(one as never))
  if (strange !== undefined) throw new UsageError(`store ${name} takes no --${strange}`)
  const images = action.opens?.(names, values) ?? []
  try {
    sayNotes(images)
    if (action.opens !== undefined) await expectKeepable(images, values)
    const create = action.opens !== undefined && values.like === undefined
    const store = await SnapshotStore.open(dir, { readonly: action.readonly, create })
    try {
      for (const note of store.notes) complain(note)
      const progress = new Progress()
      const onProgress = (done: number, of: number): void => progress.show(name, done, of, 'pages')
      const result = await interruptible((signal) =>
        action.run(store, names, values, { signal, onProgress }, images),
      ).finally(() => progress.clear())
      if (values.json) printJson(about({ action: name, directory: dir, ...result }))
      else print(action.describe(result, store))
      return result.verification?.whole === false ? 1 : 0
    } finally {
      await store.close()
    }
  } finally {
    for (const image of images) image.close()
  }
}

async function save(
  store: SnapshotStore,
  _sources: readonly string[],
  { name, like, domain, note }: Options,
  { signal, onProgress }: Work,
  images: readonly Image[],
): Promise<Result> {
  const names = namesOf(images, name)
  for (const one of names) {
    if (store.get(one) !== undefined)
      throw new UsageError(
        `${printable(one)}: a snapshot of that name is in the store already: --name NAME gives another`,
      )
  }
  if (like !== undefined) expectThere(store, like)
  const all = images.reduce((sum, { pages }) => sum + pages, 0)
  const saved: NonNullable<StoreJson['saved']>[number][] = []
  let before = 0
  for (const [i, image] of images.entries()) {
    const told = (done: number): void => onProgress(before + done, all)
    const options = { ...given({ like, domain, note }), signal, onProgress: told }
    saved.push(await store.save(names[i]!, image, options))
    before += image.pages
  }
  return { saved }
}

/** What no store would take is refused before there is one: it is tried on one in memory. Throws UsageError. */
async function expectKeepable(images: readonly Image[], { name, domain, note }: Options): Promise<void> {
  const store = await SnapshotStore.open()
  try {
    for (const one of namesOf(images, name)) await store.save(one, Uint8Array.of(1), given({ domain, note }))
  } catch (error) {
    throw error instanceof RangeError ? new UsageError(error.message) : error
  } finally {
    await store.close()
  }
}

/** What each image is to be called. Throws UsageError for a name for several, and one that two would have. */
function namesOf(images: readonly Image[], name: string | undefined): string[] {
  if (name !== undefined && images.length > 1)
    throw new UsageError(`--name is for one snapshot, and the sources hold ${images.length}`)
  const names = images.map(({ source }) => name ?? source)
  const twice = names.find((one, i) => names.indexOf(one) < i)
  if (twice === undefined) return names
  throw new UsageError(`${printable(twice)}: named twice; save one at a time, with --name NAME`)
}

function expectThere(store: SnapshotStore, name: string): void {
  if (store.get(name) !== undefined) return
  const names = store.list().map((one) => printable(one.name))
  const some = names.length > 5 ? [...names.slice(0, 5), '...'] : names
  const there = names.length === 0 ? 'it is empty' : `there are: ${some.join(', ')}`
  throw new UsageError(`no snapshot ${JSON.stringify(name)} in the store; ${there}`)
}

function listed(snapshots: readonly SnapshotInfo[]): string {
  if (snapshots.length === 0) return 'No snapshots.'
  return table([
    { title: 'snapshot', cells: snapshots.map(({ name }) => printable(name)) },
    { title: 'saved', cells: snapshots.map(({ date }) => date.slice(0, 16).replace('T', ' ')), gives: 2 },
    { title: 'size', cells: snapshots.map((one) => bytes(one.bytes)) },
    { title: 'zeros', cells: snapshots.map((one) => percent(one.zero_pages, one.pages)), gives: 3 },
    { title: 'domain', cells: snapshots.map(({ domain }) => printable(domain)), gives: 4 },
    { title: 'note', cells: snapshots.map(({ note }) => printable(note.slice(0, 40))), gives: 1 },
  ])
}

function described(stats: NonNullable<StoreJson['stats']>): string {
  const { snapshots, pages, distinct_pages, zero_pages, bytes_held, bytes_free } = stats
  const all = pages * PAGE_SIZE
  return prose(
    [
      bold(
        `${plural(snapshots, 'snapshot')} of ${bytes(all)} in ${bytes(bytes_held)} (${percent(bytes_held, all)}):`,
      ),
      `  ${plural(distinct_pages, 'page')} are distinct, ${count(zero_pages)} of all are zeros;`,
      `  compact gives back ${bytes(bytes_free)}.`,
    ].join('\n'),
  )
}

function verified({ whole, pages, damaged, snapshots }: Verification): string {
  if (whole) return `${paint('good', 'Whole:')} ${plural(pages, 'page')} are as they were written.`
  const broken = snapshots.filter((one) => !one.whole)
  return [
    `${paint('bad', 'Damaged:')} ${plural(damaged.length, 'page')} of ${count(pages)}; ` +
      `${broken.length} of ${plural(snapshots.length, 'snapshot')} cannot be restored.`,
    ...damaged.slice(0, 10).map(({ segment, offset }) => `  segment ${segment}, byte ${offset}`),
    table([
      { title: 'snapshot', cells: snapshots.map(({ name }) => printable(name)) },
      { title: 'state', cells: snapshots.map((one) => (one.whole ? 'whole' : 'damaged')) },
      {
        title: 'damaged pages',
        cells: snapshots.map(({ damaged_pages }) => (damaged_pages === null ? 'lost' : count(damaged_pages))),
      },
    ]),
  ].join('\n')
}
