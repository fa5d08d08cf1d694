// What a bare program has: a console, an end, and memory behind itself.
#pragma once
#include <stdint.h>

typedef uint64_t u64;
typedef uint32_t u32;
typedef uint8_t u8;

#define UART ((volatile u8 *)0x10000000)
#define FINISHER ((volatile u32 *)0x100000)
#define MTIME ((volatile u64 *)0x200bff8)
#define MTIMECMP ((volatile u64 *)0x2004000)

extern u8 heap[];

void put(const char *text);
void put_hex(u64 number);
void put_decimal(u64 number);
/** Ends the machine: 0 is well. */
__attribute__((noreturn)) void finish(int code);
/** Says where to go on after a trap. The one in bare.c ends the machine. */
u64 trapped(u64 cause, u64 pc, u64 value);

#define csr_read(name) ({ u64 value_; __asm__ volatile("csrr %0, " #name : "=r"(value_)); value_; })
#define csr_write(name, value) __asm__ volatile("csrw " #name ", %0" ::"r"((u64)(value)) : "memory")
#define csr_set(name, value) __asm__ volatile("csrs " #name ", %0" ::"r"((u64)(value)) : "memory")
#define csr_clear(name, value) __asm__ volatile("csrc " #name ", %0" ::"r"((u64)(value)) : "memory")
