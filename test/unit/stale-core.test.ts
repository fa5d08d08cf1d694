// A core that was built from other sources than the code that loads it is refused in one line that says what to do, before
// anything is asked of it.

import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ABI_VERSION } from '../../assembly/abi.ts'
import { Host } from '../../src/index.ts'
import { file } from '../support/files.ts'

afterEach(() => vi.unstubAllEnvs())

const CORE = readFileSync(process.env.PAGEFOLD_CORE!)
const EXPORTS = WebAssembly.Module.exports(new WebAssembly.Module(CORE)).map(({ name }) => name)

/** A host on another core. */
function hostOn(core: Uint8Array): Promise<Host> {
  vi.stubEnv('PAGEFOLD_CORE', file('core.wasm', core))
  return Host.create({ frames: 16 })
}

/** A binary whose every export takes nothing and returns a number. */
function binary(exports: readonly string[], returns: number): Uint8Array {
  const section = (id: number, content: number[]): number[] => [id, ...size(content.length), ...content]
  const named = exports.flatMap((name) => [name.length, ...Buffer.from(name), 0, 0])
  const body = [0, 0x41, returns, 0x0b] // i32.const returns
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 0, 1, 0x7f]),
    ...section(3, [1, 0]),
    ...section(7, [...size(exports.length), ...named]),
    ...section(10, [1, body.length, ...body]),
  ])
}

/** A number below 2^14, as LEB128. */
function size(n: number): number[] {
  return n < 128 ? [n] : [(n & 127) | 128, n >>> 7]
}

describe('a stale build', () => {
  it('of another layout is refused', async () => {
    await expect(hostOn(binary(EXPORTS, ABI_VERSION - 1))).rejects.toMatchObject({
      code: 'EUCLEAN',
      message: expect.stringMatching(
        `has layout ${ABI_VERSION - 1}, this code expects ${ABI_VERSION}: .*npm run build`,
      ),
    })
  })

  it.each(EXPORTS)('from before there was %s is refused', async (name) => {
    const before = EXPORTS.filter((other) => other !== name)
    await expect(hostOn(binary(before, ABI_VERSION))).rejects.toMatchObject({
      code: 'EUCLEAN',
      message: expect.stringMatching(`lacks ${name}: .*npm run build`),
    })
  })

  it('says so in one line', async () => {
    const refused = await hostOn(binary([], ABI_VERSION)).catch((error: Error) => error.message)
    expect(refused).toContain('comparePages')
    expect(refused).not.toContain('\n')
  })

  it('is told from a current one', async () => {
    const host = await hostOn(CORE)
    host.close()
  })
})
