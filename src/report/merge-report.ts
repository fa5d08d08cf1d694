// The report of a merge: which pictures show what came of it.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { Image } from '../image.ts'
import type { MergeResult, ScanRow } from '../lab/merge/merge-images.ts'
import { PAGE_STATES } from '../lab/states/page-state.ts'
import type { PageStates } from '../lab/states/page-states.ts'
import { imagesTable } from './images-table.ts'
import { format, plural } from './page/units.ts'
import { classTable, pageClasses } from './page-classes.ts'
import { type Change, packPageMap } from './page-map.ts'
import type {
  BarsSection,
  FiguresSection,
  LinesSection,
  MapSection,
  PageMap,
  Report,
  Section,
  TableSection,
} from './section.ts'
import { MOST_IMAGES, whoWithWhom } from './sharing-matrix.ts'

/** Makes the report of merging `images`; with `change`, also of what a later moment changed. */
export function mergeReport(
  images: readonly Image[],
  result: MergeResult,
  pages: PageStates,
  change?: Change,
): Report {
  const { length } = result.images
  const memory = map(images, result, pages, change)
  const sizes = images.map((image) => image.pages)
  return {
    title: 'pagefold scan',
    subtitle:
      `${length} ${length === 1 ? 'image' : 'images'}, ${result.pages.toLocaleString('en-US')} pages; ` +
      `index ${result.index}, checksum ${result.checksum}`,
    verdict: verdict(result),
    sections: [
      savings(result),
      classTable(pageClasses(sizes, pages, result.sharing.zero)),
      ...whoWithWhom(memory.map.images, pages),
      memory,
      counters(result.after_each_scan),
      convergence(result.after_each_scan),
      sharers(pages),
      ...settings(result, memory),
    ],
    result,
  }
}

function verdict({ pages, bytes_saved, profit_after_own_metadata, settled, ...result }: MergeResult): string {
  const total = pages * PAGE_SIZE
  const { pages_written } = result
  const written =
    pages_written === undefined
      ? ''
      : ` ${plural(pages_written, 'page')} changed between the two moments; this is after the second.`
  const early = settled ? '' : ' The last scan still changed a counter: there may be more to save.'
  return (
    `Merging saves ${format(bytes_saved, 'bytes')} of ${format(total, 'bytes')}, ${format(bytes_saved / total, 'share')}; ` +
    `${format(profit_after_own_metadata, 'bytes')} of it are left after pagefold's own records.${written}${early}`
  )
}

function savings(result: MergeResult): FiguresSection {
  const total = result.pages * PAGE_SIZE
  const { zero, within, between } = result.sharing
  const share = (bytes: number): string => `${((100 * bytes) / total).toFixed(1)} % of all memory`
  const saved = (label: string, frames: number) =>
    ({ label, value: frames * PAGE_SIZE, unit: 'bytes', note: share(frames * PAGE_SIZE) }) as const
  const written = result.pages_written
  const lag = result.bytes_saved - (zero + within + between) * PAGE_SIZE
  return {
    kind: 'figures',
    title: 'What merging saves',
    ...(lag === 0
      ? {}
      : {
          note: `Saved is what ksmd counts; ${format(lag, 'bytes')} of it are of pages that have changed since.`,
        }),
    figures: [
      { label: 'Saved', value: result.bytes_saved, unit: 'bytes', note: share(result.bytes_saved) },
      saved('Zeros', zero),
      saved('Same image', within),
      saved('Another image', between),
      {
        label: "pagefold's records",
        value: result.metadata_bytes,
        unit: 'bytes',
        note: `${(result.metadata_bytes / result.pages).toFixed(1)} bytes a page`,
      },
      { label: 'Gained', value: result.profit_after_own_metadata, unit: 'bytes', note: 'saved less records' },
      ...(written === undefined
        ? []
        : [{ label: 'Changed in between', value: written, unit: 'count', note: 'pages written' } as const]),
    ],
  }
}

function map(
  images: readonly Image[],
  result: MergeResult,
  pages: PageStates,
  change: Change | undefined,
): MapSection {
  const many = images.length > MOST_IMAGES ? ` A matrix of more than ${MOST_IMAGES} images is not drawn.` : ''
  return {
    kind: 'map',
    title: 'Memory, page by page',
    note:
      'All images small, one of them large, in the order of addresses. Point at a page, or move with the arrow keys, to see what ' +
      'became of it; the address of this report then leads to that page. A page that shares its frame with a page of another ' +
      `image is shared between images, whatever it shares it with beside.${many}`,
    map: mapOf(images, result, pages, change),
  }
}

/** What became of every page of `images`, packed: what the map of the report is drawn from, and `scan --json --map` prints. */
export function mapOf(
  images: readonly Image[],
  result: MergeResult,
  pages: PageStates,
  change?: Change,
): PageMap {
  return packPageMap(images, pages, Number(result.knobs.max_page_sharing), change)
}

const DRAWN = [
  'pages_shared',
  'pages_sharing',
  'pages_unshared',
  'pages_volatile',
  'ksm_zero_pages',
  'pages_skipped',
] as const

