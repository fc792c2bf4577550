/* Rules of store/lookup: which record answers for a ref, a code or a slug, and its duplicates. */
#include "tests/unit/store/kit.h"

#include <stdio.h>

#include "base/encode.h"
#include "records/document.h"

#define X "65f0a1b2c3d4e5f601234567"

enum { MOOD = RK_COLLECTION_MOOD, PAINTING = RK_COLLECTION_PAINTING };
enum { A = 1, B, C, REPOS = 3 };
enum { UNKNOWN_OWNER = -1, NOBODY = 0 };

/* Records with one ref: indexed in the order they stand; the table says who answers. */
struct claim {
	rk_repo_id repo;
	enum rk_link link;
};

struct answer_test {
	const char *rule;
	struct claim claims[4];
	int owner;              /* of the ref */
	rk_repo_id inactive;    /* an account that is not active */
	int any, of[REPOS + 1]; /* place of the claim that answers, counted from 1; 0: none */
};

static const struct answer_test answers[] = {
	{"one", {{A}}, UNKNOWN_OWNER, 0, 1, {0, 1, 0, 0}},
	{"first_indexed", {{B}, {A}, {B}}, UNKNOWN_OWNER, 0, 1, {0, 2, 1, 0}},
	{"linked_before_first", {{A}, {B, RK_LINK_LINKED}}, UNKNOWN_OWNER, 0, 2, {0, 1, 2, 0}},
	{"linked_among_duplicates", {{A}, {A, RK_LINK_LINKED}, {A}}, A, 0, 2, {0, 2, 0, 0}},
	{"asked_and_not_linked_is_plain", {{A, RK_LINK_NONE}, {A}}, UNKNOWN_OWNER, 0, 1,
		{0, 1, 0, 0}},
	{"conflict_never", {{A, RK_LINK_CONFLICT}, {B}}, UNKNOWN_OWNER, 0, 2, {0, 0, 2, 0}},
	{"only_conflicts", {{A, RK_LINK_CONFLICT}, {B, RK_LINK_CONFLICT}}, UNKNOWN_OWNER, 0, 0,
		{0}},
	{"owner_before_first", {{B}, {A}, {A}}, A, 0, 2, {0, 2, 0, 0}},
	{"owner_before_another_link", {{B, RK_LINK_LINKED}, {A}}, A, 0, 2, {0, 2, 0, 0}},
	{"owner_without_record", {{B}, {C}}, A, 0, 0, {0}},
	{"owner_with_conflict_only", {{A, RK_LINK_CONFLICT}, {B}}, A, 0, 0, {0}},
	{"owner_without_repo", {{A}, {B, RK_LINK_LINKED}}, NOBODY, 0, 0, {0}},
	{"inactive_is_passed_over", {{A}, {B}}, UNKNOWN_OWNER, A, 2, {0, 0, 2, 0}},
	{"inactive_link_is_passed_over", {{A}, {B, RK_LINK_LINKED}}, UNKNOWN_OWNER, B, 1,
		{0, 1, 0, 0}},
	{"inactive_owner_lets_nobody_in", {{A}, {B}}, A, A, 0, {0}},
	{"inactive_among_many", {{A}, {A}, {A}, {B}}, UNKNOWN_OWNER, A, 4, {0, 0, 4, 0}},
};

