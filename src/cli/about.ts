// What every result as JSON says of itself: what made it, of which versions, when, where, by which command.

import { theseVersions, thisMachine } from '../../bench/macro/machine.ts'
import { VERSION } from '../index.ts'
import type { About } from './json.ts'

/** Rises when a name in the JSON changes its meaning or goes; new names may come at any time. */
const SCHEMA = 3

/** Puts it in front of a result, which keeps whatever it has by the same name. */
export function about<Result extends object>(result: Result): About & Result {
  return {
    version: VERSION,
    schema: SCHEMA,
    command: ['pagefold', ...process.argv.slice(2)].map(quoted).join(' '),
    date: new Date().toISOString(),
    machine: thisMachine(),
    versions: theseVersions(),
    ...result,
  }
}

/** As a shell would take it. */
function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`
}
