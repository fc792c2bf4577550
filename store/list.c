/* Records in order of `when`, page by page. */
#include "store/inside.h"

#include <errno.h>

enum { WHEN_PREFIX = 5, WHEN_TIME = 8, WHEN_REPO = 4 };

static void prefix_make(struct rk_key_buf *key, const struct rk_list_query *query)
{
	rk_key_uint(key, query->repo, 4);
	rk_key_uint(key, query->collection, 1);
}

size_t rk_list_position(uint8_t out[RK_LIST_POSITION_MOST], const struct rk_list_query *query,
	const struct rk_record *record)
{
	struct rk_key_buf key = {0};

	rk_key_when(&key, query->repo, record);
	memcpy(out, key.bytes + WHEN_PREFIX, key.len - WHEN_PREFIX);
	return key.len - WHEN_PREFIX;
}

bool rk_list_position_valid(const struct rk_list_query *query, struct rk_slice position)
{
	struct rk_reader r = rk_reader_make(position);
	uint64_t repo;

	rk_reader_uint(&r, WHEN_TIME);
	repo = rk_reader_uint(&r, WHEN_REPO);
	return !r.failed && rk_reader_left(&r) > 0 && rk_reader_left(&r) <= RK_RKEY_PLAIN + 1 &&
		repo && (query->repo == 0 || query->repo == repo);
}

/* The key to start from: a page goes on right behind its position. One from elsewhere may lie on the
 * near side of the range; then the range's own edge counts. */
static void start_make(struct rk_key_buf *key, const struct rk_list_query *query)
{
	struct rk_key_buf edge = {0};

	prefix_make(&edge, query);
	*key = edge;
	if (query->oldest_first && query->has_since)
		rk_key_uint(&edge, rk_key_time(query->since_ms), WHEN_TIME);
	else if (!query->oldest_first)
		rk_key_uint(&edge, query->has_until ? rk_key_time(query->until_ms) : UINT64_MAX,
			WHEN_TIME);
	rk_key_add(key, query->position);
	if (query->position.len == 0 ||
		(rk_slice_compare(rk_key_slice(key), rk_key_slice(&edge)) < 0) ==
			query->oldest_first)
		*key = edge;
}

/* Places the cursor on the first key to look at: the one at or behind `start` going up, or the last
 * one before it going down. */
static int cursor_place(MDB_cursor *cursor, MDB_val *k, MDB_val *v, const struct rk_key_buf *start,
	const struct rk_list_query *query)
{
	int r;

	*k = rk_val(rk_key_slice(start));
	r = mdb_cursor_get(cursor, k, v, MDB_SET_RANGE);
	if (!query->oldest_first && (r == 0 || r == MDB_NOTFOUND))
		return mdb_cursor_get(cursor, k, v, r ? MDB_LAST : MDB_PREV);
	if (r == 0 && query->position.len && rk_slice_equal(rk_val_slice(*k), rk_key_slice(start)))
		return mdb_cursor_get(cursor, k, v, MDB_NEXT);
	return r;
}

int rk_read_list(struct rk_snapshot *s, const struct rk_list_query *query, rk_record_visit *visit,
	void *context)
{
	MDB_cursor_op step = query->oldest_first ? MDB_NEXT : MDB_PREV;
	struct rk_key_buf start = {0}, prefix = {0};
	rk_repo_id judged = 0;
	bool active = false;
	MDB_cursor *cursor;
	MDB_val k, v;
	int r, bad = 0;

	start_make(&start, query);
	prefix_make(&prefix, query);
	if (start.failed)
		return -EINVAL;
	r = rk_table_cursor(s, RK_TABLE_WHEN, &cursor);
	if (r)
		return r;
	for (r = cursor_place(cursor, &k, &v, &start, query); r == 0;
		r = mdb_cursor_get(cursor, &k, &v, step)) {
		struct rk_reader reader = rk_reader_make(rk_val_slice(k));
		struct rk_slice tail;
		struct rk_key_buf key = {0};
		struct rk_record record;
		int64_t when;
		rk_repo_id repo;

		if (!rk_slice_starts(rk_val_slice(k), rk_key_slice(&prefix)))
			break;
		rk_reader_take(&reader, WHEN_PREFIX);
		when = (int64_t)(rk_reader_uint(&reader, WHEN_TIME) ^ (UINT64_C(1) << 63));
		repo = (rk_repo_id)rk_reader_uint(&reader, WHEN_REPO);
		tail = rk_reader_take(&reader, rk_reader_left(&reader));
		if (query->oldest_first ? query->has_until && when >= query->until_ms
					: query->has_since && when < query->since_ms)
			break;
		if (repo != judged) {
			struct rk_repo account;

			bad = rk_read_repo(s, &account, repo);
			if (bad)
				break;
			judged = repo;
			active = rk_repo_is_shown(&account);
		}
		if (!active)
			continue;
		rk_key_uint(&key, repo, 4);
		rk_key_uint(&key, query->collection, 1);
		rk_key_add(&key, tail);
		bad = rk_record_get(s, &record, rk_key_slice(&key));
		if (bad)
			break;
		if (!visit(context, &record))
			break;
	}
	mdb_cursor_close(cursor);
	if (bad)
		return bad == RK_STORE_ABSENT ? RK_STORE_CORRUPT : bad;
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}
