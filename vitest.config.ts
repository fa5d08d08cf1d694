import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const core = (name: string) => fileURLToPath(new URL(`dist/${name}`, import.meta.url))

export default defineConfig({
  resolve: { alias: { pagefold: fileURLToPath(new URL('src/index.ts', import.meta.url)) } },
  test: {
    include: ['test/**/*.test.ts'],
    // Sources run as they are, the core as it was built: the debug build has the asserts.
    env: { PAGEFOLD_CORE: process.env.PAGEFOLD_CORE ?? core('core.debug.wasm') },
    testTimeout: 60_000,
    reporters: ['default', './test/support/last-line-reporter.ts'],
    coverage: { include: ['src/**'], reporter: ['text-summary', 'html'] },
  },
})
