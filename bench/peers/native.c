/*
 * The native peer: what a C programmer would write to find and merge equal pages by ksmd's rules, with nothing around
 * it. No page tables, no reference counts, no way back: a map from page to page, and two hash tables of chained
 * entries. A page merges when its checksum has not changed since the scan before; a merged content takes max_sharing
 * pages, then a new one is begun; a page without partner waits for one until the scan ends.
 *
 *     native MAX_SHARING OUT IMAGE...
 *
 * Prints one JSON object; writes to OUT, for each page, the number of the page whose place it shares (32 bits each).
 * XXH3 comes from libxxhash: linked (-DXXHASH_LINKED) or compiled in for this very processor (-DXXHASH_INLINE).
 * Without either the checksum is FNV-1a over 64-bit words.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
#define NONE UINT32_MAX
#define WINDOW 128u

#if defined(XXHASH_INLINE)
#define XXH_INLINE_ALL
#include <xxhash.h>
static uint64_t checksum(const void *page) { return XXH3_64bits(page, PAGE); }
#elif defined(XXHASH_LINKED)
extern uint64_t XXH3_64bits(const void *data, size_t length);
static uint64_t checksum(const void *page) { return XXH3_64bits(page, PAGE); }
#else
static uint64_t checksum(const void *page)
{
	const uint64_t *word = page;
	uint64_t hash = 0xcbf29ce484222325u;
	for (unsigned i = 0; i < PAGE / 8; i++)
		hash = (hash ^ word[i]) * 0x100000001b3u;
	return hash ^ hash >> 29;
}
#endif

/* One a page; `next` chains it in the unstable table. */
struct item {
	uint64_t hash;
	uint32_t next;
	uint32_t place; /* the page it shares, itself if none */
	uint8_t merged;
};

/* One a merged content; `next` chains it in the stable table. */
struct node {
	uint64_t hash;
	uint32_t next, page, sharers;
};

static unsigned char *memory;
static uint32_t pages, max_sharing, buckets, node_count;
static struct item *items;
static struct node *nodes;
static uint32_t *stable, *unstable;
static uint32_t shared, sharing, unshared, is_volatile, touched;

static void *page_at(uint32_t i) { return memory + (size_t)i * PAGE; }

static uint32_t bucket(uint64_t hash) { return hash >> 32 & (buckets - 1); }

static int equal(uint32_t a, uint32_t b) { return memcmp(page_at(a), page_at(b), PAGE) == 0; }

static int join_stable(uint32_t i, uint64_t hash)
{
	for (uint32_t n = stable[bucket(hash)]; n != NONE; n = nodes[n].next) {
		struct node *node = &nodes[n];
		if (node->hash != hash || node->sharers == max_sharing || !equal(node->page, i))
			continue;
		node->sharers++;
		items[i].place = node->page;
		items[i].merged = 1;
		sharing++;
		return 1;
	}
	return 0;
}

static int join_unstable(uint32_t i, uint64_t hash)
{
	for (uint32_t *link = &unstable[bucket(hash)]; *link != NONE; link = &items[*link].next) {
		uint32_t other = *link;
		if (items[other].hash != hash || !equal(other, i))
			continue;
		*link = items[other].next;
		nodes[node_count] = (struct node){ hash, stable[bucket(hash)], i, 2 };
		stable[bucket(hash)] = node_count++;
		items[other].place = i;
		items[other].merged = items[i].merged = 1;
		shared++, sharing++, unshared--;
		return 1;
	}
	return 0;
}

static void visit(uint32_t i, uint64_t hash)
{
	int changed = (uint32_t)hash != (uint32_t)items[i].hash;
	items[i].hash = hash;
	if (changed) {
		is_volatile++;
	} else if (!join_stable(i, hash) && !join_unstable(i, hash)) {
		items[i].next = unstable[bucket(hash)];
		unstable[bucket(hash)] = i;
		unshared++;
	}
}

static void full_scan(void)
{
	uint64_t hashes[WINDOW];
	memset(unstable, 0xff, buckets * sizeof *unstable);
	unshared = is_volatile = 0;
	for (uint32_t start = 0; start < pages; start += WINDOW) {
		uint32_t end = start + WINDOW < pages ? start + WINDOW : pages;
		/* Read page after page first, as pagefold does: jumping about between them costs a third. */
		for (uint32_t i = start; i < end; i++)
			if (!items[i].merged)
				hashes[i - start] = checksum(page_at(i));
		for (uint32_t i = start; i < end; i++)
			if (!items[i].merged)
				visit(i, hashes[i - start]);
	}
}

static double now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* What passed, and what of it this program had a processor. */
struct moment {
	double wall, cpu;
};

static struct moment now(void)
{
	return (struct moment){ now_ns(CLOCK_MONOTONIC), now_ns(CLOCK_PROCESS_CPUTIME_ID) };
}

/* Zeroed, and touched before any clock runs: the other peers have their tables in place too. */
static void *table(size_t bytes)
{
	void *memory = malloc(bytes);
	if (memory == NULL)
		exit(3);
	return memset(memory, 0, bytes);
}

static void load(int count, char **paths)
{
	size_t size = 0, at = 0;
	struct stat st;
	for (int i = 0; i < count; i++) {
		if (stat(paths[i], &st) != 0)
			exit(4);
		size += (size_t)st.st_size;
	}
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		exit(3);
	for (int i = 0; i < count; i++) {
		int fd = open(paths[i], O_RDONLY);
		for (ssize_t got; (got = read(fd, memory + at, size - at)) > 0;)
			at += (size_t)got;
		close(fd);
	}
	pages = (uint32_t)(size / PAGE);
	/* On a virtual machine the first touch of what the kernel has read may cost more than all that is measured here. */
	for (uint32_t i = 0; i < pages; i++)
		touched += *(volatile unsigned char *)page_at(i);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	max_sharing = (uint32_t)atoi(argv[1]);
	load(argc - 3, argv + 3);
	for (buckets = 1; buckets < pages; buckets *= 2)
		;
	items = table(pages * sizeof *items);
	nodes = table((pages / 2 + 1) * sizeof *nodes);
	stable = table(buckets * sizeof *stable);
	unstable = table(buckets * sizeof *unstable);
	memset(stable, 0xff, buckets * sizeof *stable);
	for (uint32_t i = 0; i < pages; i++)
		items[i].place = i;

	struct moment start = now();
	full_scan();
	full_scan();
	struct moment converged = now();
	full_scan();
	struct moment rescanned = now();

	FILE *out = fopen(argv[2], "wb");
	if (out == NULL)
		return 5;
	for (uint32_t i = 0; i < pages; i++)
		fwrite(&items[i].place, 4, 1, out);
	fclose(out);
	printf("{\"converge_ns\": %.0f, \"converge_cpu_ns\": %.0f, \"rescan_ns\": %.0f, \"rescan_cpu_ns\": %.0f, ",
	       converged.wall - start.wall, converged.cpu - start.cpu, rescanned.wall - converged.wall,
	       rescanned.cpu - converged.cpu);
	printf("\"pages_shared\": %u, \"pages_sharing\": %u, \"pages_unshared\": %u, \"pages_volatile\": %u}\n", shared,
	       sharing, unshared, is_volatile);
	return 0;
}
