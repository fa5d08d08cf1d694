// Two real guests' memory and what Linux counted on it, kept beside the repository where they are at all.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const SHARED = resolve(process.env.PAGEFOLD_SHARED ?? '../shared')
const ARCHIVE = join(SHARED, 'images/guests.tar.zst')
const UNPACKED = join(tmpdir(), 'pagefold-guests')

export interface GuestRecord {
  readonly name: string
  readonly images: readonly string[]
  readonly then?: readonly string[]
  readonly knobs: Readonly<Record<string, number>>
  readonly pages: number
  readonly pages_written?: number
  readonly after_each_scan: readonly Readonly<Record<string, number>>[]
}

/** Why the guests cannot be used here, or undefined if they can. */
export function guestsUnavailable(): string | undefined {
  if (!existsSync(ARCHIVE)) return `no ${ARCHIVE}; PAGEFOLD_SHARED names another place`
  if (spawnSync('zstd', ['--version']).status !== 0) return 'no zstd to unpack the guests with'
  return undefined
}

export function guestRecords(): GuestRecord[] {
  return JSON.parse(readFileSync(join(SHARED, 'images/expected.json'), 'utf8')) as GuestRecord[]
}

/** The path of one guest's image; unpacks all of them the first time. */
export function guest(name: string): string {
  if (!existsSync(UNPACKED)) {
    const dir = `${UNPACKED}.${process.pid}`
    mkdirSync(dir)
    const { status } = spawnSync('tar', ['-I', 'zstd -d --long=30', '-xf', ARCHIVE, '-C', dir])
    if (status !== 0) throw new Error(`cannot unpack ${ARCHIVE}`)
    try {
      renameSync(dir, UNPACKED)
    } catch {
      rmSync(dir, { recursive: true }) // another process was faster
    }
  }
  return join(UNPACKED, name)
}
