/*
 * What only time shows, on a real server: MongoDB away at start and in the middle, changes on its side
 * alone, users that come to have a DID.
 */
#include "tests/service/mirror/world.h"

#include <stdio.h>
#include <stdlib.h>

#define MOOD     RK_COLLECTION_MOOD
#define R1       "3kaaaaaaaaaa2"
#define R2       "3kaaaaaaaaab2"
#define R3       "3kaaaaaaaaac2"
#define ID(last) "{'_id':{'$oid':'" OLD_OID(last) "'}"

static void a_server_away_delays_and_loses_nothing(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");

	if (!server_is_ours()) {
		world_close(w);
		skip();
	}
	insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'m'}");
	server_kill();
	world_mirror(w);
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	put_mood(w, a, R2, OLD_OID("02"), "new", RK_CHANGE_LIVE);
	assert_false(rk_mirror_connected(w->mirror));
	server_start();
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R2, RK_LINK_LINKED, 0);
	for (int i = 0; i < 3; i++) {
		char rkey[16], oid[32], filter[80];

		server_kill();
		snprintf(rkey, sizeof(rkey), "3kaaaaaaaaa%c2", 'p' + i);
		snprintf(oid, sizeof(oid), OLD_OID("1%d"), i);
		put_mood(w, a, rkey, oid, "again", RK_CHANGE_LIVE);
		remove_record(w, a, MOOD, R1, false);
		wait_connected(w, false);
		server_start();
		wait_link(w, a, MOOD, rkey, RK_LINK_LINKED, 0);
		snprintf(filter, sizeof(filter), "{'atproto.rkey':'%s'}", rkey);
		assert_int_equal(count_documents(w, "moods", filter), 1);
	}
	wait_document(w, "moods", ID("01") ",'deleted':true}");
	assert_int_equal(count_documents(w, "moods", "{}"), 5);
	world_close(w);
}

/* Kills the server again and again while records come: each ends with one document. */
static void killed_under_load(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");
	char rkey[32], oid[25];

	if (!server_is_ours()) {
		world_close(w);
		skip();
	}
	w->options.recover = RK_RECOVER_ALL;
	world_mirror(w);
	for (int i = 0; i < 600; i++) {
		snprintf(rkey, sizeof(rkey), "3kaaaaaa%c%c%c%c2", 'a' + i / 26 / 26 % 26,
			'a' + i / 26 % 26, 'a' + i % 26, 'a');
		snprintf(oid, sizeof(oid), "65e1c0ffee65e1c0ffee%04x", i);
		put_mood(w, a, rkey, oid, "m", RK_CHANGE_FIRST);
		if (i % 150 == 149) {
			server_kill();
			server_start();
		}
	}
	for (int i = 0; i < 600; i++) {
		snprintf(rkey, sizeof(rkey), "3kaaaaaa%c%c%c%c2", 'a' + i / 26 / 26 % 26,
			'a' + i / 26 % 26, 'a' + i % 26, 'a');
		wait_link(w, a, MOOD, rkey, RK_LINK_LINKED, 0);
	}
	assert_int_equal(count_documents(w, "moods", "{}"), 600);
	world_close(w);
}

/* Neither writing nor stopping waits for a server that is connected and says nothing. */
static void a_silent_server_is_given_up(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");

	if (!server_is_ours() || !getenv("REFKEY_TEST_SLOW")) {
		world_close(w);
		skip();
	}
	world_mirror(w);
	wait_connected(w, true);
	wait_quiet(w);
	server_freeze(true);
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	wait_connected(w, false);
	server_freeze(false);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	server_freeze(true);
	put_mood(w, a, R2, OLD_OID("02"), "m", RK_CHANGE_LIVE);
	world_mirror_stop(w); /* or it would wait for ever */
	server_freeze(false);
	world_close(w);
}

