// Guests on the disk, two files each: `NAME.raw` is its RAM, an image like any other (`pagefold scan` takes it), with holes where nothing
// is; `NAME.json` is the rest, written last: where it is, the guest is whole.

import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { HART_BYTES } from '../cpu/state.ts'
import { pagesInUse, type SavedGuest } from '../machine/guest.ts'

/** Rises with every change of what is written. */
const FORMAT = 1
/** So much is written at a time; others have their turns in between. */
const PIECE = 1 << 20
const ENDING = '.json'

/** Writes a guest into a folder, while others run on. */
export async function writeSaved(folder: string, { ram, hart, ...rest }: SavedGuest): Promise<void> {
  const { name, ramBytes } = rest.options
  mkdirSync(folder, { recursive: true })
  const file = openSync(join(folder, `${name}.raw`), 'w')
  try {
    ftruncateSync(file, ramBytes)
    for (let from = 0; from < ramBytes; from += PIECE) {
      for (const [at, page] of pagesInUse(ram(from, Math.min(PIECE, ramBytes - from))))
        writeSync(file, page, 0, page.length, from + at)
      await new Promise((resolve) => setImmediate(resolve))
    }
  } finally {
    closeSync(file)
  }
  const state = { format: FORMAT, ...rest, hart: Buffer.from(hart).toString('base64') }
  writeFileSync(join(folder, `${name}${ENDING}`), JSON.stringify(state))
}

/** The guests that were saved in a folder. */
export function readAllSaved(folder: string): SavedGuest[] {
  const names = readdirSync(folder).filter((name) => name.endsWith(ENDING))
  return names.sort().map((name) => readSaved(folder, name.slice(0, -ENDING.length)))
}

function readSaved(folder: string, name: string): SavedGuest {
  const { format, hart: text, ...rest } = JSON.parse(readFileSync(join(folder, `${name}${ENDING}`), 'utf8'))
  if (format !== FORMAT) throw new Error(`${name}: saved in format ${format}, this program reads ${FORMAT}`)
  const hart = Uint8Array.from(Buffer.from(text, 'base64'))
  if (hart.length !== HART_BYTES) throw new Error(`${name}: its hart is not whole`)
  const path = join(folder, `${name}.raw`)
  const { size } = statSync(path)
  if (size !== rest.options.ramBytes)
    throw new Error(`${path}: has ${size} bytes, and the guest has ${rest.options.ramBytes}`)
  return { ...rest, hart, ram: (from, length) => readRange(path, from, length) }
}

function readRange(path: string, from: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  const file = openSync(path, 'r')
  try {
    for (let done = 0; done < length; ) {
      const got = readSync(file, bytes, done, length - done, from + done)
      if (got === 0) throw new Error(`${path} ends at ${from + done}`)
      done += got
    }
  } finally {
    closeSync(file)
  }
  return bytes
}
