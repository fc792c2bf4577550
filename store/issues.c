/* Issues: what is wrong and for people to see; of a record, a document or an account. */
#include "store/inside.h"

#include <errno.h>

enum { MESSAGE_MOST = 500, REF_MOST = 255 };

/* At most so many bytes of a text, and no half letter at the end. */
static struct rk_slice text_cut(struct rk_slice text, size_t most)
{
	if (text.len <= most)
		return text;
	while (most && (text.data[most] & 0xc0) == 0x80)
		most--;
	return rk_slice_sub(text, 0, most);
}

static int issue_remove(struct rk_write *w, const struct rk_issue *issue)
{
	struct rk_key_buf key = {0};
	struct rk_slice value;
	int r;

	rk_key_issue(&key, issue);
	r = rk_table_get(&w->view, RK_TABLE_ISSUE, rk_key_slice(&key), &value);
	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	w->counts.issues[issue->kind]--;
	return rk_table_del(w, RK_TABLE_ISSUE, rk_key_slice(&key), (struct rk_slice){0});
}

int rk_write_issue(struct rk_write *w, const struct rk_issue *issue)
{
	struct rk_issue now = *issue, old;
	struct rk_key_buf key = {0};
	struct rk_slice value;
	int r;

	now.ref = text_cut(issue->ref, REF_MOST);
	now.message = text_cut(issue->message, MESSAGE_MOST);
	rk_key_issue(&key, &now);
	r = rk_table_get(&w->view, RK_TABLE_ISSUE, rk_key_slice(&key), &value);
	if (r < 0)
		return r;
	if (r == RK_STORE_ABSENT)
		w->counts.issues[issue->kind]++;
	else if (rk_value_issue_read(&old, rk_key_slice(&key), value))
		now.at_ms = old.at_ms; /* since when it is so */
	rk_buf_clear(&w->value);
	rk_value_issue(&w->value, &now);
	if (rk_buf_failed(&w->value))
		return -ENOMEM;
	return rk_table_put(w, RK_TABLE_ISSUE, rk_key_slice(&key), rk_buf_slice(&w->value));
}

int rk_write_issue_clear(struct rk_write *w, enum rk_issue_kind kind, rk_repo_id repo,
	int collection, struct rk_slice ref)
{
	struct rk_issue issue = {.kind = (uint8_t)kind,
		.repo = repo,
		.collection = collection,
		.ref = text_cut(ref, REF_MOST)};

	return issue_remove(w, &issue);
}

int rk_issues_set(struct rk_write *w, struct rk_record *record, uint32_t judged, uint32_t now,
	struct rk_slice message, int64_t at_ms)
{
	uint32_t wanted = (record->issues & ~judged) | (now & judged);
	int r = 0;

	/* Nearly always there are none. */
	for (int kind = 0; r == 0 && (wanted | record->issues) && kind < RK_ISSUE_COUNT; kind++) {
		uint32_t bit = 1u << kind;
		struct rk_issue issue = {
			.kind = (uint8_t)kind,
			.repo = record->repo,
			.collection = record->collection,
			.rkey = record->rkey,
			.ref = record->ref,
			.at_ms = at_ms,
			.message = message,
		};

		if (wanted & judged & bit)
			r = rk_write_issue(w, &issue);
		else if (record->issues & judged & bit)
			r = issue_remove(w, &issue);
	}
	record->issues = wanted;
	return r;
}

int rk_read_issues(struct rk_snapshot *s, int kind, rk_repo_id repo, struct rk_slice position,
	rk_issue_visit *visit, void *context)
{
	struct rk_key_buf start = {0};
	MDB_cursor *cursor;
	MDB_val k, v;
	int r;

	if (position.len)
		rk_key_add(&start, position);
	else
		rk_key_uint(&start, kind < 0 ? 0 : (uint8_t)kind, 1);
	if (start.failed)
		return -EINVAL;
	r = rk_table_cursor(s, RK_TABLE_ISSUE, &cursor);
	if (r)
		return r;
	k = rk_val(rk_key_slice(&start));
	r = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
	if (r == 0 && position.len && rk_slice_equal(rk_val_slice(k), position))
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
	for (; r == 0; r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) {
		struct rk_issue issue;

		if (!rk_value_issue_read(&issue, rk_val_slice(k), rk_val_slice(v))) {
			mdb_cursor_close(cursor);
			return RK_STORE_CORRUPT;
		}
		if (kind >= 0 && issue.kind != kind)
			break;
		if (repo && issue.repo != repo)
			continue;
		if (!visit(context, &issue, rk_val_slice(k)))
			break;
	}
	mdb_cursor_close(cursor);
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}
