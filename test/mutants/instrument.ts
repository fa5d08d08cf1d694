// Makes mutants of sources: all of them are in the code at once, and theSwitch (switch.ts) chooses. The mutators are
// Stryker's.

import { Instrumenter } from '@stryker-mutator/instrumenter'

export interface Mutant {
  readonly id: number
  /** The first mutant of the same place: they are reached together. */
  readonly place: number
  readonly file: string
  /** From 1. */
  readonly line: number
  /** The line it stands in, its spaces collapsed as in the other two. */
  readonly where: string
  readonly original: string
  readonly replacement: string
}

export interface Source {
  readonly name: string
  readonly content: string
}

export interface Instrumented {
  readonly mutants: readonly Mutant[]
  /** The code with the mutants in it, by file name. */
  readonly code: ReadonlyMap<string, string>
}

/** Texts are for people. */
const WITHOUT = ['StringLiteral']
/** Errors that say that something is not as it can only be: nothing a guest or a caller does comes there. */
const IMPOSSIBLE = 'brokenInvariant'

interface Node {
  readonly type: string
  readonly consequent?: Node
  readonly body?: readonly Node[]
  readonly argument?: Node
  readonly callee?: { readonly name?: string }
}

/** `if (...) throw brokenInvariant(...)` */
function isCheck(node: Node): boolean {
  if (node.type !== 'IfStatement')
    return node.type === 'ThrowStatement' && node.argument?.callee?.name === IMPOSSIBLE
  const { consequent } = node
  const only = consequent?.type === 'BlockStatement' ? consequent.body?.[0] : consequent
  return only !== undefined && isCheck(only)
}

const checks = {
  shouldIgnore: (path: object) => (isCheck((path as { node: Node }).node) ? 'what cannot be' : undefined),
}

const quiet = () => {}
const logger = {
  isTraceEnabled: () => false,
  isDebugEnabled: () => false,
  isInfoEnabled: () => false,
  isWarnEnabled: () => false,
  isErrorEnabled: () => false,
  isFatalEnabled: () => false,
  trace: quiet,
  debug: quiet,
  info: quiet,
  warn: quiet,
  error: quiet,
  fatal: quiet,
}

/** `switchPath`: what the instrumented code imports theSwitch from. */
export async function instrument(sources: readonly Source[], switchPath: string): Promise<Instrumented> {
  const { files, mutants } = await new Instrumenter(logger).instrument(
    sources.map((source) => ({ ...source, mutate: true })),
    { plugins: null, ignorers: [checks], excludedMutations: WITHOUT, noHeader: true },
  )
  const lines = new Map(sources.map(({ name, content }) => [name, content.split('\n')]))
  const header = `import { counts as $C, theSwitch as $S } from ${JSON.stringify(switchPath)}\n`
  const places = new Map<number, number>()
  const code = new Map(files.map(({ name, content }) => [name, header + withSwitch(content, places)]))
  return {
    mutants: mutants
      .filter(({ status }) => status === undefined)
      .map(({ id, fileName, location, replacement }) => {
        const text = lines.get(fileName)!
        return {
          id: Number(id),
          place: places.get(Number(id))!,
          file: fileName,
          line: location.start.line + 1,
          where: collapse(text[location.start.line]!),
          original: collapse(cut(text, location)),
          replacement: collapse(replacement),
        }
      }),
    code,
  }
}

/** The instrumenter's calls by name become reads of a field and counts of places: most code runs with no mutant at work. */
function withSwitch(code: string, places: Map<number, number>): string {
  return code
    .replace(/stryMutAct_9fa48\("(\d+)"\)/g, '($S.active === $1 && $S.hit())')
    .replace(/stryCov_9fa48\(([^)]*)\)/g, (_, list: string) => {
      const mutants = list.replaceAll('"', '').split(',').map(Number)
      for (const mutant of mutants) places.set(mutant, mutants[0]!)
      return `$C[${mutants[0]}]++`
    })
}

interface Range {
  readonly start: { readonly line: number; readonly column: number }
  readonly end: { readonly line: number; readonly column: number }
}

function cut(lines: readonly string[], { start, end }: Range): string {
  const within = lines.slice(start.line, end.line + 1)
  within[within.length - 1] = within.at(-1)!.slice(0, end.column)
  within[0] = within[0]!.slice(start.column)
  return within.join('\n')
}

function collapse(text: string): string {
  return text.replace(/\s+/g, ' ').trim()
}
