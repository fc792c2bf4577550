/*
 * See inside.h: what a user's repo has by the index, in place of a listing. It is good for one write,
 * which the PDS makes only from the very commit that the index is at (store/heads.h); whatever makes it
 * doubtful is a reason to list.
 */
#include "publish/inside.h"
#include "store/heads.h"

enum {
	DOUBTS = RK_REPO_WENT_BACK | RK_REPO_RESET | RK_REPO_MOVED | RK_REPO_PURGE |
		RK_REPO_TOMBSTONE,
	/* Their refs need not be those that a listing says. */
	ODD = RK_RECORD_INVALID | RK_RECORD_UNREF,
};

static bool is_whole(const struct rk_repo *repo)
{
	return repo->sync == RK_SYNC_SYNCHRONIZED && rk_repo_is_active(repo) && !repo->said &&
		!(repo->flags & DOUBTS);
}

/* 0; RK_STORE_ABSENT: not to be had from the index; or another result of reading. */
static int read_all(const struct rk_publish_run *run, struct rk_snapshot *s, struct rk_listing *out,
	struct rk_repo *repo, struct rk_slice did)
{
	struct rk_record record = {0};
	int r = rk_read_repo_by_did(s, repo, did);

	if (r == 0 && !is_whole(repo))
		r = RK_STORE_ABSENT;
	if (r)
		return r;
	while ((r = rk_read_record_after(s, &record, repo->id, (uint8_t)run->request->collection,
			record.rkey)) == 0) {
		if (record.flags & ODD)
			return RK_STORE_ABSENT;
		r = rk_listing_add(out, record.rkey, record.ref);
		if (r)
			return r;
	}
	return rk_read_ended(r);
}

/* Sealed. Of the repo only what is no text outlives this. */
static bool known(const struct rk_publish_run *run, struct rk_snapshot *s, struct rk_listing *out,
	struct rk_repo *repo, struct rk_slice did)
{
	int r = rk_snapshot_begin(s);

	if (r)
		return false;
	r = read_all(run, s, out, repo, did);
	rk_snapshot_end(s);
	rk_listing_seal(out);
	return r == 0;
}

static bool has_any(const struct rk_publish_run *run, const struct rk_listing *listing,
	const struct rk_publish_person *person)
{
	for (size_t i = 0; i < person->count; i++) {
		if (rk_listing_ref(listing, &run->ids[person->from + i]).len > 0)
			return true;
	}
	return false;
}

bool rk_publish_known(const struct rk_publish_run *run, struct rk_snapshot *s,
	struct rk_listing *out, struct rk_cid *commit, const struct rk_publish_person *person)
{
	struct rk_repo repo;

	rk_listing_finish(out);
	return known(run, s, out, &repo, person->user->did) && !has_any(run, out, person) &&
		rk_heads_take(rk_store_heads(run->store), commit, &repo,
			(uint8_t)run->request->collection);
}

void rk_publish_compare(const struct rk_publish_run *run, struct rk_snapshot *s,
	const struct rk_listing *listed, const struct rk_publish_person *person)
{
	struct rk_listing ours = {0};
	struct rk_repo repo;

	if (known(run, s, &ours, &repo, person->user->did) && rk_listing_equal(&ours, listed))
		rk_heads_agree(
			rk_store_heads(run->store), &repo, (uint8_t)run->request->collection);
	rk_listing_finish(&ours);
}
