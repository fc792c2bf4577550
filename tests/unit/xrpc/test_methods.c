/* Rules of the methods: which record answers, what its view holds, and what a miss is. */
#include "tests/unit/xrpc/kit.h"

#include <stdio.h>
#include <string.h>

#define MOOD     "computer.aesthetic.mood"
#define PAINTING "computer.aesthetic.painting"
#define ANN      "did:plc:ann"
#define BOB      "did:plc:bob"
#define REF      "65f0c1a2b3c4d5e6f7a8b9c0"

/* The view of a record of the kit. */
#define VIEW(did, collection, rkey, rest)                                                          \
	"{\"uri\":\"at://" did "/" collection "/" rkey "\"," KIT_CID_PART                          \
	",\"value\":{\"rkey\":\"" rkey "\"},\"did\":\"" did "\",\"collection\":\"" collection      \
	"\",\"rkey\":\"" rkey "\"" rest ",\"indexedAt\":\"2026-01-02T03:04:05.678Z\"}"

static rk_repo_id ann(struct kit *k)
{
	return kit_repo(k,
		(struct kit_repo){.did = ANN, .handle = "ann.test", .sync = RK_SYNC_SYNCHRONIZED});
}

static rk_repo_id bob(struct kit *k)
{
	return kit_repo(k, (struct kit_repo){.did = BOB, .sync = RK_SYNC_SYNCHRONIZED});
}

static struct kit_record mood(rk_repo_id repo, const char *rkey, const char *ref)
{
	return (struct kit_record){
		.repo = repo, .collection = RK_COLLECTION_MOOD, .rkey = rkey, .ref = ref};
}

static void both_ways(void **state)
{
	static const char view[] = VIEW(ANN, MOOD, "3kaaaaaaaaa22", ",\"ref\":\"" REF "\"");
	struct kit *k = *state;
	char resolved[2048];

	kit_record(k, mood(ann(k), "3kaaaaaaaaa22", REF));
	kit_expect(k, "getByRef?ref=" REF, view);
	kit_expect(k, "getByRef?ref=65F0C1A2B3C4D5E6F7A8B9C0", view);
	kit_expect(k, "getByRef?collection=" MOOD "&ref=" REF, view);
	kit_expect(k, "getByRkey?repo=" ANN "&collection=" MOOD "&rkey=3kaaaaaaaaa22", view);
	kit_expect(k, "getByRkey?repo=ann.test&collection=" MOOD "&rkey=3kaaaaaaaaa22", view);
	kit_expect(k, "getByRkey?repo=Ann.Test&collection=" MOOD "&rkey=3kaaaaaaaaa22", view);
	kit_expect(k, "getByRkey?repo=ann%2Etest&collection=" MOOD "&rkey=3kaaaaaaaaa2%32", view);
	snprintf(resolved, sizeof(resolved), "{\"records\":[%s,%s],\"missing\":[]}", view, view);
	kit_expect(k,
		"resolve?uris=at://ANN.test/" MOOD "/3kaaaaaaaaa22&refs=65f0c1a2b3c4d5e6f7A8B9C0",
		resolved);
}

static void view_has_what_is_known(void **state)
{
	struct kit *k = *state;
	rk_repo_id repo = ann(k);
	struct kit_record record = mood(repo, "3kaaaaaaaaa22", "a \"ref\"");

	record.link = RK_LINK_LINKED;
	record.json = "{\"mood\":\"\\u0001[{\",\"when\":1}";
	kit_record(k, record);
	kit_expect(k, "getByRef?ref=a+%22ref%22",
		"{\"uri\":\"at://" ANN "/" MOOD "/3kaaaaaaaaa22\"," KIT_CID_PART
		",\"value\":{\"mood\":\"\\u0001[{\",\"when\":1},\"did\":\"" ANN
		"\",\"collection\":\"" MOOD
		"\",\"rkey\":\"3kaaaaaaaaa22\",\"ref\":\"a \\\"ref\\\"\",\"linked\":true,"
		"\"indexedAt\":\"2026-01-02T03:04:05.678Z\"}");
	/* No ref; MongoDB was asked. */
	record = mood(repo, "3kaaaaaaaab22", NULL);
	record.link = RK_LINK_NONE;
	kit_record(k, record);
	kit_expect(k, "getByRkey?repo=" ANN "&collection=" MOOD "&rkey=3kaaaaaaaab22",
		VIEW(ANN, MOOD, "3kaaaaaaaab22", ",\"linked\":false"));
}

