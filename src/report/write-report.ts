// Writes a report, with the page embedded that scripts/build.mjs makes of report/page, with the figures put in as one JSON object.

import template from '../../dist/report.html'
import { expectReplaceable, type FileKind, replaceFile } from './replaceable.ts'
import type { Report } from './section.ts'

const REPORT: FileKind = {
  option: '--report',
  what: 'a report',
  beginning: '<!doctype html>\n<!-- pagefold report -->',
}
/** Where the template has holes: for the title, for what is read first, for the figures. */
const TITLE = '<title>pagefold report</title>'
const HEADER = '<header></header>'
const FIGURES = '{"report":"goes here"}'

/**
 * Makes sure that a report can be written to `path`, before the work that fills it. Throws EINVAL, ENOENT, EACCES; EEXIST
 * for a file that is no report, such as an image named by mistake; ENOTSUP where there are no files.
 */
export function expectReportPath(path: string): void {
  expectReplaceable(REPORT, path)
}

/**
 * Writes a report as one file that needs nothing else, and returns its size in bytes. A report that was there stays if this one
 * cannot be written whole. Throws what `expectReportPath` does, EIO.
 */
export function writeReport(path: string, report: Report): number {
  return replaceFile(REPORT, path, renderReport(report))
}

/** Makes the text of a report, a page that needs nothing else: for whoever has no files. */
export function renderReport(report: Report): string {
  // In JSON a `<` stands only in strings; none may end the script element early.
  const json = JSON.stringify(report).replaceAll('<', '\\u003c')
  // The figures first: a name may look like the hole for them, but none has a `<` in it that it could look like the others by.
  return template
    .replace(FIGURES, () => json)
    .replace(TITLE, () => `<title>${escaped(`${report.title}: ${report.subtitle}`)}</title>`)
    .replace(HEADER, () => header(report))
}

/** What is read first stands before the figures, so that it is there while they are still on their way. */
function header({ title, subtitle, verdict }: Report): string {
  const said = verdict === undefined ? '' : `<p class="verdict">${escaped(verdict)}</p>`
  return `<header><h1>${escaped(title)}</h1><p class="soft">${escaped(subtitle)}</p>${said}</header>`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
