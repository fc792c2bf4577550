/*
 * The recovery table on a real server: what a document looks like after each row, and what the index
 * knows then. tests/unit/mirror/test_decide.c has every row; here are those that write or read.
 */
#include "tests/service/mirror/world.h"

#include <stdio.h>
#include <time.h>

#define MOOD     RK_COLLECTION_MOOD
#define PAINTING RK_COLLECTION_PAINTING
#define R1       "3kaaaaaaaaaa2"
#define R2       "3kaaaaaaaaab2"
#define R3       "3kaaaaaaaaac2"
#define ID(last) "{'_id':{'$oid':'" OLD_OID(last) "'}"

static void keys_are_set_and_kept(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a"), guest = world_repo(w, "did:plc:guest");

	/* Documents of guests, and fields that are there and empty. */
	insert_document(w, "moods", ID("04") ",'mood':'m'}");
	insert_document(
		w, "moods", ID("05") ",'user':null,'deleted':null,'atproto':{'rkey':null}}");
	insert_document(w, "moods", ID("06") ",'user':'art-guest','deleted':false,'atproto':{}}");
	put_mood(w, guest, R1, OLD_OID("04"), "m", RK_CHANGE_FIRST);
	put_mood(w, guest, R2, OLD_OID("05"), "m", RK_CHANGE_FIRST);
	put_mood(w, guest, R3, OLD_OID("06"), "m", RK_CHANGE_FIRST);
	insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'m'}");
	insert_document(
		w, "moods", ID("02") ",'user':'auth0|a','mood':'own','atproto':{'rkey':'" R2 "'}}");
	insert_document(w, "moods",
		ID("03") ",'user':'auth0|a','mood':'m','extra':1,"
			 "'atproto':{'rkey':'3kzzzzzzzzzz2','uri':'at://stale'}}");
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_FIRST);
	put_mood(w, a, R2, OLD_OID("02"), "other", RK_CHANGE_LIVE);
	put_mood(w, a, R3, OLD_OID("03"), "m", RK_CHANGE_LIVE);
	world_mirror(w);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R2, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R3, RK_LINK_LINKED, 0);
	wait_link(w, guest, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, guest, MOOD, R2, RK_LINK_LINKED, 0);
	wait_link(w, guest, MOOD, R3, RK_LINK_LINKED, 0);
	assert_int_equal(count_documents(w, "moods",
				 "{'user':null,'atproto.rkey':{'$in':['" R1 "','" R2 "']}}"),
		2);
	wait_document(w, "moods", ID("01") ",'atproto.rkey':'" R1 "','mood':'m'}");
	wait_document(w, "moods", ID("02") ",'atproto.rkey':'" R2 "','mood':'own'}");
	wait_document(w, "moods",
		ID("03") ",'atproto.rkey':'" R3 "','extra':1,"
			 "'atproto.uri':{'$exists':false}}");
	assert_int_equal(count_documents(w, "moods", "{}"), 6);
	world_close(w);
}

static void what_must_not_be_written_is_not(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a"), b = world_repo(w, "did:plc:b");

	insert_document(
		w, "moods", ID("01") ",'user':'auth0|a','mood':'m','atproto':{'rkey':'" R1 "'}}");
	insert_document(w, "moods", ID("02") ",'user':'auth0|a','mood':'m','deleted':true}");
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	put_mood(w, a, R2, OLD_OID("01"), "m", RK_CHANGE_LIVE);  /* duplicate */
	put_mood(w, b, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);  /* somebody else's */
	put_mood(w, a, R3, OLD_OID("02"), "m", RK_CHANGE_LIVE);  /* deleted */
	put_mood(w, b, R2, OLD_OID("03"), "m", RK_CHANGE_FIRST); /* maybe erased */
	put_invalid(w, b, R3, OLD_OID("01"));
	world_mirror(w);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R2, RK_LINK_NONE, BIT(DUPLICATE));
	wait_link(w, b, MOOD, R1, RK_LINK_CONFLICT, BIT(CONFLICT));
	wait_link(w, a, MOOD, R3, RK_LINK_NONE, BIT(ORPHAN));
	wait_link(w, b, MOOD, R2, RK_LINK_NONE, BIT(ABSENT));
	wait_link(w, b, MOOD, R3, RK_LINK_CONFLICT, BIT(INVALID) | BIT(CONFLICT));
	wait_quiet(w);
	assert_int_equal(count_documents(w, "moods", "{}"), 2);
	assert_int_equal(
		count_documents(w, "moods", "{'deleted':true,'atproto':{'$exists':false}}"), 1);
	world_close(w);
}

