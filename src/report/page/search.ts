// What a reader types to find a page: an address in hexadecimal, or the number of a page.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import type { Pages } from './page-map.ts'
import { hex, plural } from './units.ts'

/** Finds the page of an image that `text` names; a string says why there is none. */
export function findPage(pages: Pages, image: number, text: string): number | string {
  const wanted = text
    .trim()
    .toLowerCase()
    .replaceAll(/[_,\s]/g, '')
  const { name, pages: count } = pages.images[image]!
  if (/^0x[0-9a-f]+$/.test(wanted)) {
    const page = pages.pageAt(image, Number(wanted))
    if (page !== undefined) return pages.indexOf({ image, page })
    const last = pages.addressOf({ image, page: count - 1 }) + PAGE_SIZE - 1
    return `${name} has no page at ${wanted}; its addresses are ${hex(pages.addressOf({ image, page: 0 }))} to ${hex(last)}, perhaps with holes.`
  }
  if (/^\d+$/.test(wanted)) {
    const page = Number(wanted)
    if (page < count) return pages.indexOf({ image, page })
    return `${name} has ${plural(count, 'page')}, numbered from 0 to ${count - 1}.`
  }
  return 'Type an address, such as 0x1f000, or the number of a page, such as 31.'
}
