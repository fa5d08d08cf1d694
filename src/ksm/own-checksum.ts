// The core with an embedder's checksum in force: that is code of theirs in the middle of a scan.

import type { Arena } from '../core/arena.ts'
import type { Gate } from '../mm/model/gate.ts'

/**
 * The functions of an arena's core. Where the checksum is an embedder's, only calls that look are possible while pages are hashed, and what
 * comes out of it then, an error of theirs or a trap, is theirs and breaks nothing.
 */
export function guardedCore(core: Arena['core'], { own }: Arena['strategy'], gate: Gate): Arena['core'] {
  if (own === undefined) return core
  const guarded = <Args extends unknown[], Result>(hash: (...args: Args) => Result) => {
    return (...args: Args): Result =>
      gate.call('checksum', () => {
        try {
          return hash(...args)
        } catch (error) {
          throw own.explain(error)
        }
      })
  }
  return { ...core, hashWindow: guarded(core.hashWindow), checksum: guarded(core.checksum) }
}
