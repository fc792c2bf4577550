/* See world.h. */
#include "tests/service/mirror/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

static void index_make(struct world *world, const char *collection, const char *json)
{
	bson_error_t error;
	bson_t *command;
	char text[400];

	snprintf(text, sizeof(text), "{\"createIndexes\":\"%s\",\"indexes\":[%s]}", collection,
		json);
	command = bson_new_from_json((const uint8_t *)text, -1, &error);
	assert_non_null(command);
	if (!mongoc_client_command_simple(
		    world->client, world->database, command, NULL, NULL, &error))
		fail_msg("createIndexes: %s", error.message);
	bson_destroy(command);
}

struct world *world_open(void)
{
	static unsigned number;
	struct world *world = calloc(1, sizeof(*world));
	char error[256];

	assert_non_null(world);
	snprintf(world->dir, sizeof(world->dir), "/tmp/refkey-index-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	snprintf(world->database, sizeof(world->database), "refkey_test_%d_%u", (int)getpid(),
		number++);
	assert_int_equal(rk_store_open(&world->store,
				 &(struct rk_store_options){world->dir, 1 << 28}, error),
		0);
	assert_int_equal(rk_writer_create(&world->writer, world->store), 0);
	assert_int_equal(rk_snapshot_create(&world->snapshot, world->store), 0);
	world->client = mongoc_client_new(server_patient_uri());
	assert_non_null(world->client);
	world->options = (struct rk_mirror_options){
		.uri = server_uri(),
		.database = world->database,
		.batch = 64,
		.recover = RK_RECOVER_NEW,
		.on_delete = RK_ON_DELETE_SOFT,
		.guest_user = "art-guest",
		.sweep_seconds = 600,
	};
	index_make(
		world, "paintings", "{\"key\":{\"code\":1},\"name\":\"code_1\",\"unique\":true}");
	index_make(world, "paintings",
		"{\"key\":{\"slug\":1,\"user\":1},\"name\":\"slug_1_user_1\",\"unique\":true}");
	insert_document(
		world, "users", "{'_id':'auth0|a','atproto':{'did':'did:plc:a','password':'x'}}");
	insert_document(
		world, "users", "{'_id':'auth0|b','atproto':{'did':'did:plc:b','password':'x'}}");
	insert_document(world, "users", "{'_id':'auth0|none'}");
	insert_document(world, "users", "{'_id':'art-guest','atproto':{'did':'did:plc:guest'}}");
	insert_document(world, "@handles", "{'_id':'auth0|a','handle':'alice'}");
	insert_document(world, "@handles", "{'_id':'auth0|none','handle':'none'}");
	return world;
}

void world_mirror(struct world *world)
{
	assert_int_equal(
		rk_mirror_create(&world->mirror, world->store, world->writer, &world->options), 0);
}

void world_mirror_stop(struct world *world)
{
	rk_mirror_destroy(world->mirror);
	world->mirror = NULL;
}

void world_close(struct world *world)
{
	mongoc_database_t *database;

	world_mirror_stop(world);
	rk_snapshot_destroy(world->snapshot);
	rk_writer_destroy(world->writer);
	rk_store_close(world->store);
	database = mongoc_client_get_database(world->client, world->database);
	mongoc_database_drop(database, NULL);
	mongoc_database_destroy(database);
	mongoc_client_destroy(world->client);
	remove_tree(world->dir);
	free(world);
}

/* Runs in the writer, and wakes the mirror as the service does. */
static void write_all(
	struct world *world, int (*run)(void *context, struct rk_write *w), void *context)
{
	assert_int_equal(rk_writer_call(world->writer, run, context), 0);
	if (world->mirror)
		rk_mirror_wake(world->mirror);
}

struct repo_change {
	const char *did;
	rk_repo_id id;
	uint8_t set, clear;
	int sync, account;
};

static int repo_run(void *context, struct rk_write *w)
{
	struct repo_change *change = context;
	struct rk_repo repo;
	char did[RK_DID_MOST];
	int r = change->did ? rk_write_repo_make(w, &repo, rk_slice_str(change->did))
			    : rk_read_repo(rk_write_view(w), &repo, change->id);

	if (r)
		return r;
	memcpy(did, repo.did.data, repo.did.len);
	repo.did.data = (uint8_t *)did;
	change->id = repo.id;
	repo.sync = (uint8_t)change->sync;
	repo.account = (uint8_t)change->account;
	repo.flags = (uint8_t)((repo.flags | change->set) & ~change->clear);
	return rk_write_repo(w, &repo);
}

