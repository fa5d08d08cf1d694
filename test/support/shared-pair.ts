// What most tests of the seed systems begin with: two guests with one merged page between them.

import { expect } from 'vitest'
import type { Host, HostOptions, Mm } from '../../src/index.ts'
import { guest, makeHost } from './world.ts'

/** Two guests whose pages `p` and `q` have become one frame `k`. */
export interface Pair {
  readonly host: Host
  readonly a: Mm
  readonly b: Mm
  readonly p: number
  readonly q: number
  readonly k: number
}

export const SHARED_CONTENT = 7

/** `a` is registered first and so scanned first; `k` is what was q's frame. */
export async function sharedPair(options: Partial<HostOptions> = {}): Promise<Pair> {
  return sharePage(await makeHost(options))
}

/** The same on a host that exists. */
export function sharePage(host: Host, content = SHARED_CONTENT): Pair {
  const { mm: a, at: p } = guest(host, 'A', [content])
  const { mm: b, at: q } = guest(host, 'B', [content])
  host.ksm.scan(2)
  const k = b.pfn(q)!
  expect(a.pfn(p), 'p and q share a frame').toBe(k)
  return { host, a, b, p, q, k }
}
