// examples/report.mjs: node examples/report.mjs [FILE] writes a page to look at, of what became of each guest's memory.
import { mergeImages, PAGE_STATES, pageStates, synthImages } from 'pagefold/lab'
import { mergeReport, writeReport } from 'pagefold/report'

const path = process.argv[2] ?? 'report.html'
const images = synthImages({ preset: 'demo' })
let pages
const result = await mergeImages({
  images,
  inspect: (host, ranges) => {
    pages = pageStates(host, ranges) // while everything is still in place
  },
})
for (const [number, state] of PAGE_STATES.entries()) {
  const count = pages.states.filter((of) => of === number).length
  if (count > 0) console.log(`${state}: ${count} pages`)
}

const report = mergeReport(images, result, pages)
writeReport(path, { ...report, title: 'Three small guests' })
console.log(`${path}: ${report.sections.map(({ title }) => title).join(', ')}`)

// zero: 1476 pages
// shared_within: 984 pages
// shared_between: 4914 pages
// unique: 4914 pages
// report.html: What merging saves, From pages to savings, Who shares with whom, Memory, page by page, Counters after every full scan, Convergence, Sharers, Images, Knobs, pagefold's own records
