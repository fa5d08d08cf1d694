// Writes a report, with the page embedded that scripts/build.mjs makes of report/page, with the figures put in as one JSON object.

import template from '../../dist/report.html'
import { PagefoldError } from '../errors.ts'
import { type Files, files } from '../platform.ts'
import type { Report } from './section.ts'

/** How every report begins: what is overwritten without asking. */
const BEGINNING = '<!doctype html>\n<!-- pagefold report -->'
/** Where the template has a hole for the figures. */
const PLACE = '{"report":"goes here"}'

/**
 * Makes sure that a report can be written to `path`, before the work that fills it. Throws EINVAL, ENOENT, EACCES; EEXIST
 * for a file that is no report, such as an image named by mistake; ENOTSUP where there are no files.
 */
export function expectReportPath(path: string): void {
  if (path === '') throw new PagefoldError('EINVAL', '--report takes the name of a file')
  const { fs, path: names } = files('a report in a file')
  const folder = fs.statSync(names.dirname(path), { throwIfNoEntry: false })
  if (!folder?.isDirectory())
    throw new PagefoldError('ENOENT', `${path}: no directory ${names.dirname(path)}`)
  const exists = fs.existsSync(path)
  if (exists && !fs.statSync(path).isFile()) throw new PagefoldError('EINVAL', `${path}: not a regular file`)
  try {
    fs.accessSync(exists ? path : names.dirname(path), fs.constants.R_OK | fs.constants.W_OK)
  } catch (cause) {
    throw new PagefoldError('EACCES', `${path}: not allowed to write it`, { cause })
  }
  if (exists && !isReplaceable(fs, path)) {
    throw new PagefoldError(
      'EEXIST',
      `${path}: holds something else than a report; name another file or remove it`,
    )
  }
}

/**
 * Writes a report as one file that needs nothing else, and returns its size in bytes. Throws what `expectReportPath` does,
 * EIO.
 */
export function writeReport(path: string, report: Report): number {
  expectReportPath(path)
  const html = new TextEncoder().encode(renderReport(report))
  try {
    files('writeReport').fs.writeFileSync(path, html)
  } catch (cause) {
    throw new PagefoldError('EIO', `${path}: cannot be written (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    })
  }
  return html.length
}

/** Makes the text of a report, a page that needs nothing else: for whoever has no files. */
export function renderReport(report: Report): string {
  // In JSON a `<` stands only in strings; none may end the script element early.
  const json = JSON.stringify(report).replaceAll('<', '\\u003c')
  return template.replace(PLACE, () => json)
}

/** Empty, or a report of an earlier run. */
function isReplaceable(fs: Files['fs'], path: string): boolean {
  const head = new Uint8Array(BEGINNING.length)
  const fd = fs.openSync(path, 'r')
  try {
    const length = fs.readSync(fd, head, 0, head.length, 0)
    return length === 0 || new TextDecoder().decode(head) === BEGINNING
  } finally {
    fs.closeSync(fd)
  }
}
