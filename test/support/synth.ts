// What tests of synthetic guests have in common: small sizes of every preset, moments scanned one after the other, and a
// recount of contents that shares nothing with the generator.

import { Host, type Image, type IndexName, type KnobName, type Mm, stillClock } from '../../src/index.ts'
import { SYNTH_PRESETS, type SynthOptions, synthImages } from '../../src/lab/index.ts'
import { PAGE } from './world.ts'

export const PRESETS = Object.keys(SYNTH_PRESETS)

/** A preset so small that hundreds of them can be scanned; huge pages of zeros still fit. */
export function small(preset: string): SynthOptions {
  if (preset === 'thp-sparse') return { preset, pages: 1100, images: 2 }
  return { preset, pages: 320, images: preset === 'sandbox-fork' ? 5 : 3 }
}

export function moments(options: SynthOptions, count: number): Image[][] {
  return Array.from({ length: count }, (_, moment) => synthImages({ ...options, moment }))
}

export function bytesOf(image: Image): Uint8Array {
  const bytes = new Uint8Array(image.pages * PAGE)
  image.read(0, image.pages, bytes)
  return bytes
}

/** Scans to convergence at each moment in turn, writing only what differs, and returns the counters at each. */
export async function convergeAtEach(
  sequence: readonly (readonly Image[])[],
  index: IndexName,
  knobs: Partial<Record<KnobName, number>>,
): Promise<Record<string, number>[]> {
  const [first] = sequence
  const pages = first!.reduce((sum, image) => sum + image.pages, 0)
  const host = await Host.create({ frames: pages + 1, mappings: pages + 1024, index, clock: stillClock })
  host.ksm.set('smart_scan', 0)
  for (const [name, value] of Object.entries(knobs)) host.ksm.set(name as KnobName, value)
  host.ksm.set('run', 1)
  const guests = first!.map((image) => {
    const { mm, address } = host.loadImage(image)
    mm.madvise(address, image.pages * PAGE, 'MADV_MERGEABLE')
    return { mm, address }
  })
  const rows: Record<string, number>[] = []
  for (const [moment, images] of sequence.entries()) {
    if (moment > 0) for (const [i, guest] of guests.entries()) write(guest, bytesOf(images[i]!))
    rows.push(settle(host))
  }
  host.audit()
  host.close()
  return rows
}

function write({ mm, address }: { mm: Mm; address: number }, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += PAGE) {
    const page = Buffer.from(bytes.buffer, at, PAGE)
    if (!page.equals(mm.read(address + at, PAGE))) mm.write(address + at, page)
  }
}

function settle(host: Host): Record<string, number> {
  let before = ''
  for (;;) {
    host.ksm.scan(1)
    const {
      pages_scanned: _,
      full_scans: __,
      ...counters
    } = host.ksm.counters() as unknown as Record<string, number>
    const now = JSON.stringify(counters)
    if (now === before) return counters
    before = now
  }
}

export interface Recount {
  readonly contents: number
  readonly zeroPages: number
  readonly zero: number
  readonly within: number
  readonly between: number
  /** Pages of each content other than zeros. */
  readonly sharers: number[]
}

/** Counts contents by keeping every one of them whole. */
export function recount(images: readonly Image[]): Recount {
  const places = new Map<string, number[]>()
  for (const [i, image] of images.entries()) {
    const bytes = Buffer.from(bytesOf(image).buffer)
    for (let at = 0; at < bytes.length; at += PAGE) {
      const content = bytes.toString('latin1', at, at + PAGE)
      const known = places.get(content)
      if (known === undefined) places.set(content, [i])
      else known.push(i)
    }
  }
  const zeros = places.get('\0'.repeat(PAGE)) ?? []
  const others = [...places].filter(([, at]) => at !== zeros).map(([, at]) => at)
  const within = others.reduce((sum, at) => sum + at.length - new Set(at).size, 0)
  const between = others.reduce((sum, at) => sum + new Set(at).size - 1, 0)
  return {
    contents: places.size,
    zeroPages: zeros.length,
    zero: Math.max(0, zeros.length - 1),
    within,
    between,
    sharers: others.map((at) => at.length),
  }
}
