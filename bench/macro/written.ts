// Scans after guests have written, put together: each peer beside pagefold, round by round.

import { figureOf } from '../../src/lab/index.ts'
import type { BenchResult, WrittenResult, WrittenTimes } from '../../src/report/index.ts'
import type { Reports } from './results.ts'
import type { TrialReport, WrittenReport } from './trial.ts'

/** Nanoseconds; processor time is told no finer, and a scan of few pages that finds nothing may take less. */
const FINEST = 1000

/** A row for each turn of the writer; none if pagefold's guests did not write. */
export function writtenResults(
  pages: number,
  clock: BenchResult['clock'],
  reports: Reports,
): WrittenResult[] {
  const first = reports.get('pagefold')![0]!.written ?? []
  const writers = [...reports].filter(([, trials]) => trials[0]!.written !== undefined)
  return first.map(({ percent, written_with, pages_written, after }, row) => {
    const times = (trials: readonly TrialReport[]): number[] =>
      trials.map(({ written }) => timeOf(written![row]!, clock))
    const ours = times(reports.get('pagefold')!)
    const peers = writers.map(([name, trials]): [string, WrittenTimes] => {
      const theirs = times(trials)
      const over_pagefold = figureOf(
        'ratio',
        theirs.map((time, round) => time / ours[round]!),
      )
      return [
        name,
        {
          scan: figureOf(
            'ns',
            theirs.map((time) => time / pages),
          ),
          over_pagefold,
        },
      ]
    })
    return {
      written_percent: percent,
      written_with,
      pages_written,
      ...after,
      peers: Object.fromEntries(peers),
    }
  })
}

function timeOf({ scan_ns, scan_cpu_ns }: WrittenReport, clock: BenchResult['clock']): number {
  return Math.max(FINEST, clock === 'processor' ? scan_cpu_ns : scan_ns)
}
