/* What the programs of scripts/bench share: each is one file, and these go into it. */
#ifndef RK_TESTS_BENCH_TOOL_H
#define RK_TESTS_BENCH_TOOL_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Ends the program where something is not good. */
static inline void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "%s: %s\n", program_invocation_short_name, what);
	exit(1);
}

/* Processor time of all threads so far. */
static inline double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* Memory of the process's own, the index mapped from disk not counted; -1: not known. */
static inline long own_kib(void)
{
	char line[256];
	long kib = -1;
	FILE *file = fopen("/proc/self/status", "r");

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "RssAnon: %ld", &kib);
	if (file)
		fclose(file);
	return kib;
}

enum { DID_BYTES = 32 };

/* Spread, so that numbers next to each other are not neighbours in the index. */
static inline void did_make(uint8_t out[DID_BYTES], uint64_t number)
{
	uint64_t mixed = number * UINT64_C(0x9e3779b97f4a7c15);

	memcpy(out, "did:plc:", 8);
	for (int i = 8; i < DID_BYTES; i++) {
		out[i] = (uint8_t) "abcdefghijklmnopqrstuvwxyz234567"[mixed & 31];
		mixed = mixed >> 5 | mixed << 59;
	}
}

#endif
