// pagefold itself, as a peer among peers. Loading is not timed, as for the others; the code is warmed up on a few
// synthetic guests first, because what is compared is a running scanner, not a compiler. Cold starts are measured by
// `npm run bench:cold`.

import { PAGE_SIZE } from '../../assembly/abi.ts'
import { openRawImage, openSource } from '../../src/images/index.ts'
import { type GuestsPolicy, type Host, type Mm, systemClock } from '../../src/index.ts'
import { hostFor, loadGuest, type MergedRange } from '../../src/lab/index.ts'
import { loadChecksum, loadPolicy } from '../own.ts'
import {
  afterWrites,
  canonical,
  type Merged,
  NEVER_PRUNED,
  type Peer,
  type RunningTrial,
  type Task,
  type Trial,
  timed,
  type Writable,
  type WrittenTrial,
} from './peer.ts'
import { batchOf, whileRunning } from './running.ts'
import { type Turn, turnsOf, writePage } from './writer.ts'

const WARM_UP_IMAGE = 2048
const WARM_UP = `synth:demo,pages=${WARM_UP_IMAGE}`
const WARM_UP_ROUNDS = 12
/** Full scans before anything is written: two that merge, and so many more that what passes over everything is compiled as well. */
const WARM_UP_SCANS = 20
/** Written in each round, in per cent: where all pages are, the unstable tree is forgotten, by code that nothing else runs. */
const WARM_UP_WRITTEN = [1, 10, 100]
/** As many as it takes frames: three images, and copies of what is written. */
const WARM_UP_PAGES = WARM_UP_ROUNDS * 4 * WARM_UP_IMAGE

export const pagefold: Peer = {
  name: 'pagefold',
  unavailable: () => undefined,
  run: (task) => runTrial(task, 'running', 2),
  running: runGuests,
}

/** The same, told that the guests hold still: it reads each page once to come to what takes the others two full scans. */
export const pagefoldStill: Peer = {
  name: 'pagefold-still',
  unavailable: () => undefined,
  run: (task) => runTrial(task, 'still', 1),
}

/** The same, which reads every page in every scan as Linux does: what knowing what was written gains. */
export const pagefoldChecksum: Peer = {
  name: 'pagefold-checksum',
  unavailable: ({ changes }) =>
    changes === 'checksum' ? 'pagefold itself reads every page, with --changes checksum' : undefined,
  run: (task) => runTrial({ ...task, changes: 'checksum' }, 'running', 2),
  running: (task) => runGuests({ ...task, changes: 'checksum' }),
}

async function runTrial(task: Task, policy: GuestsPolicy, scans: number): Promise<Trial> {
  const { images, pages, maxPageSharing } = task
  const host = await createHost(task, pages + WARM_UP_PAGES, policy)
  warmUp(host, policy)
  host.ksm.set('run', 2)
  host.ksm.set('max_page_sharing', maxPageSharing)
  host.ksm.set('run', 1)

  const guests = images.map((path) => loadFile(host, path))
  const merged = (): Merged => ({ counters: countersOf(host), places: framesOf(guests, pages) })
  const converge = timed(() => host.ksm.scan(scans))
  const { counters, places } = merged()
  const scan = () => timed(() => host.ksm.scan(1))
  const rescan = scan()
  return {
    converge_ns: converge.wall,
    converge_cpu_ns: converge.cpu,
    rescan_ns: rescan.wall,
    rescan_cpu_ns: rescan.cpu,
    counters,
    places: canonical(places),
    // What holds still is not written.
    ...(policy === 'still' ? {} : { written: await writtenBy(host, guests, task, { scan, merged }) }),
  }
}

/** Scans in batches while guests run. */
async function runGuests(task: Task): Promise<RunningTrial> {
  const { host, guests } = await loaded(task, 'running', neverPrune)
  const batch = batchOf(task.pages)
  return whileRunning(task, {
    batch: () => timed(() => host.ksm.scanPages(batch)),
    merged: () => ({ counters: countersOf(host), places: framesOf(guests, task.pages) }),
    write: (turn) => writeGuests(guests, turn),
  })
}

