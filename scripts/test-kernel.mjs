// Bundles test/conformance/run-histories.ts, so that every Node this package runs on can run it, and runs it.
import { rmSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { embed } from './embed.mjs'
import { root } from './tool.mjs'

const file = join(root, 'dist/run-histories.js')
const bundled = await rolldown({
  input: join(root, 'test/conformance/run-histories.ts'),
  plugins: [embed()],
  platform: 'node',
  external: (id) => /^[^./]/.test(id) && !isAbsolute(id),
  optimization: { inlineConst: true },
})
// Where its own imports of packages are found.
await bundled.write({ file, format: 'esm', codeSplitting: false })
try {
  const { main } = await import(pathToFileURL(file).href)
  process.exitCode = await main(process.argv.slice(2), join(root, 'test/conformance'))
} finally {
  rmSync(file, { force: true })
}
