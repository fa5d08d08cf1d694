// What the report of a bench shows of guests that run while they are scanned: what pagefold and ksmd have saved after how much
// processor time.

import { type BenchResult, hasRun, type RunningTimes } from './bench-result.ts'
import type { LinesSection, Section, TableSection, Unit } from './section.ts'

/** Nothing where it was not measured. */
export function runningSections({ running }: BenchResult): Section[] {
  if (running === undefined) return []
  const peers = Object.entries(running.peers).flatMap(([name, peer]) =>
    hasRun(peer) ? [[name, peer] as const] : [],
  )
  return [curves(peers, running.batch_pages), inFigures(peers, running)]
}

type Runner = readonly [name: string, peer: RunningTimes]

/** At each time at which one has done a batch: what each had saved by then; nothing of who had done all batches before. */
function curves(peers: readonly Runner[], batchPages: number): LinesSection {
  const times = [...new Set(peers.flatMap(([, { points }]) => points.map(([time]) => time)))].sort(
    (a, b) => a - b,
  )
  return {
    kind: 'lines',
    title: 'Saved while guests run',
    note:
      `Guests write between batches of ${batchPages.toLocaleString('en-US')} pages, the same pages with the same whoever scans. ` +
      'A line ends where its scanner has done all batches. Medians of the trials.',
    x: { label: 'processor time', unit: 'ms', values: times },
    series: peers.map(([name, { points }]) => ({
      label: name,
      unit: 'bytes',
      values: times.map((time) => (time > points.at(-1)![0] ? null : savedBy(points, time))),
    })),
  }
}

function savedBy(points: RunningTimes['points'], time: number): number {
  return points.findLast(([then]) => then <= time)?.[1] ?? 0
}

function inFigures(peers: readonly Runner[], running: NonNullable<BenchResult['running']>): TableSection {
  const { batches, writes } = running
  const column = (label: string, unit: Unit, of: (peer: RunningTimes) => number) => ({
    ...{ label, unit },
    values: peers.map(([, peer]) => of(peer)),
  })
  return {
    kind: 'table',
    title: 'Guests that run, in figures',
    note: `${batches.toLocaleString('en-US')} batches, ${writes.toLocaleString('en-US')} writes of a page between them.`,
    columns: [
      { label: 'scanner', values: peers.map(([name]) => name) },
      column('processor time', 'ms', ({ cpu }) => cpu.median),
      column('from', 'ms', ({ cpu }) => cpu.low),
      column('to', 'ms', ({ cpu }) => cpu.high),
      column('over pagefold', 'ratio', ({ over_pagefold }) => over_pagefold.median),
      column('over pagefold, from', 'ratio', ({ over_pagefold }) => over_pagefold.low),
      column('over pagefold, to', 'ratio', ({ over_pagefold }) => over_pagefold.high),
      column('saved in the end', 'bytes', (peer) => peer.bytes_saved),
      column('saved on average', 'bytes', (peer) => peer.mean_bytes_saved),
    ],
  }
}
