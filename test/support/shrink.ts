// Makes a failing program short: leaves out what it fails without. Delta debugging over the operations, in ever smaller
// pieces, then the knobs and the numbers of scans.

import type { Operation, Program } from './history.ts'
import { BEGINNING } from './random-program.ts'

/** The shortest program found that still `fails`. Its beginning stays: the kernel needs it. */
export async function shrink(
  program: Program,
  fails: (candidate: Program) => Promise<boolean>,
): Promise<Program> {
  let shortest = program
  const attempt = async (candidate: Program): Promise<boolean> => {
    if (!(await fails(candidate))) return false
    shortest = candidate
    return true
  }
  for (let length = Number.POSITIVE_INFINITY; shortest.ops.length < length; ) {
    length = shortest.ops.length
    for (let piece = Math.ceil(length / 2); piece > 0; piece = Math.floor(piece / 2)) {
      // From behind: what comes late is most often not needed.
      for (let end = shortest.ops.length; end > BEGINNING.length; end -= piece) {
        const start = Math.max(end - piece, BEGINNING.length)
        const ops = withoutOrphans([...shortest.ops.slice(0, start), ...shortest.ops.slice(end)])
        await attempt({ ...shortest, ops })
        end = Math.min(end, shortest.ops.length + piece)
      }
    }
    for (const name of Object.keys(shortest.knobs ?? {})) {
      const { [name]: _, ...knobs } = shortest.knobs!
      await attempt({ ...shortest, knobs })
    }
    for (const [i, [op, count]] of shortest.ops.entries()) {
      if (op === 'scan' && count > 1) await attempt({ ...shortest, ops: shortest.ops.with(i, ['scan', 1]) })
    }
  }
  return shortest
}

/** Leaves out the operations of processes that are not there. */
function withoutOrphans(ops: readonly Operation[]): Operation[] {
  const live = new Set<number>()
  return ops.filter((operation) => {
    const [op, p, q] = operation
    if (op === 'knob' || op === 'run' || op === 'scan' || op === 'batch') return true
    if (op === 'spawn') live.add(p)
    if (!live.has(p)) return false
    if (op === 'fork') live.add(q)
    if (op === 'exit') live.delete(p)
    return true
  })
}
