// Every word of the arena that is made up of bits, from the lowest on.

import { bits, type Drawing, flags, gap, unnamed, word } from './abi-drawing.ts'

export const WORDS: readonly Drawing[] = [
  word('byte address', 32, false, [
    unnamed('place in the page', 12),
    bits('pfn', 20, { shift: 'PAGE_SHIFT' }),
  ]),
  word('virtual page number', 32, false, [
    unnamed('place in the table of ptes', 8),
    bits('place in each of the three above', 24, { shift: 'TABLE_SHIFT' }),
  ]),
  word(
    'pte',
    32,
    false,
    {
      present: [
        ...flags('PTE_PRESENT', 'PTE_WRITE', 'PTE_DIRTY', 'PTE_SPECIAL', 'PTE_UFFD_WP'),
        gap(4, 'what only ptes that are not present say'),
        ...flags('PTE_SOFT_DIRTY', 'PTE_READ'),
        gap(1, 'room'),
        unnamed('pfn', 20),
      ],
      'swapped out': [
        gap(1, 'not present'),
        bits('device', 3, { shift: 'PTE_DEVICE_SHIFT', mask: 'PTE_DEVICE_MASK' }),
        ...flags('PTE_UFFD_WP', 'PTE_EXCLUSIVE', 'PTE_SWAP'),
        gap(2, 'not migrating, not broken'),
        ...flags('PTE_SOFT_DIRTY'),
        gap(2, 'room'),
        unnamed('swap slot', 20),
      ],
      migrating: [
        gap(1, 'not present'),
        ...flags('PTE_WRITE'),
        gap(2, 'what only present ptes say'),
        ...flags('PTE_UFFD_WP', 'PTE_EXCLUSIVE'),
        gap(1, 'not swapped out'),
        ...flags('PTE_MIGRATION'),
        gap(1, 'not broken'),
        ...flags('PTE_SOFT_DIRTY', 'PTE_READ'),
        gap(1, 'room'),
        unnamed('pfn', 20),
      ],
      broken: [
        gap(8, 'nothing else is known of it'),
        ...flags('PTE_POISON', 'PTE_SOFT_DIRTY'),
        gap(22, 'there is no frame to name'),
      ],
    },
    [
      ['PTE_WRITE', 'device', 'a swap entry leaves it to the vma whether the page may be written'],
      ['PTE_DIRTY', 'device', 'what is swapped out has been written out'],
      ['PTE_SPECIAL', 'device', 'the zero page is never swapped out'],
      ['pfn', 'swap slot', 'a page is in memory or in swap'],
    ],
  ),
  word('mapcount and flags of a frame', 32, true, [
    bits('mapcount', 24, { mask: 'MAPCOUNT_MASK' }),
    bits('flags', 8, { shift: 'FRAME_FLAGS_SHIFT' }),
  ]),
  word('flags of a frame', 8, false, [
    ...flags('FRAME_LOCKED', 'FRAME_EXCLUSIVE', 'FRAME_DIRTY', 'FRAME_SWAPCACHE'),
    ...flags('FRAME_NOT_UPTODATE', 'FRAME_POISONED', 'FRAME_PINNED', 'FRAME_OFFLINE'),
  ]),
  word(
    'mapping of a frame',
    32,
    false,
    {
      anonymous: [bits('tag', 2, { mask: 'MAPPING_TAG' }), unnamed('anon_vma id', 30)],
      merged: [
        bits('tag', 2, { mask: 'MAPPING_TAG' }),
        bits('generation', 2, { mask: 'NODE_GENERATION_MASK' }),
        gap(1, 'nodes lie 32 bytes apart'),
        unnamed('node', 27),
      ],
    },
    [
      ['anon_vma id', 'generation', 'the tag tells whose page it is'],
      ['anon_vma id', 'node', 'likewise'],
    ],
  ),
  word('state of an rmap item', 8, true, [
    bits('state', 2, { mask: 'RMAP_STATE_MASK' }),
    ...flags('RMAP_SETTLED'),
    bits('seqnr', 5, { shift: 'RMAP_SEQNR_SHIFT', mask: 'RMAP_SEQNR_MASK' }),
  ]),
  word('length and kind of a node', 32, true, [
    bits('length', 24, { mask: 'NODE_LENGTH_MASK' }),
    unnamed('kind', 8),
  ]),
  word('kind of a node', 8, true, [
    bits('kind', 2, { mask: 'NODE_KIND_MASK' }),
    bits('generation', 2, { shift: 'NODE_GENERATION_SHIFT', mask: 'NODE_GENERATION_MASK' }),
    bits('nid', 4, { shift: 'NODE_NID_SHIFT' }),
  ]),
  word('parent of a tree node', 32, true, [
    ...flags('TREE_BLACK', 'TREE_TOP'),
    unnamed('node or root slot', 30),
  ]),
  word('link of a tree', 32, true, [
    ...flags('LINK_ROOT'),
    gap(1, 'addresses of words'),
    unnamed('address', 30),
  ]),
  word('ticket', 32, true, [unnamed('phase', 3), bits('position', 29, { shift: 'TICKET_SHIFT' })]),
]
