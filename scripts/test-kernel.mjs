// Runs test/conformance/run-histories.ts.
import { join } from 'node:path'
import { bundledMain } from './bundled-main.mjs'
import { embed } from './embed.mjs'
import { root } from './tool.mjs'

await bundledMain(
  'test/conformance/run-histories.ts',
  (main) => main(process.argv.slice(2), join(root, 'test/conformance')),
  { plugins: [embed()], optimization: { inlineConst: true } },
)
