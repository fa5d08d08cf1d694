// On which NUMA nodes the pages of a process lie: /proc/PID/numa_maps counts them by mapping, not page by page.

import { readFileSync } from 'node:fs'
import type { Mapping } from './proc.ts'

/** Pages of some mappings of a process on each node; undefined where nobody tells: a kernel without NUMA, or not ours to look at. */
export function nodesOf(pid: number, mappings: readonly Mapping[]): ReadonlyMap<number, number> | undefined {
  try {
    return parseNumaMaps(readFileSync(`/proc/${pid}/numa_maps`, 'utf8'), mappings)
  } catch {
    return undefined
  }
}

/** The same of the text of a numa_maps; undefined if it says nothing of these mappings. */
export function parseNumaMaps(
  text: string,
  mappings: readonly Mapping[],
): ReadonlyMap<number, number> | undefined {
  const starts = new Set(mappings.map(({ start }) => start))
  const nodes = new Map<number, number>()
  for (const line of text.split('\n')) {
    if (!starts.has(Number.parseInt(line, 16))) continue
    for (const [, node, pages] of line.matchAll(/ N(\d+)=(\d+)/g)) {
      nodes.set(Number(node), (nodes.get(Number(node)) ?? 0) + Number(pages))
    }
  }
  return nodes.size === 0 ? undefined : nodes
}
