// Huge pages for the arena: what is asked for is had, or refused in a line that says why; what is merged does not depend on it.

import { readFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { type Host, PagefoldError } from '../../src/index.ts'
import { hostFor } from '../../src/lab/index.ts'
import { areGiven } from '../../src/lab/merge/huge-pages.ts'
import { files } from '../../src/platform.ts'
import { contentBytes, PAGE } from '../support/world.ts'

const FRAMES = 4096

async function made(hugePages = true): Promise<Host> {
  const host = await hostFor(FRAMES, { hugePages })
  onTestFinished(() => host.close())
  return host
}

async function refusal(): Promise<string> {
  const error = await made().catch((error: unknown) => error)
  expect(error).toBeInstanceOf(PagefoldError)
  return (error as Error).message
}

/** Bytes of this process that are in huge pages. */
function hugeBytes(): number {
  const [, kibibytes = '0'] =
    /^AnonHugePages:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8')) ?? []
  return Number(kibibytes) * 1024
}

/** Why this machine has none. */
const none = await hostFor(1, { hugePages: true }).then(
  (host) => host.close(),
  (error: Error) => error.message,
)

describe('huge pages', () => {
  it.skipIf(none !== undefined)(
    `are had by who asks for them${none === undefined ? '' : ` (${none})`}`,
    async () => {
      const before = hugeBytes()
      const fill = (host: Host): void => {
        const mm = host.createMm()
        const at = mm.mmap(FRAMES * PAGE)
        for (let page = 0; page < FRAMES; page++) mm.write(at + page * PAGE, contentBytes(page % 7))
        mm.madvise(at, FRAMES * PAGE, 'MADV_MERGEABLE')
        host.ksm.set('run', 1)
        host.ksm.scan(2)
      }
      const [huge, plain] = [await made(), await made(false)]
      fill(plain)
      const between = hugeBytes()
      fill(huge)
      expect(huge.ksm.counters()).toEqual(plain.ksm.counters())
      // Sixteen MiB, of which the ends need not be whole ones. Who gets them unasked has them in both.
      if (between - before < 8 * 2 ** 20) expect(hugeBytes() - between).toBeGreaterThan(8 * 2 ** 20)
    },
  )

  it('are not asked for without the package', async () => {
    if (!areGiven(said())) return
    const load = vi.spyOn(process.getBuiltinModule('node:module'), 'createRequire')
    onTestFinished(() => load.mockRestore())
    load.mockReturnValue((() => {
      throw new Error('no binary for this machine')
    }) as never)
    expect(await refusal()).toMatch(/^ENOTSUP: .*npm install koffi, which asks for them$/)
  })

  it('are refused where Linux has them switched off, or where there is no Linux', async () => {
    const { fs } = files('a test')
    const read = vi.spyOn(fs, 'readFileSync')
    onTestFinished(() => read.mockRestore())
    read.mockReturnValue('always madvise [never]\n')
    expect(await refusal()).toMatch(/^ENOTSUP: .*\/enabled says always madvise \[never\]$/)
    read.mockImplementation(() => {
      throw new Error('ENOENT')
    })
    expect(await refusal()).toMatch(/^ENOTSUP: .*\/enabled says nothing$/)
  })

  it('are had by those who ask where Linux gives them to all, or to those', () => {
    expect(['always [madvise] never\n', '[always] madvise never\n'].map(areGiven)).toEqual([true, true])
    expect(['always madvise [never]\n', undefined].map(areGiven)).toEqual([false, false])
  })
})

function said(): string | undefined {
  try {
    return readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8')
  } catch {
    return undefined
  }
}