function writtenBy(
  host: Host,
  guests: readonly MergedRange[],
  task: Task,
  peer: Omit<Writable, 'write'>,
): Promise<WrittenTrial[]> {
  // Not sooner: a knob that has been changed once is read more slowly, and what reads it is compiled anew.
  neverPrune(host)
  for (let i = 0; i < WARM_UP_SCANS; i++) peer.scan()
  return afterWrites(task, { ...peer, write: (turn) => writeGuests(guests, turn) })
}

function neverPrune(host: Host): void {
  host.ksm.set('stable_node_chains_prune_millisecs', NEVER_PRUNED)
}

function countersOf(host: Host): Merged['counters'] {
  const { pages_shared, pages_sharing, pages_unshared, pages_volatile } = host.ksm.counters()
  return { pages_shared, pages_sharing, pages_unshared, pages_volatile }
}

/** Has guests write, pages numbered over all of them. */
export function writeGuests(
  guests: readonly MergedRange[],
  { pages, words }: Pick<Turn, 'pages' | 'words'>,
): void {
  const bytes = new Uint8Array(PAGE_SIZE)
  const page = new Uint32Array(bytes.buffer)
  for (const [i, number] of pages.entries()) {
    const { mm, address } = placeOf(guests, number)
    mm.readInto(address, bytes)
    writePage(page, words[i]!)
    mm.write(address, bytes)
  }
}

/** Where a page lies that is numbered over all guests. */
function placeOf(guests: readonly MergedRange[], number: number): { mm: Mm; address: number } {
  let first = 0
  for (const { mm, address, pages } of guests) {
    if (number < first + pages) return { mm, address: address + (number - first) * PAGE_SIZE }
    first += pages
  }
  throw new RangeError(`no page ${number}`)
}

/** Behind all pages of all guests; as words, because garbage would be collected while the rescan is timed. */
function framesOf(guests: readonly MergedRange[], pages: number): Uint32Array {
  const pfns = new Uint32Array(pages)
  let at = 0
  for (const { mm, address, pages } of guests) {
    for (let page = 0; page < pages; page++) pfns[at++] = mm.pfn(address + page * PAGE_SIZE)!
  }
  return pfns
}

/** A host that holds the task's images and nothing else; the code is warm, from work on another host. */
export async function loadedHost(task: Task, policy: GuestsPolicy): Promise<Host> {
  return (await loaded(task, policy, () => {})).host
}

/** The same with its guests; `prepare` readies either host before it scans. */
async function loaded(
  task: Task,
  policy: GuestsPolicy,
  prepare: (host: Host) => void,
): Promise<{ host: Host; guests: MergedRange[] }> {
  const other = await createHost(task, WARM_UP_PAGES, policy)
  prepare(other)
  warmUp(other, policy)
  other.close()
  const host = await createHost(task, task.pages, policy)
  prepare(host)
  host.ksm.set('max_page_sharing', task.maxPageSharing)
  return { host, guests: task.images.map((path) => loadFile(host, path)) }
}

/** By the machine's clock, as the other peers. */
async function createHost(task: Task, pages: number, guests: GuestsPolicy): Promise<Host> {
  const { index, workers, changes } = task
  const policy = task.policy === undefined ? {} : { policy: await loadPolicy(task.policy) }
  const checksum = await loadChecksum(task.checksum)
  return hostFor(pages, { index, checksum, workers, guests, changes, ...policy, clock: systemClock })
}

function warmUp(host: Host, policy: GuestsPolicy): void {
  const images = openSource(WARM_UP)
  const turns = policy === 'still' ? [] : turnsOf(images.length * WARM_UP_IMAGE, WARM_UP_WRITTEN)
  for (let round = 0; round < WARM_UP_ROUNDS; round++) {
    const strangers = images.map((image) => loadGuest(host, image))
    host.ksm.scan(WARM_UP_SCANS)
    for (const turn of turns) {
      writeGuests(strangers, turn)
      host.ksm.scan(1)
    }
    for (const { mm } of strangers) mm.exit()
    host.ksm.scan(1)
  }
}

function loadFile(host: Host, path: string): MergedRange {
  const image = openRawImage(path)
  try {
    const guest = loadGuest(host, image)
    // On a virtual machine the first touch of what the kernel has read may cost more than all that is measured here.
    for (let page = 0; page < guest.pages; page++) guest.mm.read(guest.address + page * PAGE_SIZE, 1)
    return guest
  } finally {
    image.close()
  }
}
