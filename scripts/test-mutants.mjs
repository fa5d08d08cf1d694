// Runs test/mutants/run-mutants.ts.
import { join } from 'node:path'
import { bundledMain } from './bundled-main.mjs'
import { root } from './tool.mjs'

await bundledMain('test/mutants/run-mutants.ts', (main) =>
  main(process.argv.slice(2), root, join(root, 'dist')),
)
