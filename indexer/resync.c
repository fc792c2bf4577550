/*
 * Fetching a repo whole: getRepo into a spooled file, verified, compared with the index, and what
 * differs written in pieces. While a repo is desynchronized only its fetch changes its records, so
 * the comparison stays true until the last piece, which also takes the repo's new head.
 *
 * Records are put before others are removed, so that a document whose record moved to another key is
 * linked to the new one rather than given up.
 */
#include "indexer/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/backoff.h"

enum {
	PIECE_RECORDS = 500,
	PIECE_BYTES = 4 << 20,
	RETRY_FIRST_MS = 1000,
	RETRY_MOST_MS = 60000,
	RETRY_NETWORK_MS = 1000, /* nobody answered: not the repo's fault */
	BELIEVED_REMOVALS = 20,
	BELIEVED_PERCENT = 10,
};

struct resync {
	struct rk_fetcher *fetcher;
	struct rk_repo_copy copy;
	struct rk_verified verified;
	uint64_t *keys[RK_COLLECTION_COUNT]; /* digests of the tree's rkeys, sorted */
	size_t counts[RK_COLLECTION_COUNT], caps[RK_COLLECTION_COUNT];
	struct rk_arena arena; /* of the piece */
	struct rk_change_record piece[PIECE_RECORDS];
	size_t piece_count;
	bool vanished;
	uint64_t put, removed;
	int error; /* of a visitor */
};

static uint64_t rkey_digest(struct rk_slice rkey)
{
	uint8_t digest[RK_SHA256_BYTES];
	uint64_t value;

	rk_sha256(digest, rkey);
	memcpy(&value, digest, sizeof(value));
	return value;
}

/* "collection/rkey" of one of ours: its id, else -1. */
static int key_split(struct rk_slice key, struct rk_slice *rkey)
{
	const uint8_t *slash = memchr(key.data, '/', key.len);
	size_t at;

	if (!slash)
		return -1;
	at = (size_t)(slash - key.data);
	*rkey = rk_slice_sub(key, at + 1, key.len - at - 1);
	return rk_collection_find(rk_slice_sub(key, 0, at));
}

static bool tree_collect(void *context, struct rk_slice key, const struct rk_cid *value)
{
	struct resync *s = context;
	struct rk_slice rkey;
	int at = key_split(key, &rkey);

	(void)value;
	if (at < 0)
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

static int digest_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool tree_has(const struct resync *s, int collection, struct rk_slice rkey)
{
	uint64_t digest = rkey_digest(rkey);

	return s->counts[collection] &&
		bsearch(&digest, s->keys[collection], s->counts[collection], sizeof(digest),
			digest_compare);
}

static int piece_run(void *context, struct rk_write *w)
{
	struct resync *s = context;
	const struct rk_repo *repo = &s->copy.repo;
	const struct rk_change change = {
		.repo = repo->id,
		.source = repo->flags & (RK_REPO_BACKFILLED | RK_REPO_BORN) ? RK_CHANGE_LIVE
									    : RK_CHANGE_FIRST,
		.vanished = s->vanished,
		.records = s->piece,
		.count = s->piece_count,
		.now_us = rk_clock_wall_us(),
	};

	return rk_write_change(w, &change);
}

static int piece_write(struct resync *s)
{
	int r = 0;

	if (s->piece_count)
		r = rk_writer_call(s->fetcher->indexer->writer, piece_run, s);
	s->piece_count = 0;
	rk_arena_reset(&s->arena);
	return r;
}

/* Makes the next place in the piece, writing the piece first when it is full. */
static struct rk_change_record *piece_next(struct resync *s)
{
	if (s->piece_count == PIECE_RECORDS || s->arena.total > PIECE_BYTES)
		s->error = piece_write(s);
	if (s->error)
		return NULL;
	s->piece[s->piece_count] = (struct rk_change_record){0};
	return &s->piece[s->piece_count];
}

static int index_cid(struct resync *s, struct rk_cid *out, int collection, struct rk_slice rkey)
{
	struct rk_record held;
	int r = rk_snapshot_begin(s->fetcher->snapshot);

	*out = (struct rk_cid){0};
	if (r)
		return r;
	r = rk_read_record(s->fetcher->snapshot, &held, s->copy.repo.id, (uint8_t)collection, rkey);
	if (r == 0)
		*out = held.cid;
	rk_snapshot_end(s->fetcher->snapshot);
	return r == RK_STORE_ABSENT ? 0 : r == RK_STORE_CORRUPT ? -EUCLEAN : r;
}

static bool tree_put(void *context, struct rk_slice key, const struct rk_cid *value)
{
	struct resync *s = context;
	struct rk_change_record *record;
	struct rk_slice rkey, block;
	struct rk_cid held;
	char *copy;
	int r, at = key_split(key, &rkey);

	if (at < 0)
		return true;
	s->error = index_cid(s, &held, at, rkey);
	if (s->error)
		return false;
	if (rk_cid_equal(&held, value))
		return true;
	record = piece_next(s);
	copy = record ? rk_arena_copy(&s->arena, rkey) : NULL;
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
		&record->read, &s->arena, (enum rk_collection_id)at, record->rkey, block);
	if (r == -EINVAL) {
		/* Nothing that can be shown: left out, and what it was before is no longer there. The
		 * rest of the repo is not held up by it. */
		rk_metric_refused_add(RK_VERDICT_RECORD_MALFORMED);
		record->cid = (struct rk_cid){0};
		s->piece_count += rk_cid_is_set(&held);
		return true;
	}
	s->error = r;
	s->piece_count += r == 0;
	s->put += r == 0;
	return r == 0;
}

