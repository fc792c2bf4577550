/*
 * Stored values, field by field; see inside.h. Each starts with VALUE_VERSION; integers are
 * big-endian, strings have their length in front. Reading trusts nothing: a value that does not
 * parse to its end is corrupt.
 */
#include "store/inside.h"

#include "base/reader.h"

enum { VALUE_VERSION = 1, NO_COLLECTION = 0xff };

static void put_uint(struct rk_buf *out, uint64_t value, unsigned bytes)
{
	uint8_t *at = rk_buf_reserve(out, bytes);

	while (at && bytes--)
		*at++ = (uint8_t)(value >> (8 * bytes));
}

static void put_text(struct rk_buf *out, struct rk_slice text, unsigned bytes)
{
	put_uint(out, text.len, bytes);
	rk_buf_add_slice(out, text);
}

static struct rk_slice get_text(struct rk_reader *r, unsigned bytes)
{
	return rk_reader_take(r, (size_t)rk_reader_uint(r, bytes));
}

static void get_cid(struct rk_reader *r, struct rk_cid *out)
{
	struct rk_slice bytes = rk_reader_take(r, RK_CID_BYTES);

	if (bytes.len)
		memcpy(out->bytes, bytes.data, RK_CID_BYTES);
}

static bool version_read(struct rk_reader *r)
{
	return rk_reader_uint(r, 1) == VALUE_VERSION;
}

static bool at_end(const struct rk_reader *r)
{
	return !r->failed && rk_reader_left(r) == 0;
}

enum { UNREADABLE = 0x80, SAID = 0x40 }; /* beside the account's state */

void rk_value_repo(struct rk_buf *out, const struct rk_repo *repo)
{
	put_uint(out, VALUE_VERSION, 1);
	put_text(out, repo->did, 2);
	put_uint(out, repo->rev, 8);
	rk_buf_add(out, repo->data.bytes, RK_CID_BYTES);
	put_uint(out, repo->sync, 1);
	put_uint(out,
		repo->account | (repo->unreadable ? UNREADABLE : 0u) | (repo->said ? SAID : 0u), 1);
	put_uint(out, repo->flags, 1);
	put_uint(out, repo->failures, 1);
	put_uint(out, (uint64_t)repo->retry_ms, 8);
	put_uint(out, RK_COLLECTION_COUNT, 1);
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		put_uint(out, repo->counts[i], 4);
}

bool rk_value_repo_read(struct rk_repo *out, rk_repo_id id, struct rk_slice in)
{
	struct rk_reader r = rk_reader_make(in);
	uint64_t counts;

	*out = (struct rk_repo){.id = id};
	if (!version_read(&r))
		return false;
	out->did = get_text(&r, 2);
	out->rev = rk_reader_uint(&r, 8);
	get_cid(&r, &out->data);
	out->sync = (uint8_t)rk_reader_uint(&r, 1);
	out->account = (uint8_t)rk_reader_uint(&r, 1);
	out->unreadable = out->account & UNREADABLE;
	out->said = out->account & SAID;
	out->account &= (uint8_t) ~(UNREADABLE | SAID);
	out->flags = (uint8_t)rk_reader_uint(&r, 1);
	out->failures = (uint8_t)rk_reader_uint(&r, 1);
	out->retry_ms = (int64_t)rk_reader_uint(&r, 8);
	counts = rk_reader_uint(&r, 1); /* fewer in an index made before a collection was added */
	for (uint64_t i = 0; i < counts && i < RK_COLLECTION_COUNT; i++)
		out->counts[i] = (uint32_t)rk_reader_uint(&r, 4);
	return at_end(&r) && out->did.len > 0 && out->account < RK_ACCOUNT_COUNT &&
		out->sync <= RK_SYNC_SYNCHRONIZED;
}

/* The last byte; the refused handle follows if there is one. */
enum { FAILED = 1, REFUSED = 2 };

void rk_value_identity(struct rk_buf *out, const struct rk_identity *identity)
{
	put_uint(out, VALUE_VERSION, 1);
	put_text(out, identity->handle, 1);
	put_text(out, identity->pds, 2);
	put_uint(out, identity->key.type, 1);
	rk_buf_add(out, identity->key.point, sizeof(identity->key.point));
	put_uint(out, (uint64_t)identity->fetched_ms, 8);
	put_uint(out, (identity->failed ? FAILED : 0u) | (identity->refused.len ? REFUSED : 0u), 1);
	if (identity->refused.len)
		put_text(out, identity->refused, 1);
}