rk_repo_id world_repo(struct world *world, const char *did)
{
	struct repo_change change = {
		.did = did, .sync = RK_SYNC_SYNCHRONIZED, .set = RK_REPO_BACKFILLED};

	write_all(world, repo_run, &change);
	return change.id;
}

void world_repo_flags(
	struct world *world, rk_repo_id id, uint8_t set, uint8_t clear, int sync, int account)
{
	struct repo_change change = {
		.id = id, .set = set, .clear = clear, .sync = sync, .account = account};

	write_all(world, repo_run, &change);
}

static int change_run(void *context, struct rk_write *w)
{
	return rk_write_change(w, context);
}

static void put(struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey,
	struct rk_facts facts, const char *json, enum rk_change_source source)
{
	struct rk_change_record record = {
		.collection = collection,
		.rkey = rk_slice_str(rkey),
		.read = {facts, rk_slice_str(json)},
	};
	struct rk_change change = {
		.repo = repo,
		.source = source,
		.records = &record,
		.count = 1,
		.now_us = rk_clock_wall_us(),
	};
	unsigned number = world->cids++;

	rk_cid_compute(&record.cid, RK_CODEC_DAG_CBOR, rk_slice_make(&number, sizeof(number)));
	write_all(world, change_run, &change);
}

#define WHEN    "2025-03-01T12:00:00.000Z"
#define WHEN_MS INT64_C(1740830400000)

void put_mood(struct world *world, rk_repo_id repo, const char *rkey, const char *ref,
	const char *mood, enum rk_change_source source)
{
	const struct rk_facts facts = {
		.ref = rk_slice_str(ref), .has_when = true, .when_ms = WHEN_MS};
	char json[400];

	snprintf(json, sizeof(json), "{\"mood\":\"%s\",\"when\":\"" WHEN "\"%s%s%s}", mood,
		ref ? ",\"ref\":\"" : "", ref ? ref : "", ref ? "\"" : "");
	put(world, repo, RK_COLLECTION_MOOD, rkey, facts, json, source);
}

void put_painting(struct world *world, rk_repo_id repo, const char *rkey, const char *ref,
	const char *slug, const char *code, enum rk_change_source source)
{
	const struct rk_facts facts = {.ref = rk_slice_str(ref),
		.slug = rk_slice_str(slug),
		.code = rk_slice_str(code),
		.has_when = true,
		.when_ms = WHEN_MS};
	char json[400];

	snprintf(json, sizeof(json),
		"{\"slug\":\"%s\",\"code\":\"%s\",\"imageUrl\":\"https://e.test\",\"when\":\"" WHEN
		"\"%s%s%s}",
		slug, code, ref ? ",\"ref\":\"" : "", ref ? ref : "", ref ? "\"" : "");
	put(world, repo, RK_COLLECTION_PAINTING, rkey, facts, json, source);
}

void put_invalid(struct world *world, rk_repo_id repo, const char *rkey, const char *ref)
{
	const struct rk_facts facts = {.ref = rk_slice_str(ref), .invalid = "no mood"};

	put(world, repo, RK_COLLECTION_MOOD, rkey, facts, "{}", RK_CHANGE_LIVE);
}

void remove_record(
	struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey, bool vanished)
{
	struct rk_change_record record = {.collection = collection, .rkey = rk_slice_str(rkey)};
	struct rk_change change = {
		.repo = repo,
		.vanished = vanished,
		.records = &record,
		.count = 1,
		.now_us = rk_clock_wall_us(),
	};

	write_all(world, change_run, &change);
}

struct marking {
	rk_repo_id repo;
	uint8_t collection, flags;
	const char *rkey;
};

static int marking_run(void *context, struct rk_write *w)
{
	const struct marking *m = context;

	return rk_write_pending(
		w, m->repo, m->collection, rk_slice_str(m->rkey), m->flags, rk_clock_wall_ms());
}

void look_again(
	struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey, uint8_t flags)
{
	struct marking marking = {repo, collection, flags, rkey};

	write_all(world, marking_run, &marking);
}

/* Single quotes become double ones. */
static bson_t *parse(const char *text)
{
	char *json = strdup(text);
	bson_error_t error;
	bson_t *bson;

	assert_non_null(json);
	for (char *at = json; *at; at++)
		*at = *at == '\'' ? '"' : *at;
	bson = bson_new_from_json((const uint8_t *)json, -1, &error);
	if (!bson)
		fail_msg("%s: %s", text, error.message);
	free(json);
	return bson;
}

static bson_t *by_oid(const char *oid)
{
	char text[80];

	snprintf(text, sizeof(text), "{'_id':{'$oid':'%s'}}", oid);
	return parse(text);
}

static mongoc_collection_t *collection_of(struct world *world, const char *name)
{
	return mongoc_client_get_collection(world->client, world->database, name);
}