static void answers_by_the_rule(void **state)
{
	struct kit *k = *state;
	static const char *const dids[] = {"did:plc:a", "did:plc:b", "did:plc:c"};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct answer_test *test = &answers[i];
		char ref[25];

		snprintf(ref, sizeof(ref), "%024zx", i + 1);
		kit_write(k);
		for (size_t r = 0; r < REPOS; r++)
			assert_int_equal(kit_repo(k, dids[r]), A + r);
		for (unsigned c = 0; c < 4 && test->claims[c].repo; c++) {
			const struct claim *claim = &test->claims[c];
			const struct kit_record record = {.rkey = kit_rkey(100 - c), .ref = ref};

			kit_put(k, claim->repo, &record, (int64_t)(1000 * i + c));
			if (claim->link)
				kit_link(k, claim->repo, MOOD, record.rkey, claim->link);
		}
		if (test->owner != UNKNOWN_OWNER)
			kit_owner(k, MOOD, ref, (rk_repo_id)test->owner);
		if (test->inactive)
			kit_account(k, test->inactive, RK_ACCOUNT_TAKENDOWN);
		kit_commit(k);
		kit_read(k);
		for (rk_repo_id repo = 0; repo <= REPOS; repo++) {
			int want = repo ? test->of[repo] : test->any;
			struct rk_slice have = kit_lookup(k, RK_LOOKUP_REF, MOOD, ref, repo);

			if (!rk_slice_equal(have,
				    want ? kit_rkey(100 - (unsigned)(want - 1))
					 : (struct rk_slice){0}))
				fail_msg("%s, repo %u: another record answers", test->rule, repo);
		}
		kit_write(k);
		if (test->inactive)
			kit_account(k, test->inactive, RK_ACCOUNT_ACTIVE);
		kit_commit(k);
	}
	kit_check(k);
}

static void every_account_state_but_active_is_passed_over(void **state)
{
	struct kit *k = *state;
	const struct kit_record record = {
		.rkey = kit_rkey(1), .ref = X, .code = "c", .slug = "s", .when_ms = 1};
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_put(k, id, &record, 1);
	kit_commit(k);
	for (int account = 0; account < RK_ACCOUNT_COUNT; account++) {
		bool active = account == RK_ACCOUNT_ACTIVE;

		kit_write(k);
		kit_account(k, id, (enum rk_account)account);
		kit_commit(k);
		kit_read(k);
		assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, 0).len > 0, active);
		assert_int_equal(kit_lookup(k, RK_LOOKUP_CODE, MOOD, "c", id).len > 0, active);
		assert_int_equal(kit_lookup(k, RK_LOOKUP_SLUG, MOOD, "s", 0).len > 0, active);
		/* By its key a record is there for those who judge it. */
		kit_record(k, id, MOOD, record.rkey);
	}
}

/* A record without an ObjectId for a ref answers to the _id of its document while nobody better does. */
static void a_derived_id_answers_by_the_same_rule(void **state)
{
	static const struct {
		int owner; /* of the document; 0: not known */
		enum rk_account account;
		enum rk_link link;
		unsigned
			answer; /* 1: the record it is derived from; 2: one that has it for a ref */
	} steps[] = {
		{0, RK_ACCOUNT_ACTIVE, RK_LINK_UNKNOWN, 1},
		{0, RK_ACCOUNT_TAKENDOWN, RK_LINK_UNKNOWN, 2},
		{0, RK_ACCOUNT_ACTIVE, RK_LINK_CONFLICT, 2},
		{2, RK_ACCOUNT_ACTIVE, RK_LINK_UNKNOWN, 2},
		{1, RK_ACCOUNT_ACTIVE, RK_LINK_UNKNOWN, 1},
		{1, RK_ACCOUNT_ACTIVE, RK_LINK_LINKED, 1},
		{1, RK_ACCOUNT_TAKENDOWN, RK_LINK_LINKED, 0},
	};
	struct kit *k = *state;
	struct kit_record bare = {.rkey = kit_rkey(1)}, claim = {.rkey = kit_rkey(2)};
	struct rk_buf hex = {0};
	struct rk_oid oid;

	rk_document_id(&oid, (struct rk_slice){0}, rk_slice_str("did:plc:a"), MOOD, bare.rkey);
	rk_hex_encode(&hex, rk_slice_make(oid.bytes, sizeof(oid.bytes)));
	claim.ref = rk_buf_cstr(&hex);
	kit_write(k);
	kit_put(k, kit_repo(k, "did:plc:a"), &bare, 1);
	kit_put(k, kit_repo(k, "did:plc:b"), &claim, 2);
	kit_commit(k);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct rk_slice have;

		kit_write(k);
		if (steps[i].owner)
			kit_owner(k, MOOD, claim.ref, (rk_repo_id)steps[i].owner);
		kit_account(k, 1, steps[i].account);
		kit_link(k, 1, MOOD, bare.rkey, steps[i].link);
		kit_commit(k);
		kit_check(k);
		kit_read(k);
		have = kit_lookup(k, RK_LOOKUP_REF, MOOD, claim.ref, 0);
		if (!rk_slice_equal(have,
			    steps[i].answer ? kit_rkey(steps[i].answer) : (struct rk_slice){0}))
			fail_msg("step %zu: another record answers", i);
		assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, claim.ref, 0).len, 0);
	}
	/* With an ObjectId of its own it is another document's. */
	kit_write(k);
	kit_account(k, 1, RK_ACCOUNT_ACTIVE);
	bare.ref = X;
	bare.version = 1;
	kit_put(k, 1, &bare, 3);
	kit_commit(k);
	kit_check(k);
	kit_read(k);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, claim.ref, 0).len, 0);
	rk_buf_finish(&hex);
}

