// The layout and protocol shared by the core (compiled by asc) and everything else (compiled by tsc).
//
// Portable TypeScript: this file holds only `export const NAME: u32 = <integer expression>` and pictures. It is the
// one place where a byte offset of the arena is written down; `struct.ts` checks it against the core's own structs
// at compile time, `test/unit/abi.test.ts` against a second drawing by widths, `src/core` is the only other reader. A
// change here, were it only another checksum, is a change of ABI_VERSION.
//
// The arena is one WebAssembly memory of fixed size. Everything that exists once per page lives in it:
//
//   page 0        header: magic, sizes, slab caches, counters, checksum secret
//   page 1        the zero page
//   page 2        tables of the checksum in force, where it needs any
//   pages 3 to 6  the window: pages about to be visited
//   from page 7   frame table: one descriptor per arena page, so that a pfn is its index
//   then          metadata pages: page tables, rmap items, stable nodes, tree roots, handed out by the slabs
//   then          page frames, to the end
//
// A frame is named by its pfn, which is its page number in the arena: its bytes start at pfn << 12. Pointers to
// metadata are byte addresses (below 2 GiB, because frames come last), 0 is null.

export const ABI_MAGIC: u32 = 0x444c4f46 // "FOLD"
export const ABI_VERSION: u32 = 8

export const PAGE_SHIFT: u32 = 12
export const PAGE_SIZE: u32 = 1 << 12

// ---- header -------------------------------------------------------------------------------------------------------

export const HEADER_MAGIC: u32 = 0
export const HEADER_VERSION: u32 = 4
export const HEADER_ARENA_PAGES: u32 = 8 // size of the whole arena
export const HEADER_FIRST_PFN: u32 = 12 // where the frames begin
export const HEADER_CHECKSUM: u32 = 16 // CHECKSUM_*, the strategy in force
export const HEADER_INDEX: u32 = 20 // INDEX_*, the order of both trees
export const HEADER_ZONE_NEXT: u32 = 24 // the next metadata page never handed out (byte address)
export const HEADER_ZONE_END: u32 = 28 // the end of the metadata pages
export const HEADER_ROOT_BITS: u32 = 32 // a tree has 2^this root slots
export const HEADER_ZONE_TOUCHED: u32 = 36 // metadata pages before this are in place (byte address)
export const HEADER_RESULT: u32 = 40 // 64 bits: where a checksum goes that belongs to no page in the window, and a count
export const HEADER_CACHES: u32 = 64 // one slab cache per kind of object, see below
export const HEADER_STRATEGY: u32 = 256 // how pages are hashed, and when they may be searched for, see below
export const HEADER_COUNTERS: u32 = 512 // COUNTER_COUNT float64 values: exact to 2^53, readable by every thread
export const HEADER_SECRET: u32 = 1024 // the 192 secret bytes of XXH3
export const HEADER_HELPERS: u32 = 2048 // what the scan tells its helper threads, see below

// What belongs to the checksum in force beside its number, written once when the arena is made.
//
//   0 seed          64 bits, for the checksums that take one
//   8 mask          64 bits: those of the checksum that are kept
//  16 mark          stands above the kept ones if they are few, so that no page looks like one never visited
//  20 sample words  of CHECKSUM_SAMPLED: how many words of a page it reads
//  24 still         1: pages are searched for at their first visit too, because the guests do not run
export const STRATEGY_SEED: u32 = 0
export const STRATEGY_MASK: u32 = 8
export const STRATEGY_MARK: u32 = 16
export const STRATEGY_SAMPLE_WORDS: u32 = 20
export const STRATEGY_STILL: u32 = 24
export const STRATEGY_BYTES: u32 = 32

// The window: a ring of pages that the cursor has passed and that are about to be visited, each at a position that is
// counted up from the first page ever scanned. First the bytes of a handful of them are read, one page after another,
// which is the order the processor's prefetching foresees, or several together where they lie apart; then each is dealt
// with, which jumps about.
//
//   0 rmap item | 4 pfn | 8 checksum, 64 bits | 16 ticket: position << TICKET_SHIFT | who hashes the page, TICKET_*
export const WINDOW: u32 = 12288
export const WINDOW_ENTRY_BYTES: u32 = 32
export const WINDOW_ITEM: u32 = 0
export const WINDOW_PFN: u32 = 4
export const WINDOW_CHECKSUM: u32 = 8
export const WINDOW_TICKET: u32 = 16
export const WINDOW_LENGTH: u32 = 512 // a power of two

