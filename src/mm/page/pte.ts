// What a pte says, put together and taken apart. A pte is a signed 32-bit integer, negative for the upper half of the
// frames: an unsigned one would not fit what the engine keeps small integers in, and be a float on every scan's way.

import {
  PAGE_SHIFT,
  PTE_DEVICE_MASK,
  PTE_DEVICE_SHIFT,
  PTE_PRESENT,
  PTE_SWAP,
} from '../../../assembly/abi.ts'

/** A place in swap: which device, which page of it. */
export interface SwapEntry {
  readonly device: number
  readonly slot: number
}

export function makePte(pfn: number, flags: number): number {
  return (pfn << PAGE_SHIFT) | flags
}

/** The frame a present pte or a migration entry names. */
export function ptePfn(pte: number): number {
  return pte >>> PAGE_SHIFT
}

export function isSwapPte(pte: number): boolean {
  return (pte & (PTE_PRESENT | PTE_SWAP)) === PTE_SWAP
}

export function makeSwapPte({ device, slot }: SwapEntry, flags: number): number {
  return (slot << PAGE_SHIFT) | (device << PTE_DEVICE_SHIFT) | PTE_SWAP | flags
}

export function swapEntryOf(pte: number): SwapEntry {
  return { device: (pte >>> PTE_DEVICE_SHIFT) & PTE_DEVICE_MASK, slot: pte >>> PAGE_SHIFT }
}
