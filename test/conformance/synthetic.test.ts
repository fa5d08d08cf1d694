// Synthetic guests, whose counters were recorded from a running kernel (recorded/synthetic.json), and which are asked
// of the kernel again where this machine has one. PAGEFOLD_RECORD=1 records them anew.

import { readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ksmdUnavailable } from '../../bench/peers/ksmd.ts'
import { openSource } from '../../src/images/index.ts'
import { INDEX_NAMES } from '../../src/index.ts'
import { mergeImages } from '../../src/lab/index.ts'
import { COMPARED, type Counted, mergeInKernel } from '../support/kernel.ts'

interface Recording {
  readonly name: string
  readonly source: string
  readonly later?: string
  readonly scans: number
  readonly scansAfter?: number
  readonly knobs: Readonly<Record<string, number>>
  readonly after_each_scan: readonly Counted[]
}

const FILE = new URL('recorded/synthetic.json', import.meta.url)
const SOURCE = 'synth:demo,pages=400'
const SCENARIOS: readonly Omit<Recording, 'after_each_scan'>[] = [
  { name: 'plain', source: SOURCE, scans: 3, knobs: {} },
  { name: 'at most two share', source: SOURCE, scans: 3, knobs: { max_page_sharing: 2 } },
  { name: 'at most five share', source: SOURCE, scans: 3, knobs: { max_page_sharing: 5 } },
  { name: 'zero pages', source: SOURCE, scans: 4, knobs: { use_zero_pages: 1 } },
  { name: 'smart scan', source: SOURCE, scans: 25, knobs: { smart_scan: 1 } },
  {
    name: 'another moment',
    source: SOURCE,
    later: `${SOURCE},seed=2`,
    scans: 3,
    scansAfter: 4,
    knobs: { max_page_sharing: 7, stable_node_chains_prune_millisecs: 0 },
  },
  {
    name: 'another moment, zero pages and smart scan',
    source: SOURCE,
    later: `${SOURCE},seed=3`,
    scans: 6,
    scansAfter: 12,
    knobs: { max_page_sharing: 16, use_zero_pages: 1, smart_scan: 1 },
  },
]

const unavailable = ksmdUnavailable()

describe.skipIf(unavailable !== undefined)(
  `the running kernel${unavailable ? ` (skipped: ${unavailable})` : ''}`,
  () => {
    it('counts what was recorded from a kernel before', async () => {
      const fresh: Recording[] = []
      for (const scenario of SCENARIOS) {
        const { after_each_scan } = await mergeInKernel(taskOf(scenario))
        fresh.push({ ...scenario, after_each_scan })
      }
      if (process.env.PAGEFOLD_RECORD) {
        const lines = fresh.map((recording) => JSON.stringify(recording))
        writeFileSync(FILE, `[\n${lines.join(',\n')}\n]\n`)
      }
      expect(fresh).toEqual(recordings())
    })
  },
)

describe.each(INDEX_NAMES)('synthetic guests, index %s', (index) => {
  it.each(SCENARIOS)('$name', async (scenario) => {
    const recorded = recordings().find(({ name }) => name === scenario.name)!
    const result = await mergeImages({ ...taskOf(scenario), index })
    const counted = result.after_each_scan.map((row) =>
      Object.fromEntries(COMPARED.map((name) => [name, row[name]])),
    )
    expect(counted).toEqual(recorded.after_each_scan)
  })
})

function taskOf({ source, later, scans, scansAfter, knobs }: Omit<Recording, 'after_each_scan'>) {
  return {
    images: openSource(source),
    ...(later === undefined ? {} : { later: openSource(later) }),
    scans,
    ...(scansAfter === undefined ? {} : { scansAfter }),
    knobs,
  }
}

function recordings(): Recording[] {
  return JSON.parse(readFileSync(FILE, 'utf8')) as Recording[]
}
