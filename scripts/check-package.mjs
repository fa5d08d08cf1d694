// Packs the package as npm would publish it and asks publint and attw what is wrong with it. attw is fetched when it is run: it is
// large, and needed for this alone.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runNode, runNpm, toolPath } from './tool.mjs'

const folder = mkdtempSync(join(tmpdir(), 'pagefold-package-'))
try {
  expectSuccess('npm pack', runNpm('pack', '--ignore-scripts', '--silent', '--pack-destination', folder))
  const tarball = join(folder, readdirSync(folder)[0])
  expectSuccess('publint', runNode([toolPath('publint', 'publint'), 'run', tarball, '--strict']))
  const attw = ['exec', '--yes', '--package=@arethetypeswrong/cli', '--', 'attw']
  expectSuccess('attw', runNpm(...attw, tarball, '--profile', 'esm-only'))
} finally {
  rmSync(folder, { recursive: true })
}

function expectSuccess(what, { status, error }) {
  if (status === 0) return
  console.error(`check-package: ${what} failed${error ? `: ${error.message}` : ''}`)
  process.exitCode = 1
}
