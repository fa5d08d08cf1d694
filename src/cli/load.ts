// Says on standard error that the machine was busy while something was measured. The result as JSON has the rounds.

import type { Load } from '../lab/index.ts'
import { complain } from './output.ts'

/** Says so, if it was worth a warning. */
export function sayLoad(when: string, load: Load): void {
  if (load.busy) complain(`this machine was busy ${when}: ${describeLoad(load)}`)
}

/** What the load was, in a sentence. */
function describeLoad({ rounds, busy_rounds, waited, others, idle_time, busy_time }: Load): string {
  const processors = others === null ? '' : `others kept ${others.toFixed(1)} processors busy, `
  const longer =
    idle_time === null || busy_time === null
      ? ''
      : ` Busy rounds took ${(busy_time.median / idle_time.median).toFixed(2)} times as long as idle ones.`
  return (
    `in ${busy_rounds} of ${rounds.length} rounds. In the middle one ${processors}and the measured work waited ` +
    `${(100 * waited).toFixed(0)} % of its time.${longer} Waiting is not counted, but neighbours lengthen processor time too.`
  )
}
