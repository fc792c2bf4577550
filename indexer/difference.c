/*
 * A verified repo against the index: what differs is written, in pieces. While a repo is desynchronized
 * only its fetch changes its records, so the comparison stays true until the last piece, which also
 * takes the repo's new head.
 *
 * Records are put before others are removed, so that a document whose record moved to another key is
 * linked to the new one rather than given up.
 */
#include "indexer/resync.h"

#include <errno.h>
#include <stdlib.h>

#include "atproto/mst.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

enum { BELIEVED_REMOVALS = 20, BELIEVED_PERCENT = 10 };

/* Records that the index has of the repo. */
struct tally {
	uint64_t all, gone; /* gone: not in the tree */
	uint64_t documents; /* of those gone, the ones that stand for a document */
};

static uint64_t rkey_digest(struct rk_slice rkey)
{
	uint8_t digest[RK_SHA256_BYTES];
	uint64_t value;

	rk_sha256(digest, rkey);
	memcpy(&value, digest, sizeof(value));
	return value;
}

enum { KEY_OF_OTHERS = -1, KEY_MALFORMED = -2 };

/* "collection/rkey" of one of ours: its id. A tree may hold keys that are longer than a record key can be, or of
 * other forms (record key syntax: 1 to 512 bytes, neither "." nor ".."). */
static int key_split(struct rk_slice key, struct rk_slice *rkey)
{
	const uint8_t *slash = memchr(key.data, '/', key.len);
	struct rk_rkey parsed;
	size_t at;
	int id;

	if (!slash)
		return KEY_OF_OTHERS;
	at = (size_t)(slash - key.data);
	*rkey = rk_slice_sub(key, at + 1, key.len - at - 1);
	id = rk_collection_find(rk_slice_sub(key, 0, at));
	if (id < 0)
		return KEY_OF_OTHERS;
	return rk_rkey_parse(&parsed, *rkey) ? id : KEY_MALFORMED;
}

/* As it was before the fetch. */
static bool index_is_empty(const struct rk_resync *s, int collection)
{
	return s->copy.repo.counts[collection] == 0;
}

bool rk_difference_collect(void *context, struct rk_slice key, const struct rk_cid *value)
{
	struct rk_resync *s = context;
	struct rk_slice rkey;
	int at = key_split(key, &rkey);

	(void)value;
	if (at < 0 || index_is_empty(s, at))
		return true;
	if (s->counts[at] == s->caps[at]) {
		size_t cap = s->caps[at] ? s->caps[at] * 2 : 64;
		uint64_t *keys = realloc(s->keys[at], cap * sizeof(*keys));

		if (!keys) {
			s->error = -ENOMEM;
			return false;
		}
		s->keys[at] = keys;
		s->caps[at] = cap;
	}
	s->keys[at][s->counts[at]++] = rkey_digest(rkey);
	return true;
}

void rk_difference_finish(struct rk_resync *s)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		free(s->keys[i]);
		s->keys[i] = NULL;
		s->counts[i] = s->caps[i] = 0;
	}
	free(s->piece.records);
	rk_arena_finish(&s->piece.arena);
	s->piece = (struct rk_piece){0};
}

static int digest_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool tree_has(const struct rk_resync *s, int collection, struct rk_slice rkey)
{
	uint64_t digest = rkey_digest(rkey);

	return s->counts[collection] &&
		bsearch(&digest, s->keys[collection], s->counts[collection], sizeof(digest),
			digest_compare);
}

static int piece_run(void *context, struct rk_write *w)
{
	struct rk_resync *s = context;
	const struct rk_repo *repo = &s->copy.repo;
	const struct rk_change change = {
		.repo = repo->id,
		.source = repo->flags & (RK_REPO_BACKFILLED | RK_REPO_BORN) ? RK_CHANGE_LIVE
									    : RK_CHANGE_FIRST,
		.vanished = s->piece.vanished,
		.records = s->piece.records,
		.count = s->piece.count,
		.now_us = rk_clock_wall_us(),
	};

	return change.count ? rk_write_change(w, &change) : 0;
}

static int piece_write(struct rk_resync *s)
{
	int r = 0;

	if (s->piece.count)
		r = rk_writer_call(s->fetcher->indexer->writer, piece_run, s);
	s->piece.count = 0;
	rk_arena_reset(&s->piece.arena);
	return r;
}

/* Makes the next place in the piece, writing the piece first when it is full. */
static struct rk_change_record *piece_next(struct rk_resync *s)
{
	struct rk_piece *piece = &s->piece;

	if (!piece->records) {
		piece->records = malloc(RK_PIECE_RECORDS * sizeof(*piece->records));
		s->error = piece->records ? 0 : -ENOMEM;
	}
	if (piece->count == RK_PIECE_RECORDS || piece->arena.total > RK_PIECE_BYTES)
		s->error = piece_write(s);
	if (s->error)
		return NULL;
	piece->records[piece->count] = (struct rk_change_record){0};
	return &piece->records[piece->count];
}

static int index_cid(struct rk_resync *s, struct rk_cid *out, int collection, struct rk_slice rkey)
{
	struct rk_record held;
	int r;

	*out = (struct rk_cid){0};
	if (index_is_empty(s, collection))
		return 0;
	r = rk_snapshot_begin(s->fetcher->snapshot);
	if (r)
		return r;
	r = rk_read_record(s->fetcher->snapshot, &held, s->copy.repo.id, (uint8_t)collection, rkey);
	if (r == 0)
		*out = held.cid;
	rk_snapshot_end(s->fetcher->snapshot);
	return rk_read_ended(r);
}