static void absent_documents_are_inserted(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a"), guest = world_repo(w, "did:plc:guest");

	world_mirror(w);
	put_mood(w, a, R1, OLD_OID("01"), "caf\xc3\xa9", RK_CHANGE_LIVE);
	put_mood(w, a, R2, NULL, "no ref", RK_CHANGE_LIVE);
	put_painting(w, a, R1, OLD_OID("02"), "s1", "c1", RK_CHANGE_LIVE);
	put_painting(w, guest, R1, OLD_OID("03"), "s1", "c2", RK_CHANGE_LIVE);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R2, RK_LINK_LINKED, 0);
	wait_link(w, a, PAINTING, R1, RK_LINK_LINKED, 0);
	wait_link(w, guest, PAINTING, R1, RK_LINK_LINKED, 0);
	wait_document(w, "moods",
		ID("01") ",'user':'auth0|a','mood':'caf\xc3\xa9',"
			 "'when':{'$date':'2025-03-01T12:00:00Z'},'atproto':{'rkey':'" R1 "'}}");
	wait_document(w, "moods", "{'mood':'no ref','atproto.rkey':'" R2 "'}");
	wait_document(w, "paintings",
		ID("02") ",'user':'auth0|a','code':'c1','slug':'s1',"
			 "'bucket':'user-aesthetic-computer','atproto.rkey':'" R1 "'}");
	wait_document(w, "paintings",
		ID("03") ",'user':{'$exists':false},'code':'c2',"
			 "'bucket':'art-aesthetic-computer','atproto.rkey':'" R1 "'}");
	assert_int_equal(count_documents(w, "moods", "{}"), 2);
	world_close(w);
}

static void taken_values_are_told_apart(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");

	insert_document(w, "paintings", ID("01") ",'user':'auth0|b','code':'cb','slug':'x'}");
	insert_document(w, "paintings", ID("02") ",'user':'auth0|a','code':'ca','slug':'mine'}");
	world_mirror(w);
	put_painting(w, a, R1, OLD_OID("11"), "s1", "cb", RK_CHANGE_LIVE);
	put_painting(w, a, R2, OLD_OID("12"), "mine", "c2", RK_CHANGE_LIVE);
	put_painting(w, a, R3, OLD_OID("13"), "s3", "c3", RK_CHANGE_LIVE);
	wait_link(w, a, PAINTING, R1, RK_LINK_CONFLICT, BIT(CONFLICT));
	wait_link(w, a, PAINTING, R2, RK_LINK_NONE, BIT(REJECTED));
	wait_link(w, a, PAINTING, R3, RK_LINK_LINKED, 0);
	wait_quiet(w);
	assert_int_equal(count_documents(w, "paintings", "{}"), 3);
	/* An update into a taken code is refused too; the document goes on naming the record. */
	put_painting(w, a, R3, OLD_OID("13"), "s3", "cb", RK_CHANGE_LIVE);
	wait_link(w, a, PAINTING, R3, RK_LINK_LINKED, BIT(CONFLICT));
	wait_document(w, "paintings", ID("13") ",'code':'c3'}");
	world_mirror_stop(w);
	/* Once the values are free, the sweep sees to it. */
	delete_document(w, "paintings", OLD_OID("01"));
	delete_document(w, "paintings", OLD_OID("02"));
	world_mirror(w);
	wait_link(w, a, PAINTING, R2, RK_LINK_LINKED, 0);
	wait_document(w, "paintings", ID("12") ",'code':'c2','slug':'mine'}");
	wait_document(w, "paintings", "{'code':'cb','user':'auth0|a'}");
	world_close(w);
}

static void the_last_of_many_refused_is_tried_again(void **state)
{
	enum { MANY = 204 }; /* more than a sweep takes */
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");

	insert_document(w, "paintings", ID("01") ",'user':'auth0|a','code':'c1','slug':'mine'}");
	insert_document(w, "paintings", ID("02") ",'user':'auth0|a','code':'c2','slug':'last'}");
	for (int i = 0; i < MANY; i++) {
		char rkey[16], ref[32], code[8];

		snprintf(rkey, sizeof(rkey), "3kaaaaaaa%c%c22", 'a' + i / 26, 'a' + i % 26);
		snprintf(ref, sizeof(ref), "65e1c0ffee65e1c0ffee%04x", i + 16);
		snprintf(code, sizeof(code), "r%d", i);
		put_painting(w, a, rkey, ref, "mine", code, RK_CHANGE_LIVE);
	}
	put_painting(w, a, "3kzzzzzzzzzz2", OLD_OID("03"), "last", "c3", RK_CHANGE_LIVE);
	w->options.sweep_seconds = 1;
	world_mirror(w);
	wait_issue(w, RK_ISSUE_REJECTED, MANY + 1);
	delete_document(w, "paintings", OLD_OID("02"));
	wait_document(w, "paintings", ID("03") ",'slug':'last'}");
	wait_issue(w, RK_ISSUE_REJECTED, MANY);
	world_close(w);
}

