/* refkey recover, on a real server: what it inserts, what it leaves, its bounds, its dry run. */
#include "tests/service/mirror/world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MOOD     RK_COLLECTION_MOOD
#define R1       "3kaaaaaaaaaa2"
#define R2       "3kaaaaaaaaab2"
#define R3       "3kaaaaaaaaac2"
#define R4       "3kaaaaaaaaad2"
#define ID(last) "{'_id':{'$oid':'" OLD_OID(last) "'}"

struct heard {
	unsigned lines;
	uint64_t done, total;
};

static void on_line(void *context, const char *uri, const char *ref, const char *action)
{
	struct heard *heard = context;

	assert_memory_equal(uri, "at://did:plc:", 13);
	assert_true(strcmp(action, "linked") == 0 || strcmp(action, "inserted") == 0);
	heard->lines++;
}

static void on_progress(void *context, uint64_t done, uint64_t total)
{
	struct heard *heard = context;

	heard->done = done;
	heard->total = total;
}

/* A first backfill: one document without its key, one erased, one removed later, one of another user. */
static struct world *backfilled(rk_repo_id *a, rk_repo_id *b)
{
	struct world *w = world_open();

	*a = world_repo(w, "did:plc:a");
	*b = world_repo(w, "did:plc:b");
	insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'m'}");
	insert_document(w, "moods", ID("03") ",'user':'auth0|a','mood':'m'}");
	put_mood(w, *a, R1, OLD_OID("01"), "m", RK_CHANGE_FIRST);
	put_mood(w, *a, R2, OLD_OID("02"), "m", RK_CHANGE_FIRST);
	put_mood(w, *a, R3, OLD_OID("03"), "m", RK_CHANGE_FIRST);
	put_mood(w, *b, R4, OLD_OID("04"), "m", RK_CHANGE_FIRST);
	put_invalid(w, *b, R1, NULL);
	world_mirror(w);
	wait_link(w, *a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, *a, MOOD, R2, RK_LINK_NONE, BIT(ABSENT));
	wait_link(w, *a, MOOD, R3, RK_LINK_LINKED, 0);
	delete_document(w, "moods", OLD_OID("03"));
	return w;
}

static void inserts_what_a_first_backfill_found(void **state)
{
	rk_repo_id a, b;
	struct world *w = backfilled(&a, &b);
	struct heard heard = {0};
	struct rk_recover_summary sum;
	struct rk_recover_request request = {
		.dry_run = true, .line = on_line, .progress = on_progress, .context = &heard};

	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.records, 5);
	assert_int_equal(sum.counts[RK_RECOVER_INSERTED], 2);
	assert_int_equal(sum.counts[RK_RECOVER_UNCHANGED], 1);
	assert_int_equal(sum.counts[RK_RECOVER_ORPHAN], 1);
	assert_int_equal(sum.counts[RK_RECOVER_INVALID], 1);
	assert_int_equal(heard.lines, 2);
	assert_int_equal(heard.done, 5);
	assert_int_equal(heard.total, 5);
	assert_int_equal(count_documents(w, "moods", "{}"), 1);
	assert_int_equal(issues_of(w, a, MOOD, R2), BIT(ABSENT));

	request.dry_run = false;
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.counts[RK_RECOVER_INSERTED], 2);
	assert_int_equal(heard.lines, 4);
	wait_link(w, a, MOOD, R2, RK_LINK_LINKED, 0);
	wait_link(w, b, MOOD, R4, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R3, RK_LINK_NONE, BIT(ORPHAN));
	assert_int_equal(count_documents(w, "moods", "{}"), 3);

	/* Again: nothing left but what only restoring brings back. */
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.counts[RK_RECOVER_INSERTED], 0);
	assert_int_equal(sum.counts[RK_RECOVER_UNCHANGED], 3);
	request.restore = true;
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.counts[RK_RECOVER_INSERTED], 1);
	wait_document(w, "moods", ID("03") ",'atproto.rkey':'" R3 "'}");
	world_close(w);
}

