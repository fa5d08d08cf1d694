// Linux's own ksmd, stepped one full scan at a time. There is one per machine: whoever uses it holds a lock meanwhile
// and puts every knob back, however it ends, unless it is killed outright.

import { Buffer } from 'node:buffer'
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PAGE_SIZE } from '../../src/index.ts'
import { packageUnavailable } from '../optional.ts'

const SYSFS = '/sys/kernel/mm/ksm'
const LOCK = join(tmpdir(), 'pagefold-ksmd.lock')
const MADV_MERGEABLE = 12
const MADV_UNMERGEABLE = 13
const MADV_NOHUGEPAGE = 15
const SCAN_TIMEOUT_MS = 120_000
const LOCK_TIMEOUT_MS = 600_000

/** Scans whole, and only when told to: a batch never crosses the end of a full scan, and ksmd sleeps between two. */
const STEPPING = { pages_to_scan: 2 ** 30, sleep_millisecs: 600_000, smart_scan: 0, use_zero_pages: 0 }

/** Why ksmd cannot be told what to do here, or undefined if it can. */
export function sysfsUnavailable(): string | undefined {
  try {
    accessSync(join(SYSFS, 'run'), constants.W_OK)
    return undefined
  } catch {
    return `${SYSFS} is not there or not writable: Linux with KSM and root needed`
  }
}

/** Why ksmd cannot be asked about memory of this process, or undefined if it can. */
export function ksmdUnavailable(): string | undefined {
  const why = sysfsUnavailable()
  if (why !== undefined) return why
  try {
    loadLibc()
  } catch (error) {
    return packageUnavailable('koffi') ?? `koffi does not load: ${(error as Error).message.split('\n')[0]}`
  }
  return undefined
}

export function readKnob(name: string, sysfs = SYSFS): string {
  const text = readFileSync(join(sysfs, name), 'utf8').trim()
  return /\[(.+)\]/.exec(text)?.[1] ?? text
}

function writeKnob(name: string, value: number | string, sysfs = SYSFS): void {
  writeFileSync(join(sysfs, name), String(value))
}

/** Where ksmd's knobs, the lock and the processes are, what ksmd has run, and how a process ends: as on every machine, but for tests. */
export interface Places {
  readonly sysfs: string
  readonly lock: string
  readonly proc: string
  /** Nanoseconds. */
  readonly cpu: () => number
  readonly exit: (code: number) => void
}

const MACHINE: Places = {
  sysfs: SYSFS,
  lock: LOCK,
  proc: '/proc',
  cpu: ksmdCpuNs,
  exit: (code) => process.exit(code),
}

/** Somebody else on this machine uses ksmd at the same time, so what it counts is not what it would count for us alone. */
export class NotAlone extends Error {
  override readonly name = 'NotAlone'

  constructor(what: string) {
    super(
      `somebody else on this machine uses ksmd: ${what}. There is one ksmd a machine, and it counts everybody's pages: ` +
        'this has to be run again when nobody else uses it',
    )
  }
}
/** What asks a process to end, and its number. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/**
 * Runs `use` with ksmd stopped, empty and set for stepping; undoes all of it afterwards, whatever happens. A signal is heard when
 * `use` waits for something: all is undone then, and the process ends with 128 and its number. Rejects with NotAlone if
 * somebody else has mergeable memory, before or afterwards.
 */
export async function withKsmd<Result>(
  knobs: Readonly<Record<string, number>>,
  use: (ksmd: Ksmd) => Promise<Result> | Result,
  places: Places = MACHINE,
): Promise<Result> {
  const { sysfs, lock: at, exit } = places
  await lock(at)
  const wanted: Record<string, number> = { ...STEPPING, ...knobs }
  const saved = Object.keys(wanted).map((name) => [name, readKnob(name, sysfs)] as const)
  const run = readKnob('run', sysfs)
  const empty = (): void => {
    writeKnob('run', 2, sysfs)
    writeKnob('run', 0, sysfs)
  }
  const undo = (): void => {
    empty()
    for (const [name, value] of saved) writeKnob(name, value, sysfs)
    writeKnob('run', run, sysfs)
    rmSync(at, { recursive: true })
  }
  const heard = (signal: NodeJS.Signals): void => {
    undo()
    exit(128 + SIGNALS[signal as keyof typeof SIGNALS])
  }
  const signals = Object.keys(SIGNALS) as NodeJS.Signals[]
  for (const signal of signals) process.once(signal, heard)
  try {
    empty()
    for (const [name, value] of Object.entries(wanted)) writeKnob(name, value, sysfs)
    await expectNobodyElse(places)
    const result = await use(new Ksmd(places, wanted))
    await expectNobodyElse(places)
    return result
  } finally {
    for (const signal of signals) process.off(signal, heard)
    undo()
  }
}

