// Arguments: parsed by node:util, refused with one line that says what, where and what to do.

import { type ParseArgsConfig, parseArgs } from 'node:util'

/** The command line is wrong: one line on stderr, exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Parses arguments; whatever node:util refuses becomes a UsageError. */
export function parse<Config extends ParseArgsConfig>(config: Config): ReturnType<typeof parseArgs<Config>> {
  try {
    return parseArgs(config)
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('\n')[0]}; see --help`)
  }
}

/** A number given on the command line. */
export function expectNumber(
  option: string,
  text: string | undefined,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number | undefined {
  if (text === undefined) return undefined
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(number) && number >= min && number <= max) return number
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new UsageError(`${option} takes an integer ${range}, got ${JSON.stringify(text)}`)
}

/** One of a list of names given on the command line. */
export function expectName<Name extends string>(
  option: string,
  text: string | undefined,
  names: readonly Name[],
): Name | undefined {
  if (text === undefined || names.includes(text as Name)) return text as Name | undefined
  throw new UsageError(`${option} takes one of ${names.join(', ')}, got ${JSON.stringify(text)}`)
}

/** Names from a list, separated by commas; all of them if none are given. */
export function expectNames<Name extends string>(
  option: string,
  text: string | undefined,
  names: readonly Name[],
): readonly Name[] {
  if (text === undefined) return names
  return [...new Set(text.split(','))].map((name) => expectName(option, name, names)!)
}
