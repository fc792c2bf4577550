/*
 * What a ref leads to. All of it stands together in `answer`: for each collection the owner of the
 * document, if known, then the records that claim the ref, best first. Who owns a ref is a fact of its
 * own: learning it rewrites nothing.
 */
#include "store/inside.h"

/* A ref in one collection, being read with a cursor that goes on through its keys. */
struct group {
	struct rk_snapshot *s;
	MDB_cursor *cursor;
	MDB_val k, v;
	struct rk_key_buf prefix;
	uint8_t collection;
	bool owned;
	rk_repo_id owner;
	struct rk_record *answer;
	bool only; /* no other record of the collection has the ref */
};

/* A snapshot's own cursor. In a write transaction there is none to keep: writes would have to carry it
 * along. */
static int cursor_get(struct rk_snapshot *s, MDB_cursor **out)
{
	int r;

	if (!s->live)
		return rk_table_cursor(s, RK_TABLE_ANSWER, out);
	if (s->answer)
		r = mdb_cursor_renew(s->txn, s->answer);
	else
		r = mdb_cursor_open(s->txn, s->store->dbi[RK_TABLE_ANSWER], &s->answer);
	*out = s->answer;
	return rk_lmdb_error(r);
}

static void cursor_put(const struct rk_snapshot *s, MDB_cursor *cursor)
{
	if (cursor != s->answer)
		mdb_cursor_close(cursor);
}

static bool owner_parse(rk_repo_id *out, struct rk_slice value)
{
	struct rk_reader reader = rk_reader_make(value);

	*out = (rk_repo_id)rk_reader_uint(&reader, 4);
	return !reader.failed && rk_reader_left(&reader) == 0;
}

int rk_read_owner(
	struct rk_snapshot *s, struct rk_owner_view *out, uint8_t collection, struct rk_slice ref)
{
	struct rk_key_buf key = {0};
	struct rk_slice value;
	int r;

	*out = (struct rk_owner_view){0};
	rk_key_ref(&key, collection, ref);
	r = rk_table_get(s, RK_TABLE_ANSWER, rk_key_slice(&key), &value);
	if (r)
		return r;
	out->known = owner_parse(&out->owner.repo, value);
	return out->known ? 0 : RK_STORE_CORRUPT;
}

static bool group_has(const struct group *g)
{
	return rk_slice_starts(rk_val_slice(g->k), rk_key_slice(&g->prefix));
}

/* The record where the cursor is, if it may answer; ABSENT: the next one may. */
static int group_take(struct group *g, rk_repo_id repo)
{
	bool shown;
	int r = rk_account_shown(g->s, repo, &shown);

	if (r || !shown)
		return r ? r : RK_STORE_ABSENT;
	return rk_value_record_read(g->answer, rk_val_slice(g->k), rk_val_slice(g->v))
		? 0
		: RK_STORE_CORRUPT;
}

/* The answer of one collection, or ABSENT. The cursor is at its first key. */
static int group_answer(struct group *g, struct rk_slice ref)
{
	rk_repo_id passed = 0;
	int r = 0;

	for (int i = 0; r == 0 && i < RK_ENTRIES_MOST && group_has(g); i++) {
		struct rk_slice key = rk_val_slice(g->k);
		rk_repo_id repo;

		if (key.len == g->prefix.len) {
			g->owned = owner_parse(&g->owner, rk_val_slice(g->v));
			if (!g->owned)
				return RK_STORE_CORRUPT;
		} else {
			/* The first byte of the place. */
			if (key.data[g->prefix.len] >= RK_RANK_CONFLICT || (g->owned && !g->owner))
				return RK_STORE_ABSENT;
			if (!rk_value_record_repo(&repo, rk_val_slice(g->v)))
				return RK_STORE_CORRUPT;
			/* Somebody else's comes before the owner's, who has a list of his own. */
			if (g->owned && repo != g->owner)
				return rk_read_lookup(g->s, g->answer, RK_LOOKUP_REF, g->collection,
					ref, g->owner);
			r = repo == passed ? RK_STORE_ABSENT : group_take(g, repo);
			if (r != RK_STORE_ABSENT) {
				g->only = true; /* those passed are of others */
				return r;
			}
			passed = repo;
		}
		r = mdb_cursor_get(g->cursor, &g->k, &g->v, MDB_NEXT);
	}
	return r ? rk_lmdb_error(r) : RK_STORE_ABSENT;
}

/* Leaves the cursor behind what a collection has of the ref; ABSENT: at the end of all. */
static int group_pass(struct group *g)
{
	struct rk_key_buf next;
	int r = 0;

	if (group_has(g))
		r = mdb_cursor_get(g->cursor, &g->k, &g->v, MDB_NEXT);
	if (r == 0 && group_has(g)) {
		g->only = false;
		next = g->prefix;
		next.bytes[next.len - 1]++;
		g->k = rk_val(rk_key_slice(&next));
		r = mdb_cursor_get(g->cursor, &g->k, &g->v, MDB_SET_RANGE);
	}
	return rk_lmdb_error(r);
}

