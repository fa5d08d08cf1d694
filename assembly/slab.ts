// Fixed-size objects in metadata pages: page tables, rmap items, stable nodes. A cache hands out freed objects first,
// then unused room of its current page, then takes a new page from the zone. Every object handed out is all zero,
// but for what its owner stored after freeing it (a stable node's generation survives so).

import { CACHE_BYTES, CACHE_COUNT, HEADER_CACHES, PAGE_SIZE } from './abi'
import { Cache, Header } from './struct'

/** Takes a zeroed object of the cache; 0 when the zone is exhausted. */
export function slabAlloc(kind: u32): u32 {
  const cache = cacheOf(kind)
  const reused = cache.free
  if (reused != 0) {
    cache.free = load<u32>(reused)
    store<u32>(reused, 0)
    cache.used++
    return reused
  }
  if (cache.next == cache.end) {
    const page = takePages(1)
    if (page == 0) return 0
    cache.next = page
    cache.end = page + PAGE_SIZE
    cache.room += PAGE_SIZE / cache.objectBytes
  }
  const fresh = cache.next
  cache.next = fresh + cache.objectBytes
  cache.used++
  return fresh
}

/** Gives an object back and wipes it. */
export function slabFree(kind: u32, object: u32): void {
  const cache = cacheOf(kind)
  assert(cache.used > 0) // freed more often than taken
  for (let at: u32 = 0; at < cache.objectBytes; at += 16) v128.store(object + at, i64x2.splat(0))
  store<u32>(object, cache.free)
  cache.free = object
  cache.used--
}

/** Takes adjacent metadata pages for good; 0 when the zone is exhausted. Fresh pages are zero. */
export function takePages(count: u32): u32 {
  const header = changetype<Header>(0)
  const page = header.zoneNext
  if (count > (header.zoneEnd - page) / PAGE_SIZE) return 0
  header.zoneNext = page + count * PAGE_SIZE
  return page
}

/** Touches the metadata pages that `bytes` more will come from, each once, so that taking them later does not fault. */
export function touchPages(bytes: u32): void {
  const header = changetype<Header>(0)
  const end = min(header.zoneEnd, header.zoneNext + bytes)
  let page = max(header.zoneNext, header.zoneTouched)
  for (; page < end; page += PAGE_SIZE) store<u32>(page, 0)
  header.zoneTouched = page
}

function cacheOf(kind: u32): Cache {
  assert(kind < CACHE_COUNT) // one of CACHE_*
  return changetype<Cache>(HEADER_CACHES + kind * CACHE_BYTES)
}
