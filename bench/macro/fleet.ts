// A fleet of many hosts, made up: a file of contents for each, then all that `pagefold fleet` asks. Guests are of families that have most in
// common, spread over hosts at random; some contents are everywhere. What placing them by contents saves, beside what chance does.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeContentsFile } from '../../src/cli/fleet/contents-file.ts'
import { askFleet } from '../../src/cli/fleet/fleet.ts'
import { type Image, PAGE_SIZE } from '../../src/index.ts'
import { census } from '../../src/lab/index.ts'

const GUESTS_A_HOST = 8
const FAMILIES = 40
const KEY = '000102030405060708090a0b0c0d0e0f'
/** Pages of a guest, by whose they are. */
const PAGES = { everybody: 20, family: 120, own: 100, zeros: 16 }

export interface FleetCost {
  readonly hosts: number
  readonly guests: number
  readonly seconds_to_write: number
  readonly seconds_to_ask: number
  readonly bytes_shared: { readonly now: number; readonly random: number; readonly placed: number }
}

/** Makes a fleet and asks it. Throws what `askFleet` does. */
export async function fleetCost(hosts: number): Promise<FleetCost> {
  const dir = mkdtempSync(join(tmpdir(), 'pagefold-bench-fleet-'))
  try {
    const start = performance.now()
    let guest = 0
    for (let host = 0; host < hosts; host++) {
      const images = Array.from({ length: GUESTS_A_HOST }, () => guestOf(guest++))
      const names = images.map(({ source }) => source)
      const file = join(dir, `host-${host}.parquet`)
      await census({
        images,
        key: KEY,
        onContents: (contents) => writeContentsFile(file, `host-${host}`, names, contents),
      })
    }
    const written = performance.now()
    const { placement, guests } = await askFleet(dir, 0)
    return {
      hosts,
      guests,
      seconds_to_write: (written - start) / 1000,
      seconds_to_ask: (performance.now() - written) / 1000,
      bytes_shared: {
        now: placement.bytes_shared_now,
        random: placement.bytes_shared_at_random,
        placed: placement.bytes_shared_if_placed,
      },
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** A guest whose pages are numbers: below 2^20 everybody's, then its family's, then its own; 0 is zeros. */
function guestOf(guest: number): Image {
  // Families come one after the other with a step that shares no divisor with what fits on a host.
  const family = (guest * 7 + Math.floor(guest / FAMILIES) * 11) % FAMILIES
  const numbers = [
    ...Array.from({ length: PAGES.everybody }, (_, i) => 1 + i),
    ...Array.from({ length: PAGES.family }, (_, i) => 2 ** 20 + family * 1000 + i),
    ...Array.from({ length: PAGES.own }, (_, i) => 2 ** 24 + guest * 1000 + i),
    ...Array.from({ length: PAGES.zeros }, () => 0),
  ]
  return {
    source: `guest-${guest}`,
    format: 'made up',
    pages: numbers.length,
    notes: [],
    addressOf: (page) => page * PAGE_SIZE,
    read(first, count, into) {
      into.fill(0, 0, count * PAGE_SIZE)
      const words = new DataView(into.buffer, into.byteOffset)
      for (let i = 0; i < count; i++) words.setUint32(i * PAGE_SIZE, numbers[first + i]!)
    },
    close() {},
  }
}
