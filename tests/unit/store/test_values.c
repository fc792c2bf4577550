/* Rules of store/values: what was written is read back; anything else is refused, not guessed. */
#include "tests/unit/store/kit.h"

#include <stdlib.h>

enum { REPO = 0x01020304 };

static const struct rk_slice long_rkey = RK_SLICE_LIT(
	"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
	"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
	"rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr");

typedef bool value_read(struct rk_slice key, struct rk_slice value);

/* Every shorter value, one with more behind it and one of another version are refused; from memory
 * of exactly that size, so that reading past the end shows. */
static void refuses_what_is_cut(value_read *read, struct rk_slice key, struct rk_buf *value)
{
	assert_int_equal(rk_buf_failed(value), 0);
	for (size_t len = 0; len <= value->len + 1; len++) {
		uint8_t *copy = malloc(len ? len : 1);
		size_t have = len < value->len ? len : value->len;

		assert_non_null(copy);
		memcpy(copy, value->data, have);
		if (len > have)
			copy[have] = 0;
		assert_int_equal(read(key, rk_slice_make(copy, len)), len == value->len);
		free(copy);
	}
	value->data[0]++;
	assert_false(read(key, rk_buf_slice(value)));
	rk_buf_finish(value);
}

static bool repo_read(struct rk_slice key, struct rk_slice value)
{
	struct rk_repo repo;

	return rk_value_repo_read(&repo, REPO, value);
}

static void repos(void **state)
{
	struct rk_repo in =
			       {
				       .id = REPO,
				       .did = rk_slice_str("did:plc:abc"),
				       .rev = UINT64_MAX,
				       .sync = RK_SYNC_SYNCHRONIZED,
				       .account = RK_ACCOUNT_INACTIVE,
				       .unreadable = true,
				       .said = true,
				       .flags = 0xff,
				       .failures = 255,
				       .retry_ms = INT64_MAX,
				       .counts = {UINT32_MAX, 7},
			       },
		       out;
	struct rk_buf value = {0};

	memset(in.data.bytes, 0xab, RK_CID_BYTES);
	rk_value_repo(&value, &in);
	assert_true(rk_value_repo_read(&out, REPO, rk_buf_slice(&value)));
	assert_int_equal(out.id, REPO);
	assert_slice_equal(out.did, in.did);
	assert_true(out.rev == in.rev && out.sync == in.sync && out.account == in.account);
	assert_true(out.unreadable && out.said);
	assert_true(out.flags == in.flags && out.failures == 255 && out.retry_ms == INT64_MAX);
	assert_memory_equal(out.data.bytes, in.data.bytes, RK_CID_BYTES);
	assert_memory_equal(out.counts, in.counts, sizeof(in.counts));
	refuses_what_is_cut(repo_read, (struct rk_slice){0}, &value);

	in.account = RK_ACCOUNT_COUNT;
	rk_value_repo(&value, &in);
	assert_false(repo_read((struct rk_slice){0}, rk_buf_slice(&value)));
	rk_buf_finish(&value);
}

static bool identity_read(struct rk_slice key, struct rk_slice value)
{
	struct rk_identity identity;

	return rk_value_identity_read(&identity, value);
}

static void identities(void **state)
{
	struct rk_identity in =
				   {
					   .handle = rk_slice_str("jeffrey.at.aesthetic.computer"),
					   .pds = rk_slice_str("https://pds.example"),
					   .key = {.type = RK_KEY_P256, .point = {2, 3, 4}},
					   .fetched_ms = -5,
					   .failed = true,
				   },
			   out;
	struct rk_buf value = {0};

	rk_value_identity(&value, &in);
	assert_true(rk_value_identity_read(&out, rk_buf_slice(&value)));
	assert_slice_equal(out.handle, in.handle);
	assert_slice_equal(out.pds, in.pds);
	assert_memory_equal(out.key.point, in.key.point, sizeof(in.key.point));
	assert_true(out.key.type == RK_KEY_P256 && out.fetched_ms == -5 && out.failed);
	assert_int_equal(out.refused.len, 0);
	refuses_what_is_cut(identity_read, (struct rk_slice){0}, &value);

	in.refused = in.handle;
	in.handle = (struct rk_slice){0};
	in.failed = false;
	rk_value_identity(&value, &in);
	assert_true(rk_value_identity_read(&out, rk_buf_slice(&value)));
	assert_slice_equal(out.refused, in.refused);
	assert_int_equal(out.handle.len, 0);
	assert_false(out.failed);
	refuses_what_is_cut(identity_read, (struct rk_slice){0}, &value);
}

