// Bundles test/mutants/run-mutants.ts, so that every Node this package runs on can run it, and runs it.
import { rmSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { root } from './tool.mjs'

const file = join(root, 'dist/run-mutants.js')
const bundled = await rolldown({
  input: join(root, 'test/mutants/run-mutants.ts'),
  platform: 'node',
  external: (id) => /^[^./]/.test(id) && !isAbsolute(id),
})
// Where its own imports of packages are found.
await bundled.write({ file, format: 'esm', codeSplitting: false })
try {
  const { main } = await import(pathToFileURL(file).href)
  process.exitCode = await main(process.argv.slice(2), root, join(root, 'dist'))
} finally {
  rmSync(file, { force: true })
}
