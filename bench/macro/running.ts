// Guests that run while they are scanned, by pagefold and by ksmd: in the rounds of the bench, and put together.

import { type Candidate, figureOf, type Lap, median } from '../../src/lab/index.ts'
import type { PeerMissing, RunningResult, RunningTimes } from '../../src/report/index.ts'
import { linux } from '../peers/linux.ts'
import type { Peer, Task } from '../peers/peer.ts'
import { batchOf } from '../peers/running.ts'
import { BATCHES_PER_SCAN, busyTurns } from '../peers/writer.ts'
import { type RunTrial, TrialFailed } from './children.ts'
import type { RunningReport } from './trial.ts'

/** The trials of those whose guests run. */
export class RunningTrials {
  private readonly task: Task
  private readonly reports: Map<string, RunningReport[]>
  private readonly missing = new Map<string, PeerMissing>()

  /** `peers` take part as far as they scan in batches; those in `missing` cannot. */
  constructor(task: Task, peers: readonly Peer[], missing: ReadonlyMap<string, PeerMissing>) {
    this.task = task
    const able = task.running === 0 ? [] : peers.filter(({ running }) => running !== undefined)
    this.reports = new Map(able.filter(({ name }) => !missing.has(name)).map(({ name }) => [name, []]))
    for (const { name } of able) {
      const why = missing.get(name)
      if (why !== undefined) this.missing.set(name, why)
    }
  }

  /** `failed` is told where pagefold itself fails; of others it is a result. */
  candidates(run: RunTrial, stop: AbortSignal, failed: (name: string, why: string) => void): Candidate[] {
    return [...this.reports.keys()].map((name) => ({
      name: `${name}, guests running`,
      lap: async () => {
        if (!this.reports.has(name)) return undefined
        try {
          const report = (await run(`running-${name}`, this.task, stop)) as RunningReport
          this.reports.get(name)!.push(report)
          return lapOf(name, report)
        } catch (error) {
          if (!(error instanceof TrialFailed)) throw error
          if (name === 'pagefold') failed(name, error.message)
          this.leaveOut(name, error.message)
          return undefined
        }
      },
    }))
  }

  /** Leaves out who had merged otherwise in its last trial than pagefold in its first, where both have Linux's order of the trees. */
  expectAgreement(): void {
    const ours = this.reports.get('pagefold')?.[0]
    if (ours === undefined || this.task.index !== 'content') return
    for (const [name, trials] of [...this.reports]) {
      const why = difference(trials.at(-1)!, ours)
      if (why !== undefined) this.leaveOut(name, why)
    }
  }

  result(): RunningResult | undefined {
    const ours = this.reports.get('pagefold')
    if (ours === undefined) return undefined
    const { pages, running } = this.task
    const batches = running * BATCHES_PER_SCAN
    const turns = busyTurns(pages, batches)
    const peers = [...this.reports].map(([name, trials]) => [name, timesOf(trials, ours)] as const)
    return {
      batch_pages: batchOf(pages),
      batches,
      writes: turns.reduce((sum, { pages }) => sum + pages.length, 0),
      peers: Object.fromEntries([...peers, ...this.missing]),
    }
  }

  private leaveOut(name: string, failed: string): void {
    this.reports.delete(name)
    this.missing.set(name, { failed })
  }
}

function lapOf(name: string, { cpu_ms, elapsed_ms }: RunningReport): Lap {
  const cpu = cpu_ms.at(-1)!
  return { cpu_ms: cpu, wall_ms: elapsed_ms, outside_ms: name === linux.name ? cpu : 0 }
}

function difference(theirs: RunningReport, ours: RunningReport): string | undefined {
  const batch = ours.bytes_saved.findIndex((saved, i) => saved !== theirs.bytes_saved[i])
  if (batch >= 0)
    return (
      `merged otherwise than pagefold while guests ran: ${theirs.bytes_saved[batch]} bytes saved after batch ${batch + 1}, ` +
      `not ${ours.bytes_saved[batch]}`
    )
  const [their, our] = [theirs, ours].map(({ merged }) => JSON.stringify(merged))
  return their === our ? undefined : `merged otherwise than pagefold while guests ran: ${their}, not ${our}`
}

function timesOf(trials: readonly RunningReport[], ours: readonly RunningReport[]): RunningTimes {
  const whole = ({ cpu_ms }: RunningReport): number => cpu_ms.at(-1)!
  const points = trials[0]!.cpu_ms.map((_, batch): [number, number] => [
    median(trials.map(({ cpu_ms }) => cpu_ms[batch]!)),
    median(trials.map(({ bytes_saved }) => bytes_saved[batch]!)),
  ])
  return {
    cpu: figureOf('ms', trials.map(whole)),
    over_pagefold: figureOf(
      'ratio',
      trials.map((trial, round) => whole(trial) / whole(ours[round]!)),
    ),
    bytes_saved: points.at(-1)![1],
    mean_bytes_saved: points.reduce((sum, [, saved]) => sum + saved, 0) / points.length,
    points,
  }
}
