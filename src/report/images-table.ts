// The table of what was read, which every report ends with: many images stand behind a line.

import type { TableSection } from './section.ts'

/** More images than these are folded away. */
const SHOWN = 12

/** `names`: what the images are called in this report; `sources`: what they are in full. `columns`: what there is to say of each. */
export function imagesTable(
  names: readonly string[],
  sources: readonly string[],
  columns: TableSection['columns'],
): TableSection {
  return {
    kind: 'table',
    title: 'Images',
    folded: names.length > SHOWN,
    columns: [{ label: 'source', values: names, titles: sources }, ...columns],
  }
}
