// What each measurement of the store hands over.

/** A figure, and what is to be known about it. */
export interface StoreFigure {
  readonly what: string
  readonly figure: string
}

/** Bytes that a store says it holds, and of its process that are in memory. */
export interface Held {
  readonly held: number
  readonly resident: number
}

/** What came back to the system, over what `stats` says was given back. */
export function givenBack(whose: string, before: Held, after: Held): string {
  const [told, came] = [before.held - after.held, before.resident - after.resident]
  const mib = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`
  return `stats says ${mib(told)} less, ${whose} has ${mib(came)} less: ${(came / told).toFixed(2)}`
}