static void linked_one_answers_and_names_the_others(void **state)
{
	struct kit *k = *state;
	rk_repo_id repo = ann(k);
	struct kit_record first = mood(repo, "3kaaaaaaaaa22", REF),
			  second = mood(repo, "3kaaaaaaaab22", REF);

	second.link = RK_LINK_LINKED;
	kit_record(k, first);
	kit_record(k, second);
	kit_expect(k, "getByRef?ref=" REF,
		"{\"uri\":\"at://" ANN "/" MOOD "/3kaaaaaaaab22\"," KIT_CID_PART
		",\"value\":{\"rkey\":\"3kaaaaaaaab22\"},\"did\":\"" ANN "\",\"collection\":\"" MOOD
		"\",\"rkey\":\"3kaaaaaaaab22\",\"ref\":\"" REF "\",\"linked\":true,"
		"\"indexedAt\":\"2026-01-02T03:04:05.678Z\",\"duplicates\":[{\"uri\":\"at://" ANN
		"/" MOOD "/3kaaaaaaaaa22\"}],\"duplicateCount\":1}");
	/* The other one too, asked for by its key. */
	assert_non_null(strstr(kit_get(k, NULL,
				       "/xrpc/computer.aesthetic.refkey.getByRkey?repo=" ANN
				       "&collection=" MOOD "&rkey=3kaaaaaaaaa22"),
		"\"duplicates\":[{\"uri\":\"at://" ANN "/" MOOD
		"/3kaaaaaaaab22\"}],\"duplicateCount\":1}"));
}

static void ten_duplicates_are_named_all_are_counted(void **state)
{
	struct kit *k = *state;
	rk_repo_id repo = ann(k);
	const char *body, *at;
	int named = 0;

	for (int i = 0; i < 13; i++) {
		char rkey[16];

		snprintf(rkey, sizeof(rkey), "3kaaaaaaaa%c22", 'a' + i);
		kit_record(k, mood(repo, rkey, REF));
	}
	body = kit_get(k, NULL, "/xrpc/computer.aesthetic.refkey.getByRef?ref=" REF);
	for (at = body; (at = strstr(at, "{\"uri\":")); at++)
		named++;
	assert_int_equal(named, 1 + 10);
	assert_non_null(strstr(body, "\"duplicateCount\":12}"));
}

static void anothers_record_is_no_duplicate(void **state)
{
	struct kit *k = *state;

	kit_record(k, mood(ann(k), "3kaaaaaaaaa22", REF));
	kit_record(k, mood(bob(k), "3kaaaaaaaab22", REF));
	assert_null(strstr(kit_get(k, NULL, "/xrpc/computer.aesthetic.refkey.getByRef?ref=" REF),
		"duplicate"));
}

static void best_over_all_collections(void **state)
{
	struct kit *k = *state;
	struct kit_record a = mood(ann(k), "3kaaaaaaaaa22", REF),
			  b = mood(bob(k), "3kaaaaaaaab22", REF);

	b.collection = RK_COLLECTION_PAINTING;
	kit_record(k, b);
	kit_record(k, a);
	/* The one that was there first … */
	assert_non_null(
		strstr(kit_get(k, NULL, "/xrpc/computer.aesthetic.refkey.getByRef?ref=" REF), BOB));
	kit_expect(k, "getByRef?ref=" REF "&collection=" MOOD,
		VIEW(ANN, MOOD, "3kaaaaaaaaa22", ",\"ref\":\"" REF "\""));
	/* … until the other one is linked. */
	a.rkey = "3kaaaaaaaac22";
	a.link = RK_LINK_LINKED;
	kit_record(k, a);
	assert_non_null(
		strstr(kit_get(k, NULL, "/xrpc/computer.aesthetic.refkey.getByRef?ref=" REF), ANN));
}

