/*
 * From a value (ref, code, slug) to records: the entries of `lookup`, and which of them answers.
 * Each value stands under its repo and under repo 0, sorted by rank and then by age, so the answer is
 * the first entry that may be one. Who owns a ref is a fact of its own (`owner`): learning it rewrites
 * nothing.
 */
#include "store/inside.h"

enum { RANK_LINKED, RANK_PLAIN, RANK_CONFLICT };
/* Entries looked at for one answer: those of inactive accounts are passed over. */
enum { ENTRIES_MOST = 4096 };

uint8_t rk_lookup_rank(const struct rk_record *record, enum rk_lookup kind)
{
	switch (record->link) {
	case RK_LINK_LINKED:
		return kind != RK_LOOKUP_REF && record->flags & RK_RECORD_RENAMED ? RANK_PLAIN
										  : RANK_LINKED;
	case RK_LINK_CONFLICT:
		return RANK_CONFLICT;
	default:
		return RANK_PLAIN;
	}
}

static struct rk_slice value_of(const struct rk_record *record, enum rk_lookup kind)
{
	switch (kind) {
	case RK_LOOKUP_REF:
		return record->ref;
	case RK_LOOKUP_CODE:
		return record->code;
	default:
		return record->slug;
	}
}

typedef int entry_change(
	struct rk_write *w, enum rk_table table, struct rk_slice key, struct rk_slice value);

