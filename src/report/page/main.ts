// The page of a report: takes the embedded figures and shows them, section after section.

import type { FiguresSection, Report, Section, TableSection } from '../section.ts'
import { barChart } from './bars.ts'
import { lineChart } from './chart.ts'
import { element, freshId } from './dom.ts'
import { footer } from './footer.ts'
import { matrix } from './matrix.ts'
import { memoryMap } from './memory-map.ts'
import { pause } from './pause.ts'
import { foldedTable, table } from './table.ts'
import { format } from './units.ts'

const FIRST_LETTER = 97

async function showReport(report: Report): Promise<void> {
  const main = document.querySelector('main')!
  main.querySelector('noscript')?.remove()
  const maps = report.sections.filter(({ kind }) => kind === 'map')
  for (const section of report.sections) {
    // Of several maps each has a letter, which stands in its addresses.
    const letter = maps.length > 1 ? String.fromCharCode(FIRST_LETTER + maps.indexOf(section)) : ''
    main.append(await showSection(section, letter))
    // What stands on top is read while the rest is made.
    await pause()
  }
  main.after(footer(report.result))
  // Whoever came by an address could not be brought there before all was in its place.
  dispatchEvent(new Event('hashchange'))
}

async function showSection(section: Section, letter: string): Promise<HTMLElement> {
  const headingId = freshId()
  const note = section.note === undefined ? [] : [element('p', { class: 'soft note' }, section.note)]
  return element(
    'section',
    { 'aria-labelledby': headingId, class: `${section.kind}-section` },
    element('h2', { id: headingId }, section.title),
    ...note,
    ...(await contentOf(section, letter)),
  )
}

async function contentOf(section: Section, letter: string): Promise<HTMLElement[]> {
  switch (section.kind) {
    case 'figures':
      return [figures(section)]
    case 'map':
      return [await memoryMap(section, letter)]
    case 'matrix':
      return [matrix(section)]
    case 'lines':
      return [lineChart(section), foldedTable(section.title, () => [section.x, ...section.series])]
    case 'bars': {
      const labels = { label: section.label, values: section.labels }
      return [barChart(section), foldedTable(section.title, () => [labels, ...section.series])]
    }
    case 'table':
      return [tableOf(section)]
  }
}

function tableOf({ title, columns, folded, ...look }: TableSection): HTMLElement {
  return folded ? foldedTable(title, () => columns, look) : table(title, columns, look)
}

function figures(section: FiguresSection): HTMLElement {
  const tiles = section.figures.map(({ label, value, unit, note }) =>
    element(
      'div',
      {},
      element('dt', {}, label),
      element('dd', { 'data-value': value }, format(value, unit)),
      ...(note === undefined ? [] : [element('dd', { class: 'soft' }, note)]),
    ),
  )
  return element('dl', {}, ...tiles)
}

const embedded = document.getElementById('report')!.textContent
showReport(JSON.parse(embedded) as Report).then(
  () => document.documentElement.setAttribute('data-ready', ''),
  (error: unknown) => {
    document
      .querySelector('main')!
      .replaceChildren(element('p', { role: 'alert' }, `This report is damaged: ${error}`))
  },
)
