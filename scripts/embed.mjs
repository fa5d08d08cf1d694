// A plugin for rolldown and Vite that makes text of imports that are no code, so that what is built needs no file beside
// it and no configuration of whoever bundles it further: a `.wasm` becomes hexadecimals, a `.html` itself, a module with
// `?program` behind its name the script that rolldown bundles from it.
import { readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { rolldown } from 'rolldown'

/** Has every other plugin leave them alone. */
const MARK = '\0embed:'
const EMBEDDED = /(\.wasm|\.html|\?program)$/

/** `core`: the file to take for `core.wasm`. Default: the one that is named. */
export function embed({ core } = {}) {
  return {
    name: 'embed',
    enforce: 'pre',
    resolveId(source, importer) {
      if (!EMBEDDED.test(source) || importer === undefined) return null
      const id = resolve(dirname(importer), source)
      const other = core !== undefined && basename(id) === 'core.wasm'
      return `${MARK}${other ? resolve(core) : id}`
    },
    async load(id) {
      if (!id.startsWith(MARK)) return null
      const file = id.slice(MARK.length)
      return `export default ${JSON.stringify(await textOf(file))}`
    },
  }
}

async function textOf(file) {
  if (file.endsWith('.wasm')) return readFileSync(file).toString('hex')
  if (file.endsWith('.html')) return readFileSync(file, 'utf8')
  const bundled = await rolldown({ input: file.replace('?program', ''), optimization: { inlineConst: true } })
  const { output } = await bundled.generate({ format: 'iife', minify: true })
  return output[0].code
}
