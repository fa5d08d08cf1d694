/*
 * The native peer: what a C programmer would write to find and merge equal pages by ksmd's rules, with nothing around
 * it. No page tables, no reference counts, no way back: a map from page to page, and two hash tables of chained
 * entries. A page merges when its checksum has not changed since the scan before; a merged content takes max_sharing
 * pages, then a new one is begun; a page without partner waits for one until the scan ends.
 *
 *     native MAX_SHARING OUT WRITES IMAGE...
 *
 * Prints one JSON object; writes to OUT, for each page, the frame it lies in (32 bits each), when all is merged and
 * twice for each turn: after the scan that is measured, and when things have settled.
 * WRITES tells what is written between scans, in words of 32 bits: the number of turns; for each, how many pages, their
 * numbers, and for each what its words are XORed with. It may be empty: two scans, and one that finds nothing, are all then.
 * After each turn one scan is measured, and two more let things settle.
 *
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

/* One a page; `next` chains it in the unstable table, or is its node if it has merged. */
struct item {
	uint64_t hash;
	uint32_t next;
	uint32_t frame; /* where it lies */
	uint32_t own; /* its frame when it is not merged */
	uint8_t merged, written;
};

/*
 * One a merged content; `next` chains it in the stable table. `sharers` have joined and not been seen to have left, `mapped`
 * still lie there. The frame is `owner`'s own, until that page is written and gets another.
 */
struct node {
	uint64_t hash;
	uint32_t next, frame, owner, sharers, mapped;
};

static unsigned char *memory;
static uint32_t pages, max_sharing, buckets;
static struct item *items;
static struct node *nodes;
static uint32_t *stable, *unstable;
/* Nodes and frames beyond the pages' own that are free. */
static uint32_t *spare_nodes, spare_node_count, *spare_frames, spare_frame_count;
static uint32_t shared, sharing, unshared, is_volatile, touched;

static void *frame_at(uint32_t f) { return memory + (size_t)f * PAGE; }

static void *page_at(uint32_t i) { return frame_at(items[i].frame); }

static uint32_t bucket(uint64_t hash) { return hash >> 32 & (buckets - 1); }

static int equal(uint32_t frame, uint32_t i) { return memcmp(frame_at(frame), page_at(i), PAGE) == 0; }

static void append(uint32_t i, uint32_t n)
{
	items[i].frame = nodes[n].frame;
	items[i].next = n;
	items[i].merged = 1;
	nodes[n].sharers++;
	nodes[n].mapped++;
}

static int join_stable(uint32_t i, uint64_t hash)
{
	uint32_t *head = &stable[bucket(hash)];
	for (uint32_t *link = head; *link != NONE; link = &nodes[*link].next) {
		uint32_t n = *link;
		struct node *node = &nodes[n];
		if (node->hash != hash || node->mapped == 0 || node->sharers == max_sharing || !equal(node->frame, i))
			continue;
		/* As ksmd does: it is found sooner if it can take one more after this one. */
		if (link != head && node->sharers + 1 < max_sharing) {
			*link = node->next;
			node->next = *head;
			*head = n;
		}
		append(i, n);
		sharing++;
		return 1;
	}
	return 0;
}

static int join_unstable(uint32_t i, uint64_t hash)
{
	for (uint32_t *link = &unstable[bucket(hash)]; *link != NONE; link = &items[*link].next) {
		uint32_t other = *link;
		if (items[other].hash != hash || !equal(items[other].frame, i))
			continue;
		*link = items[other].next;
		uint32_t n = spare_nodes[--spare_node_count];
		nodes[n] = (struct node){ hash, stable[bucket(hash)], items[i].own, i, 0, 0 };
		stable[bucket(hash)] = n;
		append(i, n);
		append(other, n);
		shared++, sharing++, unshared--;
		return 1;
	}
	return 0;
}

/* Takes a page that was written out of what it had merged with. */
static void leave(uint32_t i)
{
	uint32_t n = items[i].next;
	items[i].merged = items[i].written = 0;
	if (--nodes[n].sharers > 0) {
		sharing--;
		return;
	}
	shared--;
	uint32_t *link = &stable[bucket(nodes[n].hash)];
	while (*link != n)
		link = &nodes[*link].next;
	*link = nodes[n].next;
	spare_nodes[spare_node_count++] = n;
}