static void values_that_cannot_be_are_absent(void **state)
{
	struct kit *k = *state;
	struct rk_record record;
	char text[2000];

	memset(text, 'a', sizeof(text));
	kit_read(k);
	for (int kind = RK_LOOKUP_REF; kind <= RK_LOOKUP_SLUG; kind++) {
		static const size_t lens[] = {0, 1, 64, 65, 128, 129, 511, 512, 2000};

		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
			assert_int_equal(rk_read_lookup(k->s, &record, (enum rk_lookup)kind, MOOD,
						 rk_slice_make(text, lens[i]), 0),
				RK_STORE_ABSENT);
	}
}

static void a_prefix_is_not_the_value(void **state)
{
	struct kit *k = *state;
	const struct kit_record record = {.collection = PAINTING,
		.rkey = kit_rkey(1),
		.ref = "abcd",
		.code = "abc",
		.slug = "ab"};

	kit_write(k);
	kit_put(k, kit_repo(k, "did:plc:a"), &record, 1);
	kit_commit(k);
	kit_read(k);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, "abc", 0).len, 0);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, "abcde", 0).len, 0);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "ab", 0).len, 0);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_SLUG, PAINTING, "abc", 0).len, 0);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, PAINTING, "abcd", 2).len, 0);
}

static void code_and_slug_prefer_the_linked(void **state)
{
	struct kit *k = *state;
	const struct kit_record first = {
		.collection = PAINTING, .rkey = kit_rkey(1), .code = "abc", .slug = "s"};
	const struct kit_record second = {
		.collection = PAINTING, .rkey = kit_rkey(2), .code = "abc", .slug = "s"};
	rk_repo_id a, b;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	b = kit_repo(k, "did:plc:b");
	kit_put(k, a, &first, 1);
	kit_put(k, b, &second, 2);
	kit_commit(k);
	kit_read(k);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "abc", 0), first.rkey);
	kit_write(k);
	kit_link(k, b, PAINTING, second.rkey, RK_LINK_LINKED);
	kit_commit(k);
	kit_read(k);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_CODE, PAINTING, "abc", 0), second.rkey);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_SLUG, PAINTING, "s", 0), second.rkey);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_SLUG, PAINTING, "s", a), first.rkey);
}

