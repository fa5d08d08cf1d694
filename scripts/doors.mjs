// The doors of the package, as package.json's `exports` names them, each with the source file that it is made of.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './tool.mjs'

/** [{ name: 'pagefold/images', source: 'src/images/index.ts' }, ...]; what is made of no source (the core) is no door. */
export function doors() {
  const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return Object.entries(exports)
    .map(([path, target]) => ({ name: name + path.slice(1), types: typesOf(target) ?? '' }))
    .map(({ name, types }) => ({ name, source: types.replace(/^.*?dist\/types\/(.*)\.d\.ts$/, 'src/$1.ts') }))
    .filter(({ source }) => source !== '' && existsSync(join(root, source)))
}

/** What a target gives under the condition `types`, however deep it stands. */
function typesOf(target) {
  if (typeof target !== 'object' || target === null) return undefined
  return typeof target.types === 'string'
    ? target.types
    : Object.values(target)
        .map(typesOf)
        .find((types) => types !== undefined)
}
