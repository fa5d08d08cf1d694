// A guest that checks its own memory: half of its pages hold what every guest has, the others what only this one has; it
// rewrites some, round after round, and compares all with what it knows it wrote. It prints a digest of everything each round.
// Its number is in a1; if that is 0 it asks the console for it, so that guests forked from one can be told apart.
#include "bare.h"

#define PAGES 512
#define ROUNDS 8
#define WORDS 512

static u64 guest;
static u32 version[PAGES];
static u64 seed = 0x9e3779b97f4a7c15;

static u64 mix(u64 x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

static u64 word(u64 page, u64 i) {
  u64 owner = version[page] == 0 && page % 2 == 0 ? ~0ull : guest;
  return mix((page << 32) ^ (i << 20) ^ ((u64)version[page] << 8) ^ owner);
}

static void fill(u64 *memory, u64 page) {
  for (u64 i = 0; i < WORDS; i++) memory[page * WORDS + i] = word(page, i);
}

static u64 ask(void) {
  u64 number = 0;
  put("which guest am I?\n");
  for (;;) {
    while ((UART[5] & 1) == 0) {
    }
    u8 byte = UART[0];
    if (byte < '0' || byte > '9') return number;
    number = number * 10 + (byte - '0');
  }
}

int main(u64 hart, u64 number) {
  guest = number == 0 ? ask() : number;
  u64 *memory = (u64 *)heap;
  for (u64 page = 0; page < PAGES; page++) fill(memory, page);
  for (u64 round = 0; round < ROUNDS; round++) {
    for (u64 i = 0; i < PAGES / 32; i++) {
      seed = mix(seed + guest);
      u64 page = seed % PAGES;
      version[page]++;
      fill(memory, page);
    }
    u64 digest = 0;
    for (u64 page = 0; page < PAGES; page++) {
      for (u64 i = 0; i < WORDS; i++) {
        if (memory[page * WORDS + i] != word(page, i)) {
          put("wrong: page ");
          put_decimal(page);
          put(" word ");
          put_decimal(i);
          put("\n");
          return 1;
        }
        digest = mix(digest ^ memory[page * WORDS + i]);
      }
    }
    put("guest ");
    put_decimal(guest);
    put(" round ");
    put_decimal(round);
    put(" ");
    put_hex(digest);
    put("\n");
  }
  return 0;
}
