/*
 * Whose repos are whose: users are read again, and repos that turn out to be somebody's now, or no
 * longer, have their records looked at again.
 */
#include "mirror/inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

enum { CHUNK = 500 };

bool rk_claims_old(const struct rk_mirror *mirror, int64_t age_ms)
{
	int64_t least = rk_users_good_ms(mirror->users_took_ms);

	return mirror->users.loaded_ms == 0 ||
		rk_clock_mono_ms() - mirror->users.loaded_ms > (age_ms > least ? age_ms : least);
}

/* Some records of a repo, by key. */
struct chunk {
	rk_repo_id repo;
	uint8_t collection;
	bool last; /* of the whole repo */
	struct rk_slice rkeys[CHUNK];
	size_t count;
	int64_t now_ms;
};

static int chunk_mark(void *context, struct rk_write *w)
{
	const struct chunk *chunk = context;

	for (size_t i = 0; i < chunk->count; i++) {
		int r = rk_write_pending(
			w, chunk->repo, chunk->collection, chunk->rkeys[i], 0, chunk->now_ms);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The records after `from`, copied into the arena. */
static int chunk_read(
	struct rk_mirror *mirror, struct chunk *chunk, struct rk_arena *arena, struct rk_slice from)
{
	struct rk_snapshot *s = mirror->snapshot;
	struct rk_record record;
	int r = rk_snapshot_begin(s);

	if (r)
		return r;
	chunk->count = 0;
	chunk->now_ms = rk_clock_wall_ms();
	while (chunk->count < CHUNK) {
		char *copy;

		r = rk_read_record_after(s, &record, chunk->repo, chunk->collection, from);
		if (r)
			break;
		copy = rk_arena_copy(arena, record.rkey);
		if (!copy) {
			r = -ENOMEM;
			break;
		}
		from = rk_slice_make(copy, record.rkey.len);
		chunk->rkeys[chunk->count++] = from;
	}
	rk_snapshot_end(s);
	return rk_read_ended(r);
}

int rk_claims_mark(struct rk_mirror *mirror, rk_repo_id repo)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk));
	struct rk_arena arena = {0};
	int r = chunk ? 0 : -ENOMEM;

	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		struct rk_slice from = {0};

		chunk->repo = repo;
		chunk->collection = (uint8_t)i;
		do {
			r = chunk_read(mirror, chunk, &arena, from);
			if (r == 0 && chunk->count > 0) {
				r = rk_writer_call(mirror->writer, chunk_mark, chunk);
				from = chunk->rkeys[chunk->count - 1];
			}
		} while (r == 0 && chunk->count == CHUNK);
	}
	rk_arena_finish(&arena);
	free(chunk);
	return r;
}

/* After its records are marked, so that a crash in between does it all again. */
static int claim(void *context, struct rk_write *w)
{
	const rk_repo_id *id = context;
	struct rk_repo repo;
	int r = rk_read_repo(rk_write_view(w), &repo, *id);

	if (r)
		return rk_read_ended(r);
	repo.flags &= (uint8_t)~RK_REPO_UNCLAIMED;
	r = rk_write_repo(w, &repo);
	return r ? r : rk_write_issue_clear(w, RK_ISSUE_UNCLAIMED, *id, -1, (struct rk_slice){0});
}

int rk_claims_refresh(struct rk_mirror *mirror)
{
	int64_t started_ms = rk_clock_mono_ms();
	int r = rk_mongo_users(mirror->mongo, &mirror->users, false);

	mirror->users_took_ms = rk_clock_mono_ms() - started_ms;
	for (size_t i = 0; r == 0 && i < mirror->users.with_did; i++) {
		const struct rk_user *user = &mirror->users.list[mirror->users.by_did[i]];
		struct rk_repo repo;

		r = rk_snapshot_begin(mirror->snapshot);
		if (r)
			return r;
		r = rk_read_repo_by_did(mirror->snapshot, &repo, user->did);
		rk_snapshot_end(mirror->snapshot);
		if (r == RK_STORE_ABSENT || (r == 0 && !(repo.flags & RK_REPO_UNCLAIMED))) {
			r = 0;
			continue;
		}
		if (r)
			return rk_read_found(r);
		rk_log(RK_LOG_INFO, "mirror", "a user has this DID now",
			RK_LOG_SLICE("did", user->did));
		r = rk_claims_mark(mirror, repo.id);
		if (r == 0)
			r = rk_writer_call(mirror->writer, claim, &repo.id);
	}
	return r;
}

int rk_claims_moved(struct rk_round *round, bool *moved)
{
	struct rk_mirror *mirror = round->mirror;
	struct rk_slice *ids = rk_arena_calloc(&round->arena, round->count + 1, sizeof(*ids));
	struct rk_users now = {0};
	size_t count = 0;
	int r = ids ? 0 : -ENOMEM;

	*moved = false;
	for (size_t i = 0; r == 0 && i < round->count; i++) {
		const struct rk_item *item = &round->items[i];
		struct rk_slice id;

		if (item->state != RK_ITEM_OPEN ||
			(item->decision.action != RK_ACTION_MARK_GONE &&
				item->decision.action != RK_ACTION_UNLINK))
			continue;
		id = rk_document_owner(item->document, mirror->options.guest_user);
		if (count == 0 || !rk_slice_equal(ids[count - 1], id))
			ids[count++] = id;
	}
	if (count > 0)
		r = rk_mongo_users_by_id(mirror->mongo, &now, ids, count);
	for (size_t i = 0; r == 0 && !*moved && i < count; i++) {
		const struct rk_user *before = rk_users_by_id(&mirror->users, ids[i]);
		const struct rk_user *user = rk_users_by_id(&now, ids[i]);

		*moved = !before || !user || !rk_slice_equal(before->did, user->did);
	}
	rk_users_finish(&now);
	return r;
}
