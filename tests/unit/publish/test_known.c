/* Rules of publish/known: when the index says what a repo has, and when it is to be listed. */
#include "tests/unit/store/kit.h"

#include "publish/inside.h"
#include "store/heads.h"

#define DID "did:plc:a"
#define X   "65f0a1b2c3d4e5f601234567"
#define Y   "65f0a1b2c3d4e5f601234568"

enum { REV = 7 };

struct known {
	struct kit *k;
	struct rk_publish_request request;
	struct rk_user user;
	struct rk_oid ids[1];
	struct rk_publish_run run;
	struct rk_publish_person person;
};

/* One document of the user's is to be published: Y. */
static void known_init(struct known *of, struct kit *k)
{
	*of = (struct known){.k = k,
		.request = {.collection = RK_COLLECTION_MOOD},
		.user = {.did = rk_slice_str(DID)},
		.person = {.count = 1}};
	assert_true(rk_oid_parse(&of->ids[0], rk_slice_str(Y)));
	of->run = (struct rk_publish_run){.store = k->store,
		.request = &of->request,
		.collection = &rk_collections[RK_COLLECTION_MOOD],
		.ids = of->ids};
	of->person.user = &of->user;
}

static struct rk_cid commit_of(unsigned rev)
{
	struct rk_cid out;

	rk_cid_compute(&out, RK_CODEC_DAG_CBOR, rk_slice_make(&rev, sizeof(rev)));
	return out;
}

/* The repo comes to a rev by a commit, which puts a record if there is one. */
static void commit(struct kit *k, unsigned rev, const struct kit_record *put)
{
	const struct rk_change_record record = put ? kit_make(put) : (struct rk_change_record){0};
	const struct rk_cid cid = commit_of(rev);
	struct rk_change change = {.records = &record, .count = put != NULL, .commit = &cid};
	struct rk_repo head;

	kit_write(k);
	assert_int_equal(rk_read_repo_by_did(rk_write_view(&k->w), &head, rk_slice_str(DID)), 0);
	head.did = rk_slice_str(DID);
	head.sync = RK_SYNC_SYNCHRONIZED;
	head.account = RK_ACCOUNT_ACTIVE;
	head.rev = rev;
	head.data = cid;
	change.repo = head.id;
	change.head = &head;
	assert_int_equal(rk_write_change(&k->w, &change), 0);
	kit_commit(k);
}

/* As listed by the PDS: the key, and the ref. NULL: nothing. */
static void compare(struct known *of, const char *rkey, const char *ref)
{
	struct rk_listing listed = {0};

	kit_stop(of->k);
	if (rkey)
		assert_int_equal(rk_listing_add(&listed, rk_slice_str(rkey), rk_slice_str(ref)), 0);
	rk_listing_seal(&listed);
	rk_publish_compare(&of->run, of->k->s, &listed, &of->person);
	rk_listing_finish(&listed);
}

/* Whether the index is enough; then it has so many records. */
static bool is_known(struct known *of, unsigned rev, size_t records)
{
	struct rk_listing listing = {0};
	const struct rk_cid right = commit_of(rev);
	struct rk_cid cid;
	bool known;

	kit_stop(of->k);
	known = rk_publish_known(&of->run, of->k->s, &listing, &cid, &of->person);
	if (known) {
		assert_true(rk_cid_equal(&cid, &right));
		assert_int_equal(listing.tid_count, records);
	}
	rk_listing_finish(&listing);
	return known;
}

/* A repo at REV with one record, of X; its key, valid for the test. */
static const char *begin(struct known *of, struct kit *k)
{
	const struct kit_record put = {.rkey = kit_rkey(1), .ref = X, .when_ms = 1};

	known_init(of, k);
	kit_write(k);
	kit_repo(k, DID);
	kit_commit(k);
	commit(k, REV, &put);
	return (const char *)put.rkey.data;
}

static void nothing_is_known_before_a_listing_agrees(void **state)
{
	struct known of;
	const char *rkey = begin(&of, *state);

	assert_false(is_known(&of, REV, 1));
	compare(&of, NULL, NULL);
	assert_false(is_known(&of, REV, 1));
	compare(&of, rkey, Y);
	assert_false(is_known(&of, REV, 1));
	compare(&of, rkey, X);
	assert_true(is_known(&of, REV, 1));
	assert_false(is_known(&of, REV, 1));
	commit(of.k, REV + 1, NULL);
	assert_true(is_known(&of, REV + 1, 1));
}

static void a_record_of_the_document_is_for_a_listing(void **state)
{
	struct kit_record put = {.rkey = kit_rkey(2), .ref = Y, .when_ms = 1};
	struct known of;

	compare(&of, begin(&of, *state), X);
	commit(of.k, REV + 1, &put);
	assert_false(is_known(&of, REV + 1, 2));
	put.gone = true;
	commit(of.k, REV + 2, &put);
	assert_true(is_known(&of, REV + 2, 1));
}

static void a_record_that_may_be_read_otherwise_is_for_a_listing(void **state)
{
	struct kit_record put = {
		.rkey = kit_rkey(2), .ref = "0", .when_ms = 1, .invalid = "too long"};
	struct known of;

	compare(&of, begin(&of, *state), X);
	commit(of.k, REV + 1, &put);
	assert_false(is_known(&of, REV + 1, 2));
	put.invalid = NULL;
	put.version = 1;
	commit(of.k, REV + 2, &put);
	assert_true(is_known(&of, REV + 2, 2));
}

static void set_repo(struct kit *k, uint8_t flags, uint8_t sync, uint8_t account)
{
	struct rk_repo repo;

	kit_write(k);
	assert_int_equal(rk_read_repo_by_did(rk_write_view(&k->w), &repo, rk_slice_str(DID)), 0);
	repo.did = rk_slice_str(DID);
	repo.flags = flags;
	repo.sync = sync;
	repo.account = account;
	assert_int_equal(rk_write_repo(&k->w, &repo), 0);
	kit_commit(k);
}

static void a_repo_in_doubt_is_listed(void **state)
{
	static const struct {
		uint8_t flags, sync, account;
	} cases[] = {
		{0, RK_SYNC_DESYNCHRONIZED, RK_ACCOUNT_ACTIVE},
		{0, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_DEACTIVATED},
		{RK_REPO_WENT_BACK, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_ACTIVE},
		{RK_REPO_RESET, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_ACTIVE},
		{RK_REPO_MOVED, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_ACTIVE},
		{RK_REPO_PURGE, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_ACTIVE},
	};
	struct known of;

	compare(&of, begin(&of, *state), X);
	commit(of.k, REV + 1, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_repo(of.k, cases[i].flags, cases[i].sync, cases[i].account);
		assert_false(is_known(&of, REV + 1, 1));
	}
	set_repo(of.k, RK_REPO_BACKFILLED, RK_SYNC_SYNCHRONIZED, RK_ACCOUNT_ACTIVE);
	assert_true(is_known(&of, REV + 1, 1));
}

static void a_repo_that_the_index_does_not_have_is_listed(void **state)
{
	struct known of;

	known_init(&of, *state);
	compare(&of, NULL, NULL);
	assert_false(is_known(&of, 0, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_known_before_a_listing_agrees),
		TEST(a_record_of_the_document_is_for_a_listing),
		TEST(a_record_that_may_be_read_otherwise_is_for_a_listing),
		TEST(a_repo_in_doubt_is_listed),
		TEST(a_repo_that_the_index_does_not_have_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
