import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
// @ts-expect-error: no types, and none needed
import { embed } from './scripts/embed.mjs'

const at = (name: string) => fileURLToPath(new URL(name, import.meta.url))

export default defineConfig({
  // Sources run as they are, the core as it was built: the debug build has the asserts.
  plugins: [embed({ core: process.env.PAGEFOLD_CORE ?? at('dist/core.debug.wasm') })],
  resolve: { alias: { pagefold: at('src/index.ts') } },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 240_000,
    // Of two processors vitest would leave one to itself.
    maxWorkers: '100%',
    reporters: ['default', './test/support/last-line-reporter.ts'],
    coverage: { include: ['src/**'], reporter: ['text-summary', 'html'] },
  },
})