static void updates_touch_owned_fields(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");

	insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'one','note':'kept'}");
	world_mirror(w);
	put_mood(w, a, R1, OLD_OID("01"), "one", RK_CHANGE_LIVE);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	put_mood(w, a, R1, OLD_OID("01"), "two", RK_CHANGE_LIVE);
	wait_document(w, "moods", ID("01") ",'mood':'two','note':'kept','atproto.rkey':'" R1 "'}");
	/* Another ref: the old document as if deleted, the new one as ever. */
	insert_document(w, "moods", ID("02") ",'user':'auth0|a','mood':'three'}");
	put_mood(w, a, R1, OLD_OID("02"), "three", RK_CHANGE_LIVE);
	wait_document(w, "moods", ID("01") ",'deleted':true,'atproto.rkey':{'$exists':false}}");
	wait_document(w, "moods", ID("02") ",'atproto.rkey':'" R1 "'}");
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	/* No ref any more: the link stays. */
	put_mood(w, a, R1, NULL, "three", RK_CHANGE_LIVE);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, BIT(UNLINKED));
	assert_int_equal(count_documents(w, "moods", "{}"), 2);
	/* And deleting it is deleting what names it. */
	remove_record(w, a, MOOD, R1, false);
	wait_document(w, "moods", ID("02") ",'deleted':true}");
	world_close(w);
}

static void deletions_do_as_set(void **state)
{
	static const struct {
		enum rk_on_delete how;
		const char *left;
	} cases[] = {
		{RK_ON_DELETE_SOFT, "'deleted':true,'atproto.rkey':{'$exists':false}}"},
		{RK_ON_DELETE_UNLINK,
			"'deleted':{'$exists':false},'atproto.rkey':{'$exists':false}}"},
		{RK_ON_DELETE_KEEP, "'deleted':{'$exists':false},'atproto.rkey':'" R1 "'}"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world *w = world_open();
		rk_repo_id a = world_repo(w, "did:plc:a"), b = world_repo(w, "did:plc:b");
		char filter[200];

		w->options.on_delete = cases[i].how;
		insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'m'}");
		insert_document(w, "moods", ID("02") ",'user':'auth0|b','mood':'m'}");
		put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
		put_mood(w, a, R2, OLD_OID("02"), "m", RK_CHANGE_LIVE);
		put_mood(w, b, R2, OLD_OID("02"), "m", RK_CHANGE_LIVE);
		world_mirror(w);
		wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
		wait_link(w, b, MOOD, R2, RK_LINK_LINKED, 0);
		remove_record(w, a, MOOD, R1, false);
		remove_record(w, a, MOOD, R2, false); /* was a conflict: not theirs to delete */
		snprintf(filter, sizeof(filter), ID("01") ",%s", cases[i].left);
		wait_quiet(w);
		wait_document(w, "moods", filter);
		wait_document(w, "moods",
			ID("02") ",'deleted':{'$exists':false},"
				 "'atproto.rkey':'" R2 "'}");
		world_close(w);
	}
}

/* Of two records with one ref the linked one goes: where the document stays, the other gets it. */
static void duplicates_inherit(void **state)
{
	static const enum rk_on_delete hows[] = {
		RK_ON_DELETE_UNLINK, RK_ON_DELETE_KEEP, RK_ON_DELETE_SOFT};

	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++) {
		struct world *w = world_open();
		rk_repo_id a = world_repo(w, "did:plc:a");

		w->options.on_delete = hows[i];
		insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'m'}");
		put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
		world_mirror(w);
		wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
		put_mood(w, a, R2, OLD_OID("01"), "m", RK_CHANGE_LIVE);
		wait_link(w, a, MOOD, R2, RK_LINK_NONE, BIT(DUPLICATE));
		remove_record(w, a, MOOD, R1, false);
		if (hows[i] == RK_ON_DELETE_SOFT) {
			wait_link(w, a, MOOD, R2, RK_LINK_NONE, BIT(ORPHAN));
			wait_document(w, "moods", ID("01") ",'deleted':true}");
		} else {
			wait_link(w, a, MOOD, R2, RK_LINK_LINKED, 0);
			wait_document(w, "moods", ID("01") ",'atproto.rkey':'" R2 "'}");
		}
		world_close(w);
	}
}

