// The core's own view of the arena's structures, pinned to abi.ts: a field that moves on one side only fails the build.

import {
  CACHE_BYTES,
  CACHE_COUNT,
  CACHE_END,
  CACHE_FREE,
  CACHE_NEXT,
  CACHE_OBJECT_BYTES,
  CACHE_ROOM,
  CACHE_USED,
  COUNTER_COUNT,
  FRAME_BYTES,
  FRAME_INDEX,
  FRAME_MAPCOUNT,
  FRAME_MAPPING,
  FRAME_REFCOUNT,
  FRAME_TABLE,
  HEADER_CACHES,
  HEADER_CHECKSUM,
  HEADER_COUNTERS,
  HEADER_HELPERS,
  HEADER_INDEX,
  HEADER_MAGIC,
  HEADER_ROOT_BITS,
  HEADER_SECRET,
  HEADER_STRATEGY,
  HEADER_VERSION,
  HEADER_ZONE_END,
  HEADER_ZONE_NEXT,
  HEADER_ZONE_TOUCHED,
  HELPERS_BELL,
  HELPERS_BYTES,
  HELPERS_END,
  HELPERS_FETCHED,
  HELPERS_STABLE,
  HELPERS_STATE,
  HELPERS_UNSTABLE,
  NODE_BYTES,
  NODE_CHAIN,
  NODE_CHECKSUM,
  NODE_FIRST,
  NODE_KIND,
  NODE_LENGTH,
  NODE_PFN,
  PAGE_SIZE,
  RMAP_AGE,
  RMAP_ANON_VMA,
  RMAP_BYTES,
  RMAP_CHECKSUM,
  RMAP_HEAD,
  RMAP_MM,
  RMAP_NEXT,
  RMAP_STATE,
  RMAP_VPN,
  SECRET_BYTES,
  STRATEGY_BYTES,
  STRATEGY_MARK,
  STRATEGY_MASK,
  STRATEGY_SAMPLE_WORDS,
  STRATEGY_SEED,
  STRATEGY_STILL,
  TABLE_SAMPLE,
  TABLES,
  TREE_CHECKSUM,
  TREE_LEFT,
  TREE_PARENT,
  TREE_RIGHT,
  WINDOW,
  WINDOW_CHECKSUM,
  WINDOW_ENTRY_BYTES,
  WINDOW_ITEM,
  WINDOW_LENGTH,
  WINDOW_PFN,
  WINDOW_TICKET,
  WORDS_PER_PAGE,
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
export class Helpers {
  state: u32
  bell: u32
  end: u32
  stable: u32
  unstable: u32
  fetched: u32
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

@unmanaged
export class Frame {
  refcount: u32
  mapcountAndFlags: u32
  mapping: u32
  index: u32
}

/** What rmap items and stable nodes have in common: a place in a tree and a key. */
@unmanaged
export class TreeNode {
  parent: u32
  left: u32
  right: u32
  link: u32 // rmap item: next of the mm; stable node: first of the list
  checksum: u64
}

@unmanaged
export class RmapItem extends TreeNode {
  vpn: u32
  mm: u16
  state: u8
  age: u8
}

@unmanaged
export class StableNode extends TreeNode {
  pfn: u32
  length: u32 // kind, generation and nid ride in its top byte
}

if (offsetof<Header>('magic') != HEADER_MAGIC) ERROR('Header.magic differs from HEADER_MAGIC')
if (offsetof<Header>('version') != HEADER_VERSION) ERROR('Header.version differs from HEADER_VERSION')
if (offsetof<Header>('checksum') != HEADER_CHECKSUM) ERROR('Header.checksum differs from HEADER_CHECKSUM')
if (offsetof<Header>('index') != HEADER_INDEX) ERROR('Header.index differs from HEADER_INDEX')
if (offsetof<Header>('zoneNext') != HEADER_ZONE_NEXT) ERROR('Header.zoneNext differs from HEADER_ZONE_NEXT')
if (offsetof<Header>('zoneEnd') != HEADER_ZONE_END) ERROR('Header.zoneEnd differs from HEADER_ZONE_END')
if (offsetof<Header>('rootBits') != HEADER_ROOT_BITS) ERROR('Header.rootBits differs from HEADER_ROOT_BITS')
if (offsetof<Header>('zoneTouched') != HEADER_ZONE_TOUCHED)
  ERROR('Header.zoneTouched differs from HEADER_ZONE_TOUCHED')
if (offsetof<Header>() > HEADER_CACHES) ERROR('Header runs into HEADER_CACHES')
if (HEADER_CACHES + CACHE_COUNT * CACHE_BYTES > HEADER_STRATEGY) ERROR('the caches run into HEADER_STRATEGY')
if (HEADER_STRATEGY + STRATEGY_BYTES > HEADER_COUNTERS) ERROR('the strategy runs into HEADER_COUNTERS')
if (HEADER_COUNTERS + COUNTER_COUNT * 8 > HEADER_SECRET) ERROR('the counters run into HEADER_SECRET')
if (HEADER_SECRET + SECRET_BYTES > HEADER_HELPERS) ERROR('the secret runs into HEADER_HELPERS')
if (HEADER_HELPERS + HELPERS_BYTES > PAGE_SIZE) ERROR('HEADER_HELPERS runs out of the header page')

if (offsetof<Strategy>('seed') != STRATEGY_SEED) ERROR('Strategy.seed differs from STRATEGY_SEED')
if (offsetof<Strategy>('mask') != STRATEGY_MASK) ERROR('Strategy.mask differs from STRATEGY_MASK')
if (offsetof<Strategy>('mark') != STRATEGY_MARK) ERROR('Strategy.mark differs from STRATEGY_MARK')
if (offsetof<Strategy>('sampleWords') != STRATEGY_SAMPLE_WORDS)
  ERROR('Strategy.sampleWords differs from STRATEGY_SAMPLE_WORDS')
if (offsetof<Strategy>('still') != STRATEGY_STILL) ERROR('Strategy.still differs from STRATEGY_STILL')
if (offsetof<Strategy>() > STRATEGY_BYTES) ERROR('Strategy is larger than STRATEGY_BYTES')
if (TABLES + TABLE_SAMPLE + WORDS_PER_PAGE * 2 > WINDOW) ERROR('the tables run into the window')
if (WINDOW + WINDOW_LENGTH * WINDOW_ENTRY_BYTES > FRAME_TABLE) ERROR('the window runs into FRAME_TABLE')
if ((WINDOW_LENGTH & (WINDOW_LENGTH - 1)) != 0) ERROR('WINDOW_LENGTH is no power of two')

if (offsetof<WindowEntry>('item') != WINDOW_ITEM) ERROR('WindowEntry.item differs from WINDOW_ITEM')
if (offsetof<WindowEntry>('pfn') != WINDOW_PFN) ERROR('WindowEntry.pfn differs from WINDOW_PFN')
if (offsetof<WindowEntry>('checksum') != WINDOW_CHECKSUM)
  ERROR('WindowEntry.checksum differs from WINDOW_CHECKSUM')
if (offsetof<WindowEntry>('ticket') != WINDOW_TICKET) ERROR('WindowEntry.ticket differs from WINDOW_TICKET')
if (offsetof<WindowEntry>() > WINDOW_ENTRY_BYTES) ERROR('WindowEntry is larger than WINDOW_ENTRY_BYTES')

if (offsetof<Helpers>('state') != HELPERS_STATE) ERROR('Helpers.state differs from HELPERS_STATE')
if (offsetof<Helpers>('bell') != HELPERS_BELL) ERROR('Helpers.bell differs from HELPERS_BELL')
if (offsetof<Helpers>('end') != HELPERS_END) ERROR('Helpers.end differs from HELPERS_END')
if (offsetof<Helpers>('stable') != HELPERS_STABLE) ERROR('Helpers.stable differs from HELPERS_STABLE')
if (offsetof<Helpers>('unstable') != HELPERS_UNSTABLE) ERROR('Helpers.unstable differs from HELPERS_UNSTABLE')
if (offsetof<Helpers>('fetched') != HELPERS_FETCHED) ERROR('Helpers.fetched differs from HELPERS_FETCHED')
if (offsetof<Helpers>() != HELPERS_BYTES) ERROR('Helpers is not HELPERS_BYTES long')

if (offsetof<Cache>('free') != CACHE_FREE) ERROR('Cache.free differs from CACHE_FREE')
if (offsetof<Cache>('used') != CACHE_USED) ERROR('Cache.used differs from CACHE_USED')
if (offsetof<Cache>('next') != CACHE_NEXT) ERROR('Cache.next differs from CACHE_NEXT')
if (offsetof<Cache>('end') != CACHE_END) ERROR('Cache.end differs from CACHE_END')
if (offsetof<Cache>('objectBytes') != CACHE_OBJECT_BYTES)
  ERROR('Cache.objectBytes differs from CACHE_OBJECT_BYTES')
if (offsetof<Cache>('room') != CACHE_ROOM) ERROR('Cache.room differs from CACHE_ROOM')
if (offsetof<Cache>() > CACHE_BYTES) ERROR('Cache is larger than CACHE_BYTES')

if (offsetof<Frame>('refcount') != FRAME_REFCOUNT) ERROR('Frame.refcount differs from FRAME_REFCOUNT')
if (offsetof<Frame>('mapcountAndFlags') != FRAME_MAPCOUNT)
  ERROR('Frame.mapcountAndFlags differs from FRAME_MAPCOUNT')
if (offsetof<Frame>('mapping') != FRAME_MAPPING) ERROR('Frame.mapping differs from FRAME_MAPPING')
if (offsetof<Frame>('index') != FRAME_INDEX) ERROR('Frame.index differs from FRAME_INDEX')
if (offsetof<Frame>() != FRAME_BYTES) ERROR('Frame is not FRAME_BYTES long')

if (offsetof<TreeNode>('parent') != TREE_PARENT) ERROR('TreeNode.parent differs from TREE_PARENT')
if (offsetof<TreeNode>('left') != TREE_LEFT) ERROR('TreeNode.left differs from TREE_LEFT')
if (offsetof<TreeNode>('right') != TREE_RIGHT) ERROR('TreeNode.right differs from TREE_RIGHT')
if (offsetof<TreeNode>('checksum') != TREE_CHECKSUM) ERROR('TreeNode.checksum differs from TREE_CHECKSUM')

if (offsetof<RmapItem>('parent') != RMAP_HEAD) ERROR('RmapItem.parent differs from RMAP_HEAD')
if (offsetof<RmapItem>('link') != RMAP_NEXT) ERROR('RmapItem.link differs from RMAP_NEXT')
if (offsetof<RmapItem>('checksum') != RMAP_CHECKSUM) ERROR('RmapItem.checksum differs from RMAP_CHECKSUM')
if (offsetof<RmapItem>('checksum') + 4 != RMAP_ANON_VMA)
  ERROR('RMAP_ANON_VMA is not the upper half of the checksum')
if (offsetof<RmapItem>('vpn') != RMAP_VPN) ERROR('RmapItem.vpn differs from RMAP_VPN')
if (offsetof<RmapItem>('mm') != RMAP_MM) ERROR('RmapItem.mm differs from RMAP_MM')
if (offsetof<RmapItem>('state') != RMAP_STATE) ERROR('RmapItem.state differs from RMAP_STATE')
if (offsetof<RmapItem>('age') != RMAP_AGE) ERROR('RmapItem.age differs from RMAP_AGE')
if (offsetof<RmapItem>() != RMAP_BYTES) ERROR('RmapItem is not RMAP_BYTES long')

if (offsetof<StableNode>('parent') != NODE_CHAIN) ERROR('StableNode.parent differs from NODE_CHAIN')
if (offsetof<StableNode>('link') != NODE_FIRST) ERROR('StableNode.link differs from NODE_FIRST')
if (offsetof<StableNode>('checksum') != NODE_CHECKSUM) ERROR('StableNode.checksum differs from NODE_CHECKSUM')
if (offsetof<StableNode>('pfn') != NODE_PFN) ERROR('StableNode.pfn differs from NODE_PFN')
if (offsetof<StableNode>('length') != NODE_LENGTH) ERROR('StableNode.length differs from NODE_LENGTH')
if (offsetof<StableNode>('length') + 3 != NODE_KIND) ERROR('NODE_KIND is not the top byte of the length')
if (offsetof<StableNode>() != NODE_BYTES) ERROR('StableNode is not NODE_BYTES long')