static void owner_is_for_ever(void **state)
{
	struct kit *k = *state;
	const struct kit_record ours = {.rkey = kit_rkey(1), .ref = X},
				theirs = {.rkey = kit_rkey(2), .ref = X};
	const struct kit_record gone = {.rkey = ours.rkey, .gone = true};
	struct rk_owner_view owner;
	rk_repo_id a, b;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	b = kit_repo(k, "did:plc:b");
	kit_put(k, b, &theirs, 1);
	kit_put(k, a, &ours, 2);
	kit_owner(k, MOOD, X, a);
	kit_put(k, a, &gone, 3);
	kit_commit(k);
	kit_read(k);
	assert_int_equal(rk_read_owner(k->s, &owner, MOOD, rk_slice_str(X)), 0);
	assert_true(owner.known && owner.owner.repo == a);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, 0).len, 0);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, b).len, 0);
	/* Per collection. */
	assert_int_equal(rk_read_owner(k->s, &owner, PAINTING, rk_slice_str(X)), RK_STORE_ABSENT);
	assert_false(owner.known);
}

static void a_new_owner_takes_the_place_of_the_old_one(void **state)
{
	struct kit *k = *state;
	const struct kit_record first = {.rkey = kit_rkey(1), .ref = X},
				second = {.rkey = kit_rkey(2), .ref = X};
	struct rk_owner_view owner;
	uint64_t entries;
	rk_repo_id a, b;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	b = kit_repo(k, "did:plc:b");
	kit_put(k, a, &first, 1);
	kit_put(k, b, &second, 2);
	kit_owner(k, MOOD, X, a);
	entries = rk_table_entries(&k->w.view, RK_TABLE_ANSWER);
	kit_owner(k, MOOD, X, b);
	kit_owner(k, MOOD, X, b);
	assert_int_equal(rk_table_entries(&k->w.view, RK_TABLE_ANSWER), entries);
	kit_commit(k);
	kit_read(k);
	assert_int_equal(rk_read_owner(k->s, &owner, MOOD, rk_slice_str(X)), 0);
	assert_int_equal(owner.owner.repo, b);
	assert_slice_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, 0), second.rkey);
	assert_int_equal(kit_lookup(k, RK_LOOKUP_REF, MOOD, X, a).len, 0);
	kit_check(k);
}

static void refs_without_bounds_have_no_owner(void **state)
{
	struct kit *k = *state;
	char text[600];
	struct rk_link_result result = {.set_owner = true, .owner = {.repo = 1}};
	struct rk_owner_view owner;

	memset(text, 'f', sizeof(text));
	kit_write(k);
	kit_repo(k, "did:plc:a");
	result.owner_ref = rk_slice_make(text, 0);
	assert_int_equal(rk_write_link(&k->w, &result), 0);
	result.owner_ref = rk_slice_make(text, 65);
	assert_int_equal(rk_write_link(&k->w, &result), 0);
	result.owner_ref = rk_slice_make(text, 600);
	assert_int_equal(rk_write_link(&k->w, &result), 0);
	assert_int_equal(rk_table_entries(&k->w.view, RK_TABLE_ANSWER), 0);
	result.owner_ref = rk_slice_make(text, 64);
	assert_int_equal(rk_write_link(&k->w, &result), 0);
	kit_commit(k);
	kit_read(k);
	assert_int_equal(rk_read_owner(k->s, &owner, MOOD, rk_slice_make(text, 64)), 0);
	assert_int_equal(
		rk_read_owner(k->s, &owner, MOOD, rk_slice_make(text, 600)), RK_STORE_ABSENT);
	kit_check(k);
}