static void vanished_records_change_nothing(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");

	insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'m'}");
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	world_mirror(w);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	remove_record(w, a, MOOD, R1, true);
	wait_issue(w, RK_ISSUE_VANISHED, 1);
	wait_document(w, "moods", ID("01") ",'atproto.rkey':'" R1 "','deleted':{'$exists':false}}");
	/* It is there again: nothing is amiss. */
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_issue(w, RK_ISSUE_VANISHED, 0);
	wait_issue(w, RK_ISSUE_DANGLING, 0);
	world_close(w);
}

static void young_refs_wait_for_their_site(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a");
	char oid[25], document[200], ahead[25];

	snprintf(oid, sizeof(oid), "%08x0000000000000001", (unsigned)time(NULL) + 200);
	snprintf(ahead, sizeof(ahead), "%08x0000000000000001", (unsigned)time(NULL) + 86400);
	world_mirror(w);
	put_mood(w, a, R1, oid, "m", RK_CHANGE_LIVE);
	put_mood(w, a, R2, ahead, "m", RK_CHANGE_LIVE);
	wait_link(w, a, MOOD, R2, RK_LINK_NONE, BIT(SUSPECT));
	wait_quiet(w);
	assert_int_equal(count_documents(w, "moods", "{}"), 0);
	snprintf(document, sizeof(document), "{'_id':{'$oid':'%s'},'user':'auth0|a','mood':'site'}",
		oid);
	insert_document(w, "moods", document);
	look_again(w, a, MOOD, R1, 0);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	wait_document(w, "moods", "{'mood':'site','atproto.rkey':'" R1 "'}");
	assert_int_equal(count_documents(w, "moods", "{}"), 1);
	world_close(w);
}

static void removed_documents_stay_removed(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a"), b = world_repo(w, "did:plc:b");

	insert_document(w, "moods", ID("01") ",'user':'auth0|a','mood':'m'}");
	put_mood(w, a, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	world_mirror(w);
	wait_link(w, a, MOOD, R1, RK_LINK_LINKED, 0);
	delete_document(w, "moods", OLD_OID("01"));
	look_again(w, a, MOOD, R1, 0);
	wait_link(w, a, MOOD, R1, RK_LINK_NONE, BIT(ORPHAN));
	/* Nor can somebody else have it now. */
	put_mood(w, b, R1, OLD_OID("01"), "m", RK_CHANGE_LIVE);
	wait_link(w, b, MOOD, R1, RK_LINK_CONFLICT, BIT(CONFLICT));
	wait_quiet(w);
	assert_int_equal(count_documents(w, "moods", "{}"), 0);
	world_close(w);
}

static void first_claim_of_an_absent_ref_counts(void **state)
{
	struct world *w = world_open();
	rk_repo_id a = world_repo(w, "did:plc:a"), b = world_repo(w, "did:plc:b");

	put_mood(w, b, R1, OLD_OID("01"), "first", RK_CHANGE_LIVE);
	put_mood(w, a, R1, OLD_OID("01"), "copy", RK_CHANGE_LIVE);
	world_mirror(w);
	wait_link(w, b, MOOD, R1, RK_LINK_LINKED, 0);
	wait_link(w, a, MOOD, R1, RK_LINK_CONFLICT, BIT(CONFLICT));
	wait_document(w, "moods", ID("01") ",'user':'auth0|b','mood':'first'}");
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_set_and_kept),
		cmocka_unit_test(what_must_not_be_written_is_not),
		cmocka_unit_test(absent_documents_are_inserted),
		cmocka_unit_test(taken_values_are_told_apart),
		cmocka_unit_test(the_last_of_many_refused_is_tried_again),
		cmocka_unit_test(updates_touch_owned_fields),
		cmocka_unit_test(deletions_do_as_set),
		cmocka_unit_test(duplicates_inherit),
		cmocka_unit_test(vanished_records_change_nothing),
		cmocka_unit_test(young_refs_wait_for_their_site),
		cmocka_unit_test(removed_documents_stay_removed),
		cmocka_unit_test(first_claim_of_an_absent_ref_counts),
	};
	return cmocka_run_group_tests_name(
		"service/mirror/rows", tests, server_setup, server_teardown);
}