/* Records of the index that the tree does not have: only counted, or removed. */
static int index_walk(struct resync *s, bool remove, uint64_t *missing, uint64_t *all)
{
	struct rk_snapshot *snapshot = s->fetcher->snapshot;
	char last[RK_RKEY_MOST];

	for (int at = 0; at < RK_COLLECTION_COUNT; at++) {
		struct rk_slice after = {0};

		for (;;) {
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
				return r < 0 ? r : -EUCLEAN;
			}
			memcpy(last, held.rkey.data, held.rkey.len);
			after = rk_slice_make(last, held.rkey.len);
			document = held.link == RK_LINK_LINKED ||
				(held.link == RK_LINK_UNKNOWN && held.ref.len);
			rk_snapshot_end(snapshot);
			gone = !tree_has(s, at, after);
			++*all;
			*missing += gone && document;
			if (!gone || !remove)
				continue;
			record = piece_next(s);
			copy = record ? rk_arena_copy(&s->arena, after) : NULL;
			if (!copy)
				return s->error ? s->error : -ENOMEM;
			record->collection = (uint8_t)at;
			record->rkey = rk_slice_make(copy, after.len);
			s->piece_count++;
			s->removed++;
		}
	}
	return 0;
}

static int64_t retry_at(const struct resync *s)
{
	struct rk_backoff backoff = {
		.first_ms = RETRY_FIRST_MS,
		.most_ms = RETRY_MOST_MS,
		.tries = s->copy.repo.failures < 16 ? s->copy.repo.failures : 16,
	};

	return rk_clock_wall_ms() + rk_backoff_next(&backoff, rk_backoff_random());
}

