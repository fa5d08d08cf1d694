// What is wrong with a command line: refused with one line that says what, where and what to do.

/** The command line is wrong: one line on stderr, exit 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A number given on the command line. */
export function expectNumber(
  option: string,
  text: string,
  min: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  const number = /^\d+$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(number) && number >= min && number <= max) return number
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new UsageError(`${option} takes an integer ${range}, got ${JSON.stringify(text)}`)
}

/** One of a list of names given on the command line. */
export function expectName<Name extends string>(option: string, text: string, names: readonly Name[]): Name {
  if (names.includes(text as Name)) return text as Name
  throw new UsageError(`${option} takes one of ${names.join(', ')}, got ${JSON.stringify(text)}`)
}

/** What the library says, in the words of the command line: its options are written `name: 'value'` there. */
export function inOptions(message: string): string {
  return message.replace(/\b(format|absent|base): '([^']*)'/g, '--$1 $2')
}
