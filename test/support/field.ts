// Small files of the kinds that people have, with the right answers, kept beside the repository where they are at all.

import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const FIELD = join(resolve(process.env.PAGEFOLD_SHARED ?? '../shared'), 'field')

export interface FieldRecord {
  readonly pages?: number
  readonly absent_pages?: number
  /** Pages less distinct contents. */
  readonly saved?: number
  readonly pages_written?: number
  /** Or, as a text, may be. */
  readonly refused?: boolean | string
  readonly args?: readonly string[]
}

/** Why they cannot be used here, or undefined if they can. */
export function fieldUnavailable(): string | undefined {
  return existsSync(FIELD) ? undefined : `no ${FIELD}; PAGEFOLD_SHARED names another place`
}

export function fieldRecords(): Readonly<Record<string, FieldRecord>> {
  return JSON.parse(readFileSync(join(FIELD, 'expected.json'), 'utf8')) as Record<string, FieldRecord>
}

export function fieldFile(name: string): string {
  return join(FIELD, name)
}
