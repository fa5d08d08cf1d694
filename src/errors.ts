// What can go wrong, in two kinds: a caller's mistake is a TypeError or RangeError that says what was expected; what
// the world refused is a PagefoldError with the errno name Linux would give.

/**
 * The errno names that a PagefoldError bears: Linux's, with Linux's meaning. EUCLEAN says that something is
 * not as it can only be; thrown by a host's calls, that the host is broken.
 */
export type Errno =
  | 'EACCES'
  | 'EAGAIN'
  | 'EBUSY'
  | 'EDEADLK'
  | 'EEXIST'
  | 'EFAULT'
  | 'EHWPOISON'
  | 'EINVAL'
  | 'EIO'
  | 'ENOENT'
  | 'ENOMEM'
  | 'ENOSPC'
  | 'ENOTSUP'
  | 'EPERM'
  | 'EPROTO'
  | 'ERANGE'
  | 'ESRCH'
  | 'EUCLEAN'

/** The world said no. `code` is the errno name; the message says what, where, and what to do. */
export class PagefoldError extends Error {
  /** Tells it apart where `instanceof` does not reach: in another realm, in another copy of this package. */
  override readonly name = 'PagefoldError'
  /** What programs go by; the message begins with it. */
  readonly code: Errno

  constructor(code: Errno, message: string, options?: ErrorOptions) {
    super(`${code}: ${message}`, options)
    this.code = code
  }
}

/**
 * Something is not as it can only be: a bug, or memory overwritten from outside. Nothing built on it can be trusted, so
 * the host that meets one refuses further calls.
 */
export function brokenInvariant(what: string, cause?: unknown): PagefoldError {
  return new PagefoldError('EUCLEAN', `${what}; please report this`, { cause })
}

/** Errors that are the caller's business: a mistake of theirs, or thrown by what they gave us to call. */
const ordinary = new WeakSet<object>()

/** Marks a TypeError or RangeError as the caller's mistake: what the engine throws of its own accord closes the host. */
export function mistake<Mistake extends TypeError | RangeError>(error: Mistake): Mistake {
  ordinary.add(error)
  return error
}

/** Calls what a caller gave us to call: what that throws goes through to whoever is waiting, and breaks nothing here. */
export function outside<Result>(call: () => Result): Result {
  try {
    return call()
  } catch (thrown) {
    const error = typeof thrown === 'object' && thrown !== null ? thrown : new Error(String(thrown))
    ordinary.add(error)
    throw error
  }
}

/** Is this an answer (a refusal, the caller's own error) rather than a sign that something is broken? */
export function isOrdinary(error: unknown): boolean {
  if (typeof error === 'object' && error !== null && ordinary.has(error)) return true
  return error instanceof PagefoldError && error.code !== 'EUCLEAN'
}

/** Has what a listener threw come up as an uncaught error, later: it must not stop a merge or a fault half way. */
export function reportLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

/** Returns `value` if it is an integer in [min, max]; throws TypeError or RangeError naming `name` otherwise. */
export function expectInteger(name: string, value: unknown, min: number, max: number): number {
  if (typeof value !== 'number') {
    throw mistake(new TypeError(`Expected \`${name}\` to be a number, got ${describe(value)}`))
  }
  if (!Number.isInteger(value) || value < min || value > max) {
    throw mistake(new RangeError(`Expected \`${name}\` to be an integer in ${min}..${max}, got ${value}`))
  }
  return value
}

/** Returns `value` if it is one of `names`; throws TypeError or RangeError listing them otherwise. */
export function expectOneOf<Name extends string>(name: string, value: unknown, names: readonly Name[]): Name {
  if (typeof value !== 'string') {
    throw mistake(
      new TypeError(`Expected \`${name}\` to be one of ${names.join(', ')}, got ${describe(value)}`),
    )
  }
  if (!names.includes(value as Name)) {
    throw mistake(
      new RangeError(`Expected \`${name}\` to be one of ${names.join(', ')}, got ${JSON.stringify(value)}`),
    )
  }
  return value as Name
}

/** Returns `value` if it is true or false; throws TypeError naming `name` otherwise. */
export function expectBoolean(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw mistake(new TypeError(`Expected \`${name}\` to be true or false, got ${describe(value)}`))
}

/** Returns `value` if it is a string, or undefined; throws TypeError naming `name` otherwise. */
export function expectString(name: string, value: unknown): string | undefined {
  if (value === undefined || typeof value === 'string') return value
  throw mistake(new TypeError(`Expected \`${name}\` to be a string, got ${describe(value)}`))
}

/** Returns `value` if it is an array of bytes; throws TypeError naming `name` otherwise. */
export function expectBytes(name: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  throw mistake(new TypeError(`Expected \`${name}\` to be a Uint8Array, got ${describe(value)}`))
}

/** Throws TypeError naming `name` unless `value` is an object that has all these methods; or what a getter of it throws. */
export function expectObject(name: string, value: unknown, methods: readonly string[] = []): void {
  const has = (method: string): boolean =>
    outside(() => typeof (value as Readonly<Record<string, unknown>>)[method]) === 'function'
  if (typeof value === 'object' && value !== null && methods.every(has)) return
  const what = methods.length === 0 ? 'an object' : `an object with ${methods.join(', ')}`
  throw mistake(new TypeError(`Expected \`${name}\` to be ${what}, got ${describe(value)}`))
}

/**
 * Returns a copy of `options`, each read once, if it is an object with no other names in it than those of `known`, a name each, which the
 * compiler holds to be all of the type's, and none of them null. Throws TypeError otherwise, with the name it does not know, which may be
 * misspelt, and the nearest one of `known`; or what a getter throws.
 */
export function expectOptions<Options extends object>(
  call: string,
  options: Options,
  known: Readonly<Record<keyof NoInfer<Options>, true>>,
): Options {
  if (typeof options !== 'object' || options === null) {
    throw mistake(new TypeError(`${call}: expected \`options\` to be an object, got ${describe(options)}`))
  }
  const names = Object.keys(known)
  for (const name of outside(() => Object.keys(options))) {
    if (!Object.hasOwn(known, name)) {
      const near = nearest(name, names)
      const hint = near === undefined ? `it takes ${names.join(', ')}` : `did you mean \`${near}\`?`
      throw mistake(new TypeError(`${call}: no option \`${name}\`: ${hint}`))
    }
  }
  const given = outside(() => {
    return names.filter((name) => name in options).map((name) => [name, options[name as keyof Options]])
  })
  const [empty] = given.find(([, value]) => value === null) ?? []
  if (empty !== undefined) throw mistake(new TypeError(`${call}: \`${empty}\` is null: leave it out instead`))
  return Object.fromEntries(given) as Options
}

/** The name that fewest changes of a letter turn `wrong` into; undefined if none is like it. */
function nearest(wrong: string, names: readonly string[]): string | undefined {
  const ranked = names
    .map((name) => ({ name, distance: distance(wrong.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
  const [best] = ranked
  return best !== undefined && best.distance <= best.name.length / 2 ? best.name : undefined
}

/** How many letters must be put in, left out or changed to make one word of the other. Levenshtein's. */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (const [i, letter] of [...from].entries()) {
    const next = [i + 1]
    for (let j = 0; j < to.length; j++) {
      const changed = row[j]! + (letter === to[j] ? 0 : 1)
      next.push(Math.min(changed, row[j + 1]! + 1, next[j]! + 1))
    }
    row = next
  }
  return row[to.length]!
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  return typeof value === 'string' ? JSON.stringify(value) : typeof value
}
