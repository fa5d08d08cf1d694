// Programs of the race tests that once went wrong, shrunk to what it takes.

import { describe, it } from 'vitest'
import { type Action, type RaceProgram, runRace, type Step } from './race-world.ts'

interface Regression {
  readonly options?: Partial<RaceProgram['options']>
  readonly steps: readonly Step[]
  readonly actions?: readonly Action[]
}

const guest = (slot: number): Step[] => [
  ['spawn', slot, 0],
  ['map', slot, 0, 0, 6, 0, 0],
  ['mergeable', slot, 0, 0, 6, 0],
]

const PROGRAMS: Record<string, Regression> = {
  'a pinned page outlives its anon_vma, and is not moved': {
    steps: [...guest(0), ['pin', 0, 0, 0, 1, 1, 0], ['exit', 0], ['offline', 0]],
  },
  'protection is refused where nobody would hear of writes': {
    steps: [...guest(0), ['write', 0, 0, 1, 1], ['writeProtect', 0, 0, 0, 2, 1], ['write', 0, 0, 1, 0]],
  },
  'a forced write is reported too, and does not take the protection away': {
    steps: [
      ...guest(0),
      ['write', 0, 0, 1, 1],
      ['userfault', 0, 0, 0, 6],
      ['writeProtect', 0, 0, 0, 6, 1],
      ['force', 0, 0, 1, 2],
    ],
  },
  'swapoff does not end while an exiting mm has pages there': {
    steps: [['swapOn'], ...guest(0), ['write', 0, 0, 0, 1], ['reclaim', 0, 0, 0], ['exit', 0]],
    actions: [{ after: 0, step: ['swapOff'] }],
  },
  'there is one swapoff at a time': {
    steps: [['swapOn'], ...guest(0), ['write', 0, 0, 0, 1], ['reclaim', 0, 0, 0], ['swapOff']],
    actions: [{ after: 1, step: ['swapOff'] }],
  },
  'a page that a merge has locked is not taken for the only copy': {
    options: { cowPolicy: 'mapcount+swapcount' },
    steps: [...guest(0), ['write', 0, 0, 0, 1], ['write', 0, 0, 1, 1], ['scan', 2]],
    actions: [{ after: 11, step: ['write', 0, 0, 1, 1] }],
  },
  'a page in the swap cache may outlive its anon_vma': {
    steps: [
      ['swapOn'],
      ...guest(0),
      ...guest(1),
      ['write', 0, 0, 0, 1],
      ['write', 1, 0, 0, 1],
      ['scan', 2],
      ['reclaim', 0, 0, 0],
      ['read', 0, 0, 0],
      ['exit', 0],
      ['scan', 1],
      ['read', 1, 0, 0],
    ],
  },
  'a page swapped in may be swapped out again before the fault goes on': {
    steps: [['swapOn'], ...guest(0), ['write', 0, 0, 0, 1], ['reclaim', 0, 0, 0], ['get', 0, 0, 0, 1]],
    actions: [{ after: 3, step: ['reclaim', 0, 0, 0] }],
  },
  'an item whose page went before its visit leaves the unstable tree': {
    steps: [['swapOn'], ...guest(0), ['write', 0, 0, 0, 1], ['scan', 2], ['scan', 2]],
    actions: [{ after: 9, step: ['reclaim', 0, 0, 0] }],
  },
  'a page is held while a stale node of its item is looked at': {
    steps: [
      ['swapOn'],
      ...guest(0),
      ['write', 0, 0, 0, 0],
      ['write', 0, 0, 1, 1],
      ['write', 0, 0, 3, 0],
      ['scan', 1],
      ['scanPages', 1],
      ['scan', 1],
    ],
    actions: [
      { after: 14, step: ['poke', 0, 0, 0, 0, 0] },
      { after: 8, step: ['write', 0, 0, 0, 0] },
      { after: 6, step: ['reclaim', 0, 0, 0] },
    ],
  },
  'what is shared and not writable cannot be written to by force': {
    steps: [
      ['spawn', 0, 0],
      ['map', 0, 0, 0, 2, 1, 0],
      ['mprotect', 0, 0, 0, 2, 1],
      ['force', 0, 0, 0, 1],
    ],
  },
  'a pinned page is copied for a child as the range allows': {
    steps: [...guest(0), ['pin', 0, 0, 0, 1, 0, 0], ['mprotect', 0, 0, 0, 1, 0], ['fork', 0, 1]],
  },
  'a broken page in the swap cache has no node': {
    steps: [
      ['swapOn'],
      ...guest(0),
      ['write', 0, 0, 1, 1],
      ['advise', 0, 0, 0, 2, 3],
      ['fork', 0, 1],
      ['read', 1, 0, 1],
      ['write', 1, 0, 0, 1],
      ['scanPages', 3],
      ['scanPages', 2],
      ['memoryFailure', 1, 0, 0],
      ['offline', 0],
    ],
  },
  'a broken page gives its place in swap back': {
    options: { cowPolicy: 'page_count' },
    steps: [
      ['swapOn'],
      ...guest(0),
      ['write', 0, 0, 0, 1],
      ['reclaim', 0, 0, 0],
      ['read', 0, 0, 0],
      ['memoryFailure', 0, 0, 0],
    ],
  },
  'a pinned page that is swapped out is copied at fork, or its device would write elsewhere': {
    steps: [
      ['swapOn'],
      ...guest(0),
      ['write', 0, 0, 0, 1],
      ['pin', 0, 0, 0, 1, 1, 0],
      ['reclaim', 0, 0, 0],
      ['fork', 0, 1],
      ['write', 0, 0, 0, 2],
    ],
  },
  'a page leaves the swap cache with the last who had it swapped out': {
    steps: [
      ['swapOn'],
      ...guest(0),
      ['write', 0, 0, 0, 1],
      ['get', 0, 0, 0, 1],
      ['reclaim', 0, 0, 0],
      ['munmap', 0, 0, 0, 1],
    ],
  },
  'a page frozen by a migration cannot be had from the swap cache': {
    steps: [
      ['swapOn'],
      ...guest(0),
      ['write', 0, 0, 0, 1],
      ['fork', 0, 1],
      ['reclaim', 0, 0, 0],
      ['read', 0, 0, 0],
      ['migrate', 0, 0, 0, 0],
    ],
    actions: [{ after: 7, step: ['read', 1, 0, 0] }],
  },
}

describe('what went wrong once', () => {
  it.each(Object.entries(PROGRAMS))('%s', async (_, { options, steps, actions }) => {
    await runRace({
      options: { frames: 64, numaNodes: 1, index: 'content', ...options },
      steps,
      actions: actions ?? [],
      failures: [],
    })
  })
})