static int head_run(void *context, struct rk_write *w)
{
	struct resync *s = context;
	struct rk_repo repo;
	bool lost;
	int r = rk_read_repo(rk_write_view(w), &repo, s->copy.repo.id);

	if (r)
		return r < 0 ? r : -EUCLEAN;
	repo.rev = s->verified.commit.rev;
	repo.data = s->verified.commit.data;
	repo.failures = 0;
	repo.retry_ms = 0;
	repo.flags &= (uint8_t) ~(RK_REPO_WENT_BACK | RK_REPO_RESET | RK_REPO_PURGE);
	repo.flags |= RK_REPO_BACKFILLED;
	repo.account = RK_ACCOUNT_ACTIVE;
	repo.sync = RK_SYNC_SYNCHRONIZED;
	r = rk_write_repo(w, &repo);
	/* The stream went on while the repo came in. */
	if (r == 0)
		r = rk_replay(s->fetcher->indexer, w, s->copy.repo.did, &lost);
	if (r == 0)
		r = rk_read_repo(rk_write_view(w), &repo, s->copy.repo.id);
	/* Behind the stream still: once more, but not at once for ever. */
	if (r == 0 && (lost || repo.sync == RK_SYNC_DESYNCHRONIZED)) {
		repo.sync = RK_SYNC_DESYNCHRONIZED;
		repo.failures = s->copy.repo.failures + (s->copy.repo.failures < UINT8_MAX);
		repo.retry_ms = retry_at(s);
		r = rk_write_repo(w, &repo);
	}
	if (r == 0 && repo.sync == RK_SYNC_SYNCHRONIZED)
		r = rk_write_seen_clear(w, repo.id);
	if (r == 0)
		r = rk_write_issue_clear(
			w, RK_ISSUE_DESYNCHRONIZED, repo.id, -1, (struct rk_slice){0});
	return r;
}

/* Makes the index equal to the verified repo. */
static int difference_write(struct resync *s)
{
	uint64_t missing = 0, all = 0, most;
	enum rk_mst_result walked;
	int r;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		if (s->counts[i])
			qsort(s->keys[i], s->counts[i], sizeof(*s->keys[i]), digest_compare);
	}
	s->vanished = true; /* of a record that cannot be shown any more the document stays */
	walked = rk_mst_walk(&s->verified.blocks, &s->verified.commit.data, tree_put, s);
	if (s->error || walked != RK_MST_OK)
		return s->error ? s->error : -ENODATA;
	r = piece_write(s);
	if (r == 0)
		r = index_walk(s, false, &missing, &all);
	if (r)
		return r;
	most = all * BELIEVED_PERCENT / 100;
	if (most < BELIEVED_REMOVALS)
		most = BELIEVED_REMOVALS;
	s->vanished = missing > most || s->copy.repo.flags & (RK_REPO_WENT_BACK | RK_REPO_RESET);
	if (s->vanished && missing)
		rk_log(RK_LOG_WARN, "resync",
			"records are missing from a copy that is not believed in that",
			RK_LOG_STR("did", s->copy.did), RK_LOG_INT("records", missing));
	missing = all = 0;
	r = index_walk(s, true, &missing, &all);
	if (r == 0)
		r = piece_write(s);
	return r ? r : rk_writer_call(s->fetcher->indexer->writer, head_run, s);
}

/* What came of a fetch that brought no repo. */
struct outcome {
	struct resync *s;
	enum rk_account account; /* the account's state now */
	bool failed;             /* count it against the repo */
	bool went_back;
	bool purged;      /* what was to be looked at after a deletion is done */
	int64_t retry_ms; /* Unix ms */
	const char *reason;
};

static int outcome_run(void *context, struct rk_write *w)
{
	const struct outcome *o = context;
	struct rk_repo repo;
	int r = rk_read_repo(rk_write_view(w), &repo, o->s->copy.repo.id);

	if (r)
		return r < 0 ? r : -EUCLEAN;
	repo.account = (uint8_t)o->account;
	repo.retry_ms = o->retry_ms;
	if (o->went_back)
		repo.flags |= RK_REPO_WENT_BACK;
	if (o->purged)
		repo.flags &= (uint8_t)~RK_REPO_PURGE;
	if (o->failed && repo.failures < UINT8_MAX)
		repo.failures++;
	r = rk_write_repo(w, &repo);
	if (r == 0 && repo.failures >= RK_FAILURES_READY && o->account == RK_ACCOUNT_ACTIVE) {
		const struct rk_issue issue = {
			.kind = RK_ISSUE_DESYNCHRONIZED,
			.repo = repo.id,
			.collection = -1,
			.at_ms = rk_clock_wall_ms(),
			.message = rk_slice_str(o->reason),
		};

		r = rk_write_issue(w, &issue);
	}
	return r;
}