/* A page that is written gets a frame of its own again. */
static void break_cow(uint32_t i)
{
	struct node *node = &nodes[items[i].next];
	node->mapped--;
	if (node->owner == i && node->mapped > 0) {
		node->owner = NONE;
		items[i].own = spare_frames[--spare_frame_count];
	}
	if (items[i].own != node->frame)
		memcpy(frame_at(items[i].own), frame_at(node->frame), PAGE);
	if (node->mapped == 0 && node->owner == NONE)
		spare_frames[spare_frame_count++] = node->frame;
	items[i].frame = items[i].own;
	items[i].written = 1;
}

static void write_page(uint32_t i, uint32_t word)
{
	if (items[i].merged && !items[i].written)
		break_cow(i);
	volatile uint32_t *words = page_at(i);
	for (unsigned w = 0; w < PAGE / 4; w++)
		words[w] ^= word;
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
			if (!items[i].merged || items[i].written)
				hashes[i - start] = checksum(page_at(i));
		for (uint32_t i = start; i < end; i++) {
			if (items[i].merged && !items[i].written)
				continue;
			if (items[i].written)
				leave(i);
			visit(i, hashes[i - start]);
		}
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
	/* As much again for frames of pages that leave theirs to others, touched only where it is used. */
	memory = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
		touched += *(volatile unsigned char *)frame_at(i);
}

/* What is left to spare: all numbers from `first` on, the least of them on top. */
static uint32_t *numbers(uint32_t first)
{
	uint32_t *all = table(pages * sizeof *all);
	for (uint32_t i = 0; i < pages; i++)
		all[i] = first + pages - 1 - i;
	return all;
}

static uint32_t number(FILE *from)
{
	uint32_t n = 0;
	return fread(&n, sizeof n, 1, from) == 1 ? n : 0;
}

/* One turn of the writer. */
static void write_turn(FILE *writes)
{
	uint32_t count = number(writes);
	uint32_t *told = table((2 * (size_t)count + 1) * sizeof *told);
	if (fread(told, 2 * sizeof *told, count, writes) != count)
		exit(6);
	for (uint32_t i = 0; i < count; i++)
		write_page(told[i], told[count + i]);
	free(told);
}

static void tell_frames(FILE *out)
{
	for (uint32_t i = 0; i < pages; i++)
		fwrite(&items[i].frame, 4, 1, out);
}

static void tell_counters(void)
{
	printf("{\"pages_shared\": %u, \"pages_sharing\": %u, \"pages_unshared\": %u, \"pages_volatile\": %u}", shared,
	       sharing, unshared, is_volatile);
}

/* A turn of the writer, a scan that is measured, and two more. */
static void after_writes(FILE *writes, FILE *out)
{
	write_turn(writes);
	struct moment start = now();
	full_scan();
	struct moment scanned = now();
	tell_frames(out);
	printf("{\"scan_ns\": %.0f, \"scan_cpu_ns\": %.0f, \"after\": ", scanned.wall - start.wall,
	       scanned.cpu - start.cpu);
	tell_counters();
	full_scan();
	full_scan();
	tell_frames(out);
	printf(", \"settled\": ");
	tell_counters();
	printf("}");
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	max_sharing = (uint32_t)atoi(argv[1]);
	load(argc - 4, argv + 4);
	for (buckets = 1; buckets < pages; buckets *= 2)
		;
	items = table(pages * sizeof *items);
	nodes = table(pages * sizeof *nodes);
	stable = table(buckets * sizeof *stable);
	unstable = table(buckets * sizeof *unstable);
	spare_nodes = numbers(0);
	spare_frames = numbers(pages);
	spare_node_count = spare_frame_count = pages;
	memset(stable, 0xff, buckets * sizeof *stable);
	for (uint32_t i = 0; i < pages; i++)
		items[i].frame = items[i].own = i;
	FILE *out = fopen(argv[2], "wb"), *writes = fopen(argv[3], "rb");
	if (out == NULL || writes == NULL)
		return 5;

	struct moment start = now();
	full_scan();
	full_scan();
	struct moment converged = now();
	full_scan();
	struct moment rescanned = now();

	tell_frames(out);
	printf("{\"converge_ns\": %.0f, \"converge_cpu_ns\": %.0f, \"rescan_ns\": %.0f, \"rescan_cpu_ns\": %.0f, ",
	       converged.wall - start.wall, converged.cpu - start.cpu, rescanned.wall - converged.wall,
	       rescanned.cpu - converged.cpu);
	printf("\"counters\": ");
	tell_counters();
	printf(", \"written\": [");
	uint32_t turns = number(writes);
	for (uint32_t turn = 0; turn < turns; turn++) {
		printf(turn == 0 ? "" : ", ");
		after_writes(writes, out);
	}
	printf("]}\n");
	return fclose(out) == 0 ? 0 : 5;
}
