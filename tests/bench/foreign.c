/*
 * CPU of one frame of a repo that is none of ours, behind a relay: from the ring (a copy of the frame
 * pushed) to its release, as the threads do it, on one thread here:
 *
 *   bench_foreign FOLDER DIR KNOWN     FOLDER: of the fixtures; DIR: for an index with KNOWN repos
 *
 * Prints a JSON object: frames a second of CPU, microseconds by step, memory of our own in KiB.
 */
#include <stdio.h>
#include <stdlib.h>

#include "atproto/peek.h"
#include "indexer/foreign.h"
#include "indexer/ring.h"
#include "store/writer.h"
#include "tests/bench/tool.h"

enum { FRAMES = 16384, ROUNDS = 40, AT_ONCE = 1024, BATCH = 10000, DID_LETTERS = 24 };

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

static uint64_t draw(void)
{
	static uint64_t state = UINT64_C(0x9e3779b97f4a7c15);

	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(2685821657736338717);
}

static void did_draw(uint8_t *out)
{
	for (int i = 0; i < DID_LETTERS; i++)
		out[i] = (uint8_t)letters[draw() >> 32 & 31];
}

static int repos_make(void *context, struct rk_write *w)
{
	char did[] = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa";
	const uint64_t *count = context;
	struct rk_repo repo;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < *count; i++) {
		did_draw((uint8_t *)did + 8);
		r = rk_write_repo_make(w, &repo, rk_slice_str(did));
	}
	return r;
}

static void fill(struct rk_store *store, uint64_t known)
{
	struct rk_writer *writer;

	must(rk_writer_create(&writer, store) == 0, "the writer");
	while (known) {
		uint64_t count = known < BATCH ? known : BATCH;

		must(rk_writer_call(writer, repos_make, &count) == 0, "repos");
		known -= count;
	}
	rk_writer_destroy(writer);
}

static uint8_t *find(uint8_t *in, size_t len, const char *text)
{
	uint8_t *at = memmem(in, len, text, strlen(text));

	must(at, text);
	return at;
}

/* A commit of 2.4 KB, as of a collection of somebody else's. */
static struct rk_slice frame_read(const char *folder)
{
	uint8_t *bytes = malloc(RK_FRAME_MOST);
	char path[4096];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/commit-create.frame", folder);
	file = fopen(path, "rb");
	must(file && bytes, path);
	len = fread(bytes, 1, RK_FRAME_MOST, file);
	fclose(file);
	return rk_slice_make(bytes, len);
}

static bool collection_is_ours(struct rk_slice nsid)
{
	return rk_collection_find(nsid) >= 0;
}

static void round_run(
	struct rk_ring *ring, struct rk_snapshot *snapshot, uint8_t **frames, size_t len)
{
	for (size_t from = 0; from < FRAMES; from += AT_ONCE) {
		size_t ready = 0;

		for (size_t i = from; i < from + AT_ONCE; i++) {
			must(rk_ring_push(ring, rk_slice_make(frames[i], len), false, false),
				"room");
		}
		for (size_t i = 0; i < AT_ONCE; i++) {
			struct rk_slot *slot = rk_ring_work(ring);

			must(rk_snapshot_begin(snapshot) == 0, "snapshot");
			must(rk_foreign(&slot->decoded, rk_slice_make(slot->frame, slot->len),
				     snapshot) == RK_FOREIGN_YES,
				"not foreign");
			rk_snapshot_end(snapshot);
			rk_ring_worked(ring, slot);
		}
		while (rk_ring_ready(ring, ready))
			ready++;
		must(ready == AT_ONCE, "ready");
		rk_ring_release(ring, ready);
	}
}

int main(int argc, char **argv)
{
	const struct rk_store_options options = {.dir = argc > 2 ? argv[2] : NULL};
	uint8_t **frames = malloc(FRAMES * sizeof(*frames));
	struct rk_snapshot *snapshot;
	struct rk_store *store;
	struct rk_slice frame;
	struct rk_ring *ring;
	char error[256];
	double start, whole, peek, best = 1e9;
	long own;

	must(argc == 4, "usage: bench_foreign FOLDER DIR KNOWN");
	must(rk_store_open(&store, &options, error) == 0, error);
	fill(store, strtoull(argv[3], NULL, 10));
	own = own_kib();
	frame = frame_read(argv[1]);
	for (size_t i = 0; i < FRAMES; i++) {
		frames[i] = malloc(frame.len);
		memcpy(frames[i], frame.data, frame.len);
		did_draw(find(frames[i], frame.len, "did:plc:") + 8);
	}
	ring = rk_ring_create();
	must(ring && rk_snapshot_create(&snapshot, store) == 0, "memory");
	for (int i = 0; i < ROUNDS; i++) {
		start = cpu_us();
		round_run(ring, snapshot, frames, frame.len);
		whole = (cpu_us() - start) / FRAMES;
		best = whole < best ? whole : best;
	}
	start = cpu_us();
	for (size_t i = 0; i < FRAMES; i++) {
		struct rk_peek out;

		must(rk_event_peek(&out, rk_slice_make(frames[i], frame.len), collection_is_ours),
			"peek");
	}
	peek = (cpu_us() - start) / FRAMES;
	printf("{\"bytes\": %zu, \"known\": %s, \"frames\": %.0f, \"whole\": %.3f, \"peek\": %.3f, "
	       "\"own\": %ld}\n",
		frame.len, argv[3], 1e6 / best, best, peek, own);
	rk_ring_destroy(ring);
	rk_snapshot_destroy(snapshot);
	rk_store_close(store);
	return 0;
}