static void a_conflict_never_answers_its_ref(void **state)
{
	struct kit *k = *state;
	struct kit_record record = mood(bob(k), "3kaaaaaaaaa22", REF);

	record.link = RK_LINK_CONFLICT;
	kit_record(k, record);
	kit_expect_error(k, "getByRef?ref=" REF, 400, "RecordNotFound", "ref");
	kit_expect(k, "getByRkey?repo=" BOB "&collection=" MOOD "&rkey=3kaaaaaaaaa22",
		VIEW(BOB, MOOD, "3kaaaaaaaaa22", ",\"ref\":\"" REF "\",\"linked\":false"));
}

static void inactive_accounts_are_absent(void **state)
{
	struct kit *k = *state;

	kit_record(k, mood(ann(k), "3kaaaaaaaaa22", REF));
	kit_repo(k,
		(struct kit_repo){
			.did = ANN, .handle = "ann.test", .account = RK_ACCOUNT_TAKENDOWN});
	kit_expect_error(k, "getByRef?ref=" REF, 400, "RecordNotFound", "");
	/* Not NotReady, though its repo is to be fetched: it will not be while the account is inactive. */
	kit_expect_error(k, "getByRkey?repo=" ANN "&collection=" MOOD "&rkey=3kaaaaaaaaa22", 400,
		"RecordNotFound", "");
	kit_expect(k, "resolve?refs=" REF "&uris=at://" ANN "/" MOOD "/3kaaaaaaaaa22",
		"{\"records\":[],\"missing\":[{\"ref\":\"" REF "\"},{\"uri\":\"at://" ANN "/" MOOD
		"/3kaaaaaaaaa22\"}]}");
	kit_expect(k, "listRecords?collection=" MOOD "&repo=" ANN, "{\"records\":[]}");
	kit_expect(k, "getRepoStatus?repo=ann.test",
		"{\"did\":\"" ANN
		"\",\"handle\":\"ann.test\",\"active\":false,\"status\":\"takendown\","
		"\"desynchronized\":false,\"records\":[{\"collection\":\"" MOOD "\",\"count\":1},"
		"{\"collection\":\"" PAINTING "\",\"count\":0}]}");
}

static void not_found_is_said_when_it_is_known(void **state)
{
	static const char *const misses[] = {
		"getByRef?ref=nothing",
		"getByRkey?repo=" ANN "&collection=" MOOD "&rkey=3kaaaaaaaaa22",
		"getByRkey?repo=did:plc:nobody&collection=" MOOD "&rkey=3kaaaaaaaaa22",
		"getByRkey?repo=nobody.test&collection=" MOOD "&rkey=3kaaaaaaaaa22",
		"getPainting?code=none",
		"getPainting?slug=none",
		"getPainting?code=none&repo=nobody.test",
		"getPainting?code=none&repo=ann.test",
	};
	struct kit *k = *state;

	ann(k);
	for (size_t i = 0; i < sizeof(misses) / sizeof(misses[0]); i++)
		kit_expect_error(k, misses[i], 400, "RecordNotFound", "");
	kit_expect_error(
		k, "listRecords?collection=" MOOD "&repo=nobody.test", 400, "RepoNotFound", "");
	kit_expect_error(k, "getRepoStatus?repo=did:plc:nobody", 400, "RepoNotFound", "");
	/* The stream may be away for a while later. */
	k->status.ready = false;
	for (size_t i = 0; i < sizeof(misses) / sizeof(misses[0]); i++)
		kit_expect_error(k, misses[i], 400, "RecordNotFound", "");
	/* Before the first time, nothing is known to be absent. */
	k->status.was_ready = false;
	strcpy(k->status.reasons, "the first sweep is under way");
	for (size_t i = 0; i < sizeof(misses) / sizeof(misses[0]); i++)
		kit_expect_error(k, misses[i], 503, "NotReady", "the first sweep is under way");
	kit_expect_error(
		k, "listRecords?collection=" MOOD "&repo=nobody.test", 503, "NotReady", "");
	kit_expect_error(k, "listRecords?collection=" MOOD, 503, "NotReady", "");
	kit_expect_error(k, "getRepoStatus?repo=did:plc:nobody", 503, "NotReady", "");
	kit_expect_error(k, "resolve?refs=nothing", 503, "NotReady", "");
	kit_expect_error(
		k, "resolve?uris=at://" ANN "/" MOOD "/3kaaaaaaaaa22", 503, "NotReady", "");
}

