/*
 * The interop suite's commits: trees before and after, and the nodes a proof must consist of. The
 * edit must lead from each root to the other, backwards on no more than the proof; and without any
 * single node of it, never to a wrong root.
 */
#include "tests/unit/atproto/tree.h"

#include <jansson.h>
#include <stdlib.h>

#include "atproto/mst_edit.h"
#include "tests/unit/vectors.h"

enum { KEYS_MOST = 64 };

static struct rk_slice text_of(const json_t *text)
{
	assert_true(json_is_string(text));
	return rk_slice_make(json_string_value(text), json_string_length(text));
}

static struct rk_cid cid_of(const json_t *text)
{
	struct rk_cid cid;

	assert_true(rk_cid_from_text(&cid, text_of(text)));
	return cid;
}

/* The keys before, or after. */
struct keys {
	struct rk_slice keys[KEYS_MOST];
	size_t count;
};

static int order(const void *a, const void *b)
{
	return rk_slice_compare(*(const struct rk_slice *)a, *(const struct rk_slice *)b);
}

static bool contains(const json_t *list, struct rk_slice text)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		if (rk_slice_equal(text_of(entry), text))
			return true;
	}
	return false;
}

static void keys_add(struct keys *out, const json_t *list, const json_t *without)
{
	const json_t *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		assert_true(out->count < KEYS_MOST);
		if (!without || !contains(without, text_of(entry)))
			out->keys[out->count++] = text_of(entry);
	}
	qsort(out->keys, out->count, sizeof(out->keys[0]), order);
}

static int edit_order(const void *a, const void *b)
{
	const struct rk_mst_edit *left = a, *right = b;

	return rk_slice_compare(left->key, right->key);
}

static size_t edits_of(
	struct rk_mst_edit *out, const json_t *commit, const struct rk_cid *value, bool backwards)
{
	const json_t *entry;
	size_t i, count = 0;

	json_array_foreach(json_object_get(commit, "adds"), i, entry)
	{
		out[count++] = (struct rk_mst_edit){
			.key = text_of(entry),
			.before = backwards ? value : NULL,
			.after = backwards ? NULL : value,
		};
	}
	json_array_foreach(json_object_get(commit, "dels"), i, entry)
	{
		out[count++] = (struct rk_mst_edit){
			.key = text_of(entry),
			.before = backwards ? NULL : value,
			.after = backwards ? value : NULL,
		};
	}
	qsort(out, count, sizeof(out[0]), edit_order);
	return count;
}

/* The blocks of a CAR that the list names, but for the one at `but`. */
static void only(struct rk_buf *out, struct rk_slice in, const json_t *list, size_t but)
{
	const json_t *entry;
	struct rk_blocks blocks;
	size_t i;

	assert_int_equal(rk_blocks_load(&blocks, NULL, in, SIZE_MAX), RK_BLOCKS_OK);
	rk_buf_clear(out);
	make_car(out, &blocks.root);
	json_array_foreach(list, i, entry)
	{
		struct rk_cid cid = cid_of(entry);
		struct rk_slice block;

		assert_true(rk_blocks_find(&blocks, &cid, &block));
		if (i != but)
			make_block(out, &cid, block);
	}
	rk_blocks_finish(&blocks);
}

static int edit(struct rk_cid *out, struct rk_slice car, const struct rk_cid *root,
	const struct rk_mst_edit *edits, size_t count)
{
	struct rk_arena arena = {0};
	struct rk_blocks blocks;
	int result;

	assert_int_equal(rk_blocks_load(&blocks, NULL, car, SIZE_MAX), RK_BLOCKS_OK);
	result = rk_mst_edit(out, &arena, &blocks, root, edits, count);
	rk_blocks_finish(&blocks);
	rk_arena_finish(&arena);
	return result;
}

static void commit_check(const json_t *commit)
{
	struct rk_cid before = cid_of(json_object_get(commit, "rootBeforeCommit"));
	struct rk_cid after = cid_of(json_object_get(commit, "rootAfterCommit"));
	const json_t *proof = json_object_get(commit, "blocksInProof");
	struct rk_cid value = cid_of(json_object_get(commit, "leafValue")), root;
	struct rk_cid any = make_cid(rk_slice_str("root"));
	struct keys keys_before = {0}, keys_after = {0};
	struct rk_buf car = {0}, part = {0};
	struct rk_mst_edit edits[KEYS_MOST];
	size_t count;

	tree_value_set = value;
	keys_add(&keys_before, json_object_get(commit, "keys"), NULL);
	keys_add(&keys_after, json_object_get(commit, "keys"), json_object_get(commit, "dels"));
	keys_add(&keys_after, json_object_get(commit, "adds"), NULL);
	make_car(&car, &any);
	root = tree_of(&car, keys_before.keys, keys_before.count);
	assert_true(rk_cid_equal(&root, &before));
	count = edits_of(edits, commit, &value, false);
	assert_int_equal(edit(&root, rk_buf_slice(&car), &before, edits, count), RK_MST_EDIT_OK);
	assert_true(rk_cid_equal(&root, &after));

	rk_buf_clear(&car);
	make_car(&car, &any);
	root = tree_of(&car, keys_after.keys, keys_after.count);
	assert_true(rk_cid_equal(&root, &after));
	count = edits_of(edits, commit, &value, true);
	for (size_t but = 0; but <= json_array_size(proof); but++) {
		int result;

		only(&part, rk_buf_slice(&car), proof, but);
		result = edit(&root, rk_buf_slice(&part), &after, edits, count);
		if (but == json_array_size(proof) || result != RK_MST_EDIT_MISSING) {
			assert_int_equal(result, RK_MST_EDIT_OK);
			assert_true(rk_cid_equal(&root, &before));
		}
	}
	rk_buf_finish(&car);
	rk_buf_finish(&part);
}

static void commit_proofs(void **state)
{
	char path[RK_VECTORS_PATH_SIZE];
	json_t *list, *entry;
	size_t i;

	rk_vectors_require(path, sizeof(path), "firehose/commit-proof-fixtures.json");
	list = json_load_file(path, 0, NULL);
	assert_true(json_is_array(list) && json_array_size(list) > 0);
	json_array_foreach(list, i, entry)
	{
		print_message("%s\n", json_string_value(json_object_get(entry, "comment")));
		commit_check(entry);
	}
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commit_proofs),
	};
	return rk_vectors_exit(
		cmocka_run_group_tests_name("atproto/mst_edit interop", tests, NULL, NULL));
}
