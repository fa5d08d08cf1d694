// What a machine must do besides computing: exceptions with the right cause, the timer's interrupt, WFI, Sv39 with a page of the
// guest's own that is moved under the same address, and user mode.
#include "bare.h"

static volatile u64 causes[8];
static volatile u64 values[8];
static volatile int met;
static volatile int ticks;

u64 trapped(u64 cause, u64 pc, u64 value) {
  if (cause >> 63) {
    ticks++;
    *MTIMECMP = *MTIME + 100;
    if (ticks == 5) csr_clear(mie, 1 << 7);
    return pc;
  }
  causes[met & 7] = cause;
  values[met & 7] = value;
  met++;
  // From user mode a call comes back to M mode.
  if (cause == 8) csr_set(mstatus, 3 << 11);
  return pc + ((*(volatile unsigned short *)pc & 3) == 3 ? 4 : 2);
}

static void expect(const char *what, int right) {
  put(right ? "ok    " : "WRONG ");
  put(what);
  put("\n");
  if (!right) finish(1);
}

static u64 table[3][512] __attribute__((aligned(4096)));
static u64 pages[2][512] __attribute__((aligned(4096)));

#define LEAF(at, flags) ((((u64)(at)) >> 12 << 10) | (flags))

static u64 load_mapped(u64 address) {
  u64 value;
  __asm__ volatile(
      ".option push\n .option norvc\n csrs mstatus, %2\n ld %0, 0(%1)\n csrc mstatus, %2\n .option pop\n"
      : "=&r"(value)
      : "r"(address), "r"((u64)1 << 17)
      : "memory");
  return value;
}

static void paging(void) {
  table[0][1] = LEAF(table[1], 1);
  table[1][0] = LEAF(table[2], 1);
  table[2][3] = LEAF(pages[0], 0xc3);
  pages[0][1] = 0x1111;
  pages[1][1] = 0x2222;
  csr_write(satp, (8ull << 60) | ((u64)table[0] >> 12));
  csr_clear(mstatus, 3 << 11);
  csr_set(mstatus, 1 << 11);
  u64 address = (1ull << 30) + 3 * 4096 + 8;
  expect("Sv39 maps a page", load_mapped(address) == 0x1111);
  table[2][3] = LEAF(pages[1], 0xc3);
  __asm__ volatile("sfence.vma" ::: "memory");
  expect("and another after a fence", load_mapped(address) == 0x2222);
  table[2][3] = 0;
  __asm__ volatile("sfence.vma" ::: "memory");
  met = 0;
  load_mapped(address);
  expect("and none: a page fault that says where", met == 1 && causes[0] == 13 && values[0] == address);
  csr_write(satp, 0);
}

static void user(void) {
  met = 0;
  __asm__ volatile(
      "la t0, 1f\n csrw mepc, t0\n li t1, 3 << 11\n csrc mstatus, t1\n mret\n"
      "1: csrr t0, mstatus\n ecall\n" ::: "t0", "t1", "memory");
  expect("user mode may not read mstatus", met == 2 && causes[0] == 2);
  expect("and calls", causes[1] == 8);
}

int main(void) {
  // Where memory is protected, everything is allowed to every mode.
  csr_write(pmpaddr0, ~0ull >> 10);
  csr_write(pmpcfg0, 0x1f);
  met = 0;
  __asm__ volatile(".word 0xffffffff");
  expect("an illegal instruction", met == 1 && causes[0] == 2 && values[0] == 0xffffffff);
  __asm__ volatile("ebreak");
  expect("a breakpoint", met == 2 && causes[1] == 3);
  (void)*(volatile u64 *)0x2000000000;
  expect("a load from nowhere", met == 3 && causes[2] == 5 && values[2] == 0x2000000000);
  *(volatile u64 *)0x2000000000 = 1;
  expect("a store to nowhere", met == 4 && causes[3] == 7);
  __asm__ volatile("ecall");
  expect("a call", met == 5 && causes[4] == 11);
  *MTIMECMP = *MTIME + 100;
  csr_set(mie, 1 << 7);
  csr_set(mstatus, 1 << 3);
  while (ticks < 5) __asm__ volatile("wfi");
  csr_clear(mstatus, 1 << 3);
  expect("five ticks of the timer", ticks == 5);
  paging();
  user();
  put("done\n");
  return 0;
}