/* The best answer so far. */
struct best {
	struct rk_record *record;
	int standing; /* enum below; NOBODY: none yet */
};
/* The contract's order: linked, then of the document's owner, then the rest; the oldest of equals. */
enum { LINKED, OWNERS, ANYONES, NOBODY };

static bool best_take(struct best *best, const struct rk_record *found, bool owned)
{
	const int standing = found->link == RK_LINK_LINKED ? LINKED : owned ? OWNERS : ANYONES;

	if (standing > best->standing ||
		(standing == best->standing && found->first >= best->record->first))
		return false;
	best->standing = standing;
	if (found != best->record)
		*best->record = *found;
	return true;
}

/* Goes through the collections of a ref, or through the one that *g begins with. */
static int ref_answer(struct group *g, struct best *best, struct rk_slice ref, bool any)
{
	struct rk_snapshot *s = g->s;
	const size_t most = g->prefix.len;
	struct rk_record found;
	int r;

	g->k = rk_val(rk_key_slice(&g->prefix));
	r = rk_lmdb_error(mdb_cursor_get(g->cursor, &g->k, &g->v, MDB_SET_RANGE));
	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		/* The next collection that has the ref. */
		if (g->k.mv_size < most || memcmp(g->k.mv_data, g->prefix.bytes, most - 1) != 0)
			break;
		if (any)
			g->prefix.bytes[most - 1] = ((const uint8_t *)g->k.mv_data)[most - 1];
		g->collection = g->prefix.bytes[most - 1];
		if (!group_has(g))
			break;
		g->owned = false;
		g->only = false;
		g->answer = best->standing == NOBODY ? best->record : &found;
		r = group_answer(g, ref);
		if (r && r != RK_STORE_ABSENT)
			return r;
		if (r == 0) {
			const bool take = best_take(best, g->answer, g->owned);

			r = group_pass(g);
			if (take)
				s->only_rkey = g->only && s->live ? best->record->rkey
								  : (struct rk_slice){0};
		} else {
			r = group_pass(g);
		}
		if (!any)
			break;
	}
	return r == RK_STORE_ABSENT ? 0 : r;
}

/* Where no linked record has the ref itself, the document may be one that came of a record. */
static int derived_answer(
	struct rk_snapshot *s, struct best *best, struct rk_slice ref, int collection)
{
	struct rk_record found;
	bool owned;
	int r;

	if (best->standing == LINKED)
		return 0;
	r = rk_lookup_derived(s, &found, &owned, ref, collection);
	if (r == 0 && best_take(best, &found, owned))
		s->only_rkey = (struct rk_slice){0};
	return r == RK_STORE_ABSENT ? 0 : r;
}

int rk_read_ref(struct rk_snapshot *s, struct rk_record *out, struct rk_slice ref, int collection)
{
	struct group g = {.s = s};
	struct best best = {out, NOBODY};
	int r;

	if (ref.len == 0 || ref.len > RK_REF_MOST)
		return RK_STORE_ABSENT;
	s->only_rkey = (struct rk_slice){0};
	rk_key_ref(&g.prefix, collection < 0 ? 0 : (uint8_t)collection, ref);
	r = cursor_get(s, &g.cursor);
	if (r)
		return r;
	r = ref_answer(&g, &best, ref, collection < 0);
	cursor_put(s, g.cursor);
	if (r == 0)
		r = derived_answer(s, &best, ref, collection);
	return r ? r : best.standing == NOBODY ? RK_STORE_ABSENT : 0;
}

int rk_read_ref_all(struct rk_snapshot *s, uint8_t collection, struct rk_slice ref,
	rk_record_visit *visit, void *context)
{
	struct group g = {.s = s};
	int bad = 0, r;

	if (ref.len == 0 || ref.len > RK_REF_MOST)
		return 0;
	rk_key_ref(&g.prefix, collection, ref);
	/* A cursor of its own: visit may look up other things. */
	r = rk_table_cursor(s, RK_TABLE_ANSWER, &g.cursor);
	if (r)
		return r;
	g.k = rk_val(rk_key_slice(&g.prefix));
	for (r = mdb_cursor_get(g.cursor, &g.k, &g.v, MDB_SET_RANGE); r == 0 && group_has(&g);
		r = mdb_cursor_get(g.cursor, &g.k, &g.v, MDB_NEXT)) {
		struct rk_record record;

		if (g.k.mv_size == g.prefix.len)
			continue; /* the owner */
		if (!rk_value_record_read(&record, rk_val_slice(g.k), rk_val_slice(g.v)))
			bad = RK_STORE_CORRUPT;
		if (bad || !visit(context, &record))
			break;
	}
	mdb_cursor_close(g.cursor);
	if (bad)
		return bad;
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}