// A page is hashed by the scan's own thread, or ahead of it by a helper. The scan never waits for a helper that has been
// put to sleep in the middle of a page: it takes the ticket back, and the helper, whenever it wakes, finds that out before
// it writes anything. The position in the ticket tells the page from one that came to the same place of the ring later.
//
//   OFFERED -> TAKEN -> WRITING -> DONE       by helpers, every step one compare-and-swap
//      |         |                            only here the scan waits: a helper is two instructions from the end
//      +-> OWN <-+                            by the scan, likewise
//
// A page begins as OWN, OFFERED or DONE, written plainly before helpers are told that it is there.
export const TICKET_SHIFT: u32 = 3
export const TICKET_OWN: u32 = 0 // the scan's
export const TICKET_OFFERED: u32 = 1 // whose it is that comes first
export const TICKET_TAKEN: u32 = 2 // a helper is reading the page
export const TICKET_WRITING: u32 = 3 // a helper is writing the checksum down
export const TICKET_DONE: u32 = 4 // from the beginning if the page has a stable node: no checksum is wanted then

// What the scan tells its helpers, in words:
//
//   0 state       HELPERS_*
//   4 bell        counts the times they were called; they sleep on it
//   8 end         the position behind the last page that was offered
//  12 stable      the trees that the pages offered will be searched for in: their root slots
//  16 unstable
//  20 fetched     what helpers read ahead goes here, and nobody looks at it
export const HELPERS_STATE: u32 = 0
export const HELPERS_BELL: u32 = 4
export const HELPERS_END: u32 = 8
export const HELPERS_STABLE: u32 = 12
export const HELPERS_UNSTABLE: u32 = 16
export const HELPERS_FETCHED: u32 = 20
export const HELPERS_BYTES: u32 = 24

export const HELPERS_ASLEEP: u32 = 0 // nothing to do, or too little to be worth waking up for
export const HELPERS_AWAKE: u32 = 1 // a long batch is under way: they look for pages all the time
export const HELPERS_CLOSING: u32 = 2 // they are to end

// A slab cache: a free list through the objects' first words, and a stretch of never used objects.
//
//   0 free list head | 4 objects in use | 8 next never used | 12 end of the stretch | 16 object size in bytes
//  20 objects there is room for, in use or not
export const CACHE_FREE: u32 = 0
export const CACHE_USED: u32 = 4
export const CACHE_NEXT: u32 = 8
export const CACHE_END: u32 = 12
export const CACHE_OBJECT_BYTES: u32 = 16
export const CACHE_ROOM: u32 = 20
export const CACHE_BYTES: u32 = 32

export const CACHE_TABLE: u32 = 0 // page tables and blocks of tree roots
export const CACHE_RMAP: u32 = 1 // rmap items
export const CACHE_NODE: u32 = 2 // stable nodes
export const CACHE_COUNT: u32 = 3

// ---- frame table --------------------------------------------------------------------------------------------------

// One descriptor per arena page, never freed, only reused (Linux: struct page).
//
//   0 refcount      0 = free or frozen
//   4 mapcount:24 | flags:8
//   8 mapping       whom the page belongs to, tagged in the low two bits
//  12 index         virtual page number it was first mapped at; next free frame while on the free list
export const FRAME_TABLE: u32 = 28672
export const FRAME_BYTES: u32 = 16
export const FRAME_REFCOUNT: u32 = 0
export const FRAME_MAPCOUNT: u32 = 4
export const FRAME_FLAGS_SHIFT: u32 = 24 // in the word of the mapcount: one width for both, or each write stalls the next read
export const FRAME_MAPPING: u32 = 8
export const FRAME_INDEX: u32 = 12

export const MAPCOUNT_MASK: u32 = 0xffffff

export const FRAME_LOCKED: u32 = 1 // somebody holds the page lock
export const FRAME_EXCLUSIVE: u32 = 2 // belongs to one mm alone: a write may reuse it (Linux: PageAnonExclusive)
export const FRAME_DIRTY: u32 = 4 // content differs from what swap holds
export const FRAME_SWAPCACHE: u32 = 8 // a swap entry still names this frame; holds one reference
export const FRAME_NOT_UPTODATE: u32 = 16 // reading it in failed
export const FRAME_POISONED: u32 = 32 // the hardware reported an error in it: never handed out again
export const FRAME_PINNED: u32 = 64 // somebody may do DMA to it
export const FRAME_OFFLINE: u32 = 128 // not to be handed out: taken away, or about to be

// mapping:  anon_vma id << 2      | ANON            an ordinary anonymous page
//           stable node | generation << 2 | KSM     a merged page; the generation makes an old key recognisable
//           KSM                                     merged, but in no stable tree
//           0                                       free, or not anonymous
export const MAPPING_ANON: u32 = 1
export const MAPPING_KSM: u32 = 3 // includes ANON, as in Linux
export const MAPPING_TAG: u32 = 3

