// Makes a fresh clone ready: installs what package-lock.json names if it is not there, builds if a source is newer
// than the last build. Run before `npm start` and `npm test`; does nothing, quickly, when all is in place.
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { install } from './install.mjs'
import { expectSuccess, root, runNode } from './tool.mjs'

const at = (...parts) => join(root, ...parts)
const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

install('.')
const sources = [
  'assembly',
  'src',
  'bench',
  'scripts/build.mjs',
  'scripts/doors.mjs',
  'scripts/embed.mjs',
  'scripts/tool.mjs',
  'scripts/types.mjs',
  'asconfig.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'package-lock.json',
]
const newest = Math.max(...sources.map((source) => newestIn(at(source))))
const built = Math.min(time(at('dist/core.wasm')), time(at('dist/main.js')))
if (built < newest) {
  console.error('pagefold: building')
  expectSuccess(runNode([at('scripts/build.mjs'), '--clean']))
}

function newestIn(path) {
  if (!existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestIn(join(path, name))))
}
