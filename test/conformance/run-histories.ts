// Runs random histories on the running kernel and on pagefold, in both indexes, and holds the counters against each other
// after every scan. A history that fails is made as short as it can be and written to recorded/histories, where
// histories.test.ts runs it from then on.
//
//   npm run test:kernel -- [--count 500] [--ops 300] [--seed 1] [--wide] [--record]
//   npm run test:kernel -- --again
//
// Seeds go up by one from --seed. --wide: batches of 1 to 40 pages with guests acting in between, holes, mremap that resizes,
// and more calls; such programs are held against the index content. --record writes every history, not only those that fail. --again asks the kernel for the
// rows of those that are written already.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { NotAlone } from '../../bench/peers/ksmd.ts'
import { actsMidScan, differenceBeforeChains, firstDifference } from '../support/compare-rows.ts'
import { type Program, type Row, runHistory } from '../support/history.ts'
import {
  type Kernel,
  kernelName,
  kernelUnavailable,
  readsZeroPage,
  runOnKernel,
  withSwapFile,
  withTracing,
  withWorker,
} from '../support/kernel-history.ts'
import { randomProgram } from '../support/random-program.ts'
import { formatRecording, parseRecording } from '../support/recording.ts'
import { shrink } from '../support/shrink.ts'

/** How often the kernel is asked again before a difference is believed. */
const REPEATS = 2

interface Task {
  readonly count: number
  readonly ops: number
  readonly seed: number
  readonly wide: boolean
  readonly record: boolean
  readonly again: boolean
}

interface Verdict {
  readonly kernel: readonly Row[]
  /** What pagefold counts otherwise each time the kernel is asked. */
  readonly difference: string | undefined
  /** What the kernel itself did not count the same twice. */
  readonly unsteady: string | undefined
  /** What the hash index counts otherwise, because pages joined other dups of a chain or guests acted in the middle of a scan. */
  readonly otherDup: string | undefined
}

/** `folder`: where this file lies. Resolves to the exit code. */
export async function main(args: readonly string[], folder: string): Promise<number> {
  const task = parseTask(args)
  const unavailable = kernelUnavailable()
  if (unavailable !== undefined) {
    console.error(`test:kernel: ${unavailable}`)
    return 2
  }
  const recorded = join(folder, 'recorded/histories')
  return withWorker(join(folder, 'kernel-worker.c'), (worker) =>
    withSwapFile((swapFile) =>
      withTracing(async (tracing) => {
        const asked: Kernel = { worker, swapFile, tracing }
        const has = (what: string, there: unknown): string =>
          `${there === undefined ? 'without' : 'with'} ${what}`
        console.log(`${kernelName()}, ${has('swap', swapFile)}, ${has('tracepoints', tracing)}`)
        if (!readsZeroPage(worker))
          console.log('reads get pages of their own here: none of what nobody has written to')
        return task.again ? askAgain(asked, recorded) : runRandom(asked, recorded, task)
      }),
    ),
  ).catch((error: unknown) => {
    if (!(error instanceof NotAlone)) throw error
    console.error(`test:kernel: ${error.message}`)
    return 2
  })
}

