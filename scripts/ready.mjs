// Makes a fresh clone ready: installs what package-lock.json names if it is not there, builds if a source is newer
// than the last build. Run before `npm start` and `npm test`; does nothing, quickly, when all is in place.
import { existsSync, lstatSync, readdirSync, readFileSync, statSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { root, runNode, runNpm } from './tool.mjs'

const at = (...parts) => join(root, ...parts)
const time = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

if (!isInstalled()) {
  console.error('pagefold: installing dependencies')
  // `npm ci` empties the folder it finds. One that is only linked to is somebody else's.
  const folder = lstatSync(at('node_modules'), { throwIfNoEntry: false })
  if (folder?.isSymbolicLink()) unlinkSync(at('node_modules'))
  expectSuccess(runNpm('ci', '--include=dev', '--no-fund', '--no-audit'))
}
const sources = [
  'assembly',
  'src',
  'bench',
  'scripts/build.mjs',
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

/** Compares what npm wrote down when it installed with what it shall install: contents, because a checkout has new times. */
function isInstalled() {
  if (!existsSync(at('node_modules/.package-lock.json'))) return false
  const packages = (path) => JSON.parse(readFileSync(at(path), 'utf8')).packages
  const wanted = packages('package-lock.json')
  const present = packages('node_modules/.package-lock.json')
  const isPresent = (name) =>
    present[name]?.version === wanted[name].version && present[name]?.integrity === wanted[name].integrity
  const fits = (names, name) =>
    names === undefined || names.includes(name) || (names[0]?.startsWith('!') && !names.includes(`!${name}`))
  const isHere = ({ os, cpu }) => fits(os, process.platform) && fits(cpu, process.arch)
  // Optional packages may be missing: most are for other systems.
  return (
    Object.keys(wanted).every((name) => name === '' || wanted[name].optional || isPresent(name)) &&
    Object.keys(present).every((name) => name in wanted && isPresent(name) && isHere(present[name]))
  )
}

function newestIn(path) {
  if (!existsSync(path)) return 0
  const stat = statSync(path)
  if (!stat.isDirectory()) return stat.mtimeMs
  return Math.max(stat.mtimeMs, ...readdirSync(path).map((name) => newestIn(join(path, name))))
}

function expectSuccess({ status, error }) {
  if (error) console.error(`pagefold: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}
