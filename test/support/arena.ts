// A bare arena for tests of the core: no host, no mms.

import { Arena } from '../../src/core/arena.ts'
import { expectStrategy, type StrategyOptions } from '../../src/options.ts'

export function bareArena({
  frames = 16,
  mappings = 1024,
  ...strategy
}: { frames?: number; mappings?: number } & StrategyOptions = {}): Promise<Arena> {
  return Arena.create({ frames, mappings, ...expectStrategy(strategy) })
}