function counters(rows: readonly ScanRow[]): LinesSection {
  return {
    kind: 'lines',
    title: 'Counters after every full scan',
    note: 'As under /sys/kernel/mm/ksm.',
    x: { label: 'scan', unit: 'count', values: rows.map((_, i) => i + 1) },
    series: [
      ...DRAWN.map((name) => ({
        label: name,
        unit: 'count' as const,
        values: rows.map((row) => row[name]),
        // A line along the bottom says less than its absence.
        tableOnly: rows.every((row) => row[name] === 0),
      })),
      ...(['stable_node_chains', 'stable_node_dups'] as const).map((name) => ({
        label: name,
        unit: 'count' as const,
        values: rows.map((row) => row[name]),
        tableOnly: true,
      })),
    ],
  }
}

function convergence(rows: readonly ScanRow[]): LinesSection {
  let elapsed = 0
  return {
    kind: 'lines',
    title: 'Convergence',
    note: 'Memory saved over the time spent scanning; profit is what is left after 64 bytes for each scanned page, as Linux reckons.',
    x: {
      label: 'time scanning',
      unit: 'ms',
      values: rows.map((row) => {
        elapsed += row.elapsed_ms
        return elapsed
      }),
    },
    series: [
      {
        label: 'saved',
        unit: 'bytes',
        values: rows.map((row) => (row.pages_sharing + row.ksm_zero_pages) * PAGE_SIZE),
      },
      { label: 'general_profit', unit: 'bytes', values: rows.map((row) => row.general_profit) },
      { label: 'this scan', unit: 'ms', values: rows.map((row) => row.elapsed_ms), tableOnly: true },
      { label: 'processor time', unit: 'ms', values: rows.map((row) => row.cpu_ms), tableOnly: true },
    ],
  }
}

/** How many pages share a frame, in classes that double. */
function sharers(pages: PageStates): BarsSection {
  const classes = new Map<number, { frames: number; pages: number }>()
  for (const users of usersByFrame(pages)) {
    const kind = Math.ceil(Math.log2(users))
    const entry = classes.get(kind) ?? { frames: 0, pages: 0 }
    classes.set(kind, { frames: entry.frames + 1, pages: entry.pages + users })
  }
  const kinds = classes.size === 0 ? [] : range(Math.min(...classes.keys()), Math.max(...classes.keys()))
  return {
    kind: 'bars',
    title: 'Sharers',
    note: 'Merged frames by how many pages share each: a frame that two pages share saves one, one that 256 share saves 255.',
    label: 'pages a frame',
    labels: kinds.map(className),
    series: [
      { label: 'frames', unit: 'count', values: kinds.map((kind) => classes.get(kind)?.frames ?? 0) },
      { label: 'pages', unit: 'count', values: kinds.map((kind) => classes.get(kind)?.pages ?? 0) },
    ],
  }
}

const MERGED = ['zero', 'shared_within', 'shared_between', 'alone'] as const

/** For each merged frame, the zero page among them, how many pages share it. */
function usersByFrame({ states, groups }: PageStates): Iterable<number> {
  const merged = new Set<number>(MERGED.map((name) => PAGE_STATES.indexOf(name)))
  const users = new Map<number, number>()
  for (const [page, group] of groups.entries()) {
    if (merged.has(states[page]!)) users.set(group, (users.get(group) ?? 0) + 1)
  }
  return users.values()
}

/** Class 3 is 5 to 8 users. */
function className(kind: number): string {
  const [least, most] = [kind === 0 ? 1 : 2 ** (kind - 1) + 1, 2 ** kind]
  return least === most ? String(most) : `${least}–${most}`
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

function settings(result: MergeResult, { map }: MapSection): Section[] {
  const { metadata, knobs, images } = result
  const imageTable = imagesTable(
    map.images.map(({ name }) => name),
    images.map(({ source }) => source),
    [
      { label: 'format', values: images.map(({ format }) => format) },
      { label: 'pages', unit: 'count', values: images.map(({ pages }) => pages) },
      { label: 'absent', unit: 'count', values: images.map(({ absent_pages }) => absent_pages) },
      { label: 'size', unit: 'bytes', values: images.map(({ pages }) => pages * PAGE_SIZE) },
    ],
  )
  const knobTable: TableSection = {
    kind: 'table',
    title: 'Knobs',
    columns: [
      { label: 'knob', values: Object.keys(knobs) },
      { label: 'value', values: Object.values(knobs).map(String) },
    ],
  }
  const { total, ...parts } = metadata
  const records = Object.entries(parts)
    .filter(([, size]) => size > 0)
    .sort(([, a], [, b]) => b - a)
  const recordTable: TableSection = {
    kind: 'table',
    title: "pagefold's own records",
    total: true,
    columns: [
      { label: 'records', values: [...records.map(([name]) => spaced(name)), 'all'] },
      { label: 'size', unit: 'bytes', values: [...records.map(([, size]) => size), total] },
    ],
  }
  return [imageTable, knobTable, recordTable]
}

/** `rmapItems` as a reader would write it. */
function spaced(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}