static void outcome_write(struct outcome *o)
{
	struct rk_indexer *indexer = o->s->fetcher->indexer;

	if (atomic_load(&indexer->stopping))
		return;
	if (o->failed)
		rk_metric_add(RK_METRIC_RESYNC_FAILURES, 1);
	rk_log(o->failed ? RK_LOG_WARN : RK_LOG_INFO, "resync", "a repo could not be fetched",
		RK_LOG_STR("did", o->s->copy.did), RK_LOG_STR("reason", o->reason),
		RK_LOG_INT("failures", o->s->copy.repo.failures + o->failed));
	if (rk_writer_call(indexer->writer, outcome_run, o) != 0)
		rk_log(RK_LOG_WARN, "resync", "stopped before the outcome was written",
			RK_LOG_STR("did", o->s->copy.did));
}

static int signer_read(struct resync *s, struct rk_signer *out)
{
	struct rk_fetcher *fetcher = s->fetcher;
	int r = rk_snapshot_begin(fetcher->snapshot);

	if (r)
		return r;
	r = rk_keys_find(
		fetcher->keys, out, fetcher->snapshot, s->copy.repo.did, rk_clock_wall_ms());
	rk_snapshot_end(fetcher->snapshot);
	return r;
}

static void failed(struct resync *s, const char *reason, bool went_back)
{
	struct outcome o = {
		.s = s,
		.account = s->copy.repo.account,
		.failed = true,
		.went_back = went_back,
		.retry_ms = retry_at(s),
		.reason = reason,
	};

	outcome_write(&o);
}

/*
 * The source knows no such repo: its records are no longer there. Their documents stay, unless the
 * stream said that the account was deleted and its DID document still names the source.
 */
static void lost(struct resync *s)
{
	struct outcome o = {
		.s = s,
		.account = RK_ACCOUNT_DELETED,
		.went_back = true,
		.purged = true,
		.reason = "the source has no such repo",
	};
	uint64_t missing = 0, all = 0;
	struct rk_signer signer = {0};

	if (s->copy.repo.flags & RK_REPO_PURGE) {
		rk_identity_refresh(s->fetcher, s->copy.did, RK_KEY_TRUST_MS);
		if (signer_read(s, &signer) != 0 || signer.elsewhere) {
			failed(s, "where the deleted account lives could not be told", false);
			return;
		}
	}
	s->vanished = !(s->copy.repo.flags & RK_REPO_PURGE && signer.known);
	if (index_walk(s, true, &missing, &all) != 0 || piece_write(s) != 0)
		failed(s, "the lost repo's records could not be removed", true);
	else
		outcome_write(&o);
}

static void not_fetched(struct resync *s, int result, const struct rk_pds_reply *reply)
{
	bool network = result == RK_PDS_RETRY && reply->http_status == 0;
	struct outcome o = {
		.s = s,
		.account = s->copy.repo.account,
		.failed = !network,
		.retry_ms = retry_at(s),
		.reason = reply->message,
	};

	if (network)
		o.retry_ms = rk_clock_wall_ms() + RETRY_NETWORK_MS;
	if (result == RK_PDS_RETRY && reply->retry_after_ms > 0)
		o.retry_ms = rk_clock_wall_ms() + reply->retry_after_ms;
	if (result == RK_PDS_INACTIVE) {
		o.account = rk_account_parse(rk_slice_str(reply->account_status));
		if (o.account == RK_ACCOUNT_ACTIVE)
			o.account = RK_ACCOUNT_INACTIVE;
		o.failed = false;
		o.purged = true;
		o.retry_ms = 0;
	}
	outcome_write(&o);
}