bool rk_value_identity_read(struct rk_identity *out, struct rk_slice in)
{
	struct rk_reader r = rk_reader_make(in);
	struct rk_slice point;
	unsigned last;

	*out = (struct rk_identity){0};
	if (!version_read(&r))
		return false;
	out->handle = get_text(&r, 1);
	out->pds = get_text(&r, 2);
	out->key.type = (uint8_t)rk_reader_uint(&r, 1);
	point = rk_reader_take(&r, sizeof(out->key.point));
	if (point.len)
		memcpy(out->key.point, point.data, point.len);
	out->fetched_ms = (int64_t)rk_reader_uint(&r, 8);
	last = (unsigned)rk_reader_uint(&r, 1);
	out->failed = last & FAILED;
	if (last & REFUSED)
		out->refused = get_text(&r, 1);
	return at_end(&r) && out->key.type <= RK_KEY_P256 &&
		(out->refused.len || !(last & REFUSED));
}

void rk_value_record(struct rk_buf *out, const struct rk_record *record)
{
	put_uint(out, VALUE_VERSION, 1);
	put_uint(out, record->repo, 4);
	rk_buf_add(out, record->cid.bytes, RK_CID_BYTES);
	put_uint(out, record->flags, 1);
	put_uint(out, record->link, 1);
	put_uint(out, record->issues, 4);
	put_uint(out, record->has_when, 1);
	put_uint(out, (uint64_t)record->when_ms, 8);
	put_uint(out, (uint64_t)record->indexed_us, 8);
	put_text(out, record->rkey, 2);
	put_text(out, record->ref, 1);
	put_text(out, record->code, 1);
	put_text(out, record->slug, 1);
	put_text(out, record->json, 4);
}

bool rk_value_record_read(struct rk_record *out, struct rk_slice key, struct rk_slice in)
{
	struct rk_reader r = rk_reader_make(in), k = rk_reader_make(key);
	uint64_t rank;

	*out = (struct rk_record){0};
	if (!version_read(&r) || key.len < 2 + RK_KEY_PLACE)
		return false;
	rk_reader_take(&k, key.len - RK_KEY_PLACE - 1); /* the ref */
	out->collection = (uint8_t)rk_reader_uint(&k, 1);
	rank = rk_reader_uint(&k, 1);
	out->first = rk_reader_uint(&k, RK_KEY_PLACE - 1);
	out->repo = (rk_repo_id)rk_reader_uint(&r, 4);
	get_cid(&r, &out->cid);
	out->flags = (uint8_t)rk_reader_uint(&r, 1);
	out->link = (uint8_t)rk_reader_uint(&r, 1);
	out->issues = (uint32_t)rk_reader_uint(&r, 4);
	out->has_when = rk_reader_uint(&r, 1);
	out->when_ms = (int64_t)rk_reader_uint(&r, 8);
	out->indexed_us = (int64_t)rk_reader_uint(&r, 8);
	out->rkey = get_text(&r, 2);
	out->ref = get_text(&r, 1);
	out->code = get_text(&r, 1);
	out->slug = get_text(&r, 1);
	out->json = get_text(&r, 4);
	return at_end(&r) && out->collection < RK_COLLECTION_COUNT &&
		rank == rk_lookup_rank(out, RK_LOOKUP_REF) && out->link <= RK_LINK_CONFLICT &&
		out->rkey.len > 0 && out->json.len > 0;
}

bool rk_value_record_repo(rk_repo_id *out, struct rk_slice in)
{
	struct rk_reader r = rk_reader_make(in);
	const bool known = version_read(&r);

	*out = (rk_repo_id)rk_reader_uint(&r, 4);
	return known && !r.failed;
}

void rk_value_pending(struct rk_buf *out, const struct rk_pending *pending)
{
	put_uint(out, VALUE_VERSION, 1);
	put_uint(out, pending->flags, 1);
	put_uint(out, pending->generation, 8);
	put_uint(out, (uint64_t)pending->due_ms, 8);
	put_uint(out, pending->attempts, 4);
	put_text(out, pending->rkey.len > RK_RKEY_PLAIN ? pending->rkey : (struct rk_slice){0}, 2);
}

