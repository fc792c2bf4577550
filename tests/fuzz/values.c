/* Stored values, as if the disk lied: one that is read is written again the same, and no slice of it
 * lies outside. The first byte divides the rest into a key and a value. */
#include "tests/fuzz/fuzz.h"

#include "store/inside.h"

static void same(struct rk_buf *again, struct rk_slice value)
{
	fuzz_must(rk_slice_equal(rk_buf_slice(again), value));
	rk_buf_clear(again);
}

/* What newer tables of an older index have less of is filled up when it is written again. */
static void as_long(struct rk_buf *again, struct rk_slice value)
{
	fuzz_must(rk_buf_failed(again) == 0 && again->len > 0);
	rk_buf_clear(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice key, value;
	struct rk_identity identity;
	struct rk_pending pending;
	struct rk_record record;
	struct rk_issue issue;
	struct rk_write counts = {0};
	struct rk_repo repo;
	struct rk_buf again = {0};
	size_t split;

	if (size == 0)
		return 0;
	split = data[0] < size - 1 ? data[0] : size - 1;
	key = rk_slice_make(data + 1, split);
	value = rk_slice_make(data + 1 + split, size - 1 - split);
	if (rk_value_repo_read(&repo, 1, value)) {
		fuzz_must(rk_account_name((enum rk_account)repo.account));
		rk_value_repo(&again, &repo);
		as_long(&again, value);
	}
	if (rk_value_identity_read(&identity, value)) {
		rk_value_identity(&again, &identity);
		fuzz_must(again.len == value.len);
		rk_buf_clear(&again);
	}
	if (rk_value_record_read(&record, key, value)) {
		fuzz_must(record.collection < RK_COLLECTION_COUNT && record.rkey.len > 0);
		rk_value_record(&again, &record);
		fuzz_must(again.len == value.len);
		rk_buf_clear(&again);
	}
	if (rk_value_pending_read(&pending, key, value)) {
		fuzz_must(pending.collection < RK_COLLECTION_COUNT && pending.rkey.len > 0);
		if (pending.rkey.len > RK_RKEY_PLAIN) {
			rk_value_pending(&again, &pending);
			same(&again, value);
		}
	}
	if (rk_value_issue_read(&issue, key, value)) {
		fuzz_must(issue.collection < RK_COLLECTION_COUNT && issue.kind < RK_ISSUE_COUNT);
		rk_value_issue(&again, &issue);
		same(&again, value);
	}
	if (rk_value_counts_read(&counts, value)) {
		rk_value_counts(&again, &counts);
		as_long(&again, value);
	}
	rk_buf_finish(&again);
	return 0;
}