static void keeps_to_users_and_limits(void **state)
{
	static const char *const alice[] = {"@ALICE", NULL}, *const id[] = {"auth0|b", NULL};
	static const char *const did[] = {"did:plc:b", NULL}, *const nobody[] = {"@nobody", NULL};
	static const char *const none[] = {"@none", NULL};
	static const atomic_bool stop = true;
	rk_repo_id a, b;
	struct world *w = backfilled(&a, &b);
	struct rk_recover_request request = {.users = nobody};
	struct rk_recover_summary sum;

	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), -ENOENT);
	assert_string_equal(sum.error, "no such user: @nobody");
	request.users = none;
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), -ENOENT);
	assert_string_equal(sum.error, "@none has no ATProto account");
	request = (struct rk_recover_request){.dry_run = true, .users = alice};
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.records, 3);
	request.users = id;
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.records, 2);
	request.users = NULL;
	request.skip = did;
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.records, 3);
	request = (struct rk_recover_request){.limit = 1};
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_true(sum.limited);
	assert_int_equal(sum.counts[RK_RECOVER_INSERTED], 1);
	assert_int_equal(count_documents(w, "moods", "{}"), 2);
	request = (struct rk_recover_request){.stop = &stop};
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_true(sum.stopped);
	assert_int_equal(count_documents(w, "moods", "{}"), 2);
	world_close(w);
}

/* More records than one round and one bulk, with documents there already, and others coming. */
static void many_in_small_bulks(void **state)
{
	enum { COUNT = 2500 };
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");
	struct rk_recover_request request = {.batch_size = 50};
	struct rk_recover_summary sum;
	char rkey[32], oid[25], document[120];

	for (int i = 0; i < COUNT; i++) {
		snprintf(rkey, sizeof(rkey), "3kaaaaaa%c%c%c%c2", 'a' + i / 26 / 26 % 26,
			'a' + i / 26 % 26, 'a' + i % 26, 'a');
		snprintf(oid, sizeof(oid), "65e1c0ffee65e1c0ffee%04x", i);
		put_mood(w, a, rkey, i % 25 == 1 ? NULL : oid, "m", RK_CHANGE_FIRST);
		snprintf(document, sizeof(document), "{'_id':{'$oid':'%s'},'user':'auth0|a'}", oid);
		if (i % 100 == 0)
			insert_document(w, "moods", document);
	}
	w->options.on_request_only = true;
	world_mirror(w);
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.records, COUNT);
	assert_int_equal(sum.counts[RK_RECOVER_LINKED], COUNT / 100);
	assert_int_equal(sum.counts[RK_RECOVER_INSERTED], COUNT - COUNT / 100);
	assert_int_equal(count_documents(w, "moods", "{}"), COUNT);
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), 0);
	assert_int_equal(sum.counts[RK_RECOVER_UNCHANGED], COUNT);
	world_close(w);
}

static void says_when_mongodb_stays_away(void **state)
{
	struct world *w = world_open();
	struct rk_recover_request request = {0};
	struct rk_recover_summary sum;

	if (!server_is_ours() || !getenv("REFKEY_TEST_SLOW")) {
		world_close(w);
		skip();
	}
	server_kill();
	world_mirror(w);
	assert_int_equal(rk_mirror_recover(w->mirror, &sum, &request), -EHOSTUNREACH);
	server_start();
	world_close(w);
}

static void refuses_a_wrong_connection_string(void **state)
{
	struct world *w = world_open();
	struct rk_mirror *mirror;

	w->options.uri = "http://127.0.0.1/";
	assert_int_equal(rk_mirror_create(&mirror, w->store, w->writer, &w->options), -EINVAL);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inserts_what_a_first_backfill_found),
		cmocka_unit_test(keeps_to_users_and_limits),
		cmocka_unit_test(many_in_small_bulks),
		cmocka_unit_test(says_when_mongodb_stays_away),
		cmocka_unit_test(refuses_a_wrong_connection_string),
	};
	return cmocka_run_group_tests_name(
		"service/mirror/recover", tests, server_setup, server_teardown);
}
