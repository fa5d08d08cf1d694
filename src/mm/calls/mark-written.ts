// Writes of somebody who does not ask first: a device, an emulator with a log of its own, KVM's dirty log. They are handed in
// afterwards, before the next scan.

import { expectBytes, mistake } from '../../errors.ts'
import { ADDRESS_LIMIT, addressOf, hex, pageAt, pageRange } from '../model/address.ts'
import type { MmStruct } from '../model/mm-struct.ts'
import { markSoftDirty, walkPageRange } from '../page/ptes.ts'

/** Marks what has been written: a length in bytes, or a bitmap with a bit for each page from `address` on, lowest first. */
export function markWritten(mm: MmStruct, address: number, written: number | Uint8Array): void {
  if (typeof written === 'number') {
    const { start, end } = pageRange(address, written, { name: 'written', min: 0 })
    walkPageRange(mm, start, end, (vpn) => markSoftDirty(mm, vpn))
    return
  }
  const first = pageAt(address)
  const pages = expectBytes('written', written).length * 8
  if (addressOf(first + pages) > ADDRESS_LIMIT) {
    throw mistake(
      new RangeError(
        `Expected \`written\` to end below ${hex(ADDRESS_LIMIT)}, got ${pages} pages at ${hex(address)}`,
      ),
    )
  }
  for (const [i, byte] of written.entries()) {
    for (let bit = 0; byte >>> bit !== 0; bit++) {
      if ((byte >>> bit) & 1) markSoftDirty(mm, first + 8 * i + bit)
    }
  }
}
