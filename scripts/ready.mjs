// Makes a fresh clone ready: installs what package-lock.json names if it is not there, builds if a source is newer
// than the last build. Run before `npm start` and `npm test`; does nothing, quickly, when all is in place.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const at = (...parts) => join(root, ...parts)
const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

const installed = time(at('node_modules/.package-lock.json'))
if (installed === 0 || installed < time(at('package-lock.json'))) {
  console.error('pagefold: installing dependencies')
  // Not `npm ci`: it refuses where the registry lacks a tool's binary for some other platform.
  run('npm', 'install', '--no-save', '--no-fund', '--no-audit')
}
const sources = [
  'assembly',
  'src',
  'bench',
  'scripts/build.mjs',
  'asconfig.json',
  'tsconfig.json',
  'package-lock.json',
]
const newest = Math.max(...sources.map((source) => newestIn(at(source))))
const built = Math.min(time(at('dist/core.wasm')), time(at('dist/main.js')))
if (built < newest) {
  console.error('pagefold: building')
  run(process.execPath, at('scripts/build.mjs'), '--clean')
}

function newestIn(path) {
  if (!existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestIn(join(path, name))))
}

function run(command, ...args) {
  const result = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] })
  if (result.status !== 0) process.exit(result.status ?? 1)
}
