// The part of the arena that a virtual CPU may know: what a pte says, where the tables of ptes are, and the CPU's own record.
// It is public and has a version of its own; everything else in the arena is nobody's business. Compiled by asc (cpu.ts, and
// cores of others) and by tsc (`pagefold/hypervisor`). docs/hypervisor.md tells what to do with it.
//
// A guest's memory is seen through a *window* on its mm, cut into MiB. For each there is a word in the array of leaves: the address of
// the table with its 256 ptes, or of a table that is always empty. A pte that is present is the address of its page's bytes, but
// for the low twelve bits, which say what may be done with it:
//
//   pte   = load(leaves + (offset >>> 20) * 4)[(offset >>> 12) & 255]
//   read  if (pte & READABLE) == READABLE, at pte & ~4095 | offset & 4095
//   write if (pte & WRITABLE) == WRITABLE, there too
//   else  fault, and begin again: the answer to a fault is a number of an error, never an address

/** Rises with every change of what stands here. */
export const HYPERVISOR_VERSION = 1

/** Of a pte: maps a page. */
export const PTE_PRESENT = 1
/** Of a pte: its page may be written, if it is dirty and marked as well. */
export const PTE_WRITE = 2
/** Of a pte: its page is known to differ from what swap has. */
export const PTE_DIRTY = 4
/** Of a pte: its page is marked, so that ksmd reads it again. */
export const PTE_SOFT_DIRTY = 512
/** Of a pte: the mapping may be read. */
export const PTE_READ = 1024
/** What a pte must have for its page to be read. */
export const READABLE = 1025
/** What a pte must have for its page to be written. */
export const WRITABLE = 519

/** Bits of an address within a page. */
export const PAGE_SHIFT = 12
/** Bits of an offset within what one leaf covers, a MiB. */
export const LEAF_SHIFT = 20
/** A leaf has this many ptes of four bytes. */
export const LEAF_ENTRIES = 256

// A CPU's record, in words at these bytes from its address. What the engine writes, the CPU only reads, and the other way round.

/** What the CPU has seen of ASKED; 0 while it is parked, 1 when it has just left the park. Written by the CPU. */
export const CPU_SEEN = 0
/** Counts the grace periods asked of the CPU. Never 0 or 1. Written by the engine. */
export const CPU_ASKED = 4
/** Not 0: the CPU is to park and stay there. Written by the engine. */
export const CPU_STOP = 8
/** Counts the times that leaves have gone: addresses of ptes kept from before are void. Written by the engine. */
export const CPU_GENERATION = 12
/** Where the array of leaves is. Constant, as are all that follow. */
export const CPU_LEAVES = 16
/** How many leaves it has: the window's MiB. */
export const CPU_LEAF_COUNT = 20
/** The table that is always empty: what an address of a pte that is not known may point into. */
export const CPU_EMPTY = 24
/** A page for accidents: what is read or written there harms nobody. */
export const CPU_NOWHERE = 28
/** Memory for the CPU's own use. */
export const CPU_SCRATCH = 32
/** How many bytes of it there are. */
export const CPU_SCRATCH_BYTES = 36
/** Where the engine listens: to be counted up, and notified, when a fault has been asked for. */
export const CPU_BELL = 40
/** 1 if the CPU runs on a thread of its own and asks for faults by its mailbox, 0 if it calls the engine. */
export const CPU_THREAD = 44
/** HYPERVISOR_VERSION of the engine. */
export const CPU_VERSION = 48
/** The mailbox: one of FAULT_IDLE, FAULT_ASKED, FAULT_ANSWERED. */
export const CPU_FAULT_STATE = 64
/** The mailbox: where, as an offset into the window. */
export const CPU_FAULT_OFFSET = 68
/** The mailbox: FAULT_READ or FAULT_WRITE. */
export const CPU_FAULT_KIND = 72
/** The mailbox: the answer, 0 to try again or the number of an error. */
export const CPU_FAULT_ERRNO = 76
/** How long a record is. */
export const CPU_BYTES = 128

/** A mailbox that nobody uses. */
export const FAULT_IDLE = 0
/** A CPU, parked, waits for the answer to a fault. */
export const FAULT_ASKED = 1
/** The engine has answered. */
export const FAULT_ANSWERED = 2

/** A fault because something is to be read. */
export const FAULT_READ = 0
/** A fault because something is to be written. */
export const FAULT_WRITE = 1

/** Errors by Linux's numbers: the mm has exited. */
export const ESRCH = 3
/** Swap, or a file, cannot be read. */
export const EIO = 5
/** The page is being moved or was taken away again at once: later, it may be had. */
export const EAGAIN = 11
/** There is no frame left. */
export const ENOMEM = 12
/** Nothing is mapped there, or not for that. */
export const EFAULT = 14
/** The host cannot be built on any more, or has been closed. */
export const EUCLEAN = 117
/** The page's frame is broken. */
export const EHWPOISON = 133
