// Guests that ran under ksmd, stopped: what it counts of them is what the running kernel counts of their memory, dumped.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { ksmdUnavailable } from '../../bench/peers/ksmd.ts'
import { canonical } from '../../bench/peers/peer.ts'
// @ts-expect-error: no types, and none needed
import { readyCpu } from '../../examples/riscv/build.mjs'
import { RAM_BASE } from '../../examples/riscv/machine/machine.ts'
import { Fleet } from '../../examples/riscv/run/fleet.ts'
import { bareProgram } from '../../examples/riscv/run/software.ts'
import { Host, type Image, type Mm, PAGE_SIZE } from '../../src/index.ts'
import { mergeImages } from '../../src/lab/index.ts'
import { COMPARED, type Counted, mergeInKernel } from '../support/kernel.ts'
import { ROOT } from '../support/package.ts'

const unavailable = ksmdUnavailable()
const RISCV = join(ROOT, 'examples/riscv')
const RAM = 4 << 20
const GUESTS = 3
const SLICE = 200_000
/** Of all guests: that is some rounds of each, and no guest has ended. */
const TURNS = 400
/** The first ends what is under way, or notes checksums; the second merges, a third shows that nothing moves. */
const SCANS = 3

let cpu: WebAssembly.Module
beforeAll(async () => {
  await readyCpu()
  cpu = new WebAssembly.Module(readFileSync(join(RISCV, 'build/cpu.wasm')))
}, 120_000)

/** Guests that have run with ksmd beside them, and merged, written and merged again. */
async function guestsThatRan(knobs: Record<string, number>): Promise<{ host: Host; mms: Mm[] }> {
  const host = await Host.create({ frames: 4096 })
  for (const [name, value] of Object.entries({ smart_scan: 0, run: 1, ...knobs }))
    host.ksm.set(name as never, value)
  const fleet = new Fleet(host, cpu)
  const software = bareProgram('pages', readFileSync(join(RISCV, 'programs/pages.elf')), RAM)
  for (let number = 1; number <= GUESTS; number++) fleet.boot(software, number)
  for (let turn = 0; turn < TURNS; turn++) {
    fleet.turn(SLICE)
    host.ksm.scanPages(256)
  }
  expect(fleet.guests.map(({ state }) => state)).toEqual(Array(GUESTS).fill('running'))
  expect(fleet.wrong).toEqual([])
  expect(host.vmstat().cow_ksm).toBeGreaterThan(0)
  return { host, mms: fleet.guests.map(({ mm }) => mm) }
}

/** The pages that an mm has frames of its own for, in order. */
function framesOf(mm: Mm): number[] {
  const { firstPfn } = mm.memory.arena
  const all = Array.from({ length: RAM / PAGE_SIZE }, (_, page) => RAM_BASE + page * PAGE_SIZE)
  return all.filter((address) => (mm.pfn(address) ?? 0) >= firstPfn)
}

/** What is in them. */
function dump(mm: Mm): Image {
  const bytes = Buffer.concat(framesOf(mm).map((address) => mm.read(address, PAGE_SIZE)))
  const part = (first: number, count: number) =>
    bytes.subarray(first * PAGE_SIZE, (first + count) * PAGE_SIZE)
  return {
    source: mm.name,
    format: 'raw',
    notes: [],
    pages: bytes.length / PAGE_SIZE,
    addressOf: (page) => page * PAGE_SIZE,
    read: (first, count, into) => into.set(part(first, count)),
    close() {},
  }
}

const rowOf = (counters: Counted): Counted =>
  Object.fromEntries(COMPARED.map((name) => [name, counters[name]])) as Counted

function fullScans(host: Host): Counted[] {
  return Array.from({ length: SCANS }, () => {
    host.ksm.scan()
    return rowOf(host.ksm.counters())
  })
}

describe.skipIf(unavailable !== undefined)(
  `guests that ran, and the running kernel${unavailable ? ` (skipped: ${unavailable})` : ''}`,
  // Others may be using ksmd first.
  { timeout: 600_000 },
  () => {
    it.each([
      { max_page_sharing: 256 },
      { max_page_sharing: 2 },
      { max_page_sharing: 256, use_zero_pages: 1 },
    ])('%o', async (knobs) => {
      const { host, mms } = await guestsThatRan({ ...knobs, use_zero_pages: 0 })
      const images = mms.map(dump)
      const pages = mms.map(framesOf)
      const kernel = await mergeInKernel({ images, scans: SCANS, knobs: { use_zero_pages: 0, ...knobs } })
      const last = kernel.after_each_scan.at(-1)!
      expect(last.pages_sharing + last.ksm_zero_pages).toBeGreaterThan(0)
      expect(last.pages_unshared).toBeGreaterThan(0)

      // With all that they have been through: a page whose equals have all been written is still a merged one.
      const history = fullScans(host).at(-1)!
      if (knobs.max_page_sharing > 2 && !knobs.use_zero_pages) {
        expect(history.pages_sharing).toBe(last.pages_sharing)
        expect(history.pages_shared).toBeGreaterThan(last.pages_shared)
        expect(history.pages_shared + history.pages_unshared).toBe(last.pages_shared + last.pages_unshared)
        expect(history.pages_volatile).toBe(last.pages_volatile)
      }

      // From the beginning: every counter after every scan, and who shares with whom.
      host.ksm.set('run', 2)
      host.ksm.set('use_zero_pages', knobs.use_zero_pages ?? 0)
      host.ksm.set('run', 1)
      expect(fullScans(host)).toEqual(kernel.after_each_scan)
      const places = mms.flatMap((mm, i) => pages[i]!.map((address) => mm.pfn(address)!))
      expect([...canonical(places)]).toEqual(kernel.places)

      // And the dumps, merged by themselves.
      const alone = { smart_scan: 0, use_zero_pages: 0, ...knobs }
      const merged = await mergeImages({ images, scans: SCANS, knobs: alone })
      expect(merged.after_each_scan.map(rowOf)).toEqual(kernel.after_each_scan)
      host.audit()
      host.close()
    })
  },
)
