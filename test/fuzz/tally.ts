// What the fuzzer did, counted: printed at the end, because a fuzzer that does nothing finds nothing.

export interface Tally {
  hosts: number
  /** Calls by method, those made inside userfault handlers included. */
  readonly operations: Map<string, number>
  /** Of these, refused: by errno, or by the mistake that the arguments were. */
  readonly refused: Map<string, number>
  /** Callbacks that ran. */
  readonly callbacks: Map<string, number>
  /** Calls made inside callbacks that only look: what became of them. */
  readonly inside: Map<string, number>
  audits: number
  /** Pages whose bytes were held against the shadow's. */
  pages: number
}

export function newTally(): Tally {
  return {
    hosts: 0,
    operations: new Map(),
    refused: new Map(),
    callbacks: new Map(),
    inside: new Map(),
    audits: 0,
    pages: 0,
  }
}

export function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

export const sumOf = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, more) => sum + more, 0)

/** As lines to print. */
export function described(tally: Tally): string {
  const line = (name: string, counts: ReadonlyMap<string, number>): string => {
    const parts = [...counts].sort(([, a], [, b]) => b - a).map(([key, times]) => `${key} ${times}`)
    return `${name}: ${sumOf(counts)} (${parts.join(', ')})`
  }
  return [
    `hosts: ${tally.hosts}, audits: ${tally.audits}, pages compared: ${tally.pages}`,
    line('operations', tally.operations),
    line('refused', tally.refused),
    line('callbacks', tally.callbacks),
    line('calls inside callbacks', tally.inside),
  ].join('\n')
}