static void hits_are_answered_before_it_is_ready(void **state)
{
	struct kit *k = *state;
	struct kit_record record = mood(ann(k), "3kaaaaaaaaa22", REF);

	record.when_ms = 1;
	kit_record(k, record);
	k->status.ready = k->status.was_ready = false;
	kit_expect(
		k, "getByRef?ref=" REF, VIEW(ANN, MOOD, "3kaaaaaaaaa22", ",\"ref\":\"" REF "\""));
	kit_expect(k, "resolve?refs=" REF,
		"{\"records\":[" VIEW(
			ANN, MOOD, "3kaaaaaaaaa22", ",\"ref\":\"" REF "\"") "],\"missing\":[]}");
	kit_expect(k, "listRecords?collection=" MOOD,
		"{\"records\":[" VIEW(ANN, MOOD, "3kaaaaaaaaa22", ",\"ref\":\"" REF "\"") "]}");
}

static void a_repo_that_is_behind_is_no_proof_of_absence(void **state)
{
	struct kit *k = *state;
	rk_repo_id repo = kit_repo(k, (struct kit_repo){.did = ANN});

	kit_record(k, mood(repo, "3kaaaaaaaaa22", REF));
	kit_expect(k, "getByRkey?repo=" ANN "&collection=" MOOD "&rkey=3kaaaaaaaaa22",
		VIEW(ANN, MOOD, "3kaaaaaaaaa22", ",\"ref\":\"" REF "\""));
	kit_expect_error(k, "getByRkey?repo=" ANN "&collection=" MOOD "&rkey=3kaaaaaaaab22", 503,
		"NotReady", "fetched");
	kit_expect_error(
		k, "resolve?uris=at://" ANN "/" MOOD "/3kaaaaaaaab22", 503, "NotReady", "fetched");
	kit_expect_error(k, "getByRef?ref=nothing", 400, "RecordNotFound", "");
}

static void resolves_in_the_order_asked(void **state)
{
	static const char one[] = VIEW(ANN, MOOD, "3kaaaaaaaaa22", ",\"ref\":\"r1\"");
	static const char two[] = VIEW(BOB, MOOD, "3kaaaaaaaab22", ",\"ref\":\"r2\"");
	struct kit *k = *state;
	char expected[4096];

	kit_record(k, mood(ann(k), "3kaaaaaaaaa22", "r1"));
	kit_record(k, mood(bob(k), "3kaaaaaaaab22", "r2"));
	snprintf(expected, sizeof(expected),
		"{\"records\":[%s,%s,%s],\"missing\":[{\"uri\":\"at://nobody.test/" MOOD
		"/3kaaaaaaaab22\"},{\"ref\":\"AbCdEf\"}]}",
		two, one, two);
	kit_expect(k,
		"resolve?uris=at://" BOB "/" MOOD
		"/3kaaaaaaaab22&refs=r1&uris=at://nobody.test/" MOOD
		"/3kaaaaaaaab22&refs=AbCdEf&refs=r2",
		expected);
	kit_expect_error(k, "resolve", 400, "InvalidRequest", "refs or uris is required: 1 to 100");
	kit_expect_error(k, "resolve?refs=r1&uris=at://" BOB "/" MOOD, 400, "InvalidRequest",
		"uris must be");
}

