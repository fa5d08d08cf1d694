#!/usr/bin/env node
// The command line: finds the command, and turns what goes wrong into one line and an exit code. 0: done. 1: a check
// that was asked for did not hold. 2: bad usage or bad input.

import { PagefoldError } from '../errors.ts'
import * as bench from './commands/bench.ts'
import * as hash from './commands/hash.ts'
import * as scan from './commands/scan.ts'
import * as synth from './commands/synth.ts'
import { UsageError } from './usage.ts'

interface Command {
  readonly summary: string
  readonly help: string
  run(args: string[]): Promise<number>
}

const COMMANDS: Readonly<Record<string, Command>> = { scan, bench, hash, synth }

const HELP = `usage: pagefold COMMAND [arguments]

Kernel samepage merging (KSM) as a library and a tool.

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`)
  .join('\n')}

pagefold COMMAND --help tells more about each.`

async function main([name, ...args]: string[]): Promise<number> {
  const names = Object.keys(COMMANDS).join(', ')
  if (name === undefined) throw new UsageError(`no command given; there are: ${names}; see pagefold --help`)
  if (name === '--help' || name === '-h' || name === 'help') {
    console.log(HELP)
    return 0
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : undefined
  if (command === undefined) {
    throw new UsageError(`no command "${name}"; there are: ${names}`)
  }
  if (args.includes('--help') || args.includes('-h')) {
    console.log(command.help)
    return 0
  }
  return command.run(args)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof UsageError || error instanceof PagefoldError)) throw error
  console.error(`pagefold: ${error.message}`)
  process.exitCode = 2
}
