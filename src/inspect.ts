// What console.log shows of an object: a line of what matters, not the arena behind it. Node, Bun and Deno ask an object for
// it by this symbol; consoles of browsers show what there is.

export const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never

/** What they call it with. */
export type InspectArguments = readonly [depth?: number, options?: object, inspect?: Inspect]
type Inspect = (value: unknown, options?: object) => string

/** A name and a summary, written as the console writes any object; only the name if the summary cannot be had now. */
export function shown(
  name: string,
  summary: () => object,
  [depth, options, inspect]: InspectArguments,
): string {
  if (typeof depth === 'number' && depth < 0) return `[${name}]`
  try {
    const known = summary()
    return `${name} ${inspect === undefined ? JSON.stringify(known) : inspect(known, options)}`
  } catch (error) {
    return `${name} (${(error as Error).message})`
  }
}

/** Makes an object of figures that are read when they are looked at, one by one, printed or turned into JSON. */
export function live<Figures extends object>(
  read: { [Name in keyof Figures]: () => Figures[Name] },
): Figures {
  const names = Object.keys(read) as (keyof Figures)[]
  const figures = {} as Figures
  for (const name of names) Object.defineProperty(figures, name, { get: read[name], enumerable: true })
  return Object.defineProperty(figures, INSPECT, { value: () => ({ ...figures }) })
}
