// Ships the types: of all that tsc has declared, under dist/declarations, only what can be reached from the doors goes to
// dist/types, with the names of files as any resolver finds them.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'

const DOORS = ['src/index.d.ts', 'src/images/index.d.ts', 'src/lab/index.d.ts', 'src/report/index.d.ts']
const RELATIVE = /((?:from |import\()['"])(\.[^'"]+)\.ts(['"])/g

export function shipTypes(root) {
  const from = join(root, 'dist/declarations')
  const to = join(root, 'dist/types')
  rmSync(to, { recursive: true, force: true })
  const seen = new Set()
  const ship = (file) => {
    if (seen.has(file)) return
    seen.add(file)
    const text = readFileSync(file, 'utf8')
    for (const [, , target] of text.matchAll(RELATIVE)) ship(`${resolve(dirname(file), target)}.d.ts`)
    const place = join(to, relative(from, file))
    mkdirSync(dirname(place), { recursive: true })
    writeFileSync(place, text.replace(RELATIVE, '$1$2.js$3'))
  }
  for (const door of DOORS) ship(join(from, door))
}
