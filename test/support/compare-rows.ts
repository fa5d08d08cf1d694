// Holds what pagefold counted in a history against what Linux counted.
//
// Ordered by content, as in Linux, everything must be equal. Ordered by hash a search passes other nodes on its way. What
// Linux does to a chain in passing (drop stale dups, collapse it, put a dup with room in front) is then done later or
// earlier; so stable_node_chains and stable_node_dups are not compared. And once there are chains a page joins, now and
// then, another dup than it would on Linux; what follows from that depends on who leaves which dup.
//
// That holds for guests that rest during a full scan. Where they act between two batches of one, a search by content can
// meet an item whose page has gone meanwhile and ends there, and one by hash has not that item on its way: it merges
// earlier. Such programs are compared by content only.

import type { IndexName } from '../../src/index.ts'
import type { Program, Row } from './history.ts'

const LAGGING = ['stable_node_chains', 'stable_node_dups']

/** The first row that differs, with what differs in it; undefined if all agree. */
export function firstDifference(
  kernel: readonly Row[],
  pagefold: readonly Row[],
  index: IndexName,
): string | undefined {
  const ignored = (name: string): boolean =>
    index === 'hash' && (LAGGING.includes(name) || name.startsWith('tracepoint'))
  for (let i = 0; i < Math.max(kernel.length, pagefold.length); i++) {
    const [wanted, found] = [flat(kernel[i]), flat(pagefold[i])]
    const names = new Set([...wanted.keys(), ...found.keys()])
    const different = [...names].filter((name) => wanted.get(name) !== found.get(name) && !ignored(name))
    if (different.length > 0) return `index ${index}, ${describe(kernel[i], pagefold[i], different)}`
  }
  return undefined
}

/** Do guests act in the middle of a full scan? */
export function actsMidScan({ ops }: Program): boolean {
  return ops.some(([op]) => op === 'batch')
}

/** The same for the rows before there is any chain. */
export function differenceBeforeChains(
  kernel: readonly Row[],
  pagefold: readonly Row[],
  index: IndexName,
): string | undefined {
  const firsts = [kernel, pagefold].map((rows) => rows.findIndex((row) => row.stable_node_chains > 0))
  const end = Math.min(...firsts.map((first) => (first < 0 ? Number.POSITIVE_INFINITY : first)))
  return firstDifference(kernel.slice(0, end), pagefold.slice(0, end), index)
}

function describe(kernel: Row | undefined, pagefold: Row | undefined, different: readonly string[]): string {
  if (kernel?.op !== pagefold?.op) {
    const event = (row: Row | undefined) =>
      row === undefined ? 'no more' : `operation ${row.op} (${row.error})`
    return `next row: Linux ${event(kernel)}, pagefold ${event(pagefold)}`
  }
  const [wanted, found] = [flat(kernel), flat(pagefold)]
  const each = different.map((name) => `${name}: Linux ${wanted.get(name)}, pagefold ${found.get(name)}`)
  return `after operation ${kernel!.op}: ${each.join('; ')}`
}

function flat(row: Row | undefined): Map<string, unknown> {
  if (row === undefined) return new Map()
  const { mms, traced, ...counters } = row
  const all = new Map<string, unknown>(Object.entries(counters))
  for (const [i, event] of traced?.entries() ?? []) all.set(`tracepoint ${i}`, event)
  for (const [p, stat] of Object.entries(mms)) {
    for (const [name, value] of Object.entries(stat)) all.set(`process ${p} ${name}`, value)
  }
  return all
}
