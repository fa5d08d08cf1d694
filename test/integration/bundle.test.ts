// What an embedder's page pays for the engine: all of it, with the core and the helpers' program in it, minified and compressed.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { project } from '../support/package.ts'

const MOST = 60_000

describe('a bundle', () => {
  let folder: string

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'pagefold-bundle-'))
    project(folder)
  })

  afterAll(() => rmSync(folder, { recursive: true }))

  it(`of the engine takes at most ${MOST / 1000} kB`, async () => {
    const contents = `import { Host, memorySwapStore, PagefoldError, SecondaryMmu } from 'pagefold'
      console.log(Host, memorySwapStore, PagefoldError, SecondaryMmu)`
    const stdin = { contents, resolveDir: folder, loader: 'js' } as const
    const { outputFiles } = await build({ stdin, bundle: true, minify: true, format: 'esm', write: false })
    const [{ contents: bytes, text }] = outputFiles as [(typeof outputFiles)[0]]
    const compressed = gzipSync(bytes, { level: 9 }).length
    console.log(`the engine: ${compressed} bytes compressed, ${text.length} minified`)
    expect(compressed).toBeLessThanOrEqual(MOST)
    // The core is in it, and nothing of the other doors.
    expect(text).toContain('0061736d01')
    for (const name of ['mergeImages', 'vm-hetero', 'pagefold report']) expect(text).not.toContain(name)
  })
})
