/*
 * Recovery into an empty MongoDB against the bare driver inserting the same documents in bulks of the
 * same size, on the same server, by turns. Prints one line of JSON a bulk size; not a test.
 * Usage: bench_recover [RECORDS [ROUNDS]]
 */
#include "tests/service/mirror/world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "mongo/build.h"

static unsigned records = 20000;
static unsigned rounds = 3;

#define JSON                                                                                       \
	"{\"mood\":\"a mood of usual length, with some words in it %u\","                          \
	"\"when\":\"2025-03-01T12:00:00.000Z\",\"ref\":\"%s\"}"

static void name_of(unsigned i, char rkey[16], char oid[25])
{
	static const char letters[] = "234567abcdefghijklmnopqrstuvwxyz";

	snprintf(oid, 25, "65e1c0ffee65e1c0%08x", i);
	snprintf(rkey, 16, "3kaaaaaa%c%c%c%c2", letters[i >> 15 & 31], letters[i >> 10 & 31],
		letters[i >> 5 & 31], letters[i & 31]);
}

struct filling {
	rk_repo_id repo;
	unsigned from, to;
};

static int fill(void *context, struct rk_write *w)
{
	const struct filling *filling = context;
	int r = 0;

	for (unsigned i = filling->from; r == 0 && i < filling->to; i++) {
		char rkey[16], oid[25], json[300];
		struct rk_change_record record = {.collection = RK_COLLECTION_MOOD};
		struct rk_change change = {.repo = filling->repo,
			.source = RK_CHANGE_FIRST,
			.records = &record,
			.count = 1,
			.now_us = rk_clock_wall_us()};

		name_of(i, rkey, oid);
		snprintf(json, sizeof(json), JSON, i, oid);
		record.rkey = rk_slice_str(rkey);
		rk_cid_compute(&record.cid, RK_CODEC_DAG_CBOR, rk_slice_str(json));
		record.read.facts = (struct rk_facts){
			.ref = rk_slice_str(oid), .has_when = true, .when_ms = 1740830400000};
		record.read.json = rk_slice_str(json);
		r = rk_write_change(w, &change);
	}
	return r;
}

static bson_t *documents_build(void)
{
	bson_t *documents = aligned_alloc(_Alignof(bson_t), records * sizeof(bson_t));

	assert_non_null(documents);
	for (unsigned i = 0; i < records; i++) {
		struct rk_build build = {.collection = &rk_collections[RK_COLLECTION_MOOD],
			.user = rk_slice_str("auth0|a"),
			.did = rk_slice_str("did:plc:a")};
		char rkey[16], oid[25], json[300];

		name_of(i, rkey, oid);
		snprintf(json, sizeof(json), JSON, i, oid);
		assert_true(rk_oid_parse(&build.id, rk_slice_str(oid)));
		build.rkey = rk_slice_str(rkey);
		build.json = rk_slice_str(json);
		assert_null(rk_build_insert(&documents[i], &build));
	}
	return documents;
}

static int64_t bare(struct world *world, const char *name, bson_t *documents, unsigned batch)
{
	mongoc_collection_t *collection =
		mongoc_client_get_collection(world->client, world->database, name);
	bson_t *options = BCON_NEW("ordered", BCON_BOOL(false));
	int64_t started_us = rk_clock_wall_us();
	bson_error_t error;

	for (unsigned from = 0; from < records; from += batch) {
		mongoc_bulk_operation_t *bulk =
			mongoc_collection_create_bulk_operation_with_opts(collection, options);

		for (unsigned i = from; i < from + batch && i < records; i++)
			mongoc_bulk_operation_insert_with_opts(bulk, &documents[i], NULL, &error);
		if (!mongoc_bulk_operation_execute(bulk, NULL, &error))
			fail_msg("%s", error.message);
		mongoc_bulk_operation_destroy(bulk);
	}
	started_us = rk_clock_wall_us() - started_us;
	bson_destroy(options);
	mongoc_collection_drop(collection, NULL);
	mongoc_collection_destroy(collection);
	return started_us;
}

/* A new index and database each time. */
static int64_t recovered(unsigned batch)
{
	struct world *world = world_open();
	struct filling filling = {.repo = world_repo(world, "did:plc:a")};
	struct rk_recover_request request = {0};
	struct rk_recover_summary sum;
	int64_t started_us;

	while (filling.to < records) {
		filling.from = filling.to;
		filling.to = filling.to + 5000 < records ? filling.to + 5000 : records;
		assert_int_equal(rk_writer_call(world->writer, fill, &filling), 0);
	}
	world->options.batch = batch;
	world->options.on_request_only = true;
	world_mirror(world);
	wait_connected(world, true);
	started_us = rk_clock_wall_us();
	assert_int_equal(rk_mirror_recover(world->mirror, &sum, &request), 0);
	started_us = rk_clock_wall_us() - started_us;
	assert_int_equal(sum.counts[RK_RECOVER_INSERTED], records);
	world_close(world);
	return started_us;
}

static void compare(void **state)
{
	static const unsigned batches[] = {64, 1000};
	struct world *world = world_open();
	bson_t *documents = documents_build();

	for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
		int64_t bare_us = 0, recover_us = 0;

		for (unsigned i = 0; i < rounds; i++) {
			bare_us += bare(world, "bare", documents, batches[b]);
			recover_us += recovered(batches[b]);
		}
		printf("{\"records\":%u,\"batch\":%u,\"bare_per_s\":%.0f,\"recover_per_s\":%.0f,"
		       "\"ratio\":%.2f}\n",
			records, batches[b], 1e6 * records * rounds / (double)bare_us,
			1e6 * records * rounds / (double)recover_us,
			(double)bare_us / (double)recover_us);
	}
	for (unsigned i = 0; i < records; i++)
		bson_destroy(&documents[i]);
	free(documents);
	world_close(world);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(compare)};

	if (argc > 1)
		records = (unsigned)strtoul(argv[1], NULL, 10);
	if (argc > 2)
		rounds = (unsigned)strtoul(argv[2], NULL, 10);
	return cmocka_run_group_tests_name("mirror/bench", tests, server_setup, server_teardown);
}
