/*
 * What libxxhash makes of a page, for whoever wants it beside another checksum: told on standard input how many pages to hash,
 * it does so at once and says how long that took.
 *
 *     hash PAGES
 *
 * A line `KIND FIRST CALLS` (kind 32, 64 or 3; first page, number of calls) is answered by one of `CPU WALL`, in nanoseconds. With FIRST
 * below 0 every call hashes page 0, which stays in the cache; else page after page, round and round. The first line
 * printed is the library's version, as a number.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096u

/* The library is often there without its header. */
extern unsigned XXH_versionNumber(void);
extern uint32_t XXH32(const void *data, size_t length, uint32_t seed);
extern uint64_t XXH64(const void *data, size_t length, uint64_t seed);
extern uint64_t XXH3_64bits(const void *data, size_t length);

/* Keeps the results alive. */
static volatile uint64_t kept;

static double ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	long pages = atol(argv[1]), at, calls;
	int kind;
	uint64_t state = 1;
	unsigned char *memory = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 3;
	for (size_t i = 0; i < (size_t)pages * PAGE; i += 8) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		memcpy(memory + i, &state, 8);
	}
	printf("%u\n", XXH_versionNumber());
	fflush(stdout);
	while (scanf("%d %ld %ld", &kind, &at, &calls) == 3) {
		int hot = at < 0;
		uint64_t sum = 0;
		if (hot)
			at = 0;
		double wall = ns(CLOCK_MONOTONIC), cpu = ns(CLOCK_PROCESS_CPUTIME_ID);
		for (long i = 0; i < calls; i++) {
			const void *page = memory + (size_t)at * PAGE;
			sum ^= kind == 32 ? XXH32(page, PAGE, 0) : kind == 64 ? XXH64(page, PAGE, 0) : XXH3_64bits(page, PAGE);
			if (!hot)
				at = (at + 1) % pages;
		}
		kept = sum;
		printf("%.0f %.0f\n", ns(CLOCK_PROCESS_CPUTIME_ID) - cpu, ns(CLOCK_MONOTONIC) - wall);
		fflush(stdout);
	}
	return 0;
}
