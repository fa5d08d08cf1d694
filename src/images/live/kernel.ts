// What the running kernel says of its own merging: under /sys/kernel/mm/ksm, and of a process in /proc/PID/ksm_stat.

import { readdirSync, readFileSync } from 'node:fs'

/** Knobs and counters of the running kernel that are numbers, by their names in sysfs; undefined where it has no KSM. */
export function kernelKsm(): Record<string, number> | undefined {
  const dir = '/sys/kernel/mm/ksm'
  try {
    const pairs = readdirSync(dir).map((name) => [name, readFileSync(`${dir}/${name}`, 'utf8').trim()])
    return Object.fromEntries(
      pairs.filter(([, text]) => /^-?\d+$/.test(text!)).map(([name, text]) => [name, Number(text)]),
    )
  } catch {
    return undefined
  }
}

/** What the kernel says of a process. */
export interface KernelKsmStat {
  readonly pid: number
  /** Pages of it that ksmd keeps in view. */
  readonly ksm_rmap_items: number
  /** Pages of it that gave way to the zero page. */
  readonly ksm_zero_pages: number
  /** Pages of it that are merged. */
  readonly ksm_merging_pages: number
  /** Bytes saved less what its items take. */
  readonly ksm_process_profit: number
}

/** The same of a process; undefined where it has gone, is not ours to look at, or the kernel does not tell. */
export function kernelKsmStat(pid: number): KernelKsmStat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/ksm_stat`, 'utf8')
    const number = (name: string): number =>
      Number(new RegExp(`^${name} (-?\\d+)$`, 'm').exec(text)?.[1] ?? 0)
    return {
      pid,
      ksm_rmap_items: number('ksm_rmap_items'),
      ksm_zero_pages: number('ksm_zero_pages'),
      ksm_merging_pages: number('ksm_merging_pages'),
      ksm_process_profit: number('ksm_process_profit'),
    }
  } catch {
    return undefined
  }
}
