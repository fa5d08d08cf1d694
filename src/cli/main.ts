#!/usr/bin/env node
// The command line: finds the command, and turns what goes wrong into one line and an exit code. 0: done. 1: a check
// that was asked for did not hold. 2: bad usage, bad input, or output that could not be written. A signal ends it with 128 and its
// number; a pipe that nobody reads any more counts as one, as SIGPIPE.

import { PagefoldError, VERSION } from '../index.ts'
import { complain, OutputError, print } from './output.ts'
import { Interrupted } from './signals.ts'
import { folded } from './terminal.ts'
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
  census: {
    summary: 'whether merging would pay, on memory of any size',
    load: () => import('./commands/census.ts'),
  },
  fleet: {
    summary: 'what the contents of many hosts say together: savings, placement, what is everywhere',
    load: () => import('./commands/fleet.ts'),
  },
  diff: {
    summary: 'what differs between two results of scan, hash or bench',
    load: () => import('./commands/diff.ts'),
  },
  synth: {
    summary: 'write synthetic guests, and the truth about what merging can save on them',
    load: () => import('./commands/synth.ts'),
  },
  store: {
    summary: 'keep snapshots in a directory, equal pages once',
    load: () => import('./commands/store.ts'),
  },
}

const HELP = `usage: pagefold COMMAND [arguments]

Kernel samepage merging (KSM) as a library and a tool.

${Object.entries(COMMANDS)
  .map(([name, { summary }]) => `  ${name.padEnd(8)} ${summary}`)
  .join('\n')}

pagefold COMMAND --help tells more about each, pagefold --version which this is.`

/** What a shell says of a program that SIGPIPE has ended. */
const PIPE_CLOSED = 128 + 13

async function main([name, ...args]: string[]): Promise<number> {
  const names = Object.keys(COMMANDS).join(', ')
  if (name === undefined) throw new UsageError(`no command given; there are: ${names}; see pagefold --help`)
  if (name === '--help' || name === '-h' || name === 'help') {
    print(folded(HELP))
    return 0
  }
  if (name === '--version' || name === '-V') {
    print(VERSION)
    return 0
  }
  const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : undefined
  if (found === undefined) {
    throw new UsageError(`no command "${name}"; there are: ${names}`)
  }
  const command = await found.load()
  const end = args.indexOf('--')
  const options = end < 0 ? args : args.slice(0, end)
  if (options.includes('--help') || options.includes('-h')) {
    print(folded(command.help))
    return 0
  }
  return command.run(args)
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  process.exitCode = exitCodeOf(error)
}

/** Says what went wrong, and returns what to exit with. What is no mistake of the user's goes on. */
function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode
  if (error instanceof OutputError && error.closed) return PIPE_CLOSED
  if (!(error instanceof UsageError || error instanceof PagefoldError || error instanceof OutputError))
    throw error
  complain(inOptions(error.message), 'bad')
  return 2
}
