// Figures of two results as people read them, wherever they are shown: in the terminal, in a report.

import { plural } from '../page/units.ts'
import type { Unit } from '../section.ts'
import type { FigureChange, ResultDiff, Verdict } from './diff.ts'
import { isInterval, type Value } from './measure.ts'

const SAYS: Readonly<Record<Verdict, string>> = {
  same: 'same',
  less: 'less',
  more: 'more',
  noise: 'within noise',
  once: 'measured once',
  other: 'other',
  gone: 'gone',
  new: 'new',
}

/** The words for a verdict. */
export function verdictText(verdict: Verdict): string {
  return SAYS[verdict]
}

/** A figure in few characters, with what it counts; an interval with its ends. */
export function valueText(value: Value, unit: Unit = 'count'): string {
  if (value === null) return '-'
  if (typeof value === 'number') return numberText(value, unit)
  if (!isInterval(value)) return String(value)
  const [low, high] = [value.low, value.high].map((end) => numberText(end, unit, true))
  return `${numberText(value.median, unit, true)} (${low}..${high})${SUFFIX[unit] ?? ''}`
}

const SUFFIX: Readonly<Partial<Record<Unit, string>>> = { ns: ' ns', ms: ' ms', bytes: ' bytes', ratio: ' x' }

/** Three digits of what is no whole number: more nobody has measured. */
function numberText(value: number, unit: Unit, bare = false): string {
  if (unit === 'share') return `${(100 * value).toFixed(1)} %`
  const whole = Number.isInteger(value) || Math.abs(value) >= 1000
  const text = whole ? Math.round(value).toLocaleString('en-US') : value.toPrecision(3)
  return bare ? text : text + (SUFFIX[unit] ?? '')
}

/** How much it is more, in per cent. */
export function changeText({ change }: FigureChange): string {
  if (change === null) return ''
  return `${change > 0 ? '+' : ''}${(100 * change).toFixed(1)} %`
}

/** What became of the other figures. */
export function restText({ figures, same }: ResultDiff): string {
  const noise = figures.filter(({ verdict }) => verdict === 'noise').length
  return `${plural(same, 'figure')} the same, ${plural(noise, 'figure')} within noise.`
}

/** The figures of which something can be said: beyond noise, or nobody knows. */
export function changed({ figures }: ResultDiff): readonly FigureChange[] {
  return figures.filter(({ verdict }) => verdict !== 'noise')
}
