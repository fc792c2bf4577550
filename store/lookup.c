/*
 * From a value (ref, code, slug, derived _id) to records: the entries of `lookup`, and which of them
 * answers. They are sorted by rank and then by age, so the answer is the first entry that may be one.
 */
#include "store/inside.h"

#include <errno.h>

#include "records/document.h"

uint8_t rk_lookup_rank(const struct rk_record *record, enum rk_lookup kind)
{
	if (kind == RK_LOOKUP_CODE && record->flags & RK_RECORD_CODE_TAKEN)
		return RK_RANK_CONFLICT;
	switch (record->link) {
	case RK_LINK_LINKED:
		return record->flags & RK_RECORD_RENAMED &&
				(kind == RK_LOOKUP_CODE || kind == RK_LOOKUP_SLUG)
			? RK_RANK_PLAIN
			: RK_RANK_LINKED;
	case RK_LINK_CONFLICT:
		return RK_RANK_CONFLICT;
	default:
		return RK_RANK_PLAIN;
	}
}

int rk_lookup_values(
	struct rk_snapshot *s, struct rk_lookup_values *out, const struct rk_record *record)
{
	struct rk_repo repo;
	int r;

	*out = (struct rk_lookup_values){
		.of = {[RK_LOOKUP_REF] = record->ref,
			[RK_LOOKUP_CODE] = record->code,
			[RK_LOOKUP_SLUG] = record->slug},
	};
	if (rk_oid_parse(&out->derived, record->ref))
		return 0;
	r = rk_read_repo(s, &repo, record->repo);
	if (r)
		return r;
	rk_document_id(&out->derived, record->ref, repo.did, record->collection, record->rkey);
	out->of[RK_LOOKUP_DERIVED] = rk_slice_make(out->derived.bytes, sizeof(out->derived.bytes));
	return 0;
}

/* Whoever's ref is asked for, `answer` says; whose derived _id it is, nobody has to ask. */
bool rk_lookup_is_under(enum rk_lookup kind, rk_repo_id repo)
{
	return kind == RK_LOOKUP_REF ? repo != 0 : kind != RK_LOOKUP_DERIVED || repo == 0;
}

typedef int entry_change(
	struct rk_write *w, enum rk_table table, struct rk_slice key, struct rk_slice value);

static int entries_each(struct rk_write *w, const struct rk_record *record, entry_change *change)
{
	const rk_repo_id under[] = {0, record->repo};
	struct rk_lookup_values values;
	int r = rk_lookup_values(&w->view, &values, record);

	if (r)
		return rk_read_found(r);
	for (int i = 0; r == 0 && i < 2; i++) {
		for (int kind = 0; r == 0 && kind < RK_LOOKUP_COUNT; kind++) {
			struct rk_slice value = values.of[kind];
			struct rk_key_buf key = {0}, entry = {0};

			if (value.len == 0 || !rk_lookup_is_under((enum rk_lookup)kind, under[i]))
				continue;
			rk_key_entry(&entry, (enum rk_lookup)kind, record);
			rk_key_lookup(
				&key, (enum rk_lookup)kind, record->collection, under[i], value);
			r = change(w, RK_TABLE_LOOKUP, rk_key_slice(&key), rk_key_slice(&entry));
		}
		if (r == 0 && record->has_when) {
			struct rk_key_buf key = {0};

			rk_key_when(&key, under[i], record);
			r = change(w, RK_TABLE_WHEN, rk_key_slice(&key), (struct rk_slice){0});
		}
	}
	return r;
}

int rk_lookup_add(struct rk_write *w, const struct rk_record *record)
{
	return entries_each(w, record, rk_table_put);
}

int rk_lookup_remove(struct rk_write *w, const struct rk_record *record)
{
	return entries_each(w, record, rk_table_del);
}

/* The record an entry names. */
static int entry_record(struct rk_snapshot *s, struct rk_record *out, struct rk_slice entry)
{
	int r;

	if (entry.len <= RK_KEY_PLACE)
		return RK_STORE_CORRUPT;
	r = rk_record_get(s, out, rk_slice_sub(entry, RK_KEY_PLACE, entry.len - RK_KEY_PLACE));
	return r == RK_STORE_ABSENT ? RK_STORE_CORRUPT : r;
}