void insert_document(struct world *world, const char *collection, const char *json)
{
	mongoc_collection_t *c = collection_of(world, collection);
	bson_t *document = parse(json);
	bson_error_t error;

	if (!mongoc_collection_insert_one(c, document, NULL, NULL, &error))
		fail_msg("insert: %s", error.message);
	bson_destroy(document);
	mongoc_collection_destroy(c);
}

void update_document(struct world *world, const char *collection, const char *oid, const char *json)
{
	mongoc_collection_t *c = collection_of(world, collection);
	bson_t *filter = by_oid(oid), *update = parse(json);
	bson_error_t error;

	if (!mongoc_collection_update_one(c, filter, update, NULL, NULL, &error))
		fail_msg("update: %s", error.message);
	bson_destroy(filter);
	bson_destroy(update);
	mongoc_collection_destroy(c);
}

void delete_document(struct world *world, const char *collection, const char *oid)
{
	mongoc_collection_t *c = collection_of(world, collection);
	bson_t *filter = by_oid(oid);
	bson_error_t error;

	if (!mongoc_collection_delete_one(c, filter, NULL, NULL, &error))
		fail_msg("delete: %s", error.message);
	bson_destroy(filter);
	mongoc_collection_destroy(c);
}

int64_t count_documents(struct world *world, const char *collection, const char *filter)
{
	mongoc_collection_t *c = collection_of(world, collection);
	bson_t *query = parse(filter);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, query, NULL, NULL);
	bson_error_t error;
	const bson_t *one;
	int64_t count = 0;

	while (mongoc_cursor_next(cursor, &one))
		count++;
	if (mongoc_cursor_error(cursor, &error))
		fail_msg("find: %s", error.message);
	mongoc_cursor_destroy(cursor);
	bson_destroy(query);
	mongoc_collection_destroy(c);
	return count;
}

void wait_document(struct world *world, const char *collection, const char *filter)
{
	int64_t started_ms = rk_clock_mono_ms();

	while (count_documents(world, collection, filter) == 0) {
		if (is_late(started_ms))
			fail_msg("no document in %s matches %s", collection, filter);
	}
}

static int record_read(struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey,
	enum rk_link *link, uint32_t *issues)
{
	struct rk_record record = {0};
	int r;

	assert_int_equal(rk_snapshot_begin(world->snapshot), 0);
	r = rk_read_record(world->snapshot, &record, repo, collection, rk_slice_str(rkey));
	*link = (enum rk_link)record.link;
	*issues = record.issues;
	rk_snapshot_end(world->snapshot);
	return r;
}

void wait_link(struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey,
	enum rk_link link, uint32_t issues)
{
	int64_t started_ms = rk_clock_mono_ms();
	uint32_t now_issues;
	enum rk_link now;
	int r;

	do {
		r = record_read(world, repo, collection, rkey, &now, &now_issues);
		if (r == 0 && now == link && now_issues == issues)
			return;
	} while (!is_late(started_ms));
	fail_msg("%s: read %d, link %d and issues %x, not %d and %x", rkey, r, now, now_issues,
		link, issues);
}

uint32_t issues_of(struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey)
{
	uint32_t issues;
	enum rk_link link;

	assert_int_equal(record_read(world, repo, collection, rkey, &link, &issues), 0);
	return issues;
}

void wait_issue(struct world *world, enum rk_issue_kind kind, uint64_t count)
{
	int64_t started_ms = rk_clock_mono_ms();
	struct rk_counts counts;

	do {
		assert_int_equal(rk_snapshot_begin(world->snapshot), 0);
		assert_int_equal(rk_read_counts(world->snapshot, &counts), 0);
		rk_snapshot_end(world->snapshot);
		if (counts.issues[kind] == count)
			return;
	} while (!is_late(started_ms));
	fail_msg("%s: %d issues, not %d", rk_issue_names[kind], (int)counts.issues[kind],
		(int)count);
}

void wait_quiet(struct world *world)
{
	int64_t started_ms = rk_clock_mono_ms(), due_ms;

	do {
		assert_int_equal(rk_snapshot_begin(world->snapshot), 0);
		assert_int_equal(rk_read_pending_due(world->snapshot, &due_ms), 0);
		rk_snapshot_end(world->snapshot);
		if (due_ms > rk_clock_wall_ms() + 5000)
			return;
	} while (!is_late(started_ms));
	fail_msg("work is left");
}

void wait_connected(struct world *world, bool connected)
{
	int64_t started_ms = rk_clock_mono_ms();

	while (rk_mirror_connected(world->mirror) != connected)
		assert_false(is_late(started_ms));
}
