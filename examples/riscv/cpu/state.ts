// Where a hart keeps what it is: a page of its own, and three pages of translations. Constants only, so that asc and tsc both
// compile this file: the machine (TypeScript) looks at the registers, the CPU (AssemblyScript) works with them.

// ---- the hart's page ------------------------------------------------------------------------------------------------

export const X: u32 = 0 // 32 registers of 64 bits; x0 is written zero before each instruction
export const PC: u32 = 256
export const PRIV: u32 = 264 // PRIV_*
export const FIRMWARE: u32 = 268 // 1: an ecall from S mode is the machine's to answer, as its SBI
export const WAITING: u32 = 272 // 1: in WFI
export const INSTRET: u32 = 280 // instructions executed
export const SKIPPED: u32 = 288 // ticks of time that went by without instructions, asleep
export const TIMECMP: u32 = 296 // a timer interrupt is pending when time reaches it
export const RESERVED: u32 = 304 // LR: the address, or RESERVED_NONE
export const RESERVED_VALUE: u32 = 312 // and what was read there
export const CAUSE: u32 = 320 // of the exception that an access met
export const TVAL: u32 = 328
export const SCRATCH: u32 = 336 // 16 bytes: loads and stores that are not to one place in RAM go through here
export const LOAD_CONTEXT: u32 = 352 // what an entry of the TLB must say beside the address, see tlb.ts
export const FETCH_CONTEXT: u32 = 356
export const RAM_END: u32 = 376 // 64 bits: the end of RAM in guest physical addresses; it begins at RAM_BASE
export const HARTID: u32 = 384
export const STOP: u32 = 388 // a device said stop
export const LINES: u32 = 392 // interrupts that devices and the machine raise: bits of mip that the guest does not write
export const PENDING: u32 = 400 // where the bytes of a store in SCRATCH belong: PENDING_*
export const PENDING_AT: u32 = 408 // a device's address; or the two host addresses, in words
export const PENDING_SIZE: u32 = 416

export const MSTATUS: u32 = 512
export const MISA: u32 = 520
export const MEDELEG: u32 = 528
export const MIDELEG: u32 = 536
export const MIE: u32 = 544
export const MTVEC: u32 = 552
export const MCOUNTEREN: u32 = 560
export const MSCRATCH: u32 = 568
export const MEPC: u32 = 576
export const MCAUSE: u32 = 584
export const MTVAL: u32 = 592
export const MIP: u32 = 600 // the bits that the guest writes: SSIP, STIP, SEIP
export const STVEC: u32 = 608
export const SCOUNTEREN: u32 = 616
export const SSCRATCH: u32 = 624
export const SEPC: u32 = 632
export const SCAUSE: u32 = 640
export const STVAL: u32 = 648
export const SATP: u32 = 656
export const MENVCFG: u32 = 664
export const SENVCFG: u32 = 672
export const MCOUNTINHIBIT: u32 = 680

export const EXPANDED: u32 = 2048 // compressed instructions met last, and what they stand for: 256 times two words
export const EXPANDED_SLOTS: u32 = 256

// ---- the pages behind it ------------------------------------------------------------------------------------------

export const FETCH_TLB: u32 = 4096 // see tlb.ts
export const LOAD_TLB: u32 = 8192
export const STORE_TLB: u32 = 12288
export const TLB_BYTES: u32 = 4096
export const BUFFER: u32 = 16384 // a page, for what devices read and write
export const BUFFER_BYTES: u32 = 4096
export const HART_BYTES: u32 = 20480

// ---- numbers --------------------------------------------------------------------------------------------------------

export const RAM_BASE: u32 = 0x80000000

export const PRIV_U: u32 = 0
export const PRIV_S: u32 = 1
export const PRIV_M: u32 = 3

export const IRQ_SSI: u32 = 1
export const IRQ_MSI: u32 = 3
export const IRQ_STI: u32 = 5
export const IRQ_MTI: u32 = 7
export const IRQ_SEI: u32 = 9
export const IRQ_MEI: u32 = 11

/** A tick of time (mtime, rdtime) is so many instructions: time is the guest's own, so that a run can be repeated. */
export const TICK_SHIFT: u32 = 3
export const TIMEBASE_HZ: u32 = 10000000

export const PENDING_DEVICE: u32 = 0
export const PENDING_SPLIT: u32 = 1

// Why `run` came back.
export const RAN: u32 = 0 // all that it was to execute
export const ASLEEP: u32 = 1 // the guest waits for an interrupt
export const CALLED: u32 = 2 // the guest calls its SBI: a7, a6 and a0 to a5 say what for
export const STOPPED: u32 = 3 // a device said stop
