// Knobs written as text, as echo and systemd write them: what Linux takes, what it reads as, and what it refuses with which
// error. Recorded from a running kernel (recorded/knob-text.json), which is asked again where this machine has one.
// PAGEFOLD_RECORD=1 records anew.

import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readKnob, sysfsUnavailable, withKsmd } from '../../bench/peers/ksmd.ts'
import type { KnobName } from '../../src/index.ts'
import { bootHost, errnoOf } from '../support/world.ts'

const SYSFS = '/sys/kernel/mm/ksm'
const FILE = new URL('recorded/knob-text.json', import.meta.url)

/** Each knob with what it is set to before each text is written. */
const KNOBS: readonly (readonly [KnobName, string])[] = [
  ['run', '0'],
  ['pages_to_scan', '100'],
  ['sleep_millisecs', '20'],
  ['merge_across_nodes', '1'],
  ['max_page_sharing', '256'],
  ['use_zero_pages', '0'],
  ['stable_node_chains_prune_millisecs', '2000'],
  ['smart_scan', '1'],
  ['advisor_max_cpu', '70'],
  ['advisor_target_scan_time', '200'],
  ['advisor_min_pages_to_scan', '500'],
  ['advisor_max_pages_to_scan', '30000'],
  ['advisor_mode', 'none'],
]

const DECORATIONS = [
  '1',
  '1\n',
  '1\n\n',
  ' 1',
  '1 ',
  '01',
  '0x1',
  '0X2',
  '+1',
  '-1',
  '-0',
  '+',
  '0x',
  '010',
  '08',
]
const WORDS =
  't T f F e E d D y n yes Yikes on ON oN off of o ox enable none scan-time scan-timex scan NONE'.split(' ')
const ODDITIES = [
  '\n',
  '2',
  '2\n',
  'none\n',
  'none\n\n',
  ' none',
  '10',
  '1.5',
  '1e3',
  '1_0',
  '++1',
  '+-1',
  '1\0',
  '1\0x',
]
const WIDTHS = [2n ** 31n, 2n ** 32n, 2n ** 63n, 2n ** 64n].flatMap((limit) => [`${limit - 1n}`, `${limit}`])
const FAR = ['9'.repeat(26), `-${'9'.repeat(22)}`, '-2147483649', '0xffffffffffffffff']
const TEXTS = [...DECORATIONS, ...WORDS, ...ODDITIES, ...WIDTHS, ...FAR]

/** What a knob reads as afterwards, or why the text was refused: by text, in the order of KNOBS. */
type Answers = Record<string, readonly string[]>

const recorded = JSON.parse(readFileSync(FILE, 'utf8')) as Answers

describe.each(KNOBS)('%s', (knob, before) => {
  it.each(TEXTS)('%j', async (text) => {
    const host = await bootHost()
    host.ksm.set(knob, before)
    const errno = errnoOf(() => host.ksm.set(knob, text))
    const answer = recorded[text]![KNOBS.findIndex(([name]) => name === knob)]!
    // What Linux reads has up to 20 digits; a number here has the nearest value.
    const wanted = /^\d+$/.test(answer) ? String(Number(answer)) : answer
    expect(errno ?? String(host.ksm.get(knob))).toBe(wanted)
  })
})

describe('a value that is no text', () => {
  it.each<[KnobName, number | boolean, number | string]>([
    ['smart_scan', true, 1],
    ['smart_scan', 2, 'EINVAL'],
    ['smart_scan', 10, 'EINVAL'],
    ['use_zero_pages', 0.5, 'EINVAL'],
    ['run', 1.5, 'EINVAL'],
    ['pages_to_scan', 2 ** 32, 'EINVAL'],
    ['max_page_sharing', -1, 'EINVAL'],
    ['max_page_sharing', 2 ** 31, 'ERANGE'],
    ['merge_across_nodes', 2 ** 64, 'ERANGE'],
    ['advisor_max_cpu', 2 ** 32 + 5, 5],
    ['advisor_target_scan_time', 2 ** 53 - 1, 2 ** 53 - 1],
    ['advisor_target_scan_time', Number.POSITIVE_INFINITY, 'EINVAL'],
    ['advisor_target_scan_time', Number.NaN, 'EINVAL'],
  ])('%s=%s', async (knob, value, wanted) => {
    const host = await bootHost()
    expect(errnoOf(() => host.ksm.set(knob, value)) ?? host.ksm.get(knob)).toBe(wanted)
  })
})

const unavailable = sysfsUnavailable()

describe.skipIf(unavailable !== undefined)(
  `the running kernel${unavailable ? ` (skipped: ${unavailable})` : ''}`,
  () => {
    it('says what was recorded', { timeout: 60_000 }, async () => {
      const asked = await askKernel()
      if (process.env.PAGEFOLD_RECORD) {
        const lines = Object.entries(asked).map((entry) =>
          entry.map((part) => JSON.stringify(part)).join(': '),
        )
        writeFileSync(FILE, `{\n${lines.map((line) => `  ${line}`).join(',\n')}\n}\n`)
      }
      expect(asked).toEqual(recorded)
    })
  },
)

async function askKernel(): Promise<Answers> {
  const numbers = KNOBS.map(([knob]) => knob).filter((knob) => knob !== 'run' && knob !== 'advisor_mode')
  const saved = Object.fromEntries(numbers.map((knob) => [knob, Number(readKnob(knob))]))
  const mode = readKnob('advisor_mode')
  return withKsmd(saved, () => {
    const answers: Record<string, string[]> = {}
    try {
      for (const text of TEXTS) {
        answers[text] = KNOBS.map(([knob, before]) => {
          write(knob, before)
          const after = write(knob, text) ?? readKnob(knob)
          write(knob, before)
          return after
        })
      }
    } finally {
      write('advisor_mode', mode)
    }
    return answers
  })
}

/** In one write, as it is: a text is not to be cut up. Returns why it was refused. */
function write(knob: string, text: string): string | undefined {
  const fd = openSync(join(SYSFS, knob), 'w')
  try {
    writeSync(fd, text)
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  } finally {
    closeSync(fd)
  }
}
