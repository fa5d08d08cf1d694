// Results that a command takes again: what --json printed, in a file, or the report that has the same in it.

import { readFileSync, statSync } from 'node:fs'
import type { Report } from '../report/index.ts'
import { bytes } from './format.ts'
import { UsageError } from './usage.ts'

/** A result of a thousand trials has less. */
const MAX_BYTES = 2 ** 28
const REPORT =
  /^<!doctype html>\n<!-- pagefold report -->.*?<script type="application\/json" id="report">(.*?)<\/script>/s

/** Reads one; `what` is how the user named the file. Throws UsageError for a file that is none, and what `name` it should have been. */
export function readResult(what: string, path: string, commands: string): Record<string, unknown> {
  const text = readText(what, path)
  try {
    const found = REPORT.exec(text)
    const result: unknown = found === null ? JSON.parse(text) : resultOf(JSON.parse(found[1]!) as Report)
    if (typeof result === 'object' && result !== null && !Array.isArray(result))
      return result as Record<string, unknown>
  } catch {
    // Said below: whatever is wrong with it, it is not what --json prints.
  }
  throw new UsageError(`${what}: not what ${commands} --json prints`)
}

/** The very object that --json prints, with the map that stands in the report beside it. */
function resultOf({ sections, result }: Report): unknown {
  const map = sections.find((section) => section.kind === 'map')
  return map === undefined ? result : { ...(result as object), map: map.map }
}

function readText(what: string, path: string): string {
  try {
    // Before it is opened: a pipe that nobody writes to would be waited for.
    const stat = statSync(path)
    if (!stat.isFile()) throw new UsageError(`${what}: not a regular file`)
    if (stat.size > MAX_BYTES)
      throw new UsageError(`${what}: ${bytes(stat.size)} are more than any result has`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${what}: cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}
