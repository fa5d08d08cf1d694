// Makes schemas/, a JSON schema for what each command prints with --json, and the tables of docs/json.md, from the types in
// src/cli/json.ts and their comments. With --check it writes nothing and fails if one of them is not as it would be made.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createGenerator } from 'ts-json-schema-generator'
import { root } from './tool.mjs'

export const COMMANDS = ['scan', 'hash', 'bench', 'census', 'fleet', 'diff', 'synth', 'store']
const START = '<!-- made by scripts/schemas.mjs -->'

/** { 'schemas/scan.json': text, ..., 'docs/json.md': text } */
export function made() {
  const generator = createGenerator({
    path: join(root, 'src/cli/json.ts'),
    tsconfig: join(root, 'tsconfig.json'),
    additionalProperties: true,
    skipTypeCheck: true,
    sortProps: false,
    topRef: false,
  })
  const schemas = COMMANDS.map((command) => [command, schemaOf(command, generator)])
  const files = schemas.map(([command, schema]) => [
    `schemas/${command}.json`,
    `${JSON.stringify(schema, undefined, 2)}\n`,
  ])
  const doc = readFileSync(join(root, 'docs/json.md'), 'utf8').split(START)[0]
  const tables = schemas.map(([command, schema]) => tableOf(command, schema))
  return Object.fromEntries([...files, ['docs/json.md', `${doc}${START}\n\n${tables.join('\n\n')}\n`]])
}

function schemaOf(command, generator) {
  const { $schema, ...schema } = generator.createSchema(`${command[0].toUpperCase()}${command.slice(1)}Json`)
  return { $schema, title: `pagefold ${command} --json`, ...asPrinted(schema) }
}

/** What is undefined in a list is null in JSON. */
function asPrinted(schema) {
  if (Array.isArray(schema)) return schema.map(asPrinted)
  if (typeof schema !== 'object' || schema === null) return schema
  const { not, ...rest } = Object.fromEntries(
    Object.entries(schema).map(([name, part]) => [name, asPrinted(part)]),
  )
  return not !== undefined && Object.keys(not).length === 0
    ? { type: 'null' }
    : { ...rest, ...(not && { not }) }
}

/** The names of a result, with those of objects and lists in it, down to the third level. */
function tableOf(command, schema) {
  const rows = rowsOf(schema, schema, '', 0)
  const lines = rows.map(([name, type, text]) => `| \`${name}\` | ${type} | ${text} |`)
  return [`## ${command}`, '', '| name | type | what it is |', '|---|---|---|', ...lines].join('\n')
}

function rowsOf(all, schema, before, depth) {
  const { properties = {}, required = [] } = resolved(all, schema)
  return Object.entries(properties).flatMap(([name, property]) => {
    const target = resolved(all, property)
    const items = target.type === 'array' ? resolved(all, target.items ?? {}) : target
    const path = `${before}${name}${target.type === 'array' ? '[]' : ''}`
    const text = (property.description ?? target.description ?? '')
      .replaceAll(/\s+/g, ' ')
      .replaceAll('|', '\\|')
    const optional = required.includes(name) ? '' : ', may be absent'
    const row = [path, typeOf(all, target) + optional, text]
    return depth < 2 && items.properties ? [row, ...rowsOf(all, items, `${path}.`, depth + 1)] : [row]
  })
}

function typeOf(all, schema) {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``
  if (schema.enum)
    return schema.enum.every((one) => typeof one === 'string') ? 'one of some names' : 'one of some'
  if (schema.anyOf)
    return [...new Set(schema.anyOf.map((one) => typeOf(all, resolved(all, one))))].join(' or ')
  if (schema.type === 'array')
    return `list of ${schema.items ? typeOf(all, resolved(all, schema.items)) : 'any'}s`
  return Array.isArray(schema.type) ? schema.type.join(' or ') : (schema.type ?? 'any')
}

function resolved(all, schema) {
  if (!schema.$ref) return schema
  const name = decodeURIComponent(schema.$ref.replace('#/definitions/', ''))
  return resolved(all, all.definitions[name])
}

if (process.argv[1] === import.meta.filename) {
  const check = process.argv.includes('--check')
  mkdirSync(join(root, 'schemas'), { recursive: true })
  for (const [name, text] of Object.entries(made())) {
    const path = join(root, name)
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue
    if (check) {
      console.error(`${name} is not as src/cli/json.ts has it: node scripts/schemas.mjs`)
      process.exitCode = 1
    } else writeFileSync(path, text)
  }
}
