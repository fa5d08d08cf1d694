// A directory that looks like ksmd's, and what ksmd does to it: while run is 1 it counts one full scan. For what happens when
// somebody else writes there too.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Places } from '../../bench/peers/ksmd.ts'
import { scratch } from './files.ts'

const FILES = {
  run: '1',
  pages_to_scan: '100',
  sleep_millisecs: '20',
  smart_scan: '1',
  use_zero_pages: '0',
  max_page_sharing: '256',
  full_scans: '7',
  pages_scanned: '1000',
}

/** Pages that one scan visits. */
const PAGES = 50

export class FakeKsmd {
  readonly dir = scratch()
  readonly places: Places = {
    sysfs: join(this.dir, 'ksm'),
    lock: join(this.dir, 'lock'),
    proc: join(this.dir, 'proc'),
    cpu: () => 0,
    exit: () => {},
  }
  /** What somebody else does when ksmd begins to scan. */
  meanwhile: () => void = () => {}
  private readonly timer: NodeJS.Timeout
  /** What sleep_millisecs was when it woke up last: a change of that ends its sleep. */
  private woken: string | undefined

  constructor() {
    for (const folder of [this.places.sysfs, this.places.proc]) mkdirSync(folder)
    for (const [name, value] of Object.entries(FILES)) this.set(name, value)
    this.timer = setInterval(() => this.tick(), 1)
  }

  stop(): void {
    clearInterval(this.timer)
  }

  get(name: string): string {
    return readFileSync(join(this.places.sysfs, name), 'utf8')
  }

  set(name: string, value: number | string): void {
    writeFileSync(join(this.places.sysfs, name), String(value))
  }

  /** As if ksmd had scanned. */
  scan(times = 1): void {
    this.set('pages_scanned', Number(this.get('pages_scanned')) + times * PAGES)
    this.set('full_scans', Number(this.get('full_scans')) + times)
  }

  /** All knobs and counters. */
  files(): Record<string, string> {
    return Object.fromEntries(Object.keys(FILES).map((name) => [name, this.get(name)]))
  }

  private tick(): void {
    const running = this.get('run') === '1' && this.get('pages_to_scan') !== FILES.pages_to_scan
    const sleep = this.get('sleep_millisecs')
    if (!running || sleep === this.woken) return
    this.woken = sleep
    this.meanwhile()
    if (this.get('run') === '1') this.scan()
  }
}
