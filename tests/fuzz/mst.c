/*
 * Trees in a CAR whose root is the tree's, or a commit that names it. Any tree that a walk believes
 * has the one form there is: an edit that changes nothing writes it again with the same root, keys
 * can be taken away in any number, and with none left it is the empty tree.
 */
#include "tests/fuzz/fuzz.h"

#include "atproto/commit.h"
#include "atproto/mst_edit.h"

enum { KEYS_MOST = 512, KEY_BYTES_MOST = 64 << 10 };

struct rk_slice fuzz_car(struct rk_slice input)
{
	return input;
}

struct keys {
	uint8_t bytes[KEY_BYTES_MOST];
	size_t used, count;
	struct rk_slice keys[KEYS_MOST];
	struct rk_cid values[KEYS_MOST];
};

static struct keys keys;

static bool keep(void *context, struct rk_slice key, const struct rk_cid *value)
{
	fuzz_must(key.len <= RK_MST_KEY_MOST);
	if (keys.count == KEYS_MOST || keys.used + key.len > sizeof(keys.bytes))
		return false;
	fuzz_must(keys.count == 0 || rk_slice_compare(keys.keys[keys.count - 1], key) < 0);
	memcpy(keys.bytes + keys.used, key.data, key.len);
	keys.keys[keys.count] = rk_slice_make(keys.bytes + keys.used, key.len);
	keys.values[keys.count++] = *value;
	keys.used += key.len;
	return true;
}

/* Of the keys those that `in` divides are proven; or taken away. */
static size_t edits_make(struct rk_mst_edit *out, size_t in, bool away)
{
	size_t count = 0;

	for (size_t i = 0; i < keys.count; i += in)
		out[count++] = (struct rk_mst_edit){
			keys.keys[i], &keys.values[i], away ? NULL : &keys.values[i]};
	return count;
}

static void edit_believed(const struct rk_blocks *blocks, const struct rk_cid *root)
{
	static struct rk_mst_edit edits[KEYS_MOST];
	struct rk_arena arena = {0};
	struct rk_cid after, empty;

	rk_cid_compute(&empty, RK_CODEC_DAG_CBOR, rk_slice_str(RK_MST_EMPTY));
	for (size_t in = 1; in < 4; in++) {
		size_t count = edits_make(edits, in, false);

		fuzz_must(
			rk_mst_edit(&after, &arena, blocks, root, edits, count) == RK_MST_EDIT_OK);
		fuzz_must(rk_cid_equal(&after, root));
		count = edits_make(edits, in, true);
		fuzz_must(
			rk_mst_edit(&after, &arena, blocks, root, edits, count) == RK_MST_EDIT_OK);
		fuzz_must(rk_cid_equal(&after, root) == (count == 0));
		fuzz_must(rk_cid_equal(&after, &empty) == (count == keys.count));
		rk_arena_reset(&arena);
	}
	rk_arena_finish(&arena);
}

/* Whatever the tree is. */
static void edit_any(const struct rk_blocks *blocks, const struct rk_cid *root)
{
	static const char *const texts[] = {"a/b", "app.bsky.feed.post/3", "c/5", "com.example/z"};
	struct rk_mst_edit edits[4], proof;
	struct rk_arena arena = {0};
	struct rk_cid after;

	for (size_t i = 0; i < 4; i++)
		edits[i] = (struct rk_mst_edit){rk_slice_str(texts[i]), NULL, root};
	fuzz_must(rk_mst_edit(&after, &arena, blocks, root, edits, 4) >= 0);
	for (size_t i = 0; i < keys.count; i++) {
		proof = (struct rk_mst_edit){keys.keys[i], &keys.values[i], NULL};
		fuzz_must(rk_mst_edit(&after, &arena, blocks, root, &proof, 1) >= 0);
		rk_arena_reset(&arena);
	}
	rk_arena_finish(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_arena arena = {0};
	struct rk_blocks blocks;
	struct rk_commit commit;
	struct rk_slice block;
	struct rk_cid root;

	if (rk_blocks_load(&blocks, &arena, rk_slice_make(data, size), SIZE_MAX) != RK_BLOCKS_OK)
		goto done;
	root = blocks.root;
	if (rk_blocks_find(&blocks, &root, &block) && rk_commit_parse(&commit, block))
		root = commit.data;
	keys.used = keys.count = 0;
	if (rk_mst_walk(&blocks, &root, keep, NULL) == RK_MST_OK)
		edit_believed(&blocks, &root);
	edit_any(&blocks, &root);
done:
	rk_arena_finish(&arena);
	return 0;
}
