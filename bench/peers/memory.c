/*
 * What C makes of memory: adding up every page, which is as fast as it can be read, and comparing pages with equal
 * ones, with the C library's memcmp.
 *
 *     memory PAGES ROUNDS
 *
 * Half of the pages are copies of the other half. Prints one JSON object: for each round nanoseconds a page summed, and
 * nanoseconds a pair compared.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 4096u

static double cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static uint64_t sum(const uint64_t *word, size_t bytes)
{
	uint64_t total = 0;
	for (size_t i = 0; i < bytes / 8; i++)
		total += word[i];
	return total;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	size_t pages = (size_t)atol(argv[1]), half = pages / 2 * PAGE;
	int rounds = atoi(argv[2]);
	unsigned char *memory = mmap(NULL, 2 * half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 3;
	uint64_t state = 1, kept = 0;
	for (size_t i = 0; i < half; i += 8) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		memcpy(memory + i, &state, 8);
	}
	memcpy(memory + half, memory, half);
	printf("{\"rounds\": [");
	for (int round = 0; round < rounds; round++) {
		double start = cpu_ns();
		for (size_t at = 0; at < 2 * half; at += PAGE)
			kept += sum((const uint64_t *)(memory + at), PAGE);
		double summed = cpu_ns();
		for (size_t at = 0; at < half; at += PAGE)
			kept += memcmp(memory + at, memory + half + at, PAGE) == 0;
		double compared = cpu_ns();
		printf("%s{\"sum\": %.1f, \"compare\": %.1f}", round ? ", " : "", (summed - start) / (pages / 2 * 2),
		       (compared - summed) / (pages / 2));
	}
	printf("], \"kept\": %u}\n", (unsigned)(kept & 0xffff));
	return 0;
}
