/* Rules of store/heads: the commit of a repo is known only while the index is shown to have all of it. */
#include "tests/unit/store/kit.h"

#include "store/heads.h"

enum { MOOD = RK_COLLECTION_MOOD, PAINTING = RK_COLLECTION_PAINTING };

static struct rk_cid cid(unsigned number)
{
	struct rk_cid out;

	rk_cid_compute(&out, RK_CODEC_DAG_CBOR, rk_slice_make(&number, sizeof(number)));
	return out;
}

/* A repo at a rev; its tree is one of as many as there are revs, unless said otherwise. */
static struct rk_repo at(rk_repo_id id, uint64_t rev)
{
	return (struct rk_repo){.id = id, .rev = rev, .data = cid((unsigned)rev)};
}

static void note(struct rk_heads *heads, rk_repo_id id, uint64_t from, uint64_t to)
{
	const struct rk_repo before = at(id, from), now = at(id, to);
	const struct rk_cid commit = cid(1000 + (unsigned)to);

	rk_heads_note(heads, &before, &now, &commit);
}

static void agree(struct rk_heads *heads, rk_repo_id id, uint64_t rev, uint8_t collection)
{
	const struct rk_repo repo = at(id, rev);

	rk_heads_agree(heads, &repo, collection);
}

static bool takes(struct rk_heads *heads, rk_repo_id id, uint64_t rev, uint8_t collection)
{
	const struct rk_cid right = cid(1000 + (unsigned)rev);
	const struct rk_repo repo = at(id, rev);
	struct rk_cid commit;

	if (!rk_heads_take(heads, &commit, &repo, collection))
		return false;
	assert_true(rk_cid_equal(&commit, &right));
	return true;
}

static void a_commit_is_known_behind_what_agreed_and_given_once(void **state)
{
	struct rk_heads *heads = rk_heads_create();

	(void)state;
	assert_non_null(heads);
	assert_false(takes(heads, 1, 5, MOOD));
	agree(heads, 1, 5, MOOD);
	assert_false(takes(heads, 1, 5, MOOD));
	note(heads, 1, 5, 6);
	assert_false(takes(heads, 1, 5, MOOD));
	assert_false(takes(heads, 1, 6, PAINTING));
	assert_false(takes(heads, 2, 6, MOOD));
	assert_true(takes(heads, 1, 6, MOOD));
	assert_false(takes(heads, 1, 6, MOOD));
	/* Whoever had it may not have written. */
	agree(heads, 1, 6, MOOD);
	assert_false(takes(heads, 1, 6, MOOD));
	note(heads, 1, 6, 7);
	assert_true(takes(heads, 1, 7, MOOD));
	rk_heads_destroy(heads);
}

static void what_did_not_come_by_a_commit_ends_it(void **state)
{
	struct rk_heads *heads = rk_heads_create();
	struct rk_repo other = at(1, 9);
	struct rk_cid commit;

	(void)state;
	assert_non_null(heads);
	note(heads, 1, 5, 6);
	assert_false(takes(heads, 1, 6, MOOD));
	agree(heads, 1, 6, MOOD);
	/* The repo was fetched at 8. */
	note(heads, 1, 8, 9);
	assert_false(takes(heads, 1, 9, MOOD));
	agree(heads, 1, 9, MOOD);
	/* The same rev, and another tree. */
	other.data = cid(77);
	assert_false(rk_heads_take(heads, &commit, &other, MOOD));
	assert_true(takes(heads, 1, 9, MOOD));
	rk_heads_destroy(heads);
}

static void what_was_read_before_undoes_nothing(void **state)
{
	struct rk_heads *heads = rk_heads_create();

	(void)state;
	assert_non_null(heads);
	agree(heads, 1, 5, MOOD);
	note(heads, 1, 5, 6);
	agree(heads, 1, 5, PAINTING);
	assert_false(takes(heads, 1, 6, PAINTING));
	assert_true(takes(heads, 1, 6, MOOD));
	/* Of two in one place the last one has it. */
	note(heads, 1, 6, 7);
	agree(heads, 1 + RK_HEADS, 3, MOOD);
	assert_false(takes(heads, 1, 7, MOOD));
	note(heads, 1 + RK_HEADS, 3, 4);
	assert_true(takes(heads, 1 + RK_HEADS, 4, MOOD));
	rk_heads_destroy(heads);
}

/* A change that a commit made, and one that was fetched. */
static struct rk_repo changed(
	struct kit *k, rk_repo_id id, unsigned rev, const struct rk_cid *commit)
{
	const struct kit_record put = {.rkey = kit_rkey(rev), .collection = MOOD};
	const struct rk_change_record record = kit_make(&put);
	struct rk_change change = {.repo = id, .records = &record, .count = 1, .commit = commit};
	struct rk_repo head;

	kit_write(k);
	assert_int_equal(rk_read_repo(rk_write_view(&k->w), &head, id), 0);
	head.did = rk_slice_str("did:plc:a");
	head.rev = rev;
	head.data = cid(rev);
	change.head = &head;
	assert_int_equal(rk_write_change(&k->w, &change), 0);
	kit_commit(k);
	assert_int_equal(rk_read_repo(kit_read(k), &head, id), 0);
	return head;
}

static void the_index_notes_commits_and_nothing_else(void **state)
{
	struct kit *k = *state;
	struct rk_heads *heads = rk_store_heads(k->store);
	const struct rk_cid commits[] = {cid(101), cid(102), cid(104)};
	struct rk_cid commit;
	struct rk_repo repo;
	rk_repo_id id;

	kit_write(k);
	id = kit_repo(k, "did:plc:a");
	kit_commit(k);
	repo = changed(k, id, 1, &commits[0]);
	rk_heads_agree(heads, &repo, MOOD);
	repo = changed(k, id, 2, &commits[1]);
	assert_true(rk_heads_take(heads, &commit, &repo, MOOD));
	assert_true(rk_cid_equal(&commit, &commits[1]));
	repo = changed(k, id, 3, NULL);
	assert_false(rk_heads_take(heads, &commit, &repo, MOOD));
	repo = changed(k, id, 4, &commits[2]);
	assert_false(rk_heads_take(heads, &commit, &repo, MOOD));
	rk_heads_agree(heads, &repo, MOOD);
	assert_true(rk_heads_take(heads, &commit, &repo, MOOD));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_commit_is_known_behind_what_agreed_and_given_once),
		cmocka_unit_test(what_did_not_come_by_a_commit_ends_it),
		cmocka_unit_test(what_was_read_before_undoes_nothing),
		cmocka_unit_test_setup_teardown(
			the_index_notes_commits_and_nothing_else, kit_setup, kit_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