bool rk_value_pending_read(struct rk_pending *out, struct rk_slice key, struct rk_slice in)
{
	struct rk_reader r = rk_reader_make(in), k = rk_reader_make(key);
	struct rk_slice full;
	uint64_t type;

	*out = (struct rk_pending){.key = key};
	if (!version_read(&r))
		return false;
	type = rk_reader_uint(&k, 1);
	if (type == 'G')
		out->ref = get_text(&k, 1);
	out->repo = (rk_repo_id)rk_reader_uint(&k, 4);
	out->collection = (uint8_t)rk_reader_uint(&k, 1);
	out->rkey = rk_reader_take(&k, rk_reader_left(&k));
	out->flags = (uint8_t)rk_reader_uint(&r, 1);
	out->generation = rk_reader_uint(&r, 8);
	out->due_ms = (int64_t)rk_reader_uint(&r, 8);
	out->attempts = (uint32_t)rk_reader_uint(&r, 4);
	full = get_text(&r, 2);
	if (full.len)
		out->rkey = full;
	return at_end(&r) && !k.failed && (type == 'G' || type == 'R') &&
		(type == 'G') == !!(out->flags & RK_PENDING_GONE) &&
		out->collection < RK_COLLECTION_COUNT && out->rkey.len > 0;
}

void rk_value_issue(struct rk_buf *out, const struct rk_issue *issue)
{
	put_uint(out, VALUE_VERSION, 1);
	put_uint(out, issue->repo, 4);
	put_uint(out, issue->collection < 0 ? NO_COLLECTION : (uint8_t)issue->collection, 1);
	put_uint(out, (uint64_t)issue->at_ms, 8);
	put_text(out, issue->rkey, 2);
	put_text(out, issue->ref, 1);
	put_text(out, issue->message, 2);
}

bool rk_value_issue_read(struct rk_issue *out, struct rk_slice key, struct rk_slice in)
{
	struct rk_reader r = rk_reader_make(in), k = rk_reader_make(key);
	uint64_t collection;

	*out = (struct rk_issue){.kind = (uint8_t)rk_reader_uint(&k, 1)};
	if (!version_read(&r))
		return false;
	out->repo = (rk_repo_id)rk_reader_uint(&r, 4);
	collection = rk_reader_uint(&r, 1);
	out->collection = collection == NO_COLLECTION ? -1 : (int)collection;
	out->at_ms = (int64_t)rk_reader_uint(&r, 8);
	out->rkey = get_text(&r, 2);
	out->ref = get_text(&r, 1);
	out->message = get_text(&r, 2);
	return at_end(&r) && !k.failed && out->kind < RK_ISSUE_COUNT &&
		(out->collection == -1 || out->collection < RK_COLLECTION_COUNT);
}

void rk_value_counts(struct rk_buf *out, const struct rk_write *w)
{
	put_uint(out, VALUE_VERSION, 1);
	put_uint(out, w->next_repo, 4);
	put_uint(out, w->generation, 8);
	put_uint(out, w->first, 8);
	put_uint(out, w->counts.repos, 8);
	put_uint(out, w->counts.desynchronized, 8);
	put_uint(out, w->counts.unready, 8);
	put_uint(out, RK_COLLECTION_COUNT, 1);
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		put_uint(out, w->counts.records[i], 8);
	put_uint(out, RK_ISSUE_COUNT, 1);
	for (int i = 0; i < RK_ISSUE_COUNT; i++)
		put_uint(out, w->counts.issues[i], 8);
}

bool rk_value_counts_read(struct rk_write *out, struct rk_slice in)
{
	struct rk_reader r = rk_reader_make(in);
	uint64_t n;

	if (!version_read(&r))
		return false;
	out->next_repo = (rk_repo_id)rk_reader_uint(&r, 4);
	out->generation = rk_reader_uint(&r, 8);
	out->first = rk_reader_uint(&r, 8);
	out->counts.repos = rk_reader_uint(&r, 8);
	out->counts.desynchronized = rk_reader_uint(&r, 8);
	out->counts.unready = rk_reader_uint(&r, 8);
	n = rk_reader_uint(&r, 1);
	for (uint64_t i = 0; i < n && i < RK_COLLECTION_COUNT; i++)
		out->counts.records[i] = rk_reader_uint(&r, 8);
	n = rk_reader_uint(&r, 1);
	for (uint64_t i = 0; i < n && i < RK_ISSUE_COUNT; i++)
		out->counts.issues[i] = rk_reader_uint(&r, 8);
	return at_end(&r) && out->next_repo > 0;
}