export const ZERO_PFN: u32 = 1

// ---- page tables --------------------------------------------------------------------------------------------------

// Four levels of 256 entries (pgd, pud, pmd, pte), eight bits of the 32-bit virtual page number each. A table is
// 1 KiB; upper entries are byte addresses of tables, 0 where nothing is mapped below.
export const TABLE_SHIFT: u32 = 8
export const TABLE_ENTRIES: u32 = 256
export const TABLE_BYTES: u32 = 1024

// A pte:  present      pfn:20 | flags:12
//         not present  swap slot:20 | flags:8 | device:3 | 0    PTE_SWAP set
//                      pfn:20 | flags:12                        PTE_MIGRATION set: the page is on its way elsewhere
//                      0                                        PTE_POISON: its frame is broken
// Any of them but an empty one may be PTE_SOFT_DIRTY as well.
export const PTE_PRESENT: u32 = 1
export const PTE_WRITE: u32 = 2 // of a migration entry: was writable
export const PTE_DIRTY: u32 = 4
export const PTE_SPECIAL: u32 = 8 // not a frame of its own: the zero page (dirty too: placed there by ksmd)
export const PTE_UFFD_WP: u32 = 16 // writes are to be reported first, see Mm.registerUserfault
export const PTE_EXCLUSIVE: u32 = 32 // of a swap or migration entry: the page was this mm's alone
export const PTE_SWAP: u32 = 64
export const PTE_MIGRATION: u32 = 128
export const PTE_POISON: u32 = 256
export const PTE_SOFT_DIRTY: u32 = 512 // the page was written, or its pte changed, since ksmd last read it
export const PTE_READ: u32 = 1024 // of a present pte, and of a migration entry: the mapping may be read
export const PTE_DEVICE_SHIFT: u32 = 1 // of a swap entry: which device, in the bits that only present ptes use
export const PTE_DEVICE_MASK: u32 = 7

// ---- rmap items ---------------------------------------------------------------------------------------------------

// "This page of this mm is scanned." 32 bytes (Linux: 64). The first words serve the unstable tree while the item is
// UNSTABLE and the list of its stable node while it is STABLE; an item that is neither uses them for nothing.
//
//   0 parent | head        tree link, colour in bit 0, "parent is a root slot" in bit 1 | the stable node
//   4 left   | list next   item or 0
//   8 right  | list prev   item, or 0 for the first
//  12 next                 next item of the same mm, ascending virtual page numbers
//  16 oldchecksum          the low half of the checksum: it alone decides whether the page has changed
//  20 upper half           completes the checksum | anon_vma id while STABLE
//  24 vpn                  virtual page number
//  28 mm id:16
//  30 state:2 | settled:1 | seqnr:5    settled: visiting it again would change nothing while its pte is not soft-dirty (ksm/settled.ts);
//                          seqnr: the full scan in which it entered the unstable tree, modulo 32; of a volatile item 1 if
//                          it was passed over when the scan last came by
//  31 age:4 | skips:4      smart scan; the age saturates at 15, from 9 on it makes no difference to Linux's
export const RMAP_BYTES: u32 = 32
export const RMAP_HEAD: u32 = 0
export const RMAP_LIST_NEXT: u32 = 4
export const RMAP_LIST_PREV: u32 = 8
export const RMAP_NEXT: u32 = 12
export const RMAP_CHECKSUM: u32 = 16
export const RMAP_ANON_VMA: u32 = 20
export const RMAP_VPN: u32 = 24
export const RMAP_MM: u32 = 28
export const RMAP_STATE: u32 = 30
export const RMAP_AGE: u32 = 31

export const RMAP_VOLATILE: u32 = 0 // in no tree
export const RMAP_UNSTABLE: u32 = 1
export const RMAP_STABLE: u32 = 2
export const RMAP_STATE_MASK: u32 = 3
export const RMAP_SETTLED: u32 = 4
export const RMAP_SEQNR_SHIFT: u32 = 3
export const RMAP_SEQNR_MASK: u32 = 31

// ---- stable nodes -------------------------------------------------------------------------------------------------

