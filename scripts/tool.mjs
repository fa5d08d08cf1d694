// Runs the tools of devDependencies and npm, the same way on every system: a tool by its own script and this Node, because the
// shims in node_modules/.bin are not programs everywhere.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The script that the package calls `name` on the command line. */
export function toolPath(packageName, name) {
  const folder = join(root, 'node_modules', packageName)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return join(folder, typeof bin === 'string' ? bin : bin[name])
}

/** Runs `node` with what is given, in the root of the repository; returns what spawnSync returns. */
export function runNode(args, stdio = ['ignore', 2, 2]) {
  return spawnSync(process.execPath, args, { cwd: root, stdio })
}

/** Runs npm: the one that runs this script, or else the one on PATH. */
export function runNpm(...args) {
  const npm = process.env.npm_execpath ?? ''
  if (/npm-cli\.[cm]?js$/.test(npm)) return runNode([npm, ...args])
  // npm is a batch file on Windows, and those need a shell.
  const shell = process.platform === 'win32'
  return shell
    ? spawnSync(['npm', ...args].join(' '), { cwd: root, stdio: ['ignore', 2, 2], shell })
    : spawnSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] })
}

/** Ends this script, saying why, unless what was run came to a good end. */
export function expectSuccess({ status, error }) {
  if (error) console.error(`pagefold: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}
