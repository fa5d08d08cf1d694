// Installs what a folder's package-lock.json names, if it is not there: exactly that, with `npm ci`.
import { existsSync, lstatSync, readFileSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { expectSuccess, root, runNpm } from './tool.mjs'

/** `folder` is named from the root of the repository, '.' being the root itself. */
export function install(folder) {
  const at = (...parts) => join(root, folder, ...parts)
  if (isInstalled(at)) return
  console.error(`pagefold: installing dependencies${folder === '.' ? '' : ` of ${folder}`}`)
  // `npm ci` empties the folder it finds. One that is only linked to is somebody else's.
  const modules = lstatSync(at('node_modules'), { throwIfNoEntry: false })
  if (modules?.isSymbolicLink()) unlinkSync(at('node_modules'))
  const place = folder === '.' ? [] : ['--prefix', folder]
  expectSuccess(runNpm('ci', ...place, '--include=dev', '--no-fund', '--no-audit'))
}

/** Compares what npm wrote down when it installed with what it shall install: contents, because a checkout has new times. */
function isInstalled(at) {
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