static void duplicates_are_counted_all_and_given_some(void **state)
{
	enum { MANY = 300 };
	struct kit *k = *state;
	struct rk_record answer, out[12];
	uint64_t count;
	rk_repo_id a, b;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	b = kit_repo(k, "did:plc:b");
	for (unsigned i = 0; i < MANY; i++) {
		const struct kit_record record = {.rkey = kit_rkey(i), .ref = X};

		kit_put(k, a, &record, i);
	}
	kit_put(k, b, &(struct kit_record){.rkey = kit_rkey(1), .ref = X}, 5);
	kit_put(k, a, &(struct kit_record){.rkey = kit_rkey(1), .collection = PAINTING, .ref = X},
		5);
	kit_link(k, a, MOOD, kit_rkey(4), RK_LINK_LINKED);
	kit_commit(k);
	kit_read(k);
	assert_int_equal(rk_read_lookup(k->s, &answer, RK_LOOKUP_REF, MOOD, rk_slice_str(X), 0), 0);
	assert_slice_equal(answer.rkey, kit_rkey(4));
	assert_int_equal(rk_read_duplicates(k->s, out, 10, &count, &answer), 0);
	assert_int_equal(count, MANY - 1);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(out[i].repo, a);
		assert_slice_equal(out[i].rkey, kit_rkey(i < 4 ? i : i + 1));
	}
	/* The answer in the middle, at the end, and of a repo with one. */
	answer = kit_record(k, a, MOOD, kit_rkey(MANY - 1));
	assert_int_equal(rk_read_duplicates(k->s, out, 1, &count, &answer), 0);
	assert_int_equal(count, MANY - 1);
	assert_slice_equal(out[0].rkey, kit_rkey(4));
	assert_int_equal(rk_read_duplicates(k->s, NULL, 0, &count, &answer), 0);
	assert_int_equal(count, MANY - 1);
	answer = kit_record(k, b, MOOD, kit_rkey(1));
	assert_int_equal(rk_read_duplicates(k->s, out, 10, &count, &answer), 0);
	assert_int_equal(count, 0);
	answer = kit_record(k, a, PAINTING, kit_rkey(1));
	answer.ref = (struct rk_slice){0};
	assert_int_equal(rk_read_duplicates(k->s, out, 10, &count, &answer), 0);
	assert_int_equal(count, 0);
}

struct seen {
	struct kit *k;
	unsigned count, most;
	uint8_t links[8];
	rk_repo_id repos[8];
};

static bool see(void *context, const struct rk_record *record)
{
	struct seen *seen = context;

	if (seen->count == seen->most)
		return false;
	seen->repos[seen->count] = record->repo;
	seen->links[seen->count++] = record->link;
	/* Other lookups in between disturb nothing. */
	kit_lookup(seen->k, RK_LOOKUP_REF, MOOD, X, 1);
	return true;
}

static void ref_all_gives_every_record_best_first(void **state)
{
	struct kit *k = *state;
	struct seen seen = {.k = k, .most = 8};
	static const struct claim claims[] = {
		{A, RK_LINK_CONFLICT}, {B, RK_LINK_NONE}, {C, RK_LINK_LINKED}, {A}};
	static const rk_repo_id order[] = {C, B, A, A};

	kit_write(k);
	kit_repo(k, "did:plc:a");
	kit_repo(k, "did:plc:b");
	kit_repo(k, "did:plc:c");
	for (unsigned i = 0; i < 4; i++) {
		const struct kit_record record = {.rkey = kit_rkey(i), .ref = X};

		kit_put(k, claims[i].repo, &record, i);
		if (claims[i].link)
			kit_link(k, claims[i].repo, MOOD, record.rkey, claims[i].link);
	}
	kit_account(k, B, RK_ACCOUNT_SUSPENDED);
	kit_commit(k);
	kit_read(k);
	assert_int_equal(rk_read_ref_all(k->s, MOOD, rk_slice_str(X), see, &seen), 0);
	assert_int_equal(seen.count, 4);
	assert_memory_equal(seen.repos, order, sizeof(order));
	assert_int_equal(seen.links[3], RK_LINK_CONFLICT);
	seen = (struct seen){.k = k, .most = 2};
	assert_int_equal(rk_read_ref_all(k->s, MOOD, rk_slice_str(X), see, &seen), 0);
	assert_int_equal(seen.count, 2);
	seen = (struct seen){.k = k, .most = 8};
	assert_int_equal(rk_read_ref_all(k->s, PAINTING, rk_slice_str(X), see, &seen), 0);
	assert_int_equal(rk_read_ref_all(k->s, MOOD, (struct rk_slice){0}, see, &seen), 0);
	assert_int_equal(seen.count, 0);
}

