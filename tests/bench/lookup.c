/*
 * What one lookup by ref costs inside the store, without HTTP: a read transaction, the answer, its
 * repo and its duplicates, as getByRef reads them. Several indexes take turns:
 *
 *   bench_lookup ROUNDS LOOKUPS (DIR REFS)…
 *     REFS   a file of "COLLECTION REF" lines, which are asked for in an order that jumps about
 *
 * Prints, each round, one line with the nanoseconds of a lookup in each index.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "store/store.h"

enum { INDEXES_MOST = 4, REFS_MOST = 1 << 20 };

struct ref {
	uint8_t collection;
	uint8_t len;
	uint8_t text[RK_REF_MOST];
};

struct index {
	struct rk_store *store;
	struct rk_snapshot *snapshot;
	struct ref *refs;
	size_t count, at;
};

static void refs_read(struct index *index, const char *path)
{
	FILE *file = fopen(path, "r");
	char nsid[320], text[RK_REF_MOST + 1];

	index->refs = calloc(REFS_MOST, sizeof(*index->refs));
	if (!file || !index->refs) {
		perror(path);
		exit(1);
	}
	while (index->count < REFS_MOST && fscanf(file, "%319s %64s", nsid, text) == 2) {
		int collection = rk_collection_find(rk_slice_str(nsid));
		struct ref *ref = &index->refs[index->count];

		if (collection < 0)
			continue;
		ref->collection = (uint8_t)collection;
		ref->len = (uint8_t)strlen(text);
		memcpy(ref->text, text, ref->len);
		index->count++;
	}
	fclose(file);
	if (index->count == 0) {
		fprintf(stderr, "bench_lookup: no refs in %s\n", path);
		exit(1);
	}
}

static void index_open(struct index *index, const char *dir)
{
	const struct rk_store_options options = {.dir = dir};
	char error[256];

	if (rk_store_open(&index->store, &options, error) != 0 ||
		rk_snapshot_create(&index->snapshot, index->store) != 0) {
		fprintf(stderr, "bench_lookup: %s: %s\n", dir, error);
		exit(1);
	}
}

static int lookup(struct index *index, const struct ref *ref)
{
	struct rk_record record, others[10];
	struct rk_repo repo;
	uint64_t count;
	int r = rk_snapshot_begin(index->snapshot);

	if (r)
		return r;
	r = rk_read_ref(index->snapshot, &record, rk_slice_make(ref->text, ref->len), -1);
	if (r == 0)
		r = rk_read_repo(index->snapshot, &repo, record.repo);
	if (r == 0)
		r = rk_read_duplicates(index->snapshot, others, 10, &count, &record);
	rk_snapshot_end(index->snapshot);
	return r;
}

static double lookups(struct index *index, size_t count)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	for (size_t i = 0; i < count; i++) {
		if (lookup(index, &index->refs[index->at]) != 0) {
			fputs("bench_lookup: a ref was not found\n", stderr);
			exit(1);
		}
		/* A prime step goes through all of them, and never to a neighbour. */
		index->at = (index->at + 7919) % index->count;
	}
	clock_gettime(CLOCK_MONOTONIC, &to);
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
		(double)count;
}

int main(int argc, char **argv)
{
	struct index indexes[INDEXES_MOST] = {0};
	int rounds = argc > 1 ? atoi(argv[1]) : 0, count = (argc - 3) / 2;
	size_t each = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;

	if (argc < 5 || count > INDEXES_MOST || rounds < 1 || each < 1) {
		fputs("usage: bench_lookup ROUNDS LOOKUPS (DIR REFS)...\n", stderr);
		return 2;
	}
	for (int i = 0; i < count; i++) {
		index_open(&indexes[i], argv[3 + 2 * i]);
		refs_read(&indexes[i], argv[4 + 2 * i]);
		lookups(&indexes[i], each);
	}
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < count; i++)
			printf("%s%.0f", i ? " " : "", lookups(&indexes[i], each));
		printf("\n");
	}
	for (int i = 0; i < count; i++) {
		rk_snapshot_destroy(indexes[i].snapshot);
		rk_store_close(indexes[i].store);
		free(indexes[i].refs);
	}
	return 0;
}