int rk_account_shown(struct rk_snapshot *s, rk_repo_id id, bool *shown)
{
	struct rk_repo repo;
	int r = rk_read_repo(s, &repo, id);

	*shown = r == 0 && rk_repo_is_shown(&repo);
	return r == RK_STORE_ABSENT ? RK_STORE_CORRUPT : r;
}

/* The rank and repo of an entry. */
static bool entry_head(struct rk_slice entry, uint8_t *rank, rk_repo_id *repo)
{
	struct rk_reader reader = rk_reader_make(entry);

	*rank = (uint8_t)rk_reader_uint(&reader, 1);
	rk_reader_take(&reader, RK_KEY_PLACE - 1);
	*repo = (rk_repo_id)rk_reader_uint(&reader, 4);
	return !reader.failed;
}

/* The first entry from v on that may answer. */
static int answer_find(struct rk_snapshot *s, struct rk_record *out, MDB_cursor *cursor, MDB_val v)
{
	rk_repo_id passed = 0;
	MDB_val k;
	int r = 0;

	for (int i = 0; r == 0 && i < RK_ENTRIES_MOST; i++) {
		rk_repo_id repo;
		uint8_t rank;
		bool shown = false;

		if (!entry_head(rk_val_slice(v), &rank, &repo))
			return RK_STORE_CORRUPT;
		if (rank >= RK_RANK_CONFLICT)
			return RK_STORE_ABSENT;
		if (repo != passed) {
			r = rk_account_shown(s, repo, &shown);
			if (r)
				return r;
		}
		if (shown)
			return entry_record(s, out, rk_val_slice(v));
		passed = repo;
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_DUP);
	}
	return r ? rk_lmdb_error(r) : RK_STORE_ABSENT;
}

/* Whether the ref's document may be of the repo. */
static int owner_suits(
	struct rk_snapshot *s, uint8_t collection, struct rk_slice ref, rk_repo_id repo)
{
	struct rk_owner_view view;
	int r = rk_read_owner(s, &view, collection, ref);

	if (r == RK_STORE_ABSENT || (r == 0 && view.owner.repo == repo))
		return 0;
	return r ? r : RK_STORE_ABSENT;
}

int rk_read_lookup(struct rk_snapshot *s, struct rk_record *out, enum rk_lookup kind,
	uint8_t collection, struct rk_slice value, rk_repo_id repo)
{
	struct rk_key_buf key = {0};
	MDB_cursor *cursor;
	MDB_val k, v;
	int r = 0;

	if (value.len == 0 || value.len > RK_SLUG_MOST)
		return RK_STORE_ABSENT;
	if (kind == RK_LOOKUP_REF && repo == 0)
		return rk_read_ref(s, out, value, collection);
	if (kind == RK_LOOKUP_REF)
		r = owner_suits(s, collection, value, repo);
	if (r == 0)
		r = rk_table_cursor(s, RK_TABLE_LOOKUP, &cursor);
	if (r)
		return r;
	rk_key_lookup(&key, kind, collection, repo, value);
	k = rk_val(rk_key_slice(&key));
	r = rk_lmdb_error(mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY));
	if (r == 0)
		r = answer_find(s, out, cursor, v);
	mdb_cursor_close(cursor);
	return r;
}

int rk_read_code_all(struct rk_snapshot *s, uint8_t collection, struct rk_slice code,
	rk_record_visit *visit, void *context)
{
	struct rk_key_buf key = {0};
	MDB_cursor *cursor;
	MDB_val k, v;
	int bad = 0, r;

	if (code.len == 0 || code.len > RK_CODE_MOST)
		return 0;
	rk_key_lookup(&key, RK_LOOKUP_CODE, collection, 0, code);
	r = rk_table_cursor(s, RK_TABLE_LOOKUP, &cursor);
	if (r)
		return r;
	k = rk_val(rk_key_slice(&key));
	for (r = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY); r == 0;
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_DUP)) {
		struct rk_record record;
		rk_repo_id repo;
		uint8_t rank;

		bad = entry_head(rk_val_slice(v), &rank, &repo) ? 0 : RK_STORE_CORRUPT;
		if (bad == 0 && rank >= RK_RANK_CONFLICT)
			break;
		if (bad == 0)
			bad = entry_record(s, &record, rk_val_slice(v));
		if (bad || !visit(context, &record))
			break;
	}
	mdb_cursor_close(cursor);
	if (bad)
		return bad;
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}

