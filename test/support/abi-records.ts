// Every record of the arena, field after field.

import {
  CACHE_BYTES,
  CACHE_COUNT,
  COUNTER_COUNT,
  HELPERS_BYTES,
  PAGE_SIZE,
  SECRET_BYTES,
  STRATEGY_BYTES,
  WINDOW_ENTRY_BYTES,
  WINDOW_LENGTH,
  WORDS_PER_PAGE,
} from '../../assembly/abi.ts'
import { type Drawing, field, gap, record, unnamed, words } from './abi-drawing.ts'

const TREE_LINKS = words('TREE_PARENT', 'TREE_LEFT', 'TREE_RIGHT')
const ITEM_END = [field('RMAP_VPN', 4), field('RMAP_MM', 2), field('RMAP_STATE', 1), field('RMAP_AGE', 1)]
// One search serves both trees, so both keys must stand at one offset.
const NODE_KEY = field(['NODE_CHECKSUM', 'TREE_CHECKSUM'], 8)
const NODE_END = [field('NODE_LENGTH', 3), field('NODE_KIND', 1)]

export const RECORDS: readonly Drawing[] = [
  record('the beginning of the arena', 'FRAME_TABLE', [
    unnamed('the header', PAGE_SIZE),
    unnamed('the zero page', PAGE_SIZE),
    field('TABLES', PAGE_SIZE),
    field('WINDOW', WINDOW_LENGTH * WINDOW_ENTRY_BYTES),
  ]),
  record('header', 'PAGE_SIZE', [
    ...words('HEADER_MAGIC', 'HEADER_VERSION', 'HEADER_ARENA_PAGES', 'HEADER_FIRST_PFN'),
    ...words('HEADER_CHECKSUM', 'HEADER_INDEX', 'HEADER_ZONE_NEXT', 'HEADER_ZONE_END'),
    ...words('HEADER_ROOT_BITS', 'HEADER_ZONE_TOUCHED'),
    field('HEADER_RESULT', 8),
    gap(16, 'room for words to come'),
    field('HEADER_CACHES', CACHE_COUNT * CACHE_BYTES),
    gap(96, 'room for caches to come'),
    field('HEADER_STRATEGY', STRATEGY_BYTES),
    gap(224, 'room for what strategies to come need'),
    field('HEADER_COUNTERS', COUNTER_COUNT * 8),
    field('HEADER_SECRET', SECRET_BYTES),
    gap(832, 'room, and what other threads write stands apart'),
    field('HEADER_HELPERS', HELPERS_BYTES),
    gap(2024, 'the rest of the page'),
  ]),
  record('strategy', 'STRATEGY_BYTES', [
    field('STRATEGY_SEED', 8),
    field('STRATEGY_MASK', 8),
    ...words('STRATEGY_MARK', 'STRATEGY_SAMPLE_WORDS', 'STRATEGY_STILL'),
    gap(4, 'a power of two'),
  ]),
  record('table page', 'PAGE_SIZE', [
    field('TABLE_CRC_ROW', 8 * 4 * 16),
    field('TABLE_CRC_WORD', 8 * 16 * 4),
    field('TABLE_SAMPLE', WORDS_PER_PAGE * 2),
    gap(1024, 'room for tables to come'),
  ]),
  record('window entry', 'WINDOW_ENTRY_BYTES', [
    ...words('WINDOW_ITEM', 'WINDOW_PFN'),
    field('WINDOW_CHECKSUM', 8),
    field('WINDOW_TICKET', 4),
    gap(12, 'a power of two: no entry lies across two cache lines'),
  ]),
  record(
    'helpers',
    'HELPERS_BYTES',
    words(
      'HELPERS_STATE',
      'HELPERS_BELL',
      'HELPERS_END',
      'HELPERS_STABLE',
      'HELPERS_UNSTABLE',
      'HELPERS_FETCHED',
    ),
  ),
  record('slab cache', 'CACHE_BYTES', [
    ...words('CACHE_FREE', 'CACHE_USED', 'CACHE_NEXT', 'CACHE_END', 'CACHE_OBJECT_BYTES', 'CACHE_ROOM'),
    gap(8, 'a power of two'),
  ]),
  record(
    'frame',
    'FRAME_BYTES',
    {
      used: words('FRAME_REFCOUNT', 'FRAME_MAPCOUNT', 'FRAME_MAPPING', 'FRAME_INDEX'),
      free: [
        ...words('FRAME_REFCOUNT', 'FRAME_MAPCOUNT', 'FRAME_MAPPING'),
        field('FRAME_INDEX', 4, 'next free frame'),
      ],
    },
    [['FRAME_INDEX', 'next free frame', 'a free frame is mapped nowhere']],
  ),
  record(
    'rmap item',
    'RMAP_BYTES',
    {
      unstable: [...TREE_LINKS, field('RMAP_NEXT', 4), field('TREE_CHECKSUM', 8), ...ITEM_END],
      stable: [
        ...words('RMAP_HEAD', 'RMAP_LIST_NEXT', 'RMAP_LIST_PREV', 'RMAP_NEXT'),
        ...words('RMAP_CHECKSUM', 'RMAP_ANON_VMA'),
        ...ITEM_END,
      ],
    },
    [
      ['TREE_PARENT', 'RMAP_HEAD', 'an item is in the unstable tree or on the list of a node'],
      ['TREE_LEFT', 'RMAP_LIST_NEXT', 'likewise'],
      ['TREE_RIGHT', 'RMAP_LIST_PREV', 'likewise'],
      ['TREE_CHECKSUM', 'RMAP_CHECKSUM', 'the low half of the key is what tells of change'],
      ['TREE_CHECKSUM', 'RMAP_ANON_VMA', 'the upper half is wanted only in the unstable tree'],
    ],
  ),
  record(
    'stable node',
    'NODE_BYTES',
    {
      regular: [...TREE_LINKS, field('NODE_FIRST', 4), NODE_KEY, field('NODE_PFN', 4), ...NODE_END],
      chain: [
        ...TREE_LINKS,
        field('NODE_FIRST', 4, 'first dup'),
        NODE_KEY,
        field('NODE_PFN', 4, 'prune time'),
        ...NODE_END,
      ],
      dup: [
        ...words('NODE_CHAIN', 'NODE_DUP_NEXT', 'NODE_DUP_PREV', 'NODE_FIRST'),
        NODE_KEY,
        field('NODE_PFN', 4),
        ...NODE_END,
      ],
      // What the slab makes of it: the generation has to outlive that.
      free: [unnamed('next free object', 4), gap(27, 'wiped'), field('NODE_KIND', 1)],
    },
    [
      ['NODE_FIRST', 'first dup', 'a chain has no items, the others have no dups'],
      ['NODE_PFN', 'prune time', 'a chain has no page, the others have no dups to prune'],
      ['TREE_PARENT', 'NODE_CHAIN', 'a dup hangs on a chain, which is in the tree for it'],
      ['TREE_LEFT', 'NODE_DUP_NEXT', 'likewise'],
      ['TREE_RIGHT', 'NODE_DUP_PREV', 'likewise'],
      ['TREE_PARENT', 'next free object', 'what is free is in no tree'],
      ['NODE_CHAIN', 'next free object', 'and hangs on no chain'],
    ],
  ),
]
