// Two results of one command compared: what was asked otherwise, what was asked of something else, and what came out otherwise,
// beyond noise where it is known how much of that there is.

import { mistake, PagefoldError } from '../../errors.ts'
import type { Unit } from '../section.ts'
import { isInterval, type Measure, type Value } from './measure.ts'
import { kindOf, type Origin, partsOf, type ResultKind } from './result.ts'

/**
 * What is to be said of a figure. `less`, `more`: beyond noise, or of what has none; `noise`: the intervals overlap; `once`: a time
 * that was measured once, so nobody knows; `other`: no number; `gone`, `new`: in one of the results only.
 */
export type Verdict = 'same' | 'less' | 'more' | 'noise' | 'once' | 'other' | 'gone' | 'new'

/** A setting or an input that differs. */
export interface Difference {
  /** The way to it in the result. */
  readonly name: string
  /** null: not there. */
  readonly before: Value
  readonly after: Value
}

/** A figure in both results. */
export interface FigureChange extends Difference {
  readonly unit: Unit
  /** Of the medians, 0.1 is a tenth more; null where there is nothing to divide by. */
  readonly change: number | null
  readonly verdict: Verdict
}

/** What differs between two results. */
export interface ResultDiff {
  /** The command that printed both. */
  readonly of: ResultKind
  readonly before: Origin
  readonly after: Origin
  /** What makes the two hard to compare, in sentences. */
  readonly warnings: readonly string[]
  readonly settings: readonly Difference[]
  readonly inputs: readonly Difference[]
  /** All figures that are not the same. */
  readonly figures: readonly FigureChange[]
  /** How many are. */
  readonly same: number
}

/** Results of a later kind are not read by guessing. */
const KNOWN_SCHEMA = 3

/**
 * Compares two results, as `--json` prints them. Throws TypeError for what is no result; EINVAL for results of two commands, or of
 * a later version of pagefold than this.
 */
export function diffResults(before: object, after: object): ResultDiff {
  expectComparable(before, after)
  const [old, now] = [partsOf(before as Record<string, unknown>), partsOf(after as Record<string, unknown>)]
  const figures = pairsOf(old.figures, now.figures).map(figureChange)
  const inputs = differences(old.inputs, now.inputs)
  return {
    of: old.kind,
    before: old.origin,
    after: now.origin,
    warnings: warningsOn(old.origin, now.origin, inputs),
    settings: differences(old.settings, now.settings),
    inputs,
    figures: figures.filter(({ verdict }) => verdict !== 'same'),
    same: figures.filter(({ verdict }) => verdict === 'same').length,
  }
}

function expectComparable(before: object, after: object): void {
  const kinds = [before, after].map((result) => {
    const kind = kindOf(result)
    if (kind === undefined)
      throw mistake(new TypeError('Expected a result of scan, hash or bench, as --json prints it'))
    const { schema } = result as Origin
    if (typeof schema === 'number' && schema > KNOWN_SCHEMA)
      throw new PagefoldError(
        'EINVAL',
        `a result of schema ${schema}: made by a later pagefold, which can read it`,
      )
    return kind
  })
  if (kinds[0] === kinds[1]) return
  throw new PagefoldError(
    'EINVAL',
    `one is of ${kinds[0]}, the other of ${kinds[1]}: results of one command compare`,
  )
}

type Pair = readonly [before: Measure | undefined, after: Measure | undefined]

/** Figures of one name, in the order of the first result, what only the second has last. */
function pairsOf(before: readonly Measure[], after: readonly Measure[]): Pair[] {
  const later = new Map(after.map((measure) => [measure.name, measure]))
  const earlier = new Set(before.map(({ name }) => name))
  const fresh = after.filter(({ name }) => !earlier.has(name))
  return [
    ...before.map((measure): Pair => [measure, later.get(measure.name)]),
    ...fresh.map((measure): Pair => [undefined, measure]),
  ]
}

function differences(before: readonly Measure[], after: readonly Measure[]): Difference[] {
  return pairsOf(before, after)
    .map((pair) => ({ name: nameOf(pair), before: pair[0]?.value ?? null, after: pair[1]?.value ?? null }))
    .filter(({ before, after }) => JSON.stringify(before) !== JSON.stringify(after))
}

function figureChange(pair: Pair): FigureChange {
  const [old, now] = pair
  const [before, after] = [old?.value ?? null, now?.value ?? null]
  const { unit } = (old ?? now)!
  return {
    name: nameOf(pair),
    before,
    after,
    unit,
    change: changeOf(before, after),
    verdict: verdictOf(pair),
  }
}

function nameOf([before, after]: Pair): string {
  return (before ?? after)!.name
}

function middle(value: Value): number | undefined {
  if (isInterval(value)) return value.median
  return typeof value === 'number' ? value : undefined
}

function changeOf(before: Value, after: Value): number | null {
  const [old, now] = [middle(before), middle(after)]
  return old === undefined || now === undefined || old === 0 ? null : now / old - 1
}

function verdictOf([before, after]: Pair): Verdict {
  if (before === undefined) return 'new'
  if (after === undefined) return 'gone'
  const [old, now] = [middle(before.value), middle(after.value)]
  if (old === undefined || now === undefined) return before.value === after.value ? 'same' : 'other'
  if (isInterval(before.value) && isInterval(after.value)) {
    if (JSON.stringify(before.value) === JSON.stringify(after.value)) return 'same'
    if (before.value.low <= after.value.high && after.value.low <= before.value.high) return 'noise'
  } else {
    if (old === now) return 'same'
    if (before.measured || after.measured) return 'once'
  }
  return now < old ? 'less' : 'more'
}

function warningsOn(before: Origin, after: Origin, inputs: readonly Difference[]): string[] {
  const differs = (name: keyof Origin): boolean =>
    JSON.stringify(before[name]) !== JSON.stringify(after[name])
  const warnings: string[] = []
  if (inputs.length > 0) {
    const names = inputs.map(({ name }) => name)
    const shown =
      names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
    warnings.push(`the inputs differ (${shown}): what changed may be theirs, not the program's`)
  }
  if (differs('machine')) warnings.push('the machines differ: times do not compare')
  if (differs('version'))
    warnings.push(`made by pagefold ${before.version ?? '?'} and ${after.version ?? '?'}`)
  return warnings
}
