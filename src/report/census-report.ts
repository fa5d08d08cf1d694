// The report of a census: which pictures show whether merging would pay.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import type { CensusResult } from '../lab/census/result.ts'
import { imagesTable } from './images-table.ts'
import { format, plural } from './page/units.ts'
import type { FiguresSection, Report, Section, TableSection } from './section.ts'
import { matrixPicture } from './sharing-matrix.ts'
import { shortNames } from './short-names.ts'

/** Makes the report of a census. */
export function censusReport(result: CensusResult): Report {
  const names = shortNames(result.images.map(({ source }) => source))
  return {
    title: 'pagefold census',
    subtitle: `${plural(result.images.length, 'image')}, ${plural(result.pages, 'page')}, ${plural(result.distinct, 'content')}`,
    verdict: verdict(result),
    sections: [
      savings(result),
      ...matrixPicture(result.images, names, { pages: 'would share', end: '' }, () => result.shared_between),
      ...contents(result, names),
      imageTable(result, names),
      counterTable(result),
      paceTable(result),
    ],
    result,
  }
}

function verdict({ pages, bytes_saved, profit, counters }: CensusResult): string {
  const total = pages * PAGE_SIZE
  const moving =
    counters.pages_volatile === 0
      ? ''
      : ` ${plural(counters.pages_volatile, 'page')} changed between two readings, and are taken to merge with nothing.`
  return (
    `Merging would save ${format(bytes_saved, 'bytes')} of ${format(total, 'bytes')}, ${format(total === 0 ? 0 : bytes_saved / total, 'share')}; ` +
    `${format(profit.linux, 'bytes')} of it are left after Linux's records.${moving}`
  )
}

function savings({ pages, saved, bytes_saved, profit }: CensusResult): FiguresSection {
  const total = Math.max(1, pages * PAGE_SIZE)
  const share = (bytes: number): string => `${((100 * bytes) / total).toFixed(1)} % of all memory`
  const figure = (label: string, bytes: number) =>
    ({ label, value: bytes, unit: 'bytes', note: share(bytes) }) as const
  return {
    kind: 'figures',
    title: 'What merging would save',
    figures: [
      figure('Saved', bytes_saved),
      figure('Zeros', saved.zero * PAGE_SIZE),
      figure('Same image', saved.within * PAGE_SIZE),
      figure('Another image', saved.between * PAGE_SIZE),
      { label: 'Gained on Linux', value: profit.linux, unit: 'bytes', note: 'less 64 bytes a page in view' },
      {
        label: 'Gained with pagefold',
        value: profit.pagefold,
        unit: 'bytes',
        note: 'less 32 bytes a page in view',
      },
    ],
  }
}

function contents({ most, images }: CensusResult, names: readonly string[]): Section[] {
  if (most.length === 0) return []
  const located = most.flatMap(({ first }) => (first === undefined ? [] : [first]))
  const where =
    located.length < most.length
      ? []
      : [
          {
            label: 'first in',
            values: located.map(({ image }) => names[image]!),
            titles: located.map(({ image }) => images[image]!.source),
          },
          { label: 'address', values: located.map(({ address }) => `0x${address.toString(16)}`) },
        ]
  return [
    {
      kind: 'table',
      title: 'Contents that pay most',
      note: 'Zeros apart. A fingerprint says nothing of the bytes to whoever does not have its key.',
      columns: [
        { label: 'fingerprint', values: most.map(({ fingerprint }) => fingerprint) },
        { label: 'pages', unit: 'count', values: most.map(({ pages }) => pages) },
        { label: 'images', unit: 'count', values: most.map(({ images }) => images) },
        { label: 'saves', unit: 'bytes', values: most.map(({ bytes_saved }) => bytes_saved) },
        ...where,
      ],
    },
  ]
}

function imageTable({ images }: CensusResult, names: readonly string[]): TableSection {
  const column = (label: string, of: (image: CensusResult['images'][number]) => number) =>
    ({ label, unit: 'count', values: images.map(of) }) as const
  const all = [
    column('pages', ({ pages }) => pages),
    column('contents', ({ distinct }) => distinct),
    column('zeros', ({ zero_pages }) => zero_pages),
    column('volatile', ({ volatile_pages }) => volatile_pages),
    column('gone', ({ gone_pages }) => gone_pages),
    column('absent', ({ absent_pages }) => absent_pages),
  ]
  const sources = images.map(({ source }) => source)
  return imagesTable(names, sources, [
    { label: 'format', values: images.map(({ format }) => format) },
    ...all.filter(({ label, values }) => label === 'pages' || values.some((value) => value > 0)),
    { label: 'size', unit: 'bytes', values: images.map(({ pages }) => pages * PAGE_SIZE) },
  ])
}

function counterTable({ counters }: CensusResult): TableSection {
  return {
    kind: 'table',
    title: 'What ksmd comes to',
    note: 'As under /sys/kernel/mm/ksm, once it has converged on memory that stands still.',
    columns: [
      { label: 'counter', values: Object.keys(counters) },
      { label: 'value', unit: 'count', values: Object.values(counters) },
    ],
  }
}

function paceTable({ pace, knobs, pages_to_scan_wanted }: CensusResult): TableSection {
  const rows: [string, string][] = [
    ...Object.entries(knobs).map(([name, value]) => [name, String(value)] as [string, string]),
    ['asleep in a full scan', milliseconds(pace.full_scan_ms)],
    ['asleep until all is merged', milliseconds(pace.merged_ms)],
    ...(pages_to_scan_wanted === undefined
      ? []
      : [['pages_to_scan wanted', String(pages_to_scan_wanted)] as [string, string]]),
  ]
  return {
    kind: 'table',
    title: 'Knobs, and how long ksmd takes',
    note: 'What ksmd takes to look at pages comes on top.',
    columns: [
      { label: 'what', values: rows.map(([name]) => name) },
      { label: 'value', values: rows.map(([, value]) => value) },
    ],
  }
}

function milliseconds(ms: number | null): string {
  return ms === null ? 'for ever' : format(ms, 'ms')
}