// One merged content, or a chain of several pages with that content. 32 bytes (Linux: 64).
//
//   0 parent | chain       tree link as above | of a dup: the chain it hangs on
//   4 left   | dup next
//   8 right  | dup prev
//  12 first                first rmap item of its list; of a chain: first dup
//  16 checksum             64 bits, the key of a hash-ordered tree
//  24 pfn | prune time     keyhole: where the page was when last seen | of a chain: when dups were last pruned (ms)
//  28 length:24            rmap items on the list (0 for a chain)
//  31 kind:2 | generation:2 | nid:4
export const NODE_BYTES: u32 = 32
export const NODE_CHAIN: u32 = 0
export const NODE_DUP_NEXT: u32 = 4
export const NODE_DUP_PREV: u32 = 8
export const NODE_FIRST: u32 = 12
export const NODE_CHECKSUM: u32 = 16
export const NODE_PFN: u32 = 24
export const NODE_LENGTH: u32 = 28
export const NODE_KIND: u32 = 31

export const NODE_LENGTH_MASK: u32 = 0xffffff
export const NODE_KIND_MASK: u32 = 3
export const NODE_GENERATION_SHIFT: u32 = 2
export const NODE_GENERATION_MASK: u32 = 3
export const NODE_NID_SHIFT: u32 = 4

export const KIND_REGULAR: u32 = 0 // in the tree, with a page of its own
export const KIND_CHAIN: u32 = 1 // in the tree, stands for several dups
export const KIND_DUP: u32 = 2 // hangs on a chain
export const KIND_MIGRATE: u32 = 3 // waiting to be placed in the tree of its page's new NUMA node

// ---- trees --------------------------------------------------------------------------------------------------------

// Both kinds of tree node carry their links and their key at the same offsets, so one search serves both.
// A link is the address of a left or right field, or of a root slot with LINK_ROOT set.
export const TREE_PARENT: u32 = 0
export const TREE_LEFT: u32 = 4
export const TREE_RIGHT: u32 = 8
export const TREE_CHECKSUM: u32 = 16
export const TREE_BLACK: u32 = 1
export const TREE_TOP: u32 = 2 // in the parent word: the parent is a root slot
export const TREE_FLAGS: u32 = 3
export const LINK_ROOT: u32 = 1

export const INDEX_CONTENT: u32 = 0 // memcmp order (Linux)
export const INDEX_HASH: u32 = 1 // order of the 64-bit checksums, content on a tie

// ---- checksums ----------------------------------------------------------------------------------------------------

export const CHECKSUM_XXH64: u32 = 0 // Linux
export const CHECKSUM_XXH3: u32 = 1
export const CHECKSUM_XXH32: u32 = 2
export const CHECKSUM_CRC32C: u32 = 3
export const CHECKSUM_JHASH2: u32 = 4 // Linux before 4.20
export const CHECKSUM_MURMUR3: u32 = 5
export const CHECKSUM_RAPIDHASH: u32 = 6
export const CHECKSUM_FNV1A: u32 = 7
export const CHECKSUM_SUPERFAST: u32 = 8
export const CHECKSUM_SAMPLED: u32 = 9 // from here on: not every byte of a page is read, or nobody knows
export const CHECKSUM_NONE: u32 = 10
export const CHECKSUM_OWN: u32 = 11 // the embedder's, handed in

export const SECRET_BYTES: u32 = 192

// The table page. CHECKSUM_CRC32C has two tables there, both of the eight nibbles of a word:
//
//   at 0     x^512 times the nibble, as bytes: nibble 0..7, byte 0..3 of the product, value 0..15
//   at 512   x^32 times the nibble, as words: nibble 0..7, value 0..15
//
// CHECKSUM_SAMPLED has the order in which it reads the words of a page: 1024 byte offsets of 16 bits.
export const TABLES: u32 = 8192
export const TABLE_CRC_ROW: u32 = 0
export const TABLE_CRC_WORD: u32 = 512
export const TABLE_SAMPLE: u32 = 1024
export const WORDS_PER_PAGE: u32 = 1024

// ---- counters -----------------------------------------------------------------------------------------------------

export const COUNTER_PAGES_SHARED: u32 = 0
export const COUNTER_PAGES_SHARING: u32 = 1
export const COUNTER_PAGES_UNSHARED: u32 = 2
export const COUNTER_PAGES_SCANNED: u32 = 3
export const COUNTER_PAGES_SKIPPED: u32 = 4
export const COUNTER_FULL_SCANS: u32 = 5
export const COUNTER_STABLE_NODE_CHAINS: u32 = 6
export const COUNTER_STABLE_NODE_DUPS: u32 = 7
export const COUNTER_KSM_ZERO_PAGES: u32 = 8
export const COUNTER_RMAP_ITEMS: u32 = 9
export const COUNTER_COW_KSM: u32 = 10
export const COUNTER_KSM_SWPIN_COPY: u32 = 11
export const COUNTER_COUNT: u32 = 64
