/* See sweep.h: what the source lists, and what hosts say, against the index. */
#include "indexer/sweep.h"

#include <errno.h>
#include <stdlib.h>

#include "base/list.h"

void rk_sweep_entries_free(struct rk_sweep *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->entries[i].did);
	s->count = 0;
	s->fresh = 0;
}

static bool listed_mark(struct rk_sweep *s, rk_repo_id id)
{
	size_t at = id / 8;

	if (at >= s->listed_bytes) {
		size_t bytes = (at + 1) * 2;
		uint8_t *bits = realloc(s->listed, bytes);

		if (!bits)
			return false;
		memset(bits + s->listed_bytes, 0, bytes - s->listed_bytes);
		s->listed = bits;
		s->listed_bytes = bytes;
	}
	s->listed[at] |= (uint8_t)(1 << id % 8);
	return true;
}

void rk_sweep_listed_clear(struct rk_sweep *s)
{
	if (s->listed)
		memset(s->listed, 0, s->listed_bytes);
}

bool rk_sweep_listed(const struct rk_sweep *s, rk_repo_id id)
{
	return id / 8 < s->listed_bytes && s->listed[id / 8] & 1 << id % 8;
}

static int new_repos_run(void *context, struct rk_write *w)
{
	const struct rk_sweep *s = context;

	for (size_t i = 0; i < s->count; i++) {
		const struct rk_sweep_entry *entry = &s->entries[i];
		struct rk_repo repo;
		int r;

		if (entry->repo)
			continue;
		r = rk_write_repo_make(w, &repo, rk_slice_str(entry->did));
		if (r)
			return r;
		if (repo.rev == 0 && repo.account != (uint8_t)entry->account) {
			repo.account = (uint8_t)entry->account;
			r = rk_write_repo(w, &repo);
			if (r)
				return r;
		}
	}
	return 0;
}

int rk_sweep_take_new(struct rk_sweep *s)
{
	size_t kept = 0;
	int r = rk_writer_call(s->fetcher.indexer->writer, new_repos_run, s);

	for (size_t i = 0; i < s->count; i++) {
		struct rk_repo repo;

		if (s->entries[i].repo) {
			s->entries[kept++] = s->entries[i];
			continue;
		}
		if (r == 0 && rk_snapshot_begin(s->fetcher.snapshot) == 0) {
			if (rk_read_repo_by_did(s->fetcher.snapshot, &repo,
				    rk_slice_str(s->entries[i].did)) == 0 &&
				!listed_mark(s, repo.id))
				r = -ENOMEM;
			rk_snapshot_end(s->fetcher.snapshot);
		}
		free(s->entries[i].did);
	}
	s->count = kept;
	s->fresh = 0;
	return r;
}

static int entry_add(struct rk_sweep *s, struct rk_sweep_entry entry, struct rk_slice did)
{
	if (rk_list_grow(&s->entries, &s->room, s->count, sizeof(*s->entries)) != 0)
		return -ENOMEM;
	entry.did = strndup((const char *)did.data, did.len);
	if (!entry.did)
		return -ENOMEM;
	s->entries[s->count++] = entry;
	s->fresh += entry.repo == 0;
	s->unproven[entry.account != RK_ACCOUNT_ACTIVE] += entry.repo == 0;
	return s->fresh >= RK_SWEEP_BATCH ? rk_sweep_take_new(s) : 0;
}

int rk_sweep_doubt(struct rk_sweep *s, const struct rk_repo *repo)
{
	const struct rk_sweep_entry entry = {.repo = repo->id, .doubted = true};

	return entry_add(s, entry, repo->did);
}

/* Anybody can list names. So many have a place in the index before they are seen to have a repo, whatever the
 * source calls them later; of more, a page that says nothing else ends the list. */
static bool is_one_too_many(struct rk_sweep *s, enum rk_account account)
{
	uint64_t most = RK_UNPROVEN_MOST + RK_UNPROVEN_EACH * s->proven;
	bool is = s->unproven[account != RK_ACCOUNT_ACTIVE] >= most ||
		s->unproven[0] + s->unproven[1] >= 2 * most;

	s->refused += is;
	return is;
}

