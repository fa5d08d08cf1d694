// Programs on which pagefold once differed from the model, shrunk to what it takes.

import { describe, it } from 'vitest'
import type { Program } from '../support/history.ts'
import { runOnBoth } from './compare.ts'

const PROGRAMS: Record<string, Program> = {
  'a chain with one dup left collapses, whether or not pruning is due': {
    knobs: { max_page_sharing: 2, stable_node_chains_prune_millisecs: 1_000_000 },
    ops: [
      ['spawn', 1],
      ['map', 1, 1, 6],
      ['mergeable', 1, 1, 0, 6],
      ['write', 1, 1, 0, 1],
      ['write', 1, 1, 1, 1],
      ['write', 1, 1, 2, 1],
      ['write', 1, 1, 3, 1],
      ['scan', 2],
      ['unmap', 1, 1, 0, 2],
      ['write', 1, 1, 4, 1],
      ['scan', 2],
    ],
  },
  'a merged page without a node is hashed before it is searched for': {
    ops: [
      ['spawn', 1],
      ['map', 1, 1, 8],
      ['mergeable', 1, 1, 0, 8],
      ['write', 1, 1, 0, 0],
      ['write', 1, 1, 3, 0],
      ['pin', 1, 1, 0],
      ['fork', 1, 4],
      ['write', 4, 1, 1, 0],
      ['scan', 3],
    ],
  },
  'a page is merged where it was forked to a range that is not mergeable': {
    ops: [
      ['spawn', 1],
      ['map', 1, 1, 2],
      ['write', 1, 1, 1, 1],
      ['fork', 1, 2],
      ['mergeable', 1, 1, 0, 2],
      ['write', 1, 1, 0, 1],
      ['scan', 3],
    ],
  },
  'run=2 takes away the root of the stable tree again and again, until one has to stay': {
    knobs: { max_page_sharing: 2 },
    ops: [
      ['spawn', 1],
      ['map', 1, 1, 8],
      ['spawn', 2],
      ['map', 2, 1, 8],
      ['mergeable', 2, 1, 0, 8],
      ['write', 2, 1, 2, 2],
      ['write', 2, 1, 4, 1],
      ['write', 2, 1, 5, 2],
      ['unmergeable', 2, 1, 3, 2],
      ['fork', 2, 4],
      ['write', 1, 1, 0, 2],
      ['write', 2, 1, 5, 1],
      ['scan', 1],
      ['mergeable', 4, 1, 0, 8],
      ['mergeable', 1, 1, 0, 1],
      ['scan', 3],
      ['run', 2],
    ],
  },
}

describe.each(Object.entries(PROGRAMS))('%s', (_, program) => {
  it.each(['content', 'hash'] as const)('with trees ordered by %s', async (index) => {
    await runOnBoth(program, { index })
  })
})