/** ksmd, lent and stepped one full scan at a time. Says so where somebody else has a hand in it meanwhile. */
export class Ksmd {
  private readonly places: Places
  /** Knobs as they were set. */
  private readonly ours: Record<string, string>
  /** full_scans and pages_scanned as the last scan left them. */
  private scanned: string | undefined

  constructor(places: Places, ours: Readonly<Record<string, number>>) {
    this.places = places
    this.ours = {
      run: '0',
      ...Object.fromEntries(Object.entries(ours).map(([name, value]) => [name, String(value)])),
    }
  }

  /**
   * Lets ksmd do one full scan. Returns the processor time it took, which is what it costs without waking and waiting. Rejects with
   * NotAlone if knobs or counters are not as the last scan left them, or more is scanned than that.
   */
  async fullScan(): Promise<number> {
    const before = this.counter('full_scans')
    const took = await this.step(() => this.counter('full_scans') !== before)
    const done = this.counter('full_scans') - before
    if (done !== 1) throw new NotAlone(`full_scans rose by ${done} where one scan was asked for`)
    return took
  }

  /** The same for one batch of pages_to_scan, which ends at the latest with the full scan. */
  async batch(): Promise<number> {
    const before = this.scannedNow()
    return this.step(() => this.scannedNow() !== before)
  }

  /** Wakes ksmd and stops it as soon as something is done: it goes to sleep by itself after each batch. */
  private async step(isDone: () => boolean): Promise<number> {
    const { cpu } = this.places
    this.expectOurs()
    const began = cpu()
    const deadline = performance.now() + SCAN_TIMEOUT_MS
    // A change of this knob ends ksmd's sleep; while run is 0 it scans nothing, so this starts one scan and not two.
    this.set('sleep_millisecs', this.counter('sleep_millisecs') ^ 1)
    this.set('run', 1)
    while (!isDone() && this.counter('run') === 1) {
      if (performance.now() > deadline) throw new Error('ksmd has not finished a scan in 120 s')
      await sleep(1) // looking all the time would take the other core's caches and locks away from ksmd
    }
    this.expectKnobs()
    this.set('run', 0)
    this.scanned = this.scannedNow()
    return cpu() - began
  }

  counter(name: string): number {
    return Number(readKnob(name, this.places.sysfs))
  }

  /** Throws NotAlone if somebody else has changed a knob, or has had ksmd scan, since the last scan. */
  expectOurs(): void {
    this.expectKnobs()
    if (this.scanned === undefined) return
    const now = this.scannedNow()
    if (now !== this.scanned)
      throw new NotAlone(`after the last scan it was ${this.scanned}, now it is ${now}`)
  }

  private expectKnobs(): void {
    const changed = Object.entries(this.ours).flatMap(([name, value]) => {
      const found = readKnob(name, this.places.sysfs)
      return found === value ? [] : [`${name} is ${found}, and was set to ${value}`]
    })
    if (changed.length > 0) throw new NotAlone(changed.join(', '))
  }

  private set(name: string, value: number): void {
    writeKnob(name, value, this.places.sysfs)
    this.ours[name] = String(value)
  }

  private scannedNow(): string {
    return SCANNED.map((name) => `${name} ${this.counter(name)}`).join(', ')
  }
}

const SCANNED = ['full_scans', 'pages_scanned']