/* Of a relay's list: who has records of ours, and no more. */
static int visit_name(void *context, const struct rk_pds_repo *listed)
{
	const struct rk_sweep_entry entry = {.account = RK_ACCOUNT_ACTIVE};
	struct rk_sweep *s = context;
	struct rk_repo repo;
	struct rk_did did;
	int r;

	if (!rk_did_parse(&did, listed->did))
		return RK_PDS_REPO_OLD;
	r = rk_snapshot_begin(s->fetcher.snapshot);
	if (r)
		return r;
	r = rk_read_repo_by_did(s->fetcher.snapshot, &repo, did.text);
	rk_snapshot_end(s->fetcher.snapshot);
	if (r == 0 && rk_sweep_listed(s, repo.id))
		return RK_PDS_REPO_OLD;
	if (r == RK_STORE_ABSENT && is_one_too_many(s, entry.account))
		return RK_PDS_REPO_OLD;
	s->repos++;
	if (r == 0)
		return listed_mark(s, repo.id) ? 0 : -ENOMEM;
	return r == RK_STORE_ABSENT ? entry_add(s, entry, did.text) : rk_read_found(r);
}

int rk_sweep_visit(void *context, const struct rk_pds_repo *listed)
{
	struct rk_sweep *s = context;
	struct rk_sweep_entry entry = {.account = RK_ACCOUNT_ACTIVE};
	struct rk_did did;
	struct rk_repo repo;
	bool same;
	int r;

	if (!rk_did_parse(&did, listed->did))
		return RK_PDS_REPO_OLD;
	if (!rk_tid_parse(&entry.rev, listed->rev))
		entry.rev = 0;
	if (!listed->active) {
		entry.account = rk_account_parse(listed->status);
		if (entry.account == RK_ACCOUNT_ACTIVE)
			entry.account = RK_ACCOUNT_INACTIVE;
	}
	r = rk_snapshot_begin(s->fetcher.snapshot);
	if (r)
		return r;
	r = rk_read_repo_by_did(s->fetcher.snapshot, &repo, did.text);
	same = r == 0 &&
		(repo.flags & RK_REPO_TOMBSTONE ||
			(repo.account == (uint8_t)entry.account &&
				(entry.account != RK_ACCOUNT_ACTIVE ||
					(repo.rev == entry.rev &&
						!(repo.flags &
							(RK_REPO_WENT_BACK | RK_REPO_RESET))))));
	rk_snapshot_end(s->fetcher.snapshot);
	if (r < 0)
		return r;
	if (r == 0) {
		entry.repo = repo.id;
		if (rk_sweep_listed(s, repo.id))
			return RK_PDS_REPO_OLD;
		if (!listed_mark(s, repo.id))
			return -ENOMEM;
	} else if (is_one_too_many(s, entry.account)) {
		return RK_PDS_REPO_OLD;
	}
	s->repos++;
	return same ? 0 : entry_add(s, entry, did.text);
}

int rk_sweep_list(struct rk_sweep *s, struct rk_pds_reply *reply)
{
	const struct rk_indexer_options *options = &s->fetcher.indexer->options;
	int r = RK_PDS_OK;

	if (!options->relay)
		return rk_pds_list_repos(s->fetcher.pds, reply, options->source, rk_sweep_visit, s);
	for (int i = 0; r == RK_PDS_OK && i < RK_COLLECTION_COUNT; i++) {
		rk_sweep_listed_clear(s);
		r = rk_pds_list_repos_by_collection(s->fetcher.pds, reply, options->source,
			rk_collections[i].nsid, visit_name, s);
	}
	return r;
}

int rk_sweep_count(struct rk_sweep *s)
{
	struct rk_repo repo = {0};
	int r = 0;

	s->proven = s->unproven[0] = s->unproven[1] = 0;
	while (r == 0 && !atomic_load(&s->fetcher.indexer->stopping)) {
		r = rk_snapshot_begin(s->fetcher.snapshot);
		if (r)
			return r;
		for (int i = 0; r == 0 && i < RK_SWEEP_BATCH; i++) {
			r = rk_read_repo_after(s->fetcher.snapshot, &repo, repo.id);
			if (r == 0 && repo.rev)
				s->proven++;
			else if (r == 0)
				s->unproven[repo.account != RK_ACCOUNT_ACTIVE]++;
		}
		rk_snapshot_end(s->fetcher.snapshot);
	}
	return rk_read_ended(r);
}