static bool record_read(struct rk_slice key, struct rk_slice value)
{
	struct rk_record record;

	return rk_value_record_read(&record, key, value);
}

static void records_of(struct rk_slice rkey)
{
	struct rk_record in =
				 {
					 .repo = REPO,
					 .collection = RK_COLLECTION_PAINTING,
					 .rkey = rkey,
					 .ref = rk_slice_str("65f0a1b2c3d4e5f601234567"),
					 .code = rk_slice_str("abc"),
					 .slug = rk_slice_str("a:b"),
					 .has_when = true,
					 .when_ms = -1,
					 .first = 0x060504030201,
					 .indexed_us = INT64_MAX,
					 .flags = 7,
					 .link = RK_LINK_CONFLICT,
					 .issues = 0x80000001,
					 .json = rk_slice_str("{}"),
				 },
			 out;
	struct rk_key_buf key = {0};
	struct rk_buf value = {0};
	size_t rank_at;
	rk_repo_id repo;

	rk_key_answer(&key, &in);
	rank_at = key.len - RK_KEY_PLACE;
	rk_value_record(&value, &in);
	assert_true(rk_value_record_read(&out, rk_key_slice(&key), rk_buf_slice(&value)));
	assert_true(out.repo == REPO && out.collection == in.collection);
	assert_slice_equal(out.rkey, in.rkey);
	assert_slice_equal(out.ref, in.ref);
	assert_slice_equal(out.code, in.code);
	assert_slice_equal(out.slug, in.slug);
	assert_slice_equal(out.json, in.json);
	assert_true(out.has_when && out.when_ms == -1 && out.first == in.first);
	assert_true(out.indexed_us == INT64_MAX && out.flags == 7 && out.link == RK_LINK_CONFLICT);
	assert_int_equal(out.issues, in.issues);
	/* The key has to suit the value. */
	key.bytes[rank_at - 1] = RK_COLLECTION_COUNT;
	assert_false(record_read(rk_key_slice(&key), rk_buf_slice(&value)));
	key.bytes[rank_at - 1] = RK_COLLECTION_PAINTING;
	key.bytes[rank_at]--;
	assert_false(record_read(rk_key_slice(&key), rk_buf_slice(&value)));
	key.bytes[rank_at]++;
	for (size_t len = 0; len < 2 + RK_KEY_PLACE; len++)
		assert_false(record_read(
			rk_slice_sub(rk_key_slice(&key), 0, len), rk_buf_slice(&value)));
	/* The repo alone. */
	assert_true(rk_value_record_repo(&repo, rk_buf_slice(&value)) && repo == REPO);
	assert_false(rk_value_record_repo(&repo, rk_slice_sub(rk_buf_slice(&value), 0, 4)));
	refuses_what_is_cut(record_read, rk_key_slice(&key), &value);

	in.link = RK_LINK_CONFLICT + 1;
	rk_value_record(&value, &in);
	assert_false(record_read(rk_key_slice(&key), rk_buf_slice(&value)));
	rk_buf_finish(&value);
}

static void records(void **state)
{
	records_of(rk_slice_str("3kabcdefghij2"));
	records_of(rk_slice_sub(long_rkey, 0, 254));
	records_of(long_rkey);
}

static bool pending_read(struct rk_slice key, struct rk_slice value)
{
	struct rk_pending pending;

	return rk_value_pending_read(&pending, key, value);
}

