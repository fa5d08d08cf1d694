/*
 * What reading files costs at least: every byte of them read and added up, by so many threads.
 *
 *     sum THREADS FILE...
 *
 * Each thread takes every so manieth chunk of each file. Prints one JSON object: nanoseconds that passed, nanoseconds of processor
 * time of all threads, and the sum, so that none of it can be left out.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (512u * 1024u)
#define MOST_THREADS 64

struct share {
	int first, threads, files;
	char **names;
	uint64_t sum;
};

static double now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void *add_up(void *given)
{
	struct share *share = given;
	uint64_t *words = aligned_alloc(4096, CHUNK);
	for (int file = 0; file < share->files; file++) {
		int fd = open(share->names[file], O_RDONLY);
		if (fd < 0 || words == NULL)
			exit(3);
		for (off_t at = (off_t)share->first * CHUNK;; at += (off_t)share->threads * CHUNK) {
			ssize_t got = pread(fd, words, CHUNK, at);
			if (got <= 0)
				break;
			for (ssize_t i = 0; i < got / 8; i++)
				share->sum += words[i];
		}
		close(fd);
	}
	free(words);
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc < 3 ? 0 : atoi(argv[1]);
	if (threads < 1 || threads > MOST_THREADS)
		return 2;
	struct share shares[MOST_THREADS];
	pthread_t running[MOST_THREADS];
	double start = now_ns(CLOCK_MONOTONIC);
	for (int i = 0; i < threads; i++) {
		shares[i] = (struct share){ i, threads, argc - 2, argv + 2, 0 };
		if (pthread_create(&running[i], NULL, add_up, &shares[i]) != 0)
			return 3;
	}
	uint64_t sum = 0;
	for (int i = 0; i < threads; i++) {
		pthread_join(running[i], NULL);
		sum += shares[i].sum;
	}
	printf("{\"elapsed_ns\": %.0f, \"cpu_ns\": %.0f, \"sum\": \"%llu\"}\n", now_ns(CLOCK_MONOTONIC) - start,
	       now_ns(CLOCK_PROCESS_CPUTIME_ID), (unsigned long long)sum);
	return 0;
}