static void the_sweep_sees_what_changed_in_mongodb(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a"), b = world_repo(w, "did:plc:b");

	w->options.sweep_seconds = 1;
	insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'removed'}");
	insert_document(w, "moods", ID("02") ",'user':'auth0|a','mood':'back','deleted':true}");
	insert_document(w, "moods", ID("03") ",'user':'auth0|a','mood':'unset'}");
	insert_document(
		w, "moods", ID("04") ",'user':'auth0|b','atproto':{'rkey':'3kzzzzzzzzzz2'}}");
	insert_document(
		w, "moods", ID("05") ",'user':'auth0|x','atproto':{'rkey':'3kzzzzzzzzzz2'}}");
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	put_mood(w, a, R2, OLD_OID("02"), "m", RK_CHANGE_LIVE);
	put_mood(w, a, R3, OLD_OID("03"), "m", RK_CHANGE_LIVE);
	put_invalid(w, b, R1, OLD_OID("03"));
	world_mirror(w);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R2, RK_LINK_NONE, BIT(ORPHAN));
	wait_link(w, a, MOOD, R3, RK_LINK_LINKED, 0);
	wait_link(w, b, MOOD, R1, RK_LINK_CONFLICT, BIT(INVALID) | BIT(CONFLICT));
	wait_issue(w, RK_ISSUE_DANGLING, 1);
	delete_document(w, "moods", OLD_OID("01"));
	update_document(w, "moods", OLD_OID("02"), "{'$set':{'deleted':false}}");
	update_document(w, "moods", OLD_OID("03"), "{'$unset':{'atproto':''}}");
	update_document(w, "moods", OLD_OID("04"), "{'$unset':{'atproto':''}}");
	wait_link(w, a, MOOD, R1, RK_LINK_NONE, BIT(ORPHAN));
	wait_link(w, a, MOOD, R2, RK_LINK_LINKED, 0);
	wait_document(w, "moods", ID("02") ",'atproto.rkey':'" R2 "'}");
	wait_document(w, "moods", ID("03") ",'atproto.rkey':'" R3 "'}");
	wait_issue(w, RK_ISSUE_DANGLING, 0);
	/* A document given to somebody else takes its link with it. */
	update_document(w, "moods", OLD_OID("03"), "{'$set':{'user':'auth0|b'}}");
	wait_link(w, a, MOOD, R3, RK_LINK_CONFLICT, BIT(CONFLICT));
	update_document(w, "moods", OLD_OID("03"), "{'$set':{'user':'auth0|a'}}");
	wait_link(w, a, MOOD, R3, RK_LINK_LINKED, 0);
	world_close(w);
}

/* However often documents are swept, the second look comes. */
static void the_sweep_puts_off_no_second_look(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");

	w->options.sweep_seconds = 0;
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	world_mirror(w);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_document(w, "moods", ID("01") ",'user':'auth0|a'}");
	world_close(w);
}

static void unclaimed_repos_wait_for_their_user(void **state)
{
	struct world *w = world_open();
	rk_repo_id c = world_repo(w, "did:plc:c");

	insert_document(w, "moods", ID("01") ",'user':'auth0|c','mood':'m'}");
	put_mood(w, c, R1, OLD_OID("02"), "new", RK_CHANGE_LIVE);
	put_mood(w, c, R2, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	world_mirror(w);
	wait_link(w, c, MOOD, R1, RK_LINK_NONE, 0);
	wait_link(w, c, MOOD, R2, RK_LINK_CONFLICT, BIT(CONFLICT));
	wait_issue(w, RK_ISSUE_UNCLAIMED, 1);
	insert_document(w, "users", "{'_id':'auth0|c','atproto':{'did':'did:plc:c'}}");
	wait_link(w, c, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, c, MOOD, R2, RK_LINK_LINKED, 0);
	wait_issue(w, RK_ISSUE_CONFLICT, 0);
	wait_issue(w, RK_ISSUE_UNCLAIMED, 0);
	wait_document(w, "moods", ID("02") ",'user':'auth0|c'}");
	world_close(w);
}

static void inactive_and_forgotten_accounts_are_left_alone(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a"), b = world_repo(w, "did:plc:b");

	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	put_mood(w, b, R1, OLD_OID("02"), "m", RK_CHANGE_LIVE);
	world_repo_flags(w, a, 0, 0, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_DEACTIVATED);
	world_repo_flags(w, b, RK_REPO_TOMBSTONE, 0, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_ACTIVE);
	w->options.sweep_seconds = 1;
	world_mirror(w);
	wait_link(w, b, MOOD, R1, RK_LINK_NONE, 0);
	assert_int_equal(count_documents(w, "moods", "{}"), 0);
	world_repo_flags(w, a, 0, 0, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_ACTIVE);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	assert_int_equal(count_documents(w, "moods", "{}"), 1);
	world_close(w);
}

/* A rule of the server refuses one document; the others go in, and it is not tried again. */
static void refused_documents_hold_up_nobody(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");

	w->options.sweep_seconds = 1;
	insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'m','atproto':'odd'}");
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	put_mood(w, a, R2, OLD_OID("02"), "m", RK_CHANGE_LIVE);
	put_mood(w, a, R3, OLD_OID("03"), "m", RK_CHANGE_LIVE);
	world_mirror(w);
	wait_link(w, a, MOOD, R2, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R3, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R1, RK_LINK_NONE, BIT(REJECTED));
	wait_quiet(w);
	wait_document(w, "moods", ID("01") ",'atproto':'odd'}");
	/* Until the document changes. */
	update_document(w, "moods", OLD_OID("01"), "{'$unset':{'atproto':''}}");
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_document(w, "moods", ID("01") ",'atproto.rkey':'" R1 "'}");
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_server_away_delays_and_loses_nothing),
		cmocka_unit_test(killed_under_load),
		cmocka_unit_test(a_silent_server_is_given_up),
		cmocka_unit_test(the_sweep_sees_what_changed_in_mongodb),
		cmocka_unit_test(the_sweep_puts_off_no_second_look),
		cmocka_unit_test(unclaimed_repos_wait_for_their_user),
		cmocka_unit_test(inactive_and_forgotten_accounts_are_left_alone),
		cmocka_unit_test(refused_documents_hold_up_nobody),
	};
	return cmocka_run_group_tests_name(
		"service/mirror/time", tests, server_setup, server_teardown);
}
