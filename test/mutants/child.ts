// The process with the tests, seen from outside: it is asked to run some with a mutant, and ended if it hangs.

import { type ChildProcess, spawn } from 'node:child_process'
import { dirname } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Command, Word } from './program.ts'

/** How long a test may be silent: as many times as long as without a mutant, and as many ms more. */
const PATIENCE = { times: 30, ms: 10_000 }

export interface Verdict {
  readonly how: 'killed' | 'timed out' | 'survived'
  /** The test that failed; undefined if loading did. */
  readonly killer?: number | undefined
  readonly error?: string | undefined
}

type End = Extract<Word, { kind: 'end' }>

export class Child {
  private readonly process: ChildProcess
  private readonly lines: Interface
  private readonly words: AsyncIterator<string>
  /** The end of what it wrote to stderr. */
  lastWords = ''

  /** `mutant`: one that is at work while modules are loaded. */
  constructor(program: string, root: string, mutant?: number) {
    const env = {
      ...process.env,
      // What an ended process leaves lying about goes with the program.
      TMPDIR: dirname(program),
      ...(mutant === undefined ? {} : { PAGEFOLD_MUTANT: String(mutant) }),
    }
    this.process = spawn(process.execPath, [program], {
      cwd: root,
      env,
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
    })
    this.process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.lastWords = (this.lastWords + text).slice(-2000)
    })
    this.process.stdin!.on('error', () => {})
    this.lines = createInterface({ input: this.process.stdio[3] as Readable })
    this.words = this.lines[Symbol.asyncIterator]()
  }

  /** The tests it has, and the mutants that loading them reached; undefined if it does not come so far. */
  async ready(): Promise<Extract<Word, { kind: 'ready' }> | undefined> {
    const word = await this.next(60_000)
    return word !== 'ended' && word !== 'silent' && word.kind === 'ready' ? word : undefined
  }

  /** Runs all tests without a mutant. Throws if one does not end. */
  async clean(tests: readonly number[], each: (end: End) => void): Promise<void> {
    this.send({ mutant: -1, tests, limits: [] })
    for (;;) {
      const word = await this.next(600_000)
      if (word === 'ended' || word === 'silent') throw new Error(`the tests ${word} without a mutant`)
      if (word.kind === 'end') each(word)
      if (word.kind === 'done') return
    }
  }

  /** Runs tests up to the first that fails. `ms`: how long each takes without a mutant. `usable`: can it be asked again? */
  async run(command: Command, ms: readonly number[]): Promise<{ verdict: Verdict; usable: boolean }> {
    this.send(command)
    let killer = command.tests[0]
    for (let patience = PATIENCE.ms; ; ) {
      const word = await this.next(patience)
      if (word === 'silent') return { verdict: { how: 'timed out', killer }, usable: false }
      if (word === 'ended')
        return { verdict: { how: 'killed', killer, error: 'the process ended' }, usable: false }
      if (word.kind === 'begin') {
        killer = word.test
        patience = PATIENCE.ms + PATIENCE.times * ms[killer]!
      }
      if (word.kind !== 'done') continue
      const how = word.killer === undefined ? 'survived' : word.endless ? 'timed out' : 'killed'
      return { verdict: { how, killer: word.killer, error: word.error }, usable: !word.leftover }
    }
  }

  end(): void {
    this.lines.close()
    this.process.kill('SIGKILL')
  }

  private send(command: Command): void {
    this.process.stdin!.write(`${JSON.stringify(command)}\n`)
  }

  private async next(ms: number): Promise<Word | 'silent' | 'ended'> {
    let timer: NodeJS.Timeout | undefined
    const silent = new Promise<'silent'>((resolve) => {
      timer = setTimeout(resolve, ms, 'silent')
    })
    const word = await Promise.race([silent, this.words.next()])
    clearTimeout(timer)
    if (word === 'silent') return word
    return word.done === true ? 'ended' : (JSON.parse(word.value) as Word)
  }
}
