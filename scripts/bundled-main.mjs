// Runs a program of the tests that is written in TypeScript, bundled first, so that every Node this package runs on can run it.
import { rmSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { root } from './tool.mjs'

/** Calls `main` of a source, named from the root, and makes what it resolves to the exit code. `options`: more for the bundler. */
export async function bundledMain(source, call, options = {}) {
  const bundled = await rolldown({
    input: join(root, source),
    platform: 'node',
    external: (id) => /^[^./]/.test(id) && !isAbsolute(id),
    ...options,
  })
  // Where its own imports of packages are found.
  const file = join(root, 'dist', basename(source).replace(/\.ts$/, '.js'))
  await bundled.write({ file, format: 'esm', codeSplitting: false })
  try {
    const { main } = await import(pathToFileURL(file).href)
    process.exitCode = await call(main)
  } finally {
    rmSync(file, { force: true })
  }
}
