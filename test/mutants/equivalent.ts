// Mutants that no test can tell from the code, each with the reason. Told by their text, so that they are found again when
// lines move.

import type { Mutant } from './instrument.ts'

interface Equivalent {
  readonly file: string
  /** The line it begins in, without the spaces around it. */
  readonly line: string
  /** What is replaced; left out: whatever on that line becomes `to`. */
  readonly from?: string
  readonly to: string
  readonly reason: string
}

export const EQUIVALENT: readonly Equivalent[] = []

/** Why a mutant need not be killed; undefined if it must be. */
export function reasonOf({ file, where, original, replacement }: Mutant): string | undefined {
  return EQUIVALENT.find(
    (each) =>
      each.file === file &&
      each.line === where &&
      each.to === replacement &&
      (each.from === undefined || each.from === original),
  )?.reason
}
