// What the core reads through a class, pinned to abi.ts: a field that moves on one side only fails the build. Other records
// it reads by their offsets. That the records are filled without overlap is held by test/unit/abi.test.ts.

import {
  CACHE_BYTES,
  CACHE_END,
  CACHE_FREE,
  CACHE_NEXT,
  CACHE_OBJECT_BYTES,
  CACHE_ROOM,
  CACHE_USED,
  HEADER_ARENA_PAGES,
  HEADER_CACHES,
  HEADER_CHECKSUM,
  HEADER_FIRST_PFN,
  HEADER_INDEX,
  HEADER_MAGIC,
  HEADER_RESULT,
  HEADER_ROOT_BITS,
  HEADER_VERSION,
  HEADER_ZONE_END,
  HEADER_ZONE_NEXT,
  HEADER_ZONE_TOUCHED,
  STRATEGY_BYTES,
  STRATEGY_MARK,
  STRATEGY_MASK,
  STRATEGY_SAMPLE_WORDS,
  STRATEGY_SEED,
  STRATEGY_STILL,
  WINDOW_CHECKSUM,
  WINDOW_ENTRY_BYTES,
  WINDOW_ITEM,
  WINDOW_PFN,
  WINDOW_TICKET,
} from './abi'

@unmanaged
export class Header {
  magic: u32
  version: u32
  arenaPages: u32
  firstPfn: u32
  checksum: u32
  index: u32
  zoneNext: u32
  zoneEnd: u32
  rootBits: u32
  zoneTouched: u32
  result: u64
}

@unmanaged
export class Strategy {
  seed: u64
  mask: u64
  mark: u32
  sampleWords: u32
  still: u32
}

@unmanaged
export class WindowEntry {
  item: u32
  pfn: u32
  checksum: u64
  ticket: u32
}

@unmanaged
export class Cache {
  free: u32
  used: u32
  next: u32
  end: u32
  objectBytes: u32
  room: u32
}

if (offsetof<Header>('magic') != HEADER_MAGIC) ERROR('Header.magic differs from HEADER_MAGIC')
if (offsetof<Header>('version') != HEADER_VERSION) ERROR('Header.version differs from HEADER_VERSION')
if (offsetof<Header>('arenaPages') != HEADER_ARENA_PAGES)
  ERROR('Header.arenaPages differs from HEADER_ARENA_PAGES')
if (offsetof<Header>('firstPfn') != HEADER_FIRST_PFN) ERROR('Header.firstPfn differs from HEADER_FIRST_PFN')
if (offsetof<Header>('checksum') != HEADER_CHECKSUM) ERROR('Header.checksum differs from HEADER_CHECKSUM')
if (offsetof<Header>('index') != HEADER_INDEX) ERROR('Header.index differs from HEADER_INDEX')
if (offsetof<Header>('zoneNext') != HEADER_ZONE_NEXT) ERROR('Header.zoneNext differs from HEADER_ZONE_NEXT')
if (offsetof<Header>('zoneEnd') != HEADER_ZONE_END) ERROR('Header.zoneEnd differs from HEADER_ZONE_END')
if (offsetof<Header>('rootBits') != HEADER_ROOT_BITS) ERROR('Header.rootBits differs from HEADER_ROOT_BITS')
if (offsetof<Header>('zoneTouched') != HEADER_ZONE_TOUCHED)
  ERROR('Header.zoneTouched differs from HEADER_ZONE_TOUCHED')
if (offsetof<Header>('result') != HEADER_RESULT) ERROR('Header.result differs from HEADER_RESULT')
if (offsetof<Header>() > HEADER_CACHES) ERROR('Header runs into HEADER_CACHES')

if (offsetof<Strategy>('seed') != STRATEGY_SEED) ERROR('Strategy.seed differs from STRATEGY_SEED')
if (offsetof<Strategy>('mask') != STRATEGY_MASK) ERROR('Strategy.mask differs from STRATEGY_MASK')
if (offsetof<Strategy>('mark') != STRATEGY_MARK) ERROR('Strategy.mark differs from STRATEGY_MARK')
if (offsetof<Strategy>('sampleWords') != STRATEGY_SAMPLE_WORDS)
  ERROR('Strategy.sampleWords differs from STRATEGY_SAMPLE_WORDS')
if (offsetof<Strategy>('still') != STRATEGY_STILL) ERROR('Strategy.still differs from STRATEGY_STILL')
if (offsetof<Strategy>() > STRATEGY_BYTES) ERROR('Strategy is larger than STRATEGY_BYTES')

if (offsetof<WindowEntry>('item') != WINDOW_ITEM) ERROR('WindowEntry.item differs from WINDOW_ITEM')
if (offsetof<WindowEntry>('pfn') != WINDOW_PFN) ERROR('WindowEntry.pfn differs from WINDOW_PFN')
if (offsetof<WindowEntry>('checksum') != WINDOW_CHECKSUM)
  ERROR('WindowEntry.checksum differs from WINDOW_CHECKSUM')
if (offsetof<WindowEntry>('ticket') != WINDOW_TICKET) ERROR('WindowEntry.ticket differs from WINDOW_TICKET')
if (offsetof<WindowEntry>() > WINDOW_ENTRY_BYTES) ERROR('WindowEntry is larger than WINDOW_ENTRY_BYTES')

if (offsetof<Cache>('free') != CACHE_FREE) ERROR('Cache.free differs from CACHE_FREE')
if (offsetof<Cache>('used') != CACHE_USED) ERROR('Cache.used differs from CACHE_USED')
if (offsetof<Cache>('next') != CACHE_NEXT) ERROR('Cache.next differs from CACHE_NEXT')
if (offsetof<Cache>('end') != CACHE_END) ERROR('Cache.end differs from CACHE_END')
if (offsetof<Cache>('objectBytes') != CACHE_OBJECT_BYTES)
  ERROR('Cache.objectBytes differs from CACHE_OBJECT_BYTES')
if (offsetof<Cache>('room') != CACHE_ROOM) ERROR('Cache.room differs from CACHE_ROOM')
if (offsetof<Cache>() > CACHE_BYTES) ERROR('Cache is larger than CACHE_BYTES')
