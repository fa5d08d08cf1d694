// Huge pages for the arena: what is asked for is had, or refused in a line that says why; what is merged does not depend on it.

import { readFileSync } from 'node:fs'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { whyNone } from '../../src/core/huge-pages.ts'
import { Host, type HostOptions, PagefoldError, stillClock } from '../../src/index.ts'
import { contentBytes, PAGE } from '../support/world.ts'

const FRAMES = 4096

async function made(options: Partial<HostOptions> = {}): Promise<Host> {
  const host = await Host.create({ frames: FRAMES, clock: stillClock, hugePages: true, ...options })
  onTestFinished(() => host.close())
  return host
}

async function refusal(options: Partial<HostOptions> = {}): Promise<string> {
  const error = await made(options).catch((error: unknown) => error)
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
const none = await Host.create({ frames: 1, hugePages: true }).then(
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
      const [huge, plain] = [await made(), await made({ hugePages: false })]
      expect([huge.policy.hugePages, plain.policy.hugePages]).toEqual([true, false])
      fill(plain)
      const between = hugeBytes()
      fill(huge)
      expect(huge.ksm.counters()).toEqual(plain.ksm.counters())
      // Sixteen MiB, of which the ends need not be whole ones. Who gets them unasked has them in both.
      if (between - before < 8 * 2 ** 20) expect(hugeBytes() - between).toBeGreaterThan(8 * 2 ** 20)
    },
  )

  it('are not asked for elsewhere, nor without the package', async () => {
    const os = process.getBuiltinModule('node:os')
    const platform = vi.spyOn(os, 'platform')
    onTestFinished(() => platform.mockRestore())
    platform.mockReturnValue('darwin')
    expect(await refusal()).toMatch(/^ENOTSUP: .*Linux gives them, and this is darwin$/)
    platform.mockRestore()
    if (
      process.platform !== 'linux' ||
      whyNone(readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8'))
    )
      return
    const load = vi.spyOn(process.getBuiltinModule('node:module'), 'createRequire')
    onTestFinished(() => load.mockRestore())
    load.mockReturnValue((() => {
      throw new Error('no binary for this machine')
    }) as never)
    expect(await refusal()).toMatch(/^ENOTSUP: .*npm install koffi$/)
  })

  it('are not to be had where they are switched off, or there are none', () => {
    expect(whyNone('always [madvise] never\n')).toBeUndefined()
    expect(whyNone('[always] madvise never\n')).toBeUndefined()
    expect(whyNone('always madvise [never]\n')).toContain('switched off in /sys/')
    expect(whyNone(undefined)).toContain('this kernel has none')
  })
})
