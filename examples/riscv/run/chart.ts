// The page that is left when the guests are done: what they used and what they shared, over time.

import { PAGE_SIZE } from 'pagefold'
import type { Report, Series } from 'pagefold/report'
import type { Fleet, Sample } from './fleet.ts'

/** A report of a fleet that has run. `command`: what started it. */
export function chart(fleet: Fleet, command: string): Report {
  const { samples, guests } = fleet
  const last = samples.at(-1)!
  const series = (label: string, unit: Series['unit'], of: (sample: Sample) => number): Series => ({
    label,
    unit,
    values: samples.map(of),
  })
  const x = { label: 'time', unit: 'ms', values: samples.map(({ ms }) => ms) } as const
  const most = Math.max(...samples.map(({ framesUsed }) => framesUsed))
  return {
    title: `${guests.length} guests, one memory`,
    subtitle: command,
    verdict:
      'Frames used against pages that need none because they share. Guests check what they wrote all the time.',
    sections: [
      {
        kind: 'figures',
        title: 'At the end',
        figures: [
          { label: 'guests', value: guests.length, unit: 'count' },
          { label: 'wrong', value: fleet.wrong.length, unit: 'count' },
          { label: 'used at most', value: most * PAGE_SIZE, unit: 'bytes' },
          { label: 'saved', value: last.pagesSharing * PAGE_SIZE, unit: 'bytes' },
          { label: 'copied again', value: last.cowBreaks, unit: 'count' },
        ],
      },
      {
        kind: 'lines',
        title: 'Memory',
        x,
        series: [
          series('used', 'bytes', ({ framesUsed }) => framesUsed * PAGE_SIZE),
          series('saved', 'bytes', ({ pagesSharing }) => pagesSharing * PAGE_SIZE),
        ],
      },
      {
        kind: 'lines',
        title: 'Merged pages copied again',
        x,
        series: [series('copied', 'count', ({ cowBreaks }) => cowBreaks)],
      },
      {
        kind: 'table',
        title: 'Guests',
        columns: [
          { label: 'guest', values: guests.map(({ name }) => name) },
          { label: 'instructions', unit: 'count', values: guests.map(({ machine }) => machine.instructions) },
          {
            label: 'last words',
            values: guests.map(({ lines }) => lines.findLast((line) => line !== '') ?? ''),
          },
        ],
      },
    ],
    result: { command, samples },
  }
}
