// Sources at two moments: what stands before --then on a command line, and what behind it.

import type { Given } from './options.ts'

/** Takes them apart. */
export function splitAtThen(tokens: Given<never>['tokens']): { sources: string[]; later: string[] } {
  const sources: string[] = []
  const later: string[] = []
  let target = sources
  for (const token of tokens) {
    if (token.kind === 'option' && token.name === 'then') target = later
    if (token.kind === 'positional') target.push(token.value)
  }
  return { sources, later }
}
