#!/usr/bin/env node
// The command line: finds the command, and turns what goes wrong into one line and an exit code. 0: done. 1: a check
// that was asked for did not hold. 2: bad usage or bad input.

import { PagefoldError } from '../index.ts'
import { inOptions, UsageError } from './usage.ts'

interface Command {
  readonly help: string
  run(args: string[]): Promise<number>
}

/** Each is loaded when it is asked for: what one needs should not make the others start later. */
const COMMANDS: Readonly<Record<string, { readonly summary: string; load(): Promise<Command> }>> = {
  scan: {
    summary: 'merge the pages of memory images as ksmd would',
    load: () => import('./commands/scan.ts'),
  },
  bench: {
    summary: 'merge throughput beside its peers: the same bytes in the same run',
    load: () => import('./commands/bench.ts'),
  },
  hash: {
    summary: 'compare checksums and indexes: cost, collisions, changes missed, time to converge',
    load: () => import('./commands/hash.ts'),
  },
  synth: {
    summary: 'write synthetic guests, and the truth about what merging can save on them',
    load: () => import('./commands/synth.ts'),
  },
}

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
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : undefined
  if (found === undefined) {
    throw new UsageError(`no command "${name}"; there are: ${names}`)
  }
  const command = await found.load()
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
  console.error(`pagefold: ${inOptions(error.message)}`)
  process.exitCode = 2
}