/* Under the key held now. */
static int verify(struct resync *s, struct rk_slice car, struct rk_did did)
{
	struct rk_verify_options options = {
		.now_ms = rk_clock_wall_ms(),
		.key_needed = true,
		.checker = rk_keys_checker(s->fetcher->keys),
	};
	struct rk_signer signer;
	int r = signer_read(s, &signer);

	if (r)
		return r;
	options.key = signer.key;
	rk_blocks_finish(&s->verified.blocks);
	memset(s->counts, 0, sizeof(s->counts));
	return rk_verify_repo(&s->verified, car, did, &options, tree_collect, s);
}

static void fetched(struct resync *s, int fd, size_t size)
{
	const struct rk_did did = {.text = s->copy.repo.did};
	void *map = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
	int r;

	if (map == MAP_FAILED) {
		failed(s, "the fetched repo is empty or cannot be mapped", false);
		return;
	}
	r = verify(s, rk_slice_make(map, size), did);
	if (r == RK_VERDICT_SIGNATURE_WRONG || r == RK_VERDICT_KEY_UNKNOWN ||
		r == RK_VERDICT_KEY_MISSING) {
		/* The key may have been changed since it was read. */
		rk_identity_refresh(s->fetcher, s->copy.did, RK_KEY_TRUST_MS);
		r = verify(s, rk_slice_make(map, size), did);
	}
	if (s->error) {
		failed(s, strerror(-s->error), false);
	} else if (r != RK_VERDICT_OK) {
		if (r > 0)
			rk_metric_refused_add((unsigned)r);
		failed(s, r > 0 ? rk_verdict_rows[r].help : strerror(-r), false);
	} else if (s->verified.commit.rev < s->copy.repo.rev &&
		!(s->copy.repo.flags & RK_REPO_RESET)) {
		rk_metric_refused_add(RK_VERDICT_REV_OLDER);
		failed(s, rk_verdict_rows[RK_VERDICT_REV_OLDER].help, true);
	} else {
		r = difference_write(s);
		if (r == 0) {
			rk_metric_add(RK_METRIC_RESYNCS, 1);
			rk_metric_add(RK_METRIC_RECORDS_PUT, (int64_t)s->put);
			rk_metric_add(RK_METRIC_RECORDS_REMOVED, (int64_t)s->removed);
			rk_log(RK_LOG_DEBUG, "resync", "a repo is in",
				RK_LOG_STR("did", s->copy.did), RK_LOG_INT("put", s->put),
				RK_LOG_INT("removed", s->removed));
		} else if (!atomic_load(&s->fetcher->indexer->stopping)) {
			failed(s, strerror(-r), false);
		}
	}
	rk_blocks_finish(&s->verified.blocks);
	munmap(map, size);
}

void rk_resync(struct rk_fetcher *fetcher, rk_repo_id id)
{
	struct rk_indexer *indexer = fetcher->indexer;
	struct rk_pds_reply reply;
	struct resync *s = calloc(1, sizeof(*s));
	struct rk_signer signer;
	size_t size;
	int fd, r;

	if (!s)
		return;
	s->fetcher = fetcher;
	if (rk_repo_copy_read(fetcher, &s->copy, id) != 0)
		goto done;
	rk_identity_refresh(fetcher, s->copy.did, RK_IDENTITY_FRESH_MS);
	if (signer_read(s, &signer) != 0 || signer.elsewhere)
		goto done; /* it moved: no longer the source's to tell of */
	r = rk_pds_get_repo(fetcher->pds, &reply, &fd, &size, indexer->options.source, s->copy.did,
		indexer->options.data_dir, RK_REPO_CAR_MOST);
	if (r == RK_PDS_OK) {
		fetched(s, fd, size);
		close(fd);
	} else if (r == RK_PDS_ABSENT) {
		lost(s);
	} else if (r > 0) {
		not_fetched(s, r, &reply);
	} else if (r != -ECANCELED) {
		failed(s, strerror(-r), false);
	}
done:
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		free(s->keys[i]);
	rk_arena_finish(&s->arena);
	free(s);
}