/** Throws NotAlone if another process has memory that ksmd would merge. What a kernel does not tell is not known. */
async function expectNobodyElse(places: Places): Promise<void> {
  let merging = merged(places)
  // What was ours a moment ago may just be ending.
  for (let tries = 0; tries < GONE_TRIES && merging.length > 0; tries++) {
    await sleep(GONE_MS)
    merging = merged(places)
  }
  if (merging.length > 0) throw new NotAlone(`${merging.join(', ')} has mergeable memory`)
}

const GONE_MS = 20
const GONE_TRIES = 10

/** Other processes that have such memory, by number and name. */
function merged({ proc }: Places): string[] {
  const others = readdirSync(proc).filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
  const merging = others.filter((pid) =>
    /^ksm_(rmap_items [1-9]|mergeable: yes)/m.test(readOr(join(proc, pid, 'ksm_stat'))),
  )
  return merging.map((pid) => `process ${pid} (${readOr(join(proc, pid, 'comm')).trim()})`)
}

/** Runs `use` while memory of this process is mergeable, in small pages. */
export async function whileMergeable<Result>(
  bytes: Uint8Array,
  use: () => Promise<Result> | Result,
): Promise<Result> {
  const { madvise } = loadLibc()
  madvise(bytes, bytes.length, MADV_NOHUGEPAGE)
  if (madvise(bytes, bytes.length, MADV_MERGEABLE) !== 0) throw new Error('madvise(MADV_MERGEABLE) failed')
  try {
    return await use()
  } finally {
    madvise(bytes, bytes.length, MADV_UNMERGEABLE)
  }
}

/** The page frame numbers behind memory of this process. */
export function physicalFrames(bytes: Uint8Array): number[] {
  const { address } = loadLibc()
  const first = Number(address(bytes)) / PAGE_SIZE
  const count = bytes.length / PAGE_SIZE
  const entries = readRange('/proc/self/pagemap', first * 8, count * 8)
  const words = new BigUint64Array(entries.buffer, entries.byteOffset, count)
  return Array.from(words, (entry) => Number(entry & ((1n << 55n) - 1n)))
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

interface Libc {
  madvise(address: Uint8Array, length: number, advice: number): number
  address(bytes: Uint8Array): bigint
}

let libc: Libc | undefined

function loadLibc(): Libc {
  if (libc === undefined) {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const madvise = koffi.load('libc.so.6').func('int madvise(void *address, size_t length, int advice)')
    libc = { madvise: madvise as unknown as Libc['madvise'], address: (bytes) => koffi.address(bytes) }
  }
  return libc
}

let ksmdPid: string | undefined

/** Time ksmd has run, from the scheduler's own accounts. */
function ksmdCpuNs(): number {
  ksmdPid ??= readdirSync('/proc').find(
    (pid) => /^\d+$/.test(pid) && readOr(`/proc/${pid}/comm`).trim() === 'ksmd',
  )
  if (ksmdPid === undefined) throw new Error('no ksmd among the processes')
  return Number(readFileSync(`/proc/${ksmdPid}/schedstat`, 'utf8').split(' ')[0])
}

/** Nothing, if the process has exited meanwhile. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function readRange(path: string, offset: number, length: number): Buffer {
  const fd = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(length)
    for (let done = 0; done < length; ) {
      const got = readSync(fd, bytes, done, length - done, offset + done)
      if (got === 0) throw new Error(`${path} ends at ${offset + done}`)
      done += got
    }
    return bytes
  } finally {
    closeSync(fd)
  }
}

async function lock(at: string): Promise<void> {
  const deadline = performance.now() + LOCK_TIMEOUT_MS
  for (;;) {
    try {
      mkdirSync(at)
      writeFileSync(join(at, 'pid'), String(process.pid))
      return
    } catch {
      if (!holderLives(at)) rmSync(at, { recursive: true, force: true })
      else if (performance.now() > deadline) throw new Error(`${at} is held for 10 minutes already`)
      else await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

function holderLives(at: string): boolean {
  try {
    process.kill(Number(readFileSync(join(at, 'pid'), 'utf8')), 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' // just being made
  }
}
