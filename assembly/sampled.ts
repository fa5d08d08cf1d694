// A hash of some words of a page, UKSM's idea: the words stand at random places, the same for every page, and how many
// are read, the strength, can be chosen. Two pages that differ only elsewhere have the same hash, so it finds
// candidates, never equals; and a change elsewhere goes unnoticed.
//
// Each step can be taken back. So a hash of one strength becomes that of another by reading only the words that
// make the difference, upwards or downwards.
//
// The order of the words lies in the arena's table page; `src/core` draws it from the seed.

import { HEADER_STRATEGY, PAGE_SHIFT, TABLE_SAMPLE, TABLES } from './abi'
import { Strategy } from './struct'

const ORDER: usize = TABLES + TABLE_SAMPLE
const FACTOR: u64 = 0x9e3779b97f4a7c15
const FACTOR_INVERSE: u64 = 0xf1de83e19937733d
const CLOSE: u64 = 0xd6e8feb86659fd93
const CLOSE_INVERSE: u64 = 0xcfee444d8b59a89b

/** Hashes the first words of the sample, as many as the arena's strategy says. */
export function sampled(pfn: u32, seed: u64): u64 {
  // Or a page of zeros would have the hash 0 for seed 0, which is what a page never visited has.
  return close(add(pfn, seed ^ CLOSE, 0, changetype<Strategy>(HEADER_STRATEGY).sampleWords))
}

/** Turns the hash of `from` words of a page, at `out`, into the hash of `to` words. */
export function resample(pfn: u32, out: usize, from: u32, to: u32): void {
  const open = reopen(load<u64>(out))
  store<u64>(out, close(from < to ? add(pfn, open, from, to) : takeBack(pfn, open, from, to)))
}

function add(pfn: u32, state: u64, from: u32, to: u32): u64 {
  const page: usize = pfn << PAGE_SHIFT
  for (let i = from; i < to; i++) state = rotl<u64>((state ^ wordAt(page, i)) * FACTOR, 29)
  return state
}

function takeBack(pfn: u32, state: u64, from: u32, to: u32): u64 {
  const page: usize = pfn << PAGE_SHIFT
  for (let i = from; i > to; i--) state = (rotr<u64>(state, 29) * FACTOR_INVERSE) ^ wordAt(page, i - 1)
  return state
}

function wordAt(page: usize, i: u32): u64 {
  return load<u32>(page + load<u16>(ORDER + i * 2))
}

function close(state: u64): u64 {
  const mixed = (state ^ (state >> 32)) * CLOSE
  return mixed ^ (mixed >> 32)
}

function reopen(hash: u64): u64 {
  const mixed = (hash ^ (hash >> 32)) * CLOSE_INVERSE
  return mixed ^ (mixed >> 32)
}
