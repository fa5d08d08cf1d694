// node examples/riscv/build/store.js [MOMENTS] [DIRECTORY]: moments of a RISC-V guest that runs, in a store of snapshots. The last that
// was saved before it ended goes on from there on another host, to the same end.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Host, PAGE_SIZE } from 'pagefold'
import { SnapshotStore } from 'pagefold/store'
import { Guest, type SavedGuest } from './machine/guest.ts'
import { bareProgram } from './run/software.ts'

const MOMENTS = Number(process.argv[2] ?? 8)
const RAM_BYTES = 8 * 2 ** 20
/** Instructions between two moments. */
const BETWEEN = 5_000_000

/** Takes a fork, which is saved while the guest runs on. Its hart and devices go along as the note. */
async function save(store: SnapshotStore, name: string, guest: Guest, like?: string): Promise<void> {
  const { state, release } = guest.save()
  const { ram, hart, ...rest } = state
  const image = {
    source: name,
    format: 'raw',
    pages: RAM_BYTES / PAGE_SIZE,
    notes: [],
    addressOf: (page: number) => page * PAGE_SIZE,
    read: (first: number, count: number, into: Uint8Array) =>
      into.set(ram(first * PAGE_SIZE, count * PAGE_SIZE)),
    close: () => {},
  }
  const note = JSON.stringify({ ...rest, hart: Buffer.from(hart).toString('base64') })
  const saving = store.save(name, image, like === undefined ? { note } : { note, like })
  guest.run(BETWEEN)
  const { added_pages } = await saving
  console.log(`${name}: ${added_pages} pages are new`)
  release()
}

function savedIn(store: SnapshotStore, name: string): SavedGuest {
  const { hart, ...rest } = JSON.parse(store.get(name)!.note)
  const image = store.image(name)
  const ram = (from: number, length: number): Uint8Array => {
    const bytes = new Uint8Array(length)
    image.read(from / PAGE_SIZE, length / PAGE_SIZE, bytes)
    return bytes
  }
  return { ...rest, hart: Uint8Array.from(Buffer.from(hart, 'base64')), ram }
}

const here = fileURLToPath(new URL('..', import.meta.url))
const cpu = new WebAssembly.Module(readFileSync(`${here}build/cpu.wasm`))
const software = bareProgram('pages', readFileSync(`${here}programs/pages.elf`), RAM_BYTES)
const host = await Host.create({ frames: 8192 })
const guest = Guest.create(host, cpu, { name: 'pages', ramBytes: RAM_BYTES, firmware: false })
software.load(guest.machine, 1)

const store = await SnapshotStore.open(process.argv[3])
let last: string | undefined
guest.run(BETWEEN)
for (let moment = 0; moment < MOMENTS && guest.state !== 'stopped'; moment++) {
  await save(store, `moment-${moment}`, guest, last)
  last = `moment-${moment}`
}
while (guest.state !== 'stopped') guest.run(BETWEEN)

const { snapshots, pages, distinct_pages } = store.stats()
console.log(
  `${snapshots} moments of ${pages / snapshots} pages: ${distinct_pages} are distinct and not zeros`,
)

const elsewhere = await Host.create({ frames: 8192 })
const other = Guest.restore(elsewhere, cpu, savedIn(store, last!))
const before = other.lines.length
while (other.state !== 'stopped') other.run(BETWEEN)
const isSame = guest.lines.join('\n') === other.lines.join('\n')
console.log(
  isSame ? `${last} went on for ${other.lines.length - before} lines, to the same end` : 'wrong: another end',
)
if (!isSame) process.exitCode = 1
await store.close()
host.close()
elsewhere.close()
