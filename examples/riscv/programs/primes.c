// A sieve over a megabyte: how many primes there are below a million.
#include "bare.h"

#define LIMIT 1000000

int main(void) {
  u8 *composite = heap;
  u64 count = 0;
  for (u64 i = 0; i < LIMIT; i++) composite[i] = 0;
  for (u64 i = 2; i < LIMIT; i++) {
    if (composite[i]) continue;
    count++;
    for (u64 j = i * i; j < LIMIT; j += i) composite[j] = 1;
  }
  put_decimal(count);
  put(" primes below ");
  put_decimal(LIMIT);
  put("\n");
  return count == 78498 ? 0 : 1;
}
