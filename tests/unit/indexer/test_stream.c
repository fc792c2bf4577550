/*
 * Rules of indexer/indexer, ring to index, with the threads as they are and no source: the cursor names
 * the last event that is in, what cannot be written stays in the ring, and what is not believed says
 * nothing of how far the stream has come.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "indexer/inside.h"
#include "store/inside.h"
#include "tests/unit/vectors.h"

static const char did[] = "did:plc:abcdefghijklmnopqrstuvwx";
static const char unknown[] = "did:plc:xwvutsrqponmlkjihgfedcba";
static const char source[] = "http://127.0.0.1:1"; /* nobody there */

enum { DEADLINE_MS = 20000 };

struct world {
	char dir[64];
	struct rk_store *store;
	struct rk_writer *writer;
	struct rk_indexer *indexer;
};

static int repo_make(void *text, struct rk_write *w)
{
	struct rk_repo repo;
	int r = rk_write_repo_make(w, &repo, rk_slice_str(text));

	repo.sync = RK_SYNC_SYNCHRONIZED;
	return r ? r : rk_write_repo(w, &repo);
}

static int world_make(void **state, bool relay)
{
	struct world *world = calloc(1, sizeof(*world));
	const struct rk_store_options options = {.dir = world->dir, .map_bytes = 64 << 20};
	const struct rk_indexer_options how = {.source = source,
		.relay = relay,
		.plc = source,
		.data_dir = world->dir,
		.allow_private = true,
		.threads = 2,
		.sweep_seconds = 3600};
	char error[256];

	snprintf(world->dir, sizeof(world->dir), "/tmp/refkey-stream-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	assert_int_equal(rk_store_open(&world->store, &options, error), 0);
	assert_int_equal(rk_writer_create(&world->writer, world->store), 0);
	assert_int_equal(rk_writer_call(world->writer, repo_make, (void *)did), 0);
	assert_int_equal(rk_indexer_create(&world->indexer, world->store, world->writer, &how), 0);
	*state = world;
	return 0;
}

static int world_begin(void **state)
{
	return world_make(state, false);
}

static int relay_begin(void **state)
{
	return world_make(state, true);
}

static int world_end(void **state)
{
	struct world *world = *state;
	char command[128];

	rk_indexer_destroy(world->indexer);
	rk_writer_destroy(world->writer);
	rk_store_close(world->store);
	snprintf(command, sizeof(command), "rm -r %s", world->dir);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

static void push(struct world *world, struct rk_slice frame)
{
	assert_true(rk_ring_push(world->indexer->ring, frame, false, false));
}

static void add_text(struct rk_buf *out, const char *name, const char *value)
{
	rk_cbor_put_text(out, rk_slice_str(name));
	rk_cbor_put_text(out, rk_slice_str(value));
}

/* The account is deactivated, or active again. */
static void push_account_of(struct world *world, const char *whose, int64_t seq, bool active)
{
	struct rk_buf frame = {0};

	rk_cbor_put_map(&frame, 2);
	add_text(&frame, "t", "#account");
	rk_cbor_put_text(&frame, rk_slice_str("op"));
	rk_cbor_put_int(&frame, 1);
	rk_cbor_put_map(&frame, active ? 4 : 5);
	add_text(&frame, "did", whose);
	rk_cbor_put_text(&frame, rk_slice_str("seq"));
	rk_cbor_put_int(&frame, seq);
	add_text(&frame, "time", "2026-01-02T03:04:05.678Z");
	rk_cbor_put_text(&frame, rk_slice_str("active"));
	rk_cbor_put_bool(&frame, active);
	if (!active)
		add_text(&frame, "status", "deactivated");
	push(world, rk_buf_slice(&frame));
	rk_buf_finish(&frame);
}

static void push_account(struct world *world, int64_t seq, bool active)
{
	push_account_of(world, did, seq, active);
}

static void settled(struct world *world)
{
	assert_true(rk_ring_wait_empty(world->indexer->ring, DEADLINE_MS));
}

static int64_t cursor_now(struct world *world, enum rk_account *account)
{
	struct rk_snapshot *snapshot;
	struct rk_cursor cursor = {0};
	struct rk_repo repo;

	assert_int_equal(rk_snapshot_create(&snapshot, world->store), 0);
	assert_int_equal(rk_snapshot_begin(snapshot), 0);
	assert_true(rk_read_cursor(snapshot, &cursor, rk_slice_str(source)) >= 0);
	assert_int_equal(rk_read_repo_by_did(snapshot, &repo, rk_slice_str(did)), 0);
	*account = (enum rk_account)repo.account;
	rk_snapshot_end(snapshot);
	rk_snapshot_destroy(snapshot);
	return cursor.seq;
}

static void cursor_is_the_last_event_that_is_in(void **state)
{
	struct world *world = *state;
	enum rk_account account;

	push_account(world, 5, false);
	settled(world);
	assert_int_equal(cursor_now(world, &account), 5);
	assert_int_equal(account, RK_ACCOUNT_DEACTIVATED);
	for (int64_t seq = 6; seq < 40; seq++)
		push_account(world, seq * 2, seq % 2 == 0);
	settled(world);
	assert_int_equal(cursor_now(world, &account), 78);
	assert_int_equal(account, RK_ACCOUNT_DEACTIVATED);
}

/* What the DID leads to; behind the writer's back, as a damaged disk would. */
static void did_entry_set(struct world *world, size_t len)
{
	static const uint8_t id[4] = {0, 0, 0, 1};
	struct rk_key_buf key = {0};
	MDB_val k, v = rk_val(rk_slice_make(id, len));
	MDB_txn *txn;

	rk_key_did(&key, rk_slice_str(did));
	k = rk_val(rk_key_slice(&key));
	assert_int_equal(mdb_txn_begin(world->store->env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_put(txn, world->store->dbi[RK_TABLE_DID], &k, &v, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
}

static void what_cannot_be_written_is_tried_again(void **state)
{
	struct world *world = *state;
	const struct timespec pause = {.tv_nsec = 1000000};
	enum rk_account account;

	push_account(world, 5, true);
	settled(world);
	did_entry_set(world, 3);
	push_account(world, 6, false);
	while (rk_writer_fault(world->writer) == 0 && !rk_ring_is_empty(world->indexer->ring))
		nanosleep(&pause, NULL);
	assert_int_equal(rk_writer_fault(world->writer), -EUCLEAN);
	assert_false(rk_ring_is_empty(world->indexer->ring));
	did_entry_set(world, 4);
	settled(world);
	assert_int_equal(cursor_now(world, &account), 6);
	assert_int_equal(account, RK_ACCOUNT_DEACTIVATED);
}

/* A commit of an account that is known, whose key is not: it waits. Freed by the caller. */
static struct rk_slice waiting_frame(struct world *world, int64_t *seq, char whose[RK_DID_MOST + 1])
{
	struct rk_slice frame = rk_test_read_source("tests/fixtures/commit-create.frame");
	struct rk_arena arena = {0};
	struct rk_event event;

	assert_int_equal(rk_event_parse(&event, &arena, frame), RK_EVENT_OK);
	assert_true(event.seq > 1);
	*seq = event.seq;
	snprintf(whose, RK_DID_MOST + 1, "%.*s", RK_SLICE_ARG(event.did.text));
	assert_int_equal(rk_writer_call(world->writer, repo_make, whose), 0);
	rk_arena_finish(&arena);
	return frame;
}

static void what_is_not_believed_moves_no_cursor(void **state)
{
	struct world *world = *state;
	enum rk_account account;
	char whose[RK_DID_MOST + 1];
	int64_t seq;
	struct rk_slice frame = waiting_frame(world, &seq, whose);

	push_account(world, seq - 1, true);
	push(world, frame);
	settled(world);
	assert_int_equal(cursor_now(world, &account), seq - 1);
	push_account(world, seq + 1, false);
	settled(world);
	assert_int_equal(cursor_now(world, &account), seq + 1);
	free((void *)frame.data);
}

/* On the writer's thread. */
struct look {
	struct world *world;
	struct rk_slice frame;
	char whose[RK_DID_MOST + 1]; /* it is */
	int64_t seq;
	bool waits;
};

/* So that the next transaction takes both. */
static int push_two(void *context, struct rk_write *w)
{
	struct look *look = context;
	const struct timespec pause = {.tv_nsec = 1000000};

	push(look->world, look->frame);
	push_account_of(look->world, unknown, look->seq + 1, false);
	for (int i = 0; i < DEADLINE_MS && !rk_ring_ready(look->world->indexer->ring, 1); i++)
		nanosleep(&pause, NULL);
	return 0;
}

static int look_for_unknown(void *context, struct rk_write *w)
{
	struct look *look = context;

	look->waits = rk_waiting_has(look->world->indexer->waiting, rk_slice_str(unknown));
	return 0;
}

static void what_is_foreign_does_not_wait_behind_what_does(void **state)
{
	struct world *world = *state;
	struct look look = {.world = world};

	look.frame = waiting_frame(world, &look.seq, look.whose);
	assert_int_equal(rk_writer_call(world->writer, push_two, &look), 0);
	settled(world);
	assert_int_equal(rk_writer_call(world->writer, look_for_unknown, &look), 0);
	assert_false(look.waits);
	free((void *)look.frame.data);
}

/* On the writer's thread: a frame of an account whose key is not known waits. */
static int wait_for_key(void *context, struct rk_write *w)
{
	struct look *look = context;

	assert_true(rk_waiting_add(
		look->world->indexer->waiting, rk_slice_str(unknown), look->frame, 0, true));
	return 0;
}

/* Two jobs, so that the second one's transaction takes a frame, too: the first lets no other begin until the
 * frame is ready and the second is handed over. */
struct pair {
	struct rk_writer_job first, second;
	struct look look;
	atomic_bool begun, handed_over, done;
	bool lost;
};

static int frame_take(struct rk_writer_job *job, struct rk_write *w)
{
	struct pair *pair = (struct pair *)job;
	const struct timespec pause = {.tv_nsec = 1000000};

	push(pair->look.world, pair->look.frame);
	atomic_store(&pair->begun, true);
	for (int i = 0; i < DEADLINE_MS &&
		!(atomic_load(&pair->handed_over) &&
			rk_ring_ready(pair->look.world->indexer->ring, 0));
		i++)
		nanosleep(&pause, NULL);
	return 0;
}

/* As of a repo that has come in, or a DID document. */
static int what_waits_replay(struct rk_writer_job *job, struct rk_write *w)
{
	struct pair *pair = (struct pair *)((char *)job - offsetof(struct pair, second));
	struct rk_indexer *indexer = pair->look.world->indexer;

	assert_int_equal(indexer->drained.slots, 1);
	assert_true(rk_replay_waits(indexer, rk_slice_str(pair->look.whose)));
	return rk_replay(indexer, w, rk_slice_str(pair->look.whose), &pair->lost);
}

static void pair_done(struct rk_writer_job *job, bool ok)
{
	struct pair *pair = (struct pair *)((char *)job - offsetof(struct pair, second));

	atomic_store(&pair->done, ok);
}

static void first_done(struct rk_writer_job *job, bool ok)
{
	assert_true(ok);
}

static int look_for_frame(void *context, struct rk_write *w)
{
	struct look *look = context;

	look->waits = rk_waiting_has(look->world->indexer->waiting, rk_slice_str(look->whose));
	return 0;
}

static void what_comes_with_the_end_of_a_wait_does_not_wait_on(void **state)
{
	struct world *world = *state;
	const struct timespec pause = {.tv_nsec = 1000000};
	struct pair pair = {
		.first = {.run = frame_take, .done = first_done},
		.second = {.run = what_waits_replay, .done = pair_done},
		.look = {.world = world},
	};
	int64_t refused = rk_metric_refused_get(RK_VERDICT_KEY_UNKNOWN);

	pair.look.frame = waiting_frame(world, &pair.look.seq, pair.look.whose);
	rk_writer_submit(world->writer, &pair.first);
	while (!atomic_load(&pair.begun))
		nanosleep(&pause, NULL);
	rk_writer_submit(world->writer, &pair.second);
	atomic_store(&pair.handed_over, true);
	settled(world);
	while (!atomic_load(&pair.done))
		nanosleep(&pause, NULL);
	assert_false(pair.lost);
	/* Without a document even now, it is refused. */
	assert_int_equal(rk_metric_refused_get(RK_VERDICT_KEY_UNKNOWN), refused + 1);
	assert_int_equal(rk_writer_call(world->writer, look_for_frame, &pair.look), 0);
	assert_false(pair.look.waits);
	free((void *)pair.look.frame.data);
}

/* Accounts whose documents are to be read at some later time: no other has room. */
static void wishes_fill(struct rk_indexer *indexer)
{
	char name[32];

	pthread_mutex_lock(&indexer->lock);
	for (int i = 0;; i++) {
		snprintf(name, sizeof(name), "did:plc:%d", i);
		if (!rk_wishes_add(&indexer->wishes, rk_slice_str(name), RK_WISH_STRANGER,
			    INT64_MAX / 2, 0))
			break;
	}
	pthread_mutex_unlock(&indexer->lock);
}

/* The directory does not answer, or (resting) is not to be asked. */
static void is_given_up(struct world *world, bool resting)
{
	struct rk_indexer *indexer = world->indexer;
	const struct rk_wish wish = {.did = (char *)unknown, .kind = RK_WISH_STRANGER};
	struct look look = {.world = world, .frame = rk_slice_str("no frame")};
	struct rk_fetcher fetcher;

	assert_int_equal(rk_writer_call(world->writer, wait_for_key, &look), 0);
	wishes_fill(indexer);
	pthread_mutex_lock(&indexer->lock);
	indexer->wishes.directory_ms = resting ? INT64_MAX / 2 : 0;
	pthread_mutex_unlock(&indexer->lock);
	assert_int_equal(rk_fetcher_init(&fetcher, indexer, 0), 0);
	rk_identity_grant(&fetcher, &wish);
	rk_fetcher_finish(&fetcher);
	assert_int_equal(rk_writer_call(world->writer, look_for_unknown, &look), 0);
	assert_false(look.waits);
}

static void nothing_waits_for_what_nobody_comes_for(void **state)
{
	is_given_up(*state, false);
	is_given_up(*state, true);
}

static int setup(void **state)
{
	rk_log_setup(RK_LOG_ERROR, RK_LOG_TEXT);
	return rk_http_global_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			cursor_is_the_last_event_that_is_in, world_begin, world_end),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_written_is_tried_again, world_begin, world_end),
		cmocka_unit_test_setup_teardown(
			what_is_not_believed_moves_no_cursor, world_begin, world_end),
		cmocka_unit_test_setup_teardown(
			what_is_foreign_does_not_wait_behind_what_does, relay_begin, world_end),
		cmocka_unit_test_setup_teardown(
			what_comes_with_the_end_of_a_wait_does_not_wait_on, world_begin, world_end),
		cmocka_unit_test_setup_teardown(
			nothing_waits_for_what_nobody_comes_for, relay_begin, world_end),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
