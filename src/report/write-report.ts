// Writes a report: the page that scripts/build.mjs makes of report/page, with the figures put in as one JSON object.

import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { PagefoldError } from '../errors.ts'
import type { Report } from './section.ts'

/** How every report begins: what is overwritten without asking. */
const BEGINNING = '<!doctype html>\n<!-- pagefold report -->'
/** Where the template has a hole for the figures. */
const PLACE = '{"report":"goes here"}'

/**
 * Makes sure that a report can be written to `path`, before the work that fills it. Throws EINVAL, ENOENT, EACCES; EEXIST
 * for a file that is no report, such as an image named by mistake.
 */
export function expectReportPath(path: string): void {
  if (path === '') throw new PagefoldError('EINVAL', '--report takes the name of a file')
  const folder = statSync(dirname(path), { throwIfNoEntry: false })
  if (!folder?.isDirectory()) throw new PagefoldError('ENOENT', `${path}: no directory ${dirname(path)}`)
  const exists = existsSync(path)
  if (exists && !statSync(path).isFile()) throw new PagefoldError('EINVAL', `${path}: not a regular file`)
  try {
    accessSync(exists ? path : dirname(path), constants.R_OK | constants.W_OK)
  } catch (cause) {
    throw new PagefoldError('EACCES', `${path}: not allowed to write it`, { cause })
  }
  if (exists && !isReplaceable(path)) {
    throw new PagefoldError(
      'EEXIST',
      `${path}: holds something else than a report; name another file or remove it`,
    )
  }
}

/** Writes a report as one file that needs nothing else, and returns its size in bytes. Throws what `expectReportPath` does, EIO. */
export function writeReport(path: string, report: Report): number {
  expectReportPath(path)
  const html = render(report)
  try {
    writeFileSync(path, html)
  } catch (cause) {
    throw new PagefoldError('EIO', `${path}: cannot be written (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    })
  }
  return Buffer.byteLength(html)
}

function render(report: Report): string {
  // In JSON a `<` stands only in strings; none may end the script element early.
  const json = JSON.stringify(report).replaceAll('<', '\\u003c')
  return readFileSync(templateUrl(), 'utf8').replace(PLACE, () => json)
}

/** Beside this file once built; run from the sources, where the build puts it. */
function templateUrl(): URL {
  const built = new URL('./report.html', import.meta.url)
  return existsSync(built) ? built : new URL('../../dist/report.html', import.meta.url)
}

/** Empty, or a report of an earlier run. */
function isReplaceable(path: string): boolean {
  const head = Buffer.alloc(BEGINNING.length)
  const fd = openSync(path, 'r')
  try {
    const length = readSync(fd, head, 0, head.length, 0)
    return length === 0 || head.toString('latin1') === BEGINNING
  } finally {
    closeSync(fd)
  }
}
