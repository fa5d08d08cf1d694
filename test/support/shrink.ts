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
    await leaveOut(shortest.ops, BEGINNING.length, async (candidate) => {
      const ops = withoutOrphans(candidate)
      return (await attempt({ ...shortest, ops })) ? ops : undefined
    })
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

/**
 * Leaves out of a row whatever it fails without, in ever smaller pieces, but nothing of the first `kept`. `attempt` gives what it made
 * of a candidate if that still fails, else undefined.
 */
export async function leaveOut<Item>(
  items: readonly Item[],
  kept: number,
  attempt: (candidate: Item[]) => Promise<readonly Item[] | undefined>,
): Promise<readonly Item[]> {
  let shortest = items
  for (let piece = Math.ceil(items.length / 2); piece > 0; piece = Math.floor(piece / 2)) {
    // From behind: what comes late is most often not needed.
    for (let end = shortest.length; end > kept; end -= piece) {
      const start = Math.max(end - piece, kept)
      shortest = (await attempt([...shortest.slice(0, start), ...shortest.slice(end)])) ?? shortest
      end = Math.min(end, shortest.length + piece)
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