static int entries_each(struct rk_write *w, const struct rk_record *record, entry_change *change)
{
	const rk_repo_id under[] = {0, record->repo};
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		for (int kind = RK_LOOKUP_REF; r == 0 && kind <= RK_LOOKUP_SLUG; kind++) {
			struct rk_slice value = value_of(record, (enum rk_lookup)kind);
			struct rk_key_buf key = {0}, entry = {0};

			if (value.len == 0)
				continue;
			rk_key_uint(&entry, rk_lookup_rank(record, (enum rk_lookup)kind), 1);
			rk_key_uint(&entry, rk_key_time(record->first_us), 8);
			rk_key_record(&entry, record->repo, record->collection, record->rkey);
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

/* A snapshot's own cursor. In a write transaction there is none to keep: writes would have to carry it
 * along. */
static int cursor_get(struct rk_snapshot *s, MDB_cursor **out)
{
	int r = 0;

	if (!s->live)
		return rk_table_cursor(s, RK_TABLE_LOOKUP, out);
	if (!s->lookup)
		r = mdb_cursor_open(s->txn, s->store->dbi[RK_TABLE_LOOKUP], &s->lookup);
	else if (!s->lookup_fresh)
		r = mdb_cursor_renew(s->txn, s->lookup);
	s->lookup_fresh = r == 0;
	*out = s->lookup;
	return rk_lmdb_error(r);
}

static void cursor_put(const struct rk_snapshot *s, MDB_cursor *cursor)
{
	if (cursor != s->lookup)
		mdb_cursor_close(cursor);
}

/* The record an entry names. */
static int entry_record(struct rk_snapshot *s, struct rk_record *out, struct rk_slice entry)
{
	struct rk_slice key, value;
	int r;

	if (entry.len < 15)
		return RK_STORE_CORRUPT;
	key = rk_slice_sub(entry, 9, entry.len - 9);
	r = rk_table_get(s, RK_TABLE_RECORD, key, &value);
	if (r)
		return r == RK_STORE_ABSENT ? RK_STORE_CORRUPT : r;
	return rk_value_record_read(out, key, value) ? 0 : RK_STORE_CORRUPT;
}

static int account_active(struct rk_snapshot *s, rk_repo_id id, bool *active)
{
	struct rk_repo repo;
	int r = rk_read_repo(s, &repo, id);

	*active = r == 0 && rk_repo_is_shown(&repo);
	return r == RK_STORE_ABSENT ? RK_STORE_CORRUPT : r;
}

/* The repo and rank of an entry, before its record is read. */
static bool entry_head(struct rk_slice entry, uint8_t *rank, rk_repo_id *repo)
{
	struct rk_reader reader = rk_reader_make(entry);

	*rank = (uint8_t)rk_reader_uint(&reader, 1);
	rk_reader_take(&reader, 8);
	*repo = (rk_repo_id)rk_reader_uint(&reader, 4);
	return !reader.failed;
}

/* The first entry from v on that may answer; with an owner, only his. */
static int answer_find(struct rk_snapshot *s, struct rk_record *out, MDB_cursor *cursor, MDB_val v,
	rk_repo_id owner)
{
	rk_repo_id passed = 0;
	MDB_val k;
	int r = 0;

	for (int i = 0; r == 0 && i < ENTRIES_MOST; i++) {
		rk_repo_id repo;
		uint8_t rank;
		bool active = false;

		if (!entry_head(rk_val_slice(v), &rank, &repo))
			return RK_STORE_CORRUPT;
		if (rank >= RANK_CONFLICT)
			return RK_STORE_ABSENT;
		if (repo != passed && (!owner || repo == owner)) {
			r = account_active(s, repo, &active);
			if (r)
				return r;
		}
		if (active)
			return entry_record(s, out, rk_val_slice(v));
		passed = repo;
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_DUP);
	}
	return r ? rk_lmdb_error(r) : RK_STORE_ABSENT;
}

static int entry_first(MDB_cursor *cursor, MDB_val *v, enum rk_lookup kind, uint8_t collection,
	rk_repo_id repo, struct rk_slice value)
{
	struct rk_key_buf key = {0};
	MDB_val k;

	rk_key_lookup(&key, kind, collection, repo, value);
	k = rk_val(rk_key_slice(&key));
	return rk_lmdb_error(mdb_cursor_get(cursor, &k, v, MDB_SET_KEY));
}

/* Where the document's owner is known, only his records answer: *v becomes his first entry. It is the
 * one found already unless somebody else's comes before it. */
static int owner_entry(struct rk_snapshot *s, MDB_cursor *cursor, MDB_val *v, rk_repo_id *owner,
	uint8_t collection, rk_repo_id repo, struct rk_slice ref)
{
	struct rk_owner_view view;
	rk_repo_id found;
	uint8_t rank;
	int r = rk_read_owner(s, &view, collection, ref);

	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	if (!entry_head(rk_val_slice(*v), &rank, &found))
		return RK_STORE_CORRUPT;
	*owner = view.owner.repo;
	if (*owner == 0 || (repo && repo != *owner))
		return RK_STORE_ABSENT;
	return found == *owner ? 0 : entry_first(cursor, v, RK_LOOKUP_REF, collection, *owner, ref);
}

int rk_read_lookup(struct rk_snapshot *s, struct rk_record *out, enum rk_lookup kind,
	uint8_t collection, struct rk_slice value, rk_repo_id repo)
{
	rk_repo_id owner = 0;
	MDB_cursor *cursor;
	size_t count = 0;
	MDB_val v;
	int r;

	if (value.len == 0 || value.len > RK_SLUG_MOST)
		return RK_STORE_ABSENT;
	r = cursor_get(s, &cursor);
	if (r)
		return r;
	r = entry_first(cursor, &v, kind, collection, repo, value);
	if (r == 0 && kind == RK_LOOKUP_REF) {
		r = rk_lmdb_error(mdb_cursor_count(cursor, &count));
		if (r == 0)
			r = owner_entry(s, cursor, &v, &owner, collection, repo, value);
	}
	if (r == 0)
		r = answer_find(s, out, cursor, v, owner);
	if (r == 0 && count == 1 && s->live)
		s->only_rkey = out->rkey;
	cursor_put(s, cursor);
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
	r = cursor_get(s, &cursor);
	if (r)
		return r;
	r = others_find(s, out, most, count, answer, cursor, &key);
	cursor_put(s, cursor);
	return r;
}

int rk_read_ref_all(struct rk_snapshot *s, uint8_t collection, struct rk_slice ref,
	rk_record_visit *visit, void *context)
{
	struct rk_key_buf key = {0};
	MDB_cursor *cursor;
	MDB_val k, v;
	int bad = 0, r;

	if (ref.len == 0 || ref.len > RK_REF_MOST)
		return 0;
	rk_key_lookup(&key, RK_LOOKUP_REF, collection, 0, ref);
	/* A cursor of its own: visit may look up other things. */
	r = rk_table_cursor(s, RK_TABLE_LOOKUP, &cursor);
	if (r)
		return r;
	k = rk_val(rk_key_slice(&key));
	for (r = mdb_cursor_get(cursor, &k, &v, MDB_SET_KEY); r == 0;
		r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT_DUP)) {
		struct rk_record record;

		bad = entry_record(s, &record, rk_val_slice(v));
		if (bad || !visit(context, &record))
			break;
	}
	mdb_cursor_close(cursor);
	if (bad)
		return bad;
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}
