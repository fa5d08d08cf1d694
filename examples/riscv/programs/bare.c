// See bare.h.
#include "bare.h"

void put(const char *text) {
  while (*text) {
    while ((UART[5] & 0x20) == 0) {
    }
    UART[0] = (u8)*text++;
  }
}

void put_hex(u64 number) {
  char text[17];
  for (int i = 15; i >= 0; i--, number >>= 4) text[i] = "0123456789abcdef"[number & 15];
  text[16] = 0;
  put(text);
}

void put_decimal(u64 number) {
  char text[21];
  int at = 20;
  text[at] = 0;
  do text[--at] = (char)('0' + number % 10);
  while (number /= 10);
  put(text + at);
}

void finish(int code) {
  *FINISHER = code == 0 ? 0x5555 : 0x3333 | ((u32)code << 16);
  for (;;) {
  }
}

__attribute__((weak)) u64 trapped(u64 cause, u64 pc, u64 value) {
  put("trap ");
  put_hex(cause);
  put(" at ");
  put_hex(pc);
  put(" with ");
  put_hex(value);
  put("\n");
  finish(2);
}

void *memset(void *to, int byte, u64 count) {
  for (u64 i = 0; i < count; i++) ((u8 *)to)[i] = (u8)byte;
  return to;
}

void *memcpy(void *to, const void *from, u64 count) {
  for (u64 i = 0; i < count; i++) ((u8 *)to)[i] = ((const u8 *)from)[i];
  return to;
}
