// Counters in the text format that Prometheus reads, each by its name under /sys/kernel/mm/ksm.

import { mistake } from '../errors.ts'
import type { CounterName } from './stats.ts'

const PREFIX = 'pagefold_ksm_'

/** What each counts, and whether it only grows while a host lives. */
const METRICS: Readonly<Record<CounterName, readonly ['gauge' | 'counter', string]>> = {
  pages_shared: ['gauge', 'Merged pages: different contents that several pages have, or had.'],
  pages_sharing: ['gauge', 'Further pages that are mapped to these: as many frames are saved.'],
  pages_unshared: ['gauge', 'Pages that keep still and have no equal yet.'],
  pages_volatile: ['gauge', 'Pages in view that are new, or change too fast.'],
  pages_scanned: ['counter', 'Visits to pages.'],
  pages_skipped: ['counter', 'Visits that smart scan spared.'],
  full_scans: ['counter', 'Full scans completed.'],
  stable_node_chains: ['gauge', 'Contents that have several merged pages, because of max_page_sharing.'],
  stable_node_dups: ['gauge', 'The merged pages of those contents.'],
  ksm_zero_pages: ['gauge', 'Pages that gave way to the zero page.'],
  general_profit: ['gauge', 'Bytes saved less 64 for each page in view, as Linux reckons.'],
}

/**
 * Makes a page of metrics, text/plain; version=0.0.4, of those counters that are given, each named `pagefold_ksm_` and its name in
 * sysfs; `labels` stand on every one. What is no counter is left out, so `host.ksm.counters()` can be given as it is. Throws
 * TypeError for a label that Prometheus does not take.
 */
export function prometheusText(
  counters: Readonly<Partial<Record<CounterName, number>>>,
  labels: Readonly<Record<string, string>> = {},
): string {
  const shown = labelText(labels)
  const lines = Object.entries(METRICS).flatMap(([name, [type, help]]) => {
    const value = counters[name as CounterName]
    if (value === undefined) return []
    const metric = PREFIX + name
    return [`# HELP ${metric} ${help}`, `# TYPE ${metric} ${type}`, `${metric}${shown} ${value}`]
  })
  return lines.map((line) => `${line}\n`).join('')
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => {
    if (!/^[a-zA-Z_]\w*$/.test(name) || name.startsWith('__'))
      throw mistake(
        new TypeError(`Expected a label's name of letters, digits and _, got ${JSON.stringify(name)}`),
      )
    if (typeof value !== 'string') throw mistake(new TypeError(`Expected label ${name} to be a string`))
    return `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
  })
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
