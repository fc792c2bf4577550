/*
 * Records by their key: `record` says where in `answer` one is. What a ref leads to is in ref.c.
 */
#include "store/inside.h"

#include <errno.h>

/* The key in `answer`. */
static int place_get(struct rk_snapshot *s, struct rk_key_buf *out, struct rk_slice recordkey)
{
	struct rk_slice value;
	int r = rk_table_get(s, RK_TABLE_RECORD, recordkey, &value);

	if (r)
		return r;
	*out = (struct rk_key_buf){0};
	rk_key_add(out, value);
	return out->failed || value.len == 0 ? RK_STORE_CORRUPT : 0;
}

int rk_record_get(struct rk_snapshot *s, struct rk_record *out, struct rk_slice recordkey)
{
	struct rk_slice place, value;
	int r = rk_table_get(s, RK_TABLE_RECORD, recordkey, &place);

	if (r)
		return r;
	r = rk_table_get(s, RK_TABLE_ANSWER, place, &value);
	if (r)
		return r == RK_STORE_ABSENT ? RK_STORE_CORRUPT : r;
	return rk_value_record_read(out, place, value) ? 0 : RK_STORE_CORRUPT;
}

int rk_read_record(struct rk_snapshot *s, struct rk_record *out, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey)
{
	struct rk_key_buf key = {0};

	rk_key_record(&key, repo, collection, rkey);
	return rk_record_get(s, out, rk_key_slice(&key));
}

int rk_read_record_after(struct rk_snapshot *s, struct rk_record *out, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey)
{
	struct rk_key_buf key = {0};
	MDB_cursor *cursor;
	MDB_val k, v;
	int r;

	rk_key_record(&key, repo, collection, rkey);
	r = rk_table_cursor(s, RK_TABLE_RECORD, &cursor);
	if (r)
		return r;
	k = rk_val(rk_key_slice(&key));
	r = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	if (r == 0 && rk_slice_equal(rk_val_slice(k), rk_key_slice(&key)))
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	r = rk_lmdb_error(r);
	if (r == 0 && (k.mv_size < 5 || memcmp(k.mv_data, key.bytes, 5) != 0))
		r = RK_STORE_ABSENT;
	else if (r == 0)
		r = rk_record_get(s, out, rk_val_slice(k));
	mdb_cursor_close(cursor);
	return r;
}

static int answer_put(struct rk_write *w, const struct rk_record *record, struct rk_slice place)
{
	rk_buf_clear(&w->value);
	rk_value_record(&w->value, record);
	if (rk_buf_failed(&w->value))
		return -ENOMEM;
	return rk_table_put(w, RK_TABLE_ANSWER, place, rk_buf_slice(&w->value));
}

int rk_record_make(struct rk_write *w, const struct rk_record *record)
{
	struct rk_key_buf name = {0}, place = {0};
	int r;

	rk_key_record(&name, record->repo, record->collection, record->rkey);
	rk_key_answer(&place, record);
	r = rk_table_put(w, RK_TABLE_RECORD, rk_key_slice(&name), rk_key_slice(&place));
	return r ? r : answer_put(w, record, rk_key_slice(&place));
}

int rk_record_put(struct rk_write *w, const struct rk_record *record)
{
	struct rk_key_buf name = {0}, before = {0}, now = {0};
	int r;

	rk_key_record(&name, record->repo, record->collection, record->rkey);
	rk_key_answer(&now, record);
	r = place_get(&w->view, &before, rk_key_slice(&name));
	if (r == RK_STORE_ABSENT)
		return rk_record_make(w, record);
	if (r)
		return rk_read_found(r);
	if (rk_slice_equal(rk_key_slice(&before), rk_key_slice(&now)))
		return answer_put(w, record, rk_key_slice(&now));
	r = rk_table_del(w, RK_TABLE_ANSWER, rk_key_slice(&before), (struct rk_slice){0});
	return r ? r : rk_record_make(w, record);
}

int rk_record_remove(struct rk_write *w, const struct rk_record *record)
{
	struct rk_key_buf name = {0}, key = {0};
	int r;

	rk_key_record(&name, record->repo, record->collection, record->rkey);
	rk_key_answer(&key, record);
	r = rk_table_del(w, RK_TABLE_ANSWER, rk_key_slice(&key), (struct rk_slice){0});
	return r ? r : rk_table_del(w, RK_TABLE_RECORD, rk_key_slice(&name), (struct rk_slice){0});
}