static void pending_of(bool gone, struct rk_slice ref, struct rk_slice rkey)
{
	struct rk_pending in =
				  {
					  .generation = UINT64_MAX,
					  .due_ms = INT64_MIN,
					  .attempts = UINT32_MAX,
					  .flags = (uint8_t)(RK_PENDING_UPDATED |
						  (gone ? RK_PENDING_GONE : 0)),
					  .rkey = rkey,
				  },
			  out;
	struct rk_key_buf key = {0};
	struct rk_buf value = {0};

	rk_key_pending(&key, gone, ref, REPO, RK_COLLECTION_PAINTING, rkey);
	rk_value_pending(&value, &in);
	assert_true(rk_value_pending_read(&out, rk_key_slice(&key), rk_buf_slice(&value)));
	assert_true(out.repo == REPO && out.collection == RK_COLLECTION_PAINTING);
	assert_slice_equal(out.rkey, rkey);
	assert_slice_equal(out.ref, gone ? ref : (struct rk_slice){0});
	assert_slice_equal(out.key, rk_key_slice(&key));
	assert_true(out.generation == UINT64_MAX && out.due_ms == INT64_MIN);
	assert_true(out.attempts == UINT32_MAX && out.flags == in.flags);
	/* Flags that the key contradicts. */
	value.data[1] ^= RK_PENDING_GONE;
	assert_false(pending_read(rk_key_slice(&key), rk_buf_slice(&value)));
	value.data[1] ^= RK_PENDING_GONE;
	key.bytes[0] = 'X';
	assert_false(pending_read(rk_key_slice(&key), rk_buf_slice(&value)));
	key.bytes[0] = gone ? 'G' : 'R';
	refuses_what_is_cut(pending_read, rk_key_slice(&key), &value);
}

static void pending(void **state)
{
	pending_of(false, (struct rk_slice){0}, rk_slice_str("3kabcdefghij2"));
	pending_of(false, (struct rk_slice){0}, long_rkey);
	pending_of(true, (struct rk_slice){0}, rk_slice_str("3kabcdefghij2"));
	pending_of(true, rk_slice_str("65f0a1b2c3d4e5f601234567"), long_rkey);
}

static bool issue_read(struct rk_slice key, struct rk_slice value)
{
	struct rk_issue issue;

	return rk_value_issue_read(&issue, key, value);
}

static void issues(void **state)
{
	const struct rk_issue cases[] = {
		{.kind = RK_ISSUE_DANGLING,
			.repo = REPO,
			.collection = 1,
			.ref = RK_SLICE_LIT("ab"),
			.at_ms = 5,
			.message = RK_SLICE_LIT("why")},
		{.kind = RK_ISSUE_INVALID, .repo = REPO, .collection = 0, .rkey = long_rkey},
		{.kind = RK_ISSUE_UNCLAIMED, .repo = REPO, .collection = -1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct rk_issue *in = &cases[i];
		struct rk_key_buf key = {0};
		struct rk_buf value = {0};
		struct rk_issue out;

		rk_key_issue(&key, in);
		rk_value_issue(&value, in);
		assert_true(rk_value_issue_read(&out, rk_key_slice(&key), rk_buf_slice(&value)));
		assert_true(out.kind == in->kind && out.repo == in->repo && out.at_ms == in->at_ms);
		assert_int_equal(out.collection, in->collection);
		assert_slice_equal(out.rkey, in->rkey);
		assert_slice_equal(out.ref, in->ref);
		assert_slice_equal(out.message, in->message);
		key.bytes[0] = RK_ISSUE_COUNT;
		assert_false(issue_read(rk_key_slice(&key), rk_buf_slice(&value)));
		key.bytes[0] = in->kind;
		refuses_what_is_cut(issue_read, rk_key_slice(&key), &value);
	}
}

static bool counts_read(struct rk_slice key, struct rk_slice value)
{
	struct rk_write w = {0};

	return rk_value_counts_read(&w, value);
}

static void counts(void **state)
{
	struct rk_write in = {.next_repo = 7, .generation = 9}, out = {0};
	struct rk_buf value = {0};

	in.counts = (struct rk_counts){
		.repos = 1, .desynchronized = 2, .unready = 3, .records = {4, 5}, .issues = {6, 7}};
	rk_value_counts(&value, &in);
	assert_true(rk_value_counts_read(&out, rk_buf_slice(&value)));
	assert_int_equal(out.next_repo, 7);
	assert_int_equal(out.generation, 9);
	assert_memory_equal(&out.counts, &in.counts, sizeof(in.counts));
	refuses_what_is_cut(counts_read, (struct rk_slice){0}, &value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repos),
		cmocka_unit_test(identities),
		cmocka_unit_test(records),
		cmocka_unit_test(pending),
		cmocka_unit_test(issues),
		cmocka_unit_test(counts),
	};
	return cmocka_run_group_tests_name("store/values", tests, NULL, NULL);
}
