// A misspelt option is refused wherever options are taken, with the name that was meant.

import { describe, expect, it } from 'vitest'
import { expectStrategy, Host } from '../../src/index.ts'
import {
  compareHashes,
  mergeImages,
  synthImage,
  synthImages,
  synthTruth,
  writeSynth,
} from '../../src/lab/index.ts'
import { scratch } from '../support/files.ts'

const PAGE = 4096
const DEMO = { preset: 'demo', pages: 8 }

/** Every call of every door that takes options: its name, how it is made with these, and a slip. */
const CALLS: [name: string, slip: string, meant: string, call: (slip: object) => unknown][] = [
  ['Host.create', 'worker', 'workers', (slip) => Host.create({ frames: 1, ...slip })],
  ['createMm', 'names', 'name', async (slip) => (await host()).createMm(slip)],
  [
    'loadImage',
    'progress',
    'onProgress',
    async (slip) => (await host()).loadImage(synthImages(DEMO)[0]!, slip),
  ],
  ['migrate', 'nid', 'node', async (slip) => (await host()).migrate(await pfn(), { node: 0, ...slip })],
  ['memoryFailure', 'recovers', 'recover', async (slip) => (await host()).memoryFailure(await pfn(), slip)],
  ['mmap', 'addres', 'address', async (slip) => (await mm()).mmap(PAGE, slip)],
  ['mremap', 'mayMoves', 'mayMove', async (slip) => (await mm()).mremap(0, PAGE, PAGE, slip)],
  ['fork', 'nam', 'name', async (slip) => (await mm()).fork(slip)],
  ['replace', 'nam', 'name', async (slip) => (await mm()).replace(slip)],
  ['write', 'forced', 'force', async (slip) => (await mm()).write(0, new Uint8Array(1), slip)],
  ['pin', 'writes', 'write', async (slip) => (await mm()).pin(0, PAGE, slip)],
  ['get', 'writes', 'write', async (slip) => (await mm()).get(0, PAGE, slip)],
  ['expectStrategy', 'check_sum', 'checksum', (slip) => expectStrategy(slip)],
  ['mergeImages', 'scan', 'scans', (slip) => mergeImages({ images: synthImages(DEMO), ...slip })],
  [
    'compareHashes',
    'round',
    'rounds',
    (slip) => {
      const given = { images: [], checksums: [], indexes: [], sampleWords: 1, pages: 1, rounds: 1 }
      return compareHashes({ ...given, ...slip })
    },
  ],
  ['synthImages', 'moments', 'moment', (slip) => synthImages({ ...DEMO, ...slip })],
  ['synthImage', 'img', 'image', (slip) => synthImage({ ...DEMO, image: 0, ...slip })],
  ['synthTruth', 'moment', 'moments', (slip) => synthTruth({ ...DEMO, ...slip })],
  ['synthTruth', 'onprogres', 'onProgress', (slip) => synthTruth(DEMO, slip)],
  ['writeSynth', 'forced', 'force', (slip) => writeSynth({ ...DEMO, dir: scratch(), ...slip })],
]

const host = (): Promise<Host> => Host.create({ frames: 16 })
const mm = async () => (await host()).createMm()
const pfn = async (): Promise<number> => (await host()).memory.arena.firstPfn

describe('an option that there is not', () => {
  it.each(CALLS)('is refused by %s: `%s` is not `%s`', async (name, slip, meant, call) => {
    const message = `${name}: no option \`${slip}\`: did you mean \`${meant}\`?`
    const attempt = async (): Promise<unknown> => call({ [slip]: 1 })
    await expect(attempt()).rejects.toThrow(new TypeError(message))
  })
})
