// Bundles test/conformance/run-histories.ts, so that every Node this package runs on can run it, and runs it.
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const file = join(root, 'dist/run-histories.js')
const bundled = await rolldown({
  input: join(root, 'test/conformance/run-histories.ts'),
  platform: 'node',
  external: (id) => !id.startsWith('.') && !id.startsWith('/'),
  optimization: { inlineConst: true },
})
// Beside the core, which it loads.
await bundled.write({ file, format: 'esm', codeSplitting: false })
try {
  const { main } = await import(pathToFileURL(file).href)
  process.exitCode = await main(process.argv.slice(2), join(root, 'test/conformance'))
} finally {
  rmSync(file, { force: true })
}