async function runRandom(asked: Kernel, recorded: string, task: Task): Promise<number> {
  const interrupted = listenForInterrupt()
  const started = performance.now()
  const total = { done: 0, agreed: 0, unsteady: 0, otherDup: 0, rows: 0 }
  for (; total.done < task.count && !interrupted(); total.done++) {
    const seed = task.seed + total.done
    const program = randomProgram(seed, {
      ops: task.ops,
      wide: task.wide,
      pageout: asked.swapFile !== undefined,
      traced: asked.tracing !== undefined,
      untouchedReads: readsZeroPage(asked.worker),
    })
    const { kernel, difference, unsteady, otherDup } = await judge(asked, program)
    total.rows += kernel.length
    if (unsteady !== undefined) total.unsteady++
    if (otherDup !== undefined) total.otherDup++
    if (difference !== undefined) {
      console.log(`seed ${seed}: ${difference}`)
      await keepShortest(asked, recorded, seed, program)
      continue
    }
    total.agreed++
    const notes =
      (unsteady === undefined ? '' : `; the kernel counted otherwise at first: ${unsteady}`) +
      (otherDup === undefined ? '' : `; hash: ${otherDup}`)
    console.log(`seed ${seed}: ${kernel.length} rows agree${notes}`)
    if (task.record) write(recorded, `seed-${seed}.json`, program, kernel)
  }
  const seconds = Math.round((performance.now() - started) / 1000)
  console.log(
    `${total.agreed} of ${total.done} histories of ${task.ops} operations agree ` +
      `(seeds ${task.seed} to ${task.seed + total.done - 1}, ${total.rows} rows, ` +
      `${total.unsteady} unsteady, ${total.otherDup} otherwise in index hash), ${seconds} s`,
  )
  return total.agreed === task.count ? 0 : 1
}

async function keepShortest(asked: Kernel, recorded: string, seed: number, program: Program): Promise<void> {
  const fails = async (candidate: Program) => (await judge(asked, candidate)).difference !== undefined
  const short = await shrink(program, fails)
  const { kernel, difference } = await judge(asked, short)
  const name = `shrunk-${seed}.json`
  write(recorded, name, short, kernel)
  console.log(`seed ${seed}: ${short.ops.length} operations are enough, see ${name}: ${difference}`)
  console.log(JSON.stringify(short))
}

/** Replaces the rows of every recording by what this kernel counts. */
async function askAgain(asked: Kernel, recorded: string): Promise<number> {
  for (const name of readdirSync(recorded)) {
    const { program, rows } = parseRecording(readFileSync(join(recorded, name), 'utf8'))
    if (asked.swapFile === undefined && program.ops.some(([op]) => op === 'pageout')) {
      console.log(`${name}: left as it is, there is no swap`)
      continue
    }
    const kernel = await runOnKernel(asked, program)
    write(recorded, name, program, kernel)
    console.log(`${name}: ${firstDifference(kernel, rows, 'content') ?? 'the same'}`)
  }
  return 0
}

async function judge(asked: Kernel, program: Program): Promise<Verdict> {
  const content = await runHistory(program, { index: 'content' })
  const hash = await runHistory(program, { index: 'hash' })
  const readAll = await runHistory(program, { index: 'content', changes: 'checksum' })
  const compare = (kernel: readonly Row[]): string | undefined =>
    firstDifference(kernel, content, 'content') ??
    firstDifference(kernel, readAll, 'content') ??
    (actsMidScan(program) ? undefined : differenceBeforeChains(kernel, hash, 'hash'))
  let kernel = await runOnKernel(asked, program)
  let unsteady: string | undefined
  for (let i = 0; i < REPEATS && compare(kernel) !== undefined; i++) {
    const again = await runOnKernel(asked, program)
    unsteady ??= firstDifference(again, kernel, 'content')
    kernel = again
  }
  const difference = compare(kernel)
  const otherDup = difference === undefined ? firstDifference(kernel, hash, 'hash') : undefined
  return { kernel, difference, unsteady, otherDup }
}

function write(recorded: string, name: string, program: Program, rows: readonly Row[]): void {
  writeFileSync(join(recorded, name), formatRecording({ kernel: kernelName(), program, rows }))
}

/** The history under way is finished first: so every knob is put back. */
function listenForInterrupt(): () => boolean {
  let interrupted = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      interrupted = true
    })
  }
  return () => interrupted
}

function parseTask(args: readonly string[]): Task {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: 'string', default: '500' },
      ops: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      wide: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
      again: { type: 'boolean', default: false },
    },
  })
  const [count, ops, seed] = [values.count, values.ops, values.seed].map(Number)
  return {
    count: count!,
    ops: ops!,
    seed: seed!,
    wide: values.wide,
    record: values.record,
    again: values.again,
  }
}