/* Whether the document, if it was seen, is of the repo of the record it is derived from. */
static int derived_judge(
	struct rk_snapshot *s, bool *owned, struct rk_slice ref, const struct rk_record *record)
{
	struct rk_owner_view view;
	int r = rk_read_owner(s, &view, record->collection, ref);

	*owned = r == 0;
	if (r == 0 && view.owner.repo != record->repo)
		return RK_STORE_ABSENT;
	return r == RK_STORE_ABSENT ? 0 : r;
}

int rk_lookup_derived(struct rk_snapshot *s, struct rk_record *out, bool *owned,
	struct rk_slice ref, int collection)
{
	struct rk_key_buf key = {0};
	struct rk_slice prefix;
	struct rk_oid oid;
	MDB_cursor *cursor;
	MDB_val k, v;
	int r;

	if (!rk_oid_parse(&oid, ref))
		return RK_STORE_ABSENT;
	rk_key_lookup(&key, RK_LOOKUP_DERIVED, collection < 0 ? 0 : (uint8_t)collection, 0,
		rk_slice_make(oid.bytes, sizeof(oid.bytes)));
	prefix = rk_slice_sub(rk_key_slice(&key), 0, key.len - (collection < 0));
	r = rk_table_cursor(s, RK_TABLE_LOOKUP, &cursor);
	if (r)
		return r;
	k = rk_val(rk_key_slice(&key));
	r = rk_lmdb_error(mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE));
	while (r == 0) {
		if (!rk_slice_starts(rk_val_slice(k), prefix)) {
			r = RK_STORE_ABSENT;
			break;
		}
		r = answer_find(s, out, cursor, v);
		if (r == 0)
			r = derived_judge(s, owned, ref, out);
		if (r != RK_STORE_ABSENT)
			break;
		r = rk_lmdb_error(mdb_cursor_get(cursor, &k, &v, MDB_NEXT_NODUP));
	}
	mdb_cursor_close(cursor);
	return r;
}

/* The other entries under the key; see rk_read_duplicates. */
static int others_find(struct rk_snapshot *s, struct rk_record *out, size_t most, uint64_t *count,
	const struct rk_record *answer, MDB_cursor *cursor, const struct rk_key_buf *key)
{
	MDB_val k = rk_val(rk_key_slice(key)), v;
	size_t all, given = 0;
	int r = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY);

	if (r == 0)
		r = mdb_cursor_count(cursor, &all);
	if (r)
		return r == MDB_NOTFOUND ? RK_STORE_CORRUPT : rk_lmdb_error(r);
	*count = all - 1;
	while (r == 0 && given < most && given < *count) {
		struct rk_record *one = &out[given];

		r = entry_record(s, one, rk_val_slice(v));
		if (r)
			return r;
		if (!rk_slice_equal(one->rkey, answer->rkey))
			given++;
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_DUP);
	}
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}

int rk_read_duplicates(struct rk_snapshot *s, struct rk_record *out, size_t most, uint64_t *count,
	const struct rk_record *answer)
{
	struct rk_key_buf key = {0};
	MDB_cursor *cursor;
	int r;

	*count = 0;
	if (answer->ref.len == 0 || (s->only_rkey.data && s->only_rkey.data == answer->rkey.data))
		return 0;
	rk_key_lookup(&key, RK_LOOKUP_REF, answer->collection, answer->repo, answer->ref);
	r = rk_table_cursor(s, RK_TABLE_LOOKUP, &cursor);
	if (r)
		return r;
	r = others_find(s, out, most, count, answer, cursor, &key);
	mdb_cursor_close(cursor);
	return r;
}
