/*
 * An index of many DIDs and no records, as of a relay's or of a PDS with many accounts:
 *
 *   bench_known DIR COUNT
 *
 * Each has its repo, in step, and its identity, read just now. Prints each as a source lists it: DID REV.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/writer.h"
#include "tests/bench/tool.h"

enum { BATCH = 20000 };

struct world {
	uint64_t from, to;
	uint64_t rev;
	struct rk_key_ready key;
};

static int repos_write(void *context, struct rk_write *w)
{
	const struct world *world = context;
	const struct rk_identity identity = {
		.fetched_ms = rk_clock_wall_ms(),
		.key = world->key,
	};
	int r = 0;

	for (uint64_t number = world->from; r == 0 && number < world->to; number++) {
		uint8_t did[DID_BYTES];
		struct rk_repo repo;

		did_make(did, number);
		r = rk_write_repo_make(w, &repo, rk_slice_make(did, DID_BYTES));
		if (r)
			break;
		repo.sync = RK_SYNC_SYNCHRONIZED;
		repo.flags = RK_REPO_BACKFILLED;
		repo.rev = world->rev;
		rk_cid_compute(&repo.data, RK_CODEC_DAG_CBOR, repo.did);
		r = rk_write_repo(w, &repo);
		if (r == 0)
			r = rk_write_identity(w, rk_slice_make(did, DID_BYTES), &identity);
	}
	return r;
}

int main(int argc, char **argv)
{
	const struct rk_store_options options = {.dir = argc > 1 ? argv[1] : NULL};
	struct world world = {.rev = (uint64_t)rk_clock_wall_us() << 10};
	struct rk_writer *writer;
	struct rk_store *store;
	struct rk_key key;
	uint64_t count;
	char error[256], rev[RK_TID_LEN + 1];

	must(argc == 3, "usage: bench_known DIR COUNT");
	count = strtoull(argv[2], NULL, 10);
	/* did:key of the specification's examples. */
	must(rk_key_from_multibase(
		     &key, rk_slice_str("zQ3shqwJEJyMBsBXCWyCBpUBMqxcon9oHB7mCvx4sSpMdLJwc")) &&
			rk_key_ready_make(&world.key, &key),
		"a key");
	must(rk_store_open(&store, &options, error) == 0, error);
	must(rk_writer_create(&writer, store) == 0, "the writer");
	for (; world.from < count; world.from = world.to) {
		world.to = count - world.from < BATCH ? count : world.from + BATCH;
		must(rk_writer_call(writer, repos_write, &world) == 0, "repos");
	}
	rk_writer_destroy(writer);
	rk_store_close(store);
	rk_tid_format(rev, world.rev);
	for (uint64_t number = 0; number < count; number++) {
		uint8_t did[DID_BYTES];

		did_make(did, number);
		printf("%.*s %s\n", DID_BYTES, (const char *)did, rev);
	}
	return 0;
}
