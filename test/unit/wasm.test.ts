// The core may come from elsewhere; what is not this version's core is refused in one line that says what to do.

import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ABI_VERSION } from '../../assembly/abi.ts'
import { Host, PagefoldError } from '../../src/index.ts'
import { scratch } from '../support/files.ts'

const FILE = new URL('../../dist/core.wasm', import.meta.url)
const BYTES = new Uint8Array(readFileSync(FILE))
const MODULE = new WebAssembly.Module(BYTES)
const WHAT_TO_DO = ': take core.wasm of this very version of pagefold, or rebuild with `npm run build`'

async function merges(wasm: object, workers = 0): Promise<void> {
  const host = await Host.create({ frames: 2048, wasm, workers })
  onTestFinished(() => host.close())
  const mm = host.createMm()
  const at = mm.mmap(1024 * 4096)
  mm.write(at, new Uint8Array(1024 * 4096).fill(7))
  mm.madvise(at, 1024 * 4096, 'MADV_MERGEABLE')
  host.ksm.set('run', 1)
  host.ksm.scan(2)
  expect(host.ksm.counters().pages_sharing).toBe(1020)
}

/** A module that exports functions of these names, each returning `value`, and imports nothing. */
function exporting(names: readonly string[], value: number): Uint8Array {
  const section = (id: number, body: number[]): number[] => [id, ...leb(body.length), ...body]
  const text = (name: string): number[] => [name.length, ...Buffer.from(name)]
  const leb = (number: number): number[] =>
    number < 128 ? [number] : [(number & 127) | 128, ...leb(number >>> 7)]
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 0, 1, 0x7f]),
    ...section(3, [1, 0]),
    ...section(7, [...leb(names.length), ...names.flatMap((name) => [...text(name), 0, 0])]),
    ...section(10, [1, 4, 0, 0x41, value & 63, 0x0b]),
  ])
}

const NAMES = WebAssembly.Module.exports(MODULE).map(({ name }) => name)

describe('the core', () => {
  it.each([
    ['its URL', FILE],
    ['a compiled module', MODULE],
    ['a Uint8Array', BYTES],
    ['a Buffer, which is one', Buffer.from(BYTES)],
    ['a part of a larger array', Uint8Array.from([1, 2, ...BYTES, 3]).subarray(2, 2 + BYTES.length)],
    ['an ArrayBuffer', BYTES.slice().buffer],
  ])('may be given as %s', async (_, wasm) => {
    await merges(wasm)
  })

  it('that was given is what helpers have too', async () => {
    await merges(MODULE, 2)
  })

  it('may come from a server, whatever that says of its type', async () => {
    const url = await served(200, BYTES)
    await merges(url)
  })

  it.each(['./core.wasm', 3, [], {}, new Uint16Array(4), new Map()])(
    'is refused as anything else, such as %j',
    async (wasm) => {
      await expect(Host.create({ frames: 1, wasm: wasm as object })).rejects.toThrow(
        /^Expected `wasm` to be a URL, a WebAssembly.Module, a Uint8Array or an ArrayBuffer, got /,
      )
      await expect(Host.create({ frames: 1, wasm: wasm as object })).rejects.toBeInstanceOf(TypeError)
    },
  )

  it('is not left out by a null', async () => {
    await expect(Host.create({ frames: 1, wasm: null as never })).rejects.toThrow(
      new TypeError('Host.create: `wasm` is null: leave it out instead'),
    )
  })

  it('that is not there is ENOENT, or EIO from a server', async () => {
    const nowhere = pathToFileURL(join(scratch(), 'core.wasm'))
    await refused(nowhere, 'ENOENT', `${nowhere}: the core cannot be read (`)
    const url = await served(404, new Uint8Array())
    await refused(url, 'EIO', `${url}: the core cannot be read (status 404)`)
  })

  it('that does not compile is EUCLEAN, in one line', async () => {
    const text = await refused(BYTES.subarray(0, 4000), 'EUCLEAN', '`wasm` does not compile (')
    expect(text.endsWith(WHAT_TO_DO)).toBe(true)
    expect(text).not.toContain('\n')
    const file = pathToFileURL(join(scratch(), 'core.wasm'))
    writeFileSync(file, 'no wasm')
    await refused(file, 'EUCLEAN', `${file} does not compile (`)
  })

  it('of another layout is EUCLEAN, in one line', async () => {
    const text = await refused(
      exporting(NAMES, ABI_VERSION + 1),
      'EUCLEAN',
      `the core has layout ${ABI_VERSION + 1}, this code expects ${ABI_VERSION}${WHAT_TO_DO}`,
    )
    expect(text).not.toContain('\n')
  })

  it('that lacks a function is EUCLEAN, in one line', async () => {
    const some = NAMES.filter((name) => name !== 'hashAhead' && name !== 'search')
    await refused(exporting(some, ABI_VERSION), 'EUCLEAN', `the core lacks hashAhead, search${WHAT_TO_DO}`)
  })

  it.each(NAMES)('of before there was %s is EUCLEAN', async (name) => {
    const before = NAMES.filter((other) => other !== name)
    await refused(exporting(before, ABI_VERSION), 'EUCLEAN', `the core lacks ${name}${WHAT_TO_DO}`)
  })

  it('that wants something else than the arena is EUCLEAN, in one line', async () => {
    // Another name of the import: the section is `env` `memory`.
    const other = BYTES.slice()
    const at = Buffer.from(other).indexOf('memory')
    other.set(Buffer.from('remory'), at)
    const text = await refused(other, 'EUCLEAN', 'the core wants what it is not given (')
    expect(text.endsWith(WHAT_TO_DO)).toBe(true)
  })
})

async function refused(wasm: object, code: string, beginning: string): Promise<string> {
  const error = await Host.create({ frames: 1, wasm }).catch((cause: unknown) => cause)
  expect(error).toBeInstanceOf(PagefoldError)
  const { message } = error as PagefoldError
  expect(message.startsWith(`${code}: ${beginning}`), message).toBe(true)
  return message
}

async function served(status: number, body: Uint8Array): Promise<URL> {
  const server = createServer((_, response) => {
    response.writeHead(status, { 'content-type': 'text/plain' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/core.wasm`)
}
