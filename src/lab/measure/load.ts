// Was the machine busy with something else while it was measured? Two things tell: the measured work had no processor although it
// wanted one, which is wall time beyond processor time; and processors were busy beyond what the measuring spent. The first makes
// wall time useless, the second is why processor time is longer too: neighbours share caches, memory and often the very core.

import { median } from '../median.ts'
import { below, type Figure, figureOf } from './figure.ts'

/** What else happened in one round. */
export interface RoundLoad {
  /** Share of the time of the measured work in which it had no processor. */
  readonly waited: number
  /** How many processors others kept busy; null where the platform does not tell. */
  readonly others: number | null
}

/** What else happened while something was measured in rounds. */
export interface Load {
  /** Is it worth a warning? Most rounds were busy, or the busy ones took longer than the idle ones, in processor time. */
  readonly busy: boolean
  /** Rounds in which the work waited for a processor, or others kept one busy. */
  readonly busy_rounds: number
  /** Median over the rounds, as in `rounds`. */
  readonly waited: number
  /** The same. */
  readonly others: number | null
  /** Processor time of the idle rounds, each over the median of all; null if there were none. */
  readonly idle_time: Figure | null
  /** The same of the busy ones. */
  readonly busy_time: Figure | null
  /** Each of them. */
  readonly rounds: readonly RoundLoad[]
}

/** A round is busy beyond one of these. */
const WAITED = 0.05
const OTHERS = 0.25

/** Judges rounds by what happened in each, and by what each candidate's laps took in them. */
export function loadOf(
  rounds: readonly RoundLoad[],
  laps: readonly (readonly { readonly cpu_ms: number }[])[],
): Load {
  const isBusy = rounds.map(({ waited, others }) => waited > WAITED || (others ?? 0) > OTHERS)
  const times = timesOf(rounds.length, laps)
  const only = (busy: boolean): Figure | null => {
    const samples = times.filter((_, round) => isBusy[round] === busy)
    return samples.length === 0 ? null : figureOf('ratio', samples)
  }
  const [idle_time, busy_time] = [only(false), only(true)]
  const busy_rounds = isBusy.filter(Boolean).length
  const part = idle_time !== null && busy_time !== null && below(idle_time, busy_time)
  const told = rounds.flatMap(({ others }) => (others === null ? [] : [others]))
  return {
    busy: part || 2 * busy_rounds > rounds.length,
    busy_rounds,
    waited: rounds.length === 0 ? 0 : median(rounds.map(({ waited }) => waited)),
    others: told.length === 0 ? null : median(told),
    idle_time,
    busy_time,
    rounds,
  }
}

/** What each round took, as a multiple of an ordinary one: the median over candidates of the lap over the median of its laps. */
function timesOf(rounds: number, laps: readonly (readonly { readonly cpu_ms: number }[])[]): number[] {
  const whole = laps.filter(({ length }) => length === rounds)
  const middles = whole.map((one) => median(one.map(({ cpu_ms }) => cpu_ms)))
  return Array.from({ length: rounds }, (_, round) => {
    const times = whole.map((one, i) => (middles[i] === 0 ? 1 : one[round]!.cpu_ms / middles[i]!))
    return times.length === 0 ? 1 : median(times)
  })
}
