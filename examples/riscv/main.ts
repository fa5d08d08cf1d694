// npm run example:riscv: many RISC-V guests in one process, ksmd beside them.
//
//   npm run example:riscv -- --guests 20           boots 20
//   npm run example:riscv -- --guests 20 --fork    boots one and forks the rest
//   --program linux|pages|primes|traps             default: linux, if linux/fetch.sh has fetched it
//   --ram MIB  --pages N  --rounds N               of each guest; what Linux's init does
//   --report FILE                                  the chart at the end; default: build/guests.html
//   --threads N                                    guests' CPUs on so many other threads
//   --no-ksm                                       to compare with
//   --save FOLDER  --after MILLIONS                saves each guest when it has executed so many instructions, and runs it on
//   --restore FOLDER                               guests that go on where they were saved

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Host } from 'pagefold'
import { writeReport } from 'pagefold/report'
import type { SavedGuest } from './machine/guest.ts'
import { accountOf, digestsOf } from './run/account.ts'
import { chart } from './run/chart.ts'
import { Fleet, isAsking } from './run/fleet.ts'
import { readAllSaved } from './run/saved.ts'
import { Saver } from './run/saver.ts'
import { bareProgram, linux, type Software } from './run/software.ts'
import { Threads } from './run/threads.ts'
import { View } from './run/view.ts'

/** Instructions of one guest's turn. */
const SLICE = 1_000_000
const MIB = 1 << 20
/** How long at a time the engine's thread waits for faults of guests on others. */
const SERVE_MS = 5
/** Full scans after which all has been merged that can be. */
const LAST_SCANS = 3

const here = fileURLToPath(new URL('..', import.meta.url))
const { values } = parseArgs({
  options: {
    guests: { type: 'string', default: '4' },
    fork: { type: 'boolean', default: false },
    program: { type: 'string' },
    ram: { type: 'string' },
    pages: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '8' },
    report: { type: 'string', default: `${here}build/guests.html` },
    threads: { type: 'string' },
    'no-ksm': { type: 'boolean', default: false },
    save: { type: 'string' },
    after: { type: 'string', default: '20' },
    restore: { type: 'string' },
  },
})
const saved = values.restore === undefined ? undefined : savedGuests(values.restore)
const software = saved === undefined ? chooseSoftware() : undefined
const count = saved?.length ?? wholeNumber('guests', values.guests)

const ramBytes = Math.max(software?.ramBytes ?? 0, ...(saved ?? []).map(({ options }) => options.ramBytes))
const frames = Math.min(2 ** 20 - 65536, (count * ramBytes) / 4096 + 4096)
const host = await Host.create({ frames })
const threads =
  values.threads === undefined
    ? undefined
    : new Threads(`${here}build/thread.js`, wholeNumber('threads', values.threads))
const cpu = new WebAssembly.Module(readFileSync(`${here}build/cpu.wasm`))
const fleet = new Fleet(host, cpu, threads)
const saver =
  values.save === undefined
    ? undefined
    : new Saver(values.save, wholeNumber('after', values.after) * 1e6, threads)
const view = new View(process.stdout)
if (!values['no-ksm']) {
  host.ksm.set('pages_to_scan', 4000)
  host.ksm.set('sleep_millisecs', 10)
  host.ksm.set('run', 1)
  host.ksm.start()
}

if (software === undefined) {
  for (const guest of saved!) fleet.restore(guest)
} else if (values.fork) {
  const first = fleet.boot(software, 0)
  await runUntil(() => isAsking(first))
  if (first.state === 'stopped')
    fail(`${first.name} does not ask who it is, so forks of it would all be the same`)
  fleet.fork(first, 1, count)
} else {
  for (let number = 1; number <= count; number++) fleet.boot(software, number)
}
await runUntil(() => false)
while (fleet.guests.some(({ state }) => state !== 'stopped')) {
  host.serveFaults(SERVE_MS)
  await others()
}
if (saver !== undefined) console.log(`${await saver.done()} guests saved in ${values.save}`)
view.show(fleet, true)
await threads?.close()
await host.ksm.stop()

tellMemory('as they stopped')
if (!values['no-ksm']) {
  host.ksm.scan(LAST_SCANS)
  tellMemory(`after ${LAST_SCANS} full scans more`)
}
const { count: rounds, digest } = digestsOf(fleet.guests)
console.log(`${rounds} digests of guests' own, all together ${digest}`)
for (const { name, lines } of fleet.wrong) console.error(`${name}: ${lines.slice(-3).join(' | ')}`)
writeReport(values.report, chart(fleet, `example:riscv ${process.argv.slice(2).join(' ')}`))
console.log(`${fleet.wrong.length} of ${count} guests wrong; ${values.report}`)
if (fleet.wrong.length > 0) process.exitCode = 1
host.close()

/** Runs all guests, one slice each, until none runs any more or `done` says so. */
async function runUntil(done: () => boolean): Promise<void> {
  while (!done() && fleet.turn(SLICE) !== undefined) {
    await others()
  }
}

/** What happens between turns. */
async function others(): Promise<void> {
  view.show(fleet)
  saver?.look(fleet)
  // Ksmd's turn, and that of whatever is being written.
  await new Promise((resolve) => setImmediate(resolve))
}

function tellMemory(when: string): void {
  const { pages, frames, contents } = accountOf(fleet.guests)
  console.log(`${when}: ${pages} pages in ${frames} frames, with ${contents} distinct contents`)
}

function savedGuests(folder: string): SavedGuest[] {
  const guests = existsSync(folder) ? readAllSaved(folder) : []
  if (guests.length === 0) fail(`no guests have been saved in ${folder}`)
  return guests
}

function chooseSoftware(): Software {
  const folder = `${here}build/linux`
  const kernel = existsSync(folder)
    ? readdirSync(folder).find((name) => name.startsWith('vmlinu'))
    : undefined
  const program = values.program ?? (kernel === undefined ? 'pages' : 'linux')
  if (program !== 'linux') {
    const file = `${here}programs/${program}.elf`
    if (!existsSync(file)) fail(`there is no program ${program}`)
    return bareProgram(program, readFileSync(file), wholeNumber('ram', values.ram ?? '8') * MIB)
  }
  if (kernel === undefined) fail('Linux has not been fetched: run examples/riscv/linux/fetch.sh')
  const work = {
    pages: wholeNumber('pages', values.pages),
    rounds: wholeNumber('rounds', values.rounds),
    pause: 10,
  }
  const ramBytes = wholeNumber('ram', values.ram ?? '96') * MIB
  return linux(readFileSync(`${folder}/${kernel}`), readFileSync(`${here}linux/init.elf`), ramBytes, work)
}

function wholeNumber(name: string, text: string): number {
  const number = Number(text)
  if (!Number.isInteger(number) || number < 1) fail(`--${name} wants a whole number from 1 on, got ${text}`)
  return number
}

function fail(why: string): never {
  console.error(`example:riscv: ${why}`)
  process.exit(1)
}