/* The view of a transaction under way shows what it wrote, read after read. */
static void lookups_inside_a_write(void **state)
{
	struct kit *k = *state;
	struct rk_record answer;
	uint64_t count;
	rk_repo_id a;

	kit_write(k);
	a = kit_repo(k, "did:plc:a");
	for (unsigned i = 0; i < 50; i++) {
		const struct kit_record record = {.rkey = kit_rkey(i), .ref = X};

		kit_put(k, a, &record, i);
		assert_int_equal(rk_read_lookup(rk_write_view(&k->w), &answer, RK_LOOKUP_REF, MOOD,
					 rk_slice_str(X), 0),
			0);
		assert_slice_equal(answer.rkey, kit_rkey(0));
		assert_int_equal(
			rk_read_duplicates(rk_write_view(&k->w), NULL, 0, &count, &answer), 0);
		assert_int_equal(count, i);
	}
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(rk_read_lookup(rk_write_view(&k->w), &answer, RK_LOOKUP_REF, MOOD,
					 rk_slice_str(X), a),
			0);
		assert_slice_equal(answer.rkey, kit_rkey(i));
		kit_put(k, a, &(struct kit_record){.rkey = kit_rkey(i), .gone = true}, i);
	}
	assert_int_equal(rk_read_lookup(rk_write_view(&k->w), &answer, RK_LOOKUP_REF, MOOD,
				 rk_slice_str(X), 0),
		RK_STORE_ABSENT);
	kit_commit(k);
	kit_check(k);
}

/* A snapshot that begins again sees what is there now. */
static void snapshots_do_not_change_and_begin_anew(void **state)
{
	struct kit *k = *state;
	struct rk_snapshot *old;
	struct rk_record record;

	assert_int_equal(rk_snapshot_create(&old, k->store), 0);
	for (unsigned i = 0; i < 20; i++) {
		const struct kit_record put = {.rkey = kit_rkey(1), .ref = X, .version = i};
		const struct kit_record gone = {.rkey = kit_rkey(1), .gone = true};

		assert_int_equal(rk_snapshot_begin(old), 0);
		kit_write(k);
		kit_put(k, kit_repo(k, "did:plc:a"), i % 2 ? &gone : &put, i);
		kit_commit(k);
		assert_int_equal(
			rk_read_lookup(old, &record, RK_LOOKUP_REF, MOOD, rk_slice_str(X), 0),
			i % 2 ? 0 : RK_STORE_ABSENT);
		assert_int_equal(
			rk_read_lookup(old, &record, RK_LOOKUP_REF, MOOD, rk_slice_str(X), 0),
			i % 2 ? 0 : RK_STORE_ABSENT);
		rk_snapshot_end(old);
		assert_int_equal(rk_snapshot_begin(old), 0);
		assert_int_equal(
			rk_read_lookup(old, &record, RK_LOOKUP_REF, MOOD, rk_slice_str(X), 0),
			i % 2 ? RK_STORE_ABSENT : 0);
		rk_snapshot_end(old);
	}
	rk_snapshot_destroy(old);
	rk_snapshot_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(answers_by_the_rule),
		TEST(every_account_state_but_active_is_passed_over),
		TEST(a_derived_id_answers_by_the_same_rule),
		TEST(values_that_cannot_be_are_absent),
		TEST(a_prefix_is_not_the_value),
		TEST(code_and_slug_prefer_the_linked),
		TEST(owner_is_for_ever),
		TEST(a_new_owner_takes_the_place_of_the_old_one),
		TEST(refs_without_bounds_have_no_owner),
		TEST(duplicates_are_counted_all_and_given_some),
		TEST(ref_all_gives_every_record_best_first),
		TEST(lookups_inside_a_write),
		TEST(snapshots_do_not_change_and_begin_anew),
	};
	return cmocka_run_group_tests_name("store/lookup", tests, NULL, NULL);
}
