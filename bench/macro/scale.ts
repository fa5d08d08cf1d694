// Does a page cost more where there are many? Full scans of a small guest and of one that fills an arena, in turns, by what was written since
// the scan before: nanoseconds of processor time a page, and the larger's over the smaller's.

import { type ChangesPolicy, type Host, type Mm, PAGE_SIZE } from '../../src/index.ts'
import { hostFor, median } from '../../src/lab/index.ts'

/** Pages of the two guests: a quarter of a GiB, and as many as leave an arena of 4 GiB some room. */
export const SCALE_PAGES = [60_000, 900_000] as const
export const SMOKE_PAGES = [512, 2048] as const
const TURNS = 5

/** What is done before the scans that are measured, the how many-th time, and how many those are. */
interface Row {
  readonly what: string
  readonly scans: number
  before(guest: Guest, turn: number): void
}

const ROWS: readonly Row[] = [
  {
    what: 'converging, two scans',
    scans: 2,
    before({ host }) {
      host.ksm.set('run', 2)
      host.ksm.set('run', 1)
    },
  },
  { what: 'nothing written', scans: 1, before() {} },
  { what: 'one page in a hundred written', scans: 1, before: (guest, turn) => writeEvery(guest, 100, turn) },
  { what: 'every page written', scans: 1, before: (guest, turn) => writeEvery(guest, 1, turn) },
]

/** What a page takes in a scan of either guest. */
export interface ScaleRow {
  readonly what: string
  readonly ns: readonly [small: number, large: number]
  readonly ratio: number
}

interface Guest {
  readonly host: Host
  readonly mm: Mm
  readonly at: number
  readonly pages: number
}

/** Measures all rows. A first turn of each is the compiler's, and the memory's that nobody has touched. */
export async function scaleFigures(changes: ChangesPolicy, smoke: boolean): Promise<ScaleRow[]> {
  const guests: Guest[] = []
  try {
    for (const pages of smoke ? SMOKE_PAGES : SCALE_PAGES) guests.push(await guestOf(pages, changes))
    const [small, large] = guests as [Guest, Guest]
    return ROWS.map((row) => {
      const turns: [small: number, large: number][] = []
      for (let turn = 0; turn <= (smoke ? 1 : TURNS); turn++) {
        const ns = [measured(small, row, turn), measured(large, row, turn)] as [number, number]
        if (turn > 0) turns.push(ns)
      }
      return rowOf(row.what, turns)
    })
  } finally {
    for (const { host } of guests) host.close()
  }
}

/** Nanoseconds a page; all is settled afterwards. */
function measured(guest: Guest, { before, scans }: Row, turn: number): number {
  before(guest, turn)
  const ns = scanned(guest, scans)
  guest.host.ksm.scan(2)
  return ns
}

/** Other bytes than ever before, in every so many pages. */
function writeEvery(guest: Guest, every: number, turn: number): void {
  for (let page = 0; page < guest.pages; page += every) write(guest, page, (turn + 2) * guest.pages + page)
}

/** Every second page has an equal one. */
async function guestOf(pages: number, changes: ChangesPolicy): Promise<Guest> {
  const host = await hostFor(pages + 64, { changes })
  const mm = host.createMm()
  const at = mm.mmap(pages * PAGE_SIZE)
  const guest = { host, mm, at, pages }
  for (let page = 0; page < pages; page++) write(guest, page, page % 4 < 2 ? page >> 2 : pages + page)
  mm.madvise(at, pages * PAGE_SIZE, 'MADV_MERGEABLE')
  return guest
}

const word = new Uint32Array(1)
const bytes = new Uint8Array(word.buffer)

function write({ mm, at }: Guest, page: number, content: number): void {
  word[0] = content + 1
  mm.write(at + page * PAGE_SIZE, bytes)
}

/** Nanoseconds a page of so many full scans. */
function scanned({ host, pages }: Guest, scans: number): number {
  const before = process.cpuUsage()
  host.ksm.scan(scans)
  const { user, system } = process.cpuUsage(before)
  return ((user + system) * 1000) / pages
}

function rowOf(what: string, turns: readonly [small: number, large: number][]): ScaleRow {
  const ns = [median(turns.map(([small]) => small)), median(turns.map(([, large]) => large))] as const
  return { what, ns, ratio: median(turns.map(([small, large]) => large / small)) }
}
