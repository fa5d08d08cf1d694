// Ships the types: of all that tsc has declared, under dist/declarations, only what can be reached from what the doors export
// goes to dist/types, declaration by declaration; what is inside stays inside. Names of files become what every resolver finds.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { doors } from './doors.mjs'

/** A statement of the first level begins in the first column; so does the comment before it. */
const STATEMENT =
  /^(?:\/\*\*[\s\S]*?\*\/\n)?(?:import|export|declare|interface|type|abstract|class)\b[\s\S]*?(?=^(?:\/\*\*|\/\/|import|export|declare|interface|type|abstract|class)\b|^\/\*\*|(?![\s\S]))/gm
const LIST = /^(?:import|export)\s(type\s)?\{([^}]*)\} from '([^']+)'/
const NAMED = /^(?:export\s)?(?:declare\s)?(?:abstract\s)?(?:class|interface|type|const|function|enum)\s(\w+)/

export function shipTypes(root) {
  const from = join(root, 'dist/declarations/src')
  const to = join(root, 'dist/types')
  const files = new Map()
  for (const { source } of doors()) {
    const file = load(files, join(root, 'dist/declarations', source.replace(/\.ts$/, '.d.ts')))
    for (const { statement } of file.statements) use(files, file, statement)
  }
  rmSync(to, { recursive: true, force: true })
  for (const [path, file] of files) {
    const text = render(file)
    if (text === '') continue
    const place = join(to, relative(from, path))
    mkdirSync(dirname(place), { recursive: true })
    writeFileSync(place, text)
  }
  writeFileSync(join(to, 'core.wasm.d.ts'), CORE)
}

/** What importing the binary gives depends on who resolves it: a module, a URL, bytes. Host.create takes all of them. */
const CORE = `/** The core's binary, as whoever resolves the import hands it over: for the option \`wasm\` of Host.create. */
declare const core: object;
export default core;
`

/** Reads a file of declarations: its statements, and by which names it has what. */
function load(files, path) {
  const known = files.get(path)
  if (known !== undefined) return known
  const file = { path, statements: [], imported: new Map(), exported: new Map(), declared: new Map() }
  files.set(path, file)
  for (const [text] of readFileSync(path, 'utf8').matchAll(STATEMENT)) {
    const comment = /^\/\*\*[\s\S]*?\*\/\n/.exec(text)?.[0] ?? ''
    const code = text.slice(comment.length)
    const list = LIST.exec(code)
    const statement = { text, code, used: false, names: list === null ? undefined : new Map() }
    file.statements.push({ statement, list })
    if (list !== null) {
      const [, allTypes, names, source] = list
      for (const name of names
        .split(',')
        .map((one) => one.trim())
        .filter((one) => one !== '')) {
        const [theirs, ours = theirs] = name.replace(/^type /, '').split(' as ')
        const entry = { theirs, ours, source, name, statement, isType: allTypes !== undefined }
        const kind = code.startsWith('import') ? file.imported : file.exported
        kind.set(ours, entry)
      }
    } else {
      const name = NAMED.exec(code)?.[1]
      if (name === undefined) {
        if (/^export \{\s*\};?\s*$/.test(code)) continue
        throw new Error(`types: ${path}: what is declared here?\n${code}`)
      }
      file.declared.set(name, [...(file.declared.get(name) ?? []), statement])
    }
  }
  return file
}

/** Marks a statement, and everything that it names. */
function use(files, file, statement) {
  if (statement.used) return
  statement.used = true
  if (statement.names !== undefined) {
    for (const entry of [...file.exported.values()].filter((one) => one.statement === statement)) {
      statement.names.set(entry.ours, entry)
      useFrom(files, file, entry)
    }
    return
  }
  const code = statement.code.replace(/\/\*[\s\S]*?\*\//g, '')
  for (const [word] of code.matchAll(/[A-Za-z_$][\w$]*/g)) useName(files, file, word)
}

/** Marks what a file calls by a name, if anything. */
function useName(files, file, name) {
  for (const statement of file.declared.get(name) ?? []) use(files, file, statement)
  const entry = file.imported.get(name)
  if (entry === undefined || entry.statement.names.has(name)) return
  entry.statement.used = true
  entry.statement.names.set(name, entry)
  useFrom(files, file, entry)
}

function useFrom(files, file, { source, theirs }) {
  if (!source.startsWith('.')) return
  const target = load(files, `${resolve(dirname(file.path), source).replace(/\.ts$/, '')}.d.ts`)
  const again = target.exported.get(theirs)
  if (again === undefined) useName(files, target, theirs)
  else if (!again.statement.names.has(theirs)) {
    again.statement.used = true
    again.statement.names.set(theirs, again)
    useFrom(files, target, again)
  }
}

function render(file) {
  return file.statements
    .filter(({ statement }) => statement.used)
    .map(({ statement: { text, code, names } }) => {
      if (names === undefined) return text
      const [, allTypes = '', , source] = LIST.exec(code)
      const [keyword] = code.split(' ', 1)
      const list = [...names.values()].map(({ name }) => name).join(', ')
      return `${keyword} ${allTypes}{ ${list} } from '${source.replace(/^(\..*)\.ts$/, '$1.js')}';\n`
    })
    .join('')
}