static bool tree_put(void *context, struct rk_slice key, const struct rk_cid *value)
{
	struct rk_resync *s = context;
	struct rk_change_record *record;
	struct rk_slice rkey, block;
	struct rk_cid held;
	char *copy;
	int r, at = key_split(key, &rkey);

	if (at == KEY_MALFORMED)
		rk_metric_refused_add(RK_VERDICT_RECORD_MALFORMED);
	if (at < 0)
		return true;
	s->error = index_cid(s, &held, at, rkey);
	if (s->error)
		return false;
	if (rk_cid_equal(&held, value))
		return true;
	record = piece_next(s);
	copy = record ? rk_arena_copy(&s->piece.arena, rkey) : NULL;
	if (!copy) {
		s->error = s->error ? s->error : -ENOMEM;
		return false;
	}
	record->collection = (uint8_t)at;
	record->rkey = rk_slice_make(copy, rkey.len);
	record->cid = *value;
	if (!rk_blocks_find(&s->verified.blocks, value, &block)) {
		s->error = -ENODATA;
		return false;
	}
	r = rk_record_read(
		&record->read, &s->piece.arena, (enum rk_collection_id)at, record->rkey, block);
	if (r == -EINVAL) {
		/* Nothing that can be shown: left out, and what it was before is no longer there. The
		 * rest of the repo is not held up by it. */
		rk_metric_refused_add(RK_VERDICT_RECORD_MALFORMED);
		record->cid = (struct rk_cid){0};
		s->piece.count += rk_cid_is_set(&held);
		return true;
	}
	s->error = r;
	s->piece.count += r == 0;
	s->put += r == 0;
	s->put_first += r == 0 && index_is_empty(s, at);
	return r == 0;
}

/* Records of the index that the tree does not have: only counted, or removed. */
static int index_walk(struct rk_resync *s, bool remove, struct tally *tally)
{
	struct rk_snapshot *snapshot = s->fetcher->snapshot;
	char last[RK_MST_KEY_MOST]; /* an index made before may hold what is no record key */

	*tally = (struct tally){0};
	for (int at = 0; at < RK_COLLECTION_COUNT; at++) {
		struct rk_slice after = {0};

		/* Of a collection that had none, what is there now was put from the tree. */
		while (!index_is_empty(s, at)) {
			struct rk_change_record *record = NULL;
			struct rk_record held;
			bool gone, document;
			char *copy;
			int r = rk_snapshot_begin(snapshot);

			if (r)
				return r;
			r = rk_read_record_after(
				snapshot, &held, s->copy.repo.id, (uint8_t)at, after);
			if (r == 0 && held.rkey.len > sizeof(last))
				r = -EUCLEAN;
			if (r) {
				rk_snapshot_end(snapshot);
				if (r == RK_STORE_ABSENT)
					break;
				return rk_read_found(r);
			}
			memcpy(last, held.rkey.data, held.rkey.len);
			after = rk_slice_make(last, held.rkey.len);
			document = held.link == RK_LINK_LINKED ||
				(held.link == RK_LINK_UNKNOWN && held.ref.len);
			rk_snapshot_end(snapshot);
			gone = !tree_has(s, at, after);
			tally->all++;
			tally->gone += gone;
			tally->documents += gone && document;
			if (!gone || !remove)
				continue;
			record = piece_next(s);
			copy = record ? rk_arena_copy(&s->piece.arena, after) : NULL;
			if (!copy)
				return s->error ? s->error : -ENOMEM;
			record->collection = (uint8_t)at;
			record->rkey = rk_slice_make(copy, after.len);
			s->piece.count++;
			s->removed++;
		}
	}
	return 0;
}

/* Removes what the tree does not have, believed or not. */
static int gone_remove(struct rk_resync *s)
{
	struct tally tally;
	uint64_t most;
	int r = piece_write(s);

	if (r == 0)
		r = index_walk(s, false, &tally);
	if (r)
		return r;
	most = (tally.all + s->put_first) * BELIEVED_PERCENT / 100;
	if (most < BELIEVED_REMOVALS)
		most = BELIEVED_REMOVALS;
	s->piece.vanished =
		tally.documents > most || s->copy.repo.flags & (RK_REPO_WENT_BACK | RK_REPO_RESET);
	if (s->piece.vanished && tally.documents)
		rk_log(RK_LOG_WARN, "resync",
			"records are missing from a copy that is not believed in that",
			RK_LOG_STR("did", s->copy.did), RK_LOG_INT("records", tally.documents));
	return index_walk(s, true, &tally);
}

/* The last piece and the head. */
struct last {
	struct rk_resync *s;
	int (*head)(void *resync, struct rk_write *w);
};

static int last_run(void *context, struct rk_write *w)
{
	const struct last *last = context;
	int r = piece_run(last->s, w);

	return r ? r : last->head(last->s, w);
}

int rk_difference_write(struct rk_resync *s, int (*head)(void *resync, struct rk_write *w))
{
	struct last last = {s, head};
	enum rk_mst_result walked;
	struct tally tally;
	int r;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		if (s->counts[i])
			qsort(s->keys[i], s->counts[i], sizeof(*s->keys[i]), digest_compare);
	}
	s->piece.vanished = true; /* of a record that cannot be shown any more the document stays */
	walked = rk_mst_walk(&s->verified.blocks, &s->verified.commit.data, tree_put, s);
	if (s->error || walked != RK_MST_OK)
		return s->error ? s->error : -ENODATA;
	r = index_walk(s, false, &tally);
	if (r == 0 && tally.gone)
		r = gone_remove(s);
	return r ? r : rk_writer_call(s->fetcher->indexer->writer, last_run, &last);
}

int rk_difference_remove_all(struct rk_resync *s, bool believed)
{
	struct tally tally;
	int r;

	rk_difference_finish(s);
	s->piece.vanished = !believed;
	r = index_walk(s, true, &tally);
	return r ? r : piece_write(s);
}
