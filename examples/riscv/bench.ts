// npm run bench:guests: what it costs a guest that its memory is an mm's. The same CPU runs the same program on one block of memory, on pagefold, and
// on pagefold with a scan of ksmd's after every slice; the scans themselves are not counted. Ratios of processor time, taken
// round by round, so that all three see the same machine; medians, with the least and the most. And how soon ksmd has shared most of what
// many guests have in common that have just begun.
//
//   --rounds N    default: 7

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Host } from 'pagefold'
import { flatBoard } from './machine/board.ts'
import { Guest } from './machine/guest.ts'
import { Machine } from './machine/machine.ts'
import { accountOf } from './run/account.ts'
import { bareProgram, type Software } from './run/software.ts'

const RAM = 8 << 20
/** Instructions of a slice, after which ksmd scans. */
const SLICE = 1_000_000
/** Guests that have just begun, after so many slices of each, and the part that is to be shared of what they have in common. */
const MANY = 50
const BEGUN = 3
const MOST = 0.9
/** Two do, unless max_page_sharing keeps pages apart. */
const SCANS = 5
/** Pages that ksmd looks at between two looks at how far it has come. */
const BATCH = 4000
/** So many runs until nothing of what scans, and of what answers faults, is compiled any more. */
const WARM_UP = 12

const here = fileURLToPath(new URL('..', import.meta.url))
const { values } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } })
const module = (name: string) => new WebAssembly.Module(readFileSync(`${here}build/${name}`))
const cpu = module('cpu.wasm')
const flat = module('cpu-flat.wasm')

for (const name of ['primes', 'pages']) {
  const software = bareProgram(name, readFileSync(`${here}programs/${name}.elf`), RAM)
  const plain: number[] = []
  const scanned: number[] = []
  const added: number[] = []
  let mips = 0
  // What is compiled is compiled on other threads of this process, whose time would be counted.
  for (let run = 0; run < WARM_UP; run++) await onPagefold(software, true)
  for (let round = 0; round < Number(values.rounds); round++) {
    const alone = onFlat(software)
    mips = Math.max(mips, alone.instructions / alone.ms / 1000)
    const quiet = (await onPagefold(software, false)).ms
    const beside = (await onPagefold(software, true)).ms
    plain.push(quiet / alone.ms)
    scanned.push(beside / alone.ms)
    added.push(beside / quiet)
  }
  console.log(`${name}: ${Math.round(mips)} million instructions a second on one block of memory, at best`)
  console.log(`  on pagefold                 ${summary(plain)} times as long`)
  console.log(`  on pagefold, ksmd scanning  ${summary(scanned)} times as long`)
  console.log(`  of that, for the scanning   ${summary(added)} times as long as on pagefold without`)
}

{
  const software = bareProgram('pages', readFileSync(`${here}programs/pages.elf`), RAM)
  const runs: Sharing[] = []
  for (let round = 0; round < Number(values.rounds); round++) runs.push(await sharing(software))
  const { pages, common } = runs[0]!
  console.log(
    `${MANY} guests of ${RAM >> 20} MiB that have just begun: ${pages} pages, ${common} more than they have contents`,
  )
  console.log(
    `  ${100 * MOST} % of these are free after ${summary(runs.map(({ ms }) => ms))} ms of ksmd, that scans as fast as it can`,
  )
}

/** How soon ksmd has shared what guests have in common. */
interface Sharing {
  readonly pages: number
  /** Frames that would be free if each content were in one. */
  readonly common: number
  readonly ms: number
}

async function sharing(software: Software): Promise<Sharing> {
  const host = await Host.create({ frames: (MANY * RAM) / 4096 })
  const guests = Array.from({ length: MANY }, (_, i) => {
    const guest = Guest.create(
      host,
      cpu,
      { name: `${software.name} ${i}`, ramBytes: RAM, firmware: false },
      () => {},
    )
    software.load(guest.machine, i + 1)
    for (let slice = 0; slice < BEGUN; slice++) guest.run(SLICE)
    return guest
  })
  const { pages, frames, contents } = accountOf(guests)
  const { free } = host.frames
  host.ksm.set('run', 1)
  const start = performance.now()
  while (host.frames.free - free < MOST * (frames - contents)) {
    host.ksm.scanPages(BATCH)
    if (host.ksm.counters().full_scans > SCANS)
      throw new Error(`${SCANS} full scans have not shared ${MOST} of it`)
  }
  const ms = performance.now() - start
  host.close()
  return { pages, common: frames - contents, ms }
}

interface Run {
  readonly ms: number
  readonly instructions: number
}

function onFlat(software: Software): Run {
  const machine = new Machine((devices) => flatBoard(flat, RAM, devices), { print: () => {} })
  software.load(machine, 1)
  return timed(machine, () => {})
}

async function onPagefold(software: Software, scanning: boolean): Promise<Run> {
  const host = await Host.create({ frames: 2 * (RAM / 4096) })
  const options = { name: software.name, ramBytes: RAM, firmware: false }
  const guest = Guest.create(host, cpu, options, () => {})
  // One that has run before, to merge with.
  const other = Guest.create(host, cpu, options, () => {})
  if (scanning) {
    software.load(other.machine, 2)
    while (other.run(SLICE) !== 'stopped') {}
    host.ksm.set('run', 1)
  }
  software.load(guest.machine, 1)
  const run = timed(guest.machine, () => {
    if (scanning) host.ksm.scan()
  })
  host.close()
  return run
}

/** Processor time of the slices alone. */
function timed(machine: Machine, between: () => void): Run {
  let microseconds = 0
  for (let state = 'running'; state !== 'stopped'; ) {
    const before = process.cpuUsage()
    state = machine.run(SLICE)
    const { user, system } = process.cpuUsage(before)
    microseconds += user + system
    between()
  }
  return { ms: microseconds / 1000, instructions: machine.instructions }
}

function summary(ratios: number[]): string {
  const sorted = ratios.sort((a, b) => a - b)
  const text = (at: number) => sorted[at]!.toFixed(sorted[0]! < 10 ? 2 : 0)
  return `${text(Math.floor(sorted.length / 2))} (${text(0)} to ${text(sorted.length - 1)})`
}
