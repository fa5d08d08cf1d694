// Addresses as callers give them: bytes, 44 bits wide, checked before anything is done with them.

import { PAGE_SIZE } from '../../../assembly/abi.ts'
import { expectInteger, mistake } from '../../errors.ts'

/** Addresses are 44 bits wide, so that a virtual page number has 32. */
export const ADDRESS_LIMIT = 2 ** 44
export const VPN_LIMIT = ADDRESS_LIMIT / PAGE_SIZE

/** Virtual page numbers, end exclusive. */
export interface PageRange {
  readonly start: number
  readonly end: number
}

export function expectAddress(address: number): number {
  return expectInteger('address', address, 0, ADDRESS_LIMIT - 1)
}

/** Names what an argument is called where it is not `length`, and how long the range must be at least. */
interface LengthRule {
  readonly name: string
  readonly min: number
}

/** A page-aligned address as a virtual page number. */
export function pageAt(address: number): number {
  if (expectAddress(address) % PAGE_SIZE !== 0) {
    throw mistake(
      new RangeError(`Expected \`address\` to be a multiple of ${PAGE_SIZE}, got ${hex(address)}`),
    )
  }
  return address / PAGE_SIZE
}

/** A page-aligned address and a length, rounded up to pages. */
export function pageRange(
  address: number,
  length: number,
  { name, min }: LengthRule = { name: 'length', min: 0 },
): PageRange {
  const start = pageAt(address)
  const end = start + pagesOf(expectInteger(name, length, min, ADDRESS_LIMIT - address))
  return { start, end }
}

/** The virtual page that an address lies in. */
export function vpnOf(address: number): number {
  return Math.floor(address / PAGE_SIZE)
}

/** Where a virtual page begins, in bytes. */
export function addressOf(vpn: number): number {
  return vpn * PAGE_SIZE
}

/** How many pages so many bytes take. */
export function pagesOf(length: number): number {
  return Math.ceil(length / PAGE_SIZE)
}

/** Cuts [at, at + length) at the borders of pages: the page, where in it, where in the whole, and how many bytes. */
export function eachPage(
  at: number,
  length: number,
  visit: (page: number, offset: number, from: number, count: number) => void,
): void {
  for (let from = 0; from < length; ) {
    const offset = (at + from) % PAGE_SIZE
    const count = Math.min(PAGE_SIZE - offset, length - from)
    visit(Math.floor((at + from) / PAGE_SIZE), offset, from, count)
    from += count
  }
}

export function hex(address: number): string {
  return `0x${address.toString(16)}`
}