static void paintings_by_code_and_slug(void **state)
{
	struct kit *k = *state;
	struct kit_record record = {.collection = RK_COLLECTION_PAINTING,
		.rkey = "3kaaaaaaaaa22",
		.code = "abc",
		.slug = "2026.1.2:x",
		.ref = REF};
	static const char view[] = VIEW(ANN, PAINTING, "3kaaaaaaaaa22", ",\"ref\":\"" REF "\"");

	record.repo = ann(k);
	kit_record(k, record);
	record.repo = bob(k);
	record.code = "bcd";
	record.ref = NULL;
	kit_record(k, record);
	kit_expect(k, "getPainting?code=abc", view);
	kit_expect(k, "getPainting?slug=2026.1.2:x", view);
	kit_expect(k, "getPainting?slug=2026.1.2:x&repo=ann.test", view);
	kit_expect(k, "getPainting?slug=2026.1.2:x&repo=" BOB,
		VIEW(BOB, PAINTING, "3kaaaaaaaaa22", ""));
	kit_expect_error(k, "getPainting?code=abc&repo=" BOB, 400, "RecordNotFound", "");
	kit_expect_error(k, "getPainting?code=ABC", 400, "RecordNotFound", "");
	kit_expect_error(k, "getPainting", 400, "InvalidRequest", "either code or slug");
	kit_expect_error(k, "getPainting?repo=" BOB, 400, "InvalidRequest", "either code or slug");
	kit_expect_error(
		k, "getPainting?code=a&slug=b", 400, "InvalidRequest", "either code or slug");
}

static int cursor_write(void *context, struct rk_write *w)
{
	struct rk_cursor cursor = {.seq = 1234567890123};

	return rk_write_cursor(w, (struct rk_slice)RK_SLICE_LIT("https://pds.test"), &cursor);
}

static void status_of_the_service(void **state)
{
	struct kit *k = *state;

	kit_expect(k, "getStatus",
		"{\"version\":\"" REFKEY_VERSION "\",\"source\":\"https://pds.test\",\"cursor\":0,"
		"\"lagSeconds\":2,\"repos\":0,\"desynchronized\":0,\"records\":[{\"collection\":\"" MOOD
		"\",\"count\":0},{\"collection\":\"" PAINTING "\",\"count\":0}],"
		"\"mongo\":{\"connected\":false,\"pending\":0}}");
	kit_record(k, mood(ann(k), "3kaaaaaaaaa22", REF));
	kit_repo(k, (struct kit_repo){.did = BOB});
	assert_int_equal(rk_writer_call(k->writer, cursor_write, NULL), 0);
	k->status.mongo_connected = true;
	k->status.lag_ms = 999;
	kit_expect(k, "getStatus",
		"{\"version\":\"" REFKEY_VERSION
		"\",\"source\":\"https://pds.test\",\"cursor\":1234567890123,"
		"\"lagSeconds\":0,\"repos\":2,\"desynchronized\":1,\"records\":[{\"collection\":\"" MOOD
		"\",\"count\":1},{\"collection\":\"" PAINTING "\",\"count\":0}],"
		"\"mongo\":{\"connected\":true,\"pending\":1}}");
}

static void status_of_a_repo(void **state)
{
	struct kit *k = *state;

	kit_repo(k,
		(struct kit_repo){
			.did = BOB, .sync = RK_SYNC_SYNCHRONIZED, .rev = "3kaaaaaaaaa22"});
	kit_expect(k, "getRepoStatus?repo=" BOB,
		"{\"did\":\"" BOB
		"\",\"active\":true,\"rev\":\"3kaaaaaaaaa22\",\"desynchronized\":false,"
		"\"records\":[{\"collection\":\"" MOOD "\",\"count\":0},{\"collection\":\"" PAINTING
		"\",\"count\":0}]}");
	kit_expect_error(
		k, "getRepoStatus", 400, "InvalidRequest", "repo is required: a DID or a handle");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(both_ways),
		TEST(view_has_what_is_known),
		TEST(linked_one_answers_and_names_the_others),
		TEST(ten_duplicates_are_named_all_are_counted),
		TEST(anothers_record_is_no_duplicate),
		TEST(best_over_all_collections),
		TEST(a_conflict_never_answers_its_ref),
		TEST(inactive_accounts_are_absent),
		TEST(not_found_is_said_when_it_is_known),
		TEST(hits_are_answered_before_it_is_ready),
		TEST(a_repo_that_is_behind_is_no_proof_of_absence),
		TEST(resolves_in_the_order_asked),
		TEST(paintings_by_code_and_slug),
		TEST(status_of_the_service),
		TEST(status_of_a_repo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
