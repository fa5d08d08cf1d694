// Knobs given on a command line.

import { isKnob, KNOB_NAMES, type KnobName, parseKnob } from '../index.ts'
import { UsageError } from './usage.ts'

/** Those that a user may set: a command that scans sets `run` itself. */
export const SETTABLE_KNOBS: readonly KnobName[] = KNOB_NAMES.filter((name) => name !== 'run')

/** Reads NAME=VALUE, as often as it was given, of some knobs. Throws UsageError. */
export function parseKnobs<Name extends KnobName>(
  settings: readonly string[] | undefined,
  names: readonly Name[],
): Partial<Record<Name, number | string>> {
  const knobs: Partial<Record<KnobName, number | string>> = {}
  for (const setting of settings ?? []) {
    const [name, value, ...rest] = setting.split('=')
    if (value === undefined || rest.length > 0)
      throw new UsageError(`--knob takes NAME=VALUE, got "${setting}"`)
    if (name === 'run') throw new UsageError('--knob run: it is not for you to set here')
    if (!isKnob(name!) || !names.some((known) => known === name)) {
      throw new UsageError(`--knob: no knob "${name}"; there are: ${names.join(', ')}`)
    }
    try {
      knobs[name] = parseKnob(name, value)
    } catch (error) {
      throw new UsageError(`--knob: ${(error as Error).message}`)
    }
  }
  return knobs as Partial<Record<Name, number | string>>
}
