/* An index with room for one repo, and events for it. */
#ifndef RK_TESTS_UNIT_INDEXER_WORLD_H
#define RK_TESTS_UNIT_INDEXER_WORLD_H

#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "indexer/apply.h"
#include "store/inside.h"

#define NOW_US INT64_C(100000000000)

static const char did[] = "did:plc:abcdefghijklmnopqrstuvwx";
static const char rkey[] = "3k2yihcrzzk2c";
static const char ref[] = "507f1f77bcf86cd799439011";

struct world {
	char dir[64];
	struct rk_store *store;
	struct rk_write w;
	struct rk_stream_notes notes;
	struct rk_course course;
	struct rk_looks looks;
	struct rk_apply apply;
	bool waiting; /* for something earlier */
	int identities, strangers, doubts;
};

static inline bool waits(void *context, struct rk_slice account)
{
	const struct world *world = context;

	assert_int_not_equal(account.len, 0);
	return world->waiting;
}

static inline void identity(void *context, struct rk_slice account, bool known)
{
	struct world *world = context;

	assert_int_not_equal(account.len, 0);
	world->identities++;
	world->strangers += !known;
}

static inline void doubt(void *context, struct rk_slice account)
{
	struct world *world = context;

	assert_int_not_equal(account.len, 0);
	world->doubts++;
}

static inline void told(void *context, rk_repo_id repo)
{
	assert_int_not_equal(repo, 0);
}

static inline int world_begin(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct rk_store_options options = {.dir = world->dir, .map_bytes = 64 << 20};
	char error[256];

	snprintf(world->dir, sizeof(world->dir), "/tmp/refkey-apply-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	assert_int_equal(rk_store_open(&world->store, &options, error), 0);
	assert_int_equal(rk_write_begin(&world->w, world->store), 0);
	world->apply = (struct rk_apply){
		.source = RK_SLICE_LIT("http://pds"),
		.notes = &world->notes,
		.course = &world->course,
		.looks = &world->looks,
		.waits = waits,
		.identity = identity,
		.doubt = doubt,
		.told = told,
		.context = world,
	};
	*state = world;
	return 0;
}

static inline int world_end(void **state)
{
	struct world *world = *state;
	char command[128];

	rk_write_abort(&world->w);
	rk_write_finish(&world->w);
	rk_store_close(world->store);
	rk_looks_finish(&world->looks);
	snprintf(command, sizeof(command), "rm -r %s", world->dir);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

static inline struct rk_cid tree(uint8_t mark)
{
	struct rk_cid cid;

	rk_cid_compute(&cid, RK_CODEC_DAG_CBOR, rk_slice_make(&mark, 1));
	return cid;
}

/* A repo that is in, at rev 10 with tree 10. */
static inline rk_repo_id repo_in(struct world *world)
{
	struct rk_repo repo;

	assert_int_equal(rk_write_repo_make(&world->w, &repo, rk_slice_str(did)), 0);
	repo.sync = RK_SYNC_SYNCHRONIZED;
	repo.flags = RK_REPO_BACKFILLED;
	repo.rev = 10;
	repo.data = tree(10);
	assert_int_equal(rk_write_repo(&world->w, &repo), 0);
	return repo.id;
}

/* A commit from rev - 1 to rev that puts one mood, or removes it. */
static inline struct rk_decoded commit(struct rk_change_record *record, uint64_t rev, bool put)
{
	struct rk_decoded decoded = {
		.event =
			{
				.type = RK_EVENT_COMMIT,
				.seq = (int64_t)rev * 100,
				.did = {.text = rk_slice_str(did)},
				.rev = rev,
				.since = rev - 1,
				.prev_data = tree((uint8_t)(rev - 1)),
				.op_count = 1,
				.time_ms = 1000,
			},
		.records = record,
		.count = 1,
	};

	*record = (struct rk_change_record){
		.collection = RK_COLLECTION_MOOD,
		.rkey = rk_slice_str(rkey),
		.read = {.facts = {.ref = rk_slice_str(ref)}, .json = RK_SLICE_LIT("{}")},
	};
	if (put)
		record->cid = tree((uint8_t)(100 + rev));
	record->created = put;
	decoded.verified.commit.data = tree((uint8_t)rev);
	decoded.verified.before = decoded.event.prev_data;
	return decoded;
}

static inline int apply_as(struct world *world, const struct rk_decoded *decoded, bool again)
{
	int r = rk_apply(&world->apply, &world->w, decoded, NOW_US, again);

	assert_true(r == RK_APPLY_DONE || r == RK_APPLY_WAIT || r == RK_APPLY_DOUBT ||
		r == RK_APPLY_OUTDATED);
	return r;
}

static inline int apply(struct world *world, const struct rk_decoded *decoded)
{
	return apply_as(world, decoded, false);
}

static inline struct rk_repo repo_now(struct world *world)
{
	struct rk_repo repo;

	assert_int_equal(
		rk_read_repo_by_did(rk_write_view(&world->w), &repo, rk_slice_str(did)), 0);
	return repo;
}

static inline int record_now(struct world *world, struct rk_record *record)
{
	return rk_read_record(rk_write_view(&world->w), record, repo_now(world).id,
		RK_COLLECTION_MOOD, rk_slice_str(rkey));
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

#endif
