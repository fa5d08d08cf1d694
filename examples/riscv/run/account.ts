// What guests that have stopped come to: the frames in which their memory lies, how many different contents those hold, and what the guests
// said that they read in it.

import { createHash } from 'node:crypto'
import { PAGE_SIZE } from 'pagefold'
import { RAM_BASE } from '../cpu/state.ts'
import type { Guest } from '../machine/guest.ts'

const DIGEST = /^guest \d+ round \d+ [0-9a-f]{16}$/

export interface Account {
  /** Pages of the guests that hold anything. */
  readonly pages: number
  readonly frames: number
  readonly contents: number
}

export function accountOf(guests: readonly Guest[]): Account {
  const seen = new Set<number>()
  const contents = new Set<string>()
  let pages = 0
  for (const { mm, options } of guests) {
    for (let at = RAM_BASE; at < RAM_BASE + options.ramBytes; at += PAGE_SIZE) {
      const pfn = mm.pfn(at)
      if (pfn === undefined) continue
      pages++
      if (seen.has(pfn)) continue
      seen.add(pfn)
      contents.add(createHash('sha256').update(mm.read(at, PAGE_SIZE)).digest('base64'))
    }
  }
  return { pages, frames: seen.size, contents: contents.size }
}

/** One number for all digests that guests printed, the same however they came to run and in whatever order: and how many there were. */
export function digestsOf(guests: readonly Guest[]): { readonly count: number; readonly digest: string } {
  const lines = guests.flatMap((guest) => guest.lines.filter((line) => DIGEST.test(line))).sort()
  const digest = createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16)
  return { count: lines.length, digest }
}
