// The options of the commands. Each command has one table of them, from which come what node:util parses, what the texts
// mean, and the lines of the help. Those that several commands take are told here.

import { parseArgs } from 'node:util'
import { ABSENT_POLICIES, IMAGE_FORMATS } from '../images/index.ts'
import {
  CHANGES_POLICIES,
  CHECKSUM_NAMES,
  DEFAULT_CHECKSUM,
  DEFAULT_INDEX,
  INDEX_NAMES,
  MAX_WORKERS,
} from '../index.ts'
import { readChecksum } from './own.ts'
import { expectName, expectNumber, UsageError } from './usage.ts'

/** An option of a command. */
export interface Option<Value> {
  readonly type: 'string' | 'boolean'
  /** May it be given more than once? */
  readonly multiple: boolean
  /** What the help shows behind its name; empty for a flag. */
  readonly takes: string
  /** What it is good for, in lines that fit into the help. */
  readonly help: string
  /** Makes a value of what was given: a text, a list of them where `multiple`, or true. Throws UsageError. */
  readonly read: (given: never, option: string) => Value
}

type Options = Readonly<Record<string, Option<unknown>>>
type Values<Table extends Options> = {
  readonly [Name in keyof Table]: (Table[Name] extends Option<infer Value> ? Value : never) | undefined
}
type Tokens = ReturnType<typeof parsed>['tokens']

/** An option without a value. */
export function flag(help: string, takes = ''): Option<true> {
  return { type: 'boolean', multiple: false, takes, help, read: () => true }
}

/** An option with a value, which is a text as long as nobody reads it otherwise. */
export function value<Value = string>(
  takes: string,
  help: string,
  read: (text: string, option: string) => Value = (text) => text as Value,
): Option<Value> {
  return { type: 'string', multiple: false, takes, help, read }
}

/** The same, as often as wanted. */
export function values<Value = string>(
  takes: string,
  help: string,
  read: (text: string, option: string) => Value = (text) => text as Value,
): Option<readonly Value[]> {
  const readAll = (texts: readonly string[], option: string): Value[] =>
    texts.map((text) => read(text, option))
  return { type: 'string', multiple: true, takes, help, read: readAll }
}

/** Reads an integer of at least `min`, and of at most `max`. */
export function integer(min: number, max?: number): (text: string, option: string) => number {
  return (text, option) => expectNumber(option, text, min, max)
}

/** Reads one of some names. */
export function oneOf<Name extends string>(names: readonly Name[]): (text: string, option: string) => Name {
  return (text, option) => expectName(option, text, names)
}

/** Reads some of some names, separated by commas. */
export function someOf<Name extends string>(
  names: readonly Name[],
): (text: string, option: string) => readonly Name[] {
  return (text, option) => [...new Set(text.split(','))].map((name) => expectName(option, name, names))
}

export const index = (what: string) =>
  value('NAME', `${what}: ${INDEX_NAMES.join(', ')} (default: ${DEFAULT_INDEX})`, oneOf(INDEX_NAMES))

export const checksum = (what: string) =>
  value(
    'NAME',
    `${what}: ${CHECKSUM_NAMES.join(', ')} (default: ${DEFAULT_CHECKSUM}),
or a FILE of your own, .wasm or .js (docs/strategies.md)`,
    readChecksum,
  )

export const policy = (whose: string) =>
  value('FILE', `which pages ${whose} scan passes over: a .js of your own (docs/strategies.md)`)

export const changes = value(
  'NAME',
  `${CHANGES_POLICIES.join(', ')} (default: log): checksum reads every page in every scan, as Linux must, with the same result`,
  oneOf(CHANGES_POLICIES),
)

/** How files are read: what the library takes by the same names. */
export const reading = {
  format: value(
    'NAME',
    `what the files are: ${IMAGE_FORMATS.join(', ')} (default: told by their content)`,
    oneOf(IMAGE_FORMATS),
  ),
  absent: value(
    'NAME',
    `${ABSENT_POLICIES.join(', ')} (default: ${ABSENT_POLICIES[0]}): pages that a file leaves out are not counted, or as zeros`,
    oneOf(ABSENT_POLICIES),
  ),
}

/** What processes are read of. */
export const mergeable = flag(
  'of processes: only memory that KSM was given (default: all that it could be given)',
)

export const workers = (help: string) => value('N', help, integer(0, MAX_WORKERS))

export const json = (what = 'one JSON object') => flag(`print ${what} instead of text`)

/** Every command has it; main.ts answers it, before anything is parsed. */
const HELP = flag('this text')

/** Where the help says what an option is good for. */
const HELP_COLUMN = 24

/** The lines of the help that tell of options, aligned. */
export function optionLines(options: Options, column = HELP_COLUMN): string {
  return Object.entries({ ...options, help: HELP })
    .map(([name, { takes, help }]) => {
      const left = `  --${name} ${takes}`.padEnd(column)
      return `${left}${help.replaceAll('\n', `\n${' '.repeat(column)}`)}`
    })
    .join('\n')
}

/** What was given on the command line; `tokens` have the order. */
export interface Given<Table extends Options> {
  readonly values: Values<Table>
  readonly positionals: readonly string[]
  readonly tokens: Tokens
}

/** Parses arguments and reads the values. Whatever node:util refuses becomes a UsageError; throws what `read` does. */
export function parse<Table extends Options>(options: Table, args: string[]): Given<Table> {
  const { values, positionals, tokens } = parsed(options, args)
  const read: Record<string, unknown> = {}
  for (const [name, given] of Object.entries(values)) {
    read[name] = options[name]!.read(given as never, `--${name}`)
  }
  return { values: read as Values<Table>, positionals, tokens }
}

function parsed(options: Options, args: string[]) {
  try {
    return parseArgs({ args, options, allowPositionals: true, strict: true, tokens: true })
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('\n')[0]}; see --help`)
  }
}

/** Leaves out what was not given: a library's option is either there or not. */
export function given<Values extends object>(
  values: Values,
): { [Name in keyof Values]?: Exclude<Values[Name], undefined> } {
  const there = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(there) as { [Name in keyof Values]?: Exclude<Values[Name], undefined> }
}
