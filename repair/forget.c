/* See forget.h. */
#include "repair/forget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/account.h"
#include "base/list.h"
#include "mongo/erase.h"
#include "repair/undo_files.h"

enum {
	PASSES_MOST = 3,      /* over all sides, while something was under way when it began */
	INDEX_PIECE = 2000,   /* records in one transaction */
	PDS_PASSES_MOST = 10, /* over a repo that others write to meanwhile */
	PDS_PIECE = RK_SESSION_WRITES_MOST, /* records between two words of progress */
};

#define ROW(id, name, text) [RK_FORGET_##id] = {name, text},
const struct rk_forget_side_row rk_forget_side_rows[RK_FORGET_SIDE_COUNT] = {RK_FORGET_SIDES(ROW)};
#undef ROW

struct forgetting {
	struct rk_store *store;
	struct rk_writer *writer;
	struct rk_mirror *mirror;
	const struct rk_forget_options *options;
	const struct rk_forget_request *request;
	struct rk_forget_summary *summary;
	struct rk_mongo *mongo;
	struct rk_account_client *account;
	struct rk_snapshot *snapshot;
	struct rk_users users;
	struct rk_user user;
	bool forgotten; /* the tombstone is there */
	bool looked;    /* counts are there, and say of which sides */
	struct rk_forget_counts counts;
	uint64_t total; /* to be removed, as it was found first */
};

uint64_t rk_forget_sum(const struct rk_forget_counts *counts, enum rk_forget_side side)
{
	uint64_t sum = 0;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		sum += counts->of[side][i];
	return sum;
}

static bool is_stopping(const struct forgetting *f)
{
	return f->request->stop && atomic_load(f->request->stop);
}

/* A side cannot be read or cleaned. What is said is for people. */
static int stick(struct forgetting *f, enum rk_forget_side side, int result, const char *error)
{
	if (f->summary->stuck < 0) {
		f->summary->stuck = side;
		snprintf(f->summary->error, sizeof(f->summary->error), "%s", error);
	}
	return result;
}

static int mongo_result(struct forgetting *f, int r)
{
	if (r != -EIO)
		return r;
	return stick(f, RK_FORGET_MONGO, -EHOSTUNREACH, rk_mongo_error(f->mongo));
}

/* more: gone, and not counted in the summary yet. */
static void tell_progress(const struct forgetting *f, uint64_t more)
{
	uint64_t done = more;

	for (int i = 0; i < RK_FORGET_SIDE_COUNT; i++)
		done += f->summary->removed[i];
	/* Somebody may write there meanwhile. */
	if (f->request->progress)
		f->request->progress(
			f->request->context, done < f->total ? done : f->total, f->total);
}

/* The PDS */

struct listing {
	struct rk_arena arena;
	char **rkeys;
	size_t count, room;
};

static void listing_restart(void *context)
{
	struct listing *listing = context;

	rk_arena_reset(&listing->arena);
	listing->count = 0;
}

static int listing_add(void *context, const struct rk_session_record *record)
{
	struct listing *listing = context;

	if (rk_list_grow(
		    &listing->rkeys, &listing->room, listing->count, sizeof(*listing->rkeys)) != 0)
		return -ENOMEM;
	listing->rkeys[listing->count] = rk_arena_copy(&listing->arena, record->rkey);
	return listing->rkeys[listing->count++] ? 0 : -ENOMEM;
}

static void listing_finish(struct listing *listing)
{
	rk_arena_finish(&listing->arena);
	free(listing->rkeys);
}

/* What the account's repo has of a collection; nothing, where there is no such repo. */
static int pds_list(struct forgetting *f, struct listing *out, int collection)
{
	int r;

	out->count = 0;
	if (f->user.did.len == 0)
		return 0;
	r = rk_account_list(
		f->account, rk_collections[collection].nsid, listing_restart, listing_add, out);
	if (r == RK_PDS_ABSENT)
		r = rk_account_absent(f->account, f->snapshot);
	return r == 0 || r == -ECANCELED
		? r
		: stick(f, RK_FORGET_PDS, r < 0 ? r : 1, rk_account_error(f->account));
}

static int pds_delete_some(struct forgetting *f, char *const *rkeys, size_t count, int collection)
{
	struct rk_account_write writes[PDS_PIECE] = {0}, *list[PDS_PIECE];
	int r;

	for (size_t i = 0; i < count; i++) {
		list[i] = &writes[i];
		writes[i].write = (struct rk_session_write){.action = RK_SESSION_DELETE,
			.collection = rk_collections[collection].nsid,
			.rkey = rkeys[i]};
	}
	r = rk_account_write(f->account, list, count, NULL, NULL);
	if (r && r != -ECANCELED)
		r = stick(f, RK_FORGET_PDS, r < 0 ? r : 1, rk_account_error(f->account));
	for (size_t i = 0; i < count; i++) {
		f->summary->removed[RK_FORGET_PDS] += writes[i].state == RK_ACCOUNT_DONE;
		if (r == 0 && writes[i].state == RK_ACCOUNT_FAILED)
			r = stick(f, RK_FORGET_PDS, 1, writes[i].reason);
	}
	tell_progress(f, 0);
	return r;
}

static int pds_delete(struct forgetting *f, const struct listing *listing, int collection)
{
	int r = 0;

	for (size_t at = 0; r == 0 && at < listing->count; at += PDS_PIECE) {
		size_t left = listing->count - at;

		r = pds_delete_some(
			f, listing->rkeys + at, left < PDS_PIECE ? left : PDS_PIECE, collection);
	}
	return r;
}

static int pds_clean(struct forgetting *f)
{
	struct listing listing = {0};
	int r = 0;

	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		int passes = 0;

		while ((r = pds_list(f, &listing, i)) == 0 && listing.count > 0) {
			if (++passes > PDS_PASSES_MOST)
				r = stick(
					f, RK_FORGET_PDS, 1, "somebody keeps writing to the repo");
			if (r == 0)
				r = pds_delete(f, &listing, i);
			if (r)
				break;
		}
	}
	listing_finish(&listing);
	return r;
}

/* MongoDB and undo files */

static int mongo_clean(struct forgetting *f)
{
	int r = 0;

	for (int i = 0; r == 0 && f->user.id.len && i < RK_COLLECTION_COUNT; i++) {
		uint64_t removed;

		r = rk_mongo_remove_of(f->mongo, &removed, &rk_collections[i], f->user.id);
		f->summary->removed[RK_FORGET_MONGO] += removed;
	}
	return mongo_result(f, r);
}

static int undo_look(struct forgetting *f, uint64_t counts[RK_COLLECTION_COUNT], bool remove)
{
	int r = f->user.did.len
		? rk_undo_files_purge(counts, f->options->data_dir, f->user.did, remove)
		: 0;

	return r ? stick(f, RK_FORGET_UNDO, 1, strerror(-r)) : 0;
}

static int undo_clean(struct forgetting *f)
{
	struct rk_forget_counts counts = {0};
	int r = undo_look(f, counts.of[RK_FORGET_UNDO], true);

	f->summary->removed[RK_FORGET_UNDO] += rk_forget_sum(&counts, RK_FORGET_UNDO);
	return r;
}

/* The index */

static int tombstone_run(void *context, struct rk_write *w)
{
	const struct forgetting *f = context;

	return rk_write_tombstone(w, f->user.did);
}

struct piece {
	struct rk_slice did;
	bool more;
};

static int piece_run(void *context, struct rk_write *w)
{
	struct piece *piece = context;

	return rk_write_forget(w, piece->did, INDEX_PIECE, &piece->more);
}

/* Before anything goes: nothing that is under way now must come after it. */
static int tombstone_set(struct forgetting *f)
{
	int r;

	if (f->user.did.len == 0)
		return 0;
	r = rk_writer_call(f->writer, tombstone_run, f);
	if (r)
		return stick(f, RK_FORGET_INDEX, r, strerror(-r));
	if (f->mirror)
		rk_mirror_settle(f->mirror);
	return 0;
}

static int index_look(struct forgetting *f, uint64_t counts[RK_COLLECTION_COUNT])
{
	struct rk_repo repo;
	int r = rk_snapshot_begin(f->snapshot);

	if (r)
		return stick(f, RK_FORGET_INDEX, r, strerror(-r));
	r = rk_read_repo_by_did(f->snapshot, &repo, f->user.did);
	if (r == 0) {
		f->forgotten = repo.flags & RK_REPO_TOMBSTONE;
		for (int i = 0; i < RK_COLLECTION_COUNT; i++)
			counts[i] = repo.counts[i];
	}
	rk_snapshot_end(f->snapshot);
	if (r == RK_STORE_ABSENT)
		return 0;
	return r ? stick(f, RK_FORGET_INDEX, rk_read_found(r), "the index cannot be read") : 0;
}

static int index_clean(struct forgetting *f)
{
	struct piece piece = {.did = f->user.did, .more = f->user.did.len > 0};
	struct rk_forget_counts before = {0};
	char text[256];
	int r = index_look(f, before.of[RK_FORGET_INDEX]);
	uint64_t gone = 0, all = rk_forget_sum(&before, RK_FORGET_INDEX);

	while (r == 0 && piece.more) {
		r = rk_writer_call(f->writer, piece_run, &piece);
		if (r)
			stick(f, RK_FORGET_INDEX, r, strerror(-r));
		gone += INDEX_PIECE;
		tell_progress(f, gone < all ? gone : all);
	}
	if (r)
		return r;
	r = f->user.did.len ? rk_writer_compact(f->writer) : 0;
	if (r) {
		snprintf(text, sizeof(text),
			"the records are out of it, but its file could not be written anew: %s",
			r == -EBUSY ? "a check or backup is reading it" : strerror(-r));
		return stick(f, RK_FORGET_INDEX, 1, text);
	}
	f->summary->removed[RK_FORGET_INDEX] += all;
	return 0;
}

/* All sides */

static int look(struct forgetting *f)
{
	struct listing listing = {0};
	int r = index_look(f, f->counts.of[RK_FORGET_INDEX]), pds = 0;

	memset(f->counts.of[RK_FORGET_PDS], 0, sizeof(f->counts.of[RK_FORGET_PDS]));
	for (int i = 0; r == 0 && pds == 0 && i < RK_COLLECTION_COUNT; i++) {
		pds = pds_list(f, &listing, i);
		f->counts.of[RK_FORGET_PDS][i] = listing.count;
	}
	f->counts.unread[RK_FORGET_PDS] = pds != 0;
	/* Who only asks what there is hears of the other sides all the same. */
	if (r == 0 && (f->request->yes || pds == -ECANCELED))
		r = pds;
	for (int i = 0; r == 0 && f->user.id.len && i < RK_COLLECTION_COUNT; i++)
		r = mongo_result(f,
			rk_mongo_count_of(f->mongo, &f->counts.of[RK_FORGET_MONGO][i],
				&rk_collections[i], f->user.id));
	if (r == 0)
		r = undo_look(f, f->counts.of[RK_FORGET_UNDO], false);
	listing_finish(&listing);
	f->looked = r == 0;
	return r ? r : pds;
}

static bool is_clean(const struct forgetting *f)
{
	uint64_t sum = 0;

	for (int i = 0; i < RK_FORGET_SIDE_COUNT; i++)
		sum += rk_forget_sum(&f->counts, (enum rk_forget_side)i);
	return sum == 0;
}

static int clean_all(struct forgetting *f)
{
	static int (*const clean[RK_FORGET_SIDE_COUNT])(struct forgetting * f) = {
		[RK_FORGET_PDS] = pds_clean,
		[RK_FORGET_MONGO] = mongo_clean,
		[RK_FORGET_UNDO] = undo_clean,
		[RK_FORGET_INDEX] = index_clean,
	};
	int r = 0;

	for (int i = 0; r == 0 && i < RK_FORGET_SIDE_COUNT; i++) {
		if (is_stopping(f))
			return -ECANCELED;
		r = clean[i](f);
		if (r == 0)
			tell_progress(f, 0);
		if (r == 0 && f->request->cleaned)
			f->request->cleaned(f->request->context, (enum rk_forget_side)i,
				f->summary->removed[i]);
	}
	return r;
}

static int erase(struct forgetting *f)
{
	int r = tombstone_set(f);

	for (int i = 0; i < RK_FORGET_SIDE_COUNT; i++)
		f->total += rk_forget_sum(&f->counts, (enum rk_forget_side)i);
	for (int pass = 0; r == 0 && !f->summary->clean && pass < PASSES_MOST; pass++) {
		r = clean_all(f);
		if (r == 0)
			r = look(f);
		f->summary->clean = r == 0 && is_clean(f);
	}
	for (int i = 0; r == 0 && !f->summary->clean && i < RK_FORGET_SIDE_COUNT; i++) {
		if (rk_forget_sum(&f->counts, (enum rk_forget_side)i))
			r = stick(f, (enum rk_forget_side)i, 1, "somebody keeps writing there");
	}
	return r;
}

/* What is erased must be one user's alone: no account may stand for two. */
static int shared_check(struct forgetting *f)
{
	for (size_t i = 0; i < f->users.count; i++) {
		const struct rk_user *other = &f->users.list[i];

		if (rk_slice_equal(other->id, f->user.id) || f->user.did.len == 0 ||
			!rk_slice_equal(other->did, f->user.did))
			continue;
		snprintf(f->summary->error, sizeof(f->summary->error),
			"%.90s and %.90s have the same ATProto account: take it from one of them first",
			(const char *)f->user.id.data, (const char *)other->id.data);
		return -EPERM;
	}
	return 0;
}

/* The user, by name; or an account that is nobody's, but in the index. */
static int user_find(struct forgetting *f)
{
	struct rk_slice name = rk_slice_str(f->request->name);
	const struct rk_user *user;
	struct rk_repo repo;
	int r = mongo_result(f, rk_mongo_users(f->mongo, &f->users, true));

	if (r)
		return r;
	user = rk_users_by_name(&f->users, name, f->summary->error);
	if (!user)
		user = rk_users_by_did(
			&f->users, name); /* whose it is with another: shared_check */
	if (user) {
		f->user = *user;
	} else if (rk_slice_starts(name, rk_slice_str("did:"))) {
		r = rk_snapshot_begin(f->snapshot);
		if (r)
			return r;
		if (rk_read_repo_by_did(f->snapshot, &repo, name) == RK_STORE_OK)
			f->user.did = name;
		rk_snapshot_end(f->snapshot);
	}
	if (f->user.id.len == 0 && f->user.did.len == 0)
		return -ENOENT;
	f->summary->error[0] = '\0';
	if (rk_slice_equal_str(f->user.id, f->options->guest_user)) {
		snprintf(f->summary->error, sizeof(f->summary->error),
			"%.200s is the guests' account: its records are many people's",
			f->request->name);
		return -EPERM;
	}
	return f->user.id.len ? shared_check(f) : 0;
}

static int open_all(struct forgetting *f)
{
	const struct rk_account_options options = {
		.pds = f->options->pds,
		.bypass_key = f->options->bypass_key,
		.max_wait_ms = f->request->max_wait_ms,
		.stop = f->request->stop,
		.waiting = f->request->waiting,
		.context = f->request->context,
	};
	int r = rk_mongo_create(
		&f->mongo, f->options->mongo_uri, f->options->database, f->summary->error);

	if (r == 0)
		r = rk_snapshot_create(&f->snapshot, f->store);
	if (r)
		return r;
	f->account = rk_account_create(f->mongo, &options);
	return f->account ? 0 : -ENOMEM;
}

int rk_forget_run(struct rk_store *store, struct rk_writer *writer, struct rk_mirror *mirror,
	struct rk_forget_summary *out, const struct rk_forget_options *options,
	const struct rk_forget_request *request)
{
	struct forgetting f = {
		.store = store,
		.writer = writer,
		.mirror = mirror,
		.options = options,
		.request = request,
		.summary = out,
	};
	int r;

	*out = (struct rk_forget_summary){.stuck = -1};
	r = open_all(&f);
	if (r == 0)
		r = user_find(&f);
	if (r == 0)
		r = rk_account_take(f.account, &f.user);
	if (r == 0)
		r = look(&f);
	if (f.looked && request->found)
		request->found(request->context, &f.user, f.forgotten, &f.counts);
	if (r == 0 && request->yes)
		r = erase(&f);
	else if (r == 0)
		out->clean = is_clean(&f) && (f.forgotten || f.user.did.len == 0);
	if (r == -ECANCELED && is_stopping(&f)) {
		out->stopped = true;
		r = 0;
	}
	rk_account_destroy(f.account);
	rk_snapshot_destroy(f.snapshot);
	rk_mongo_destroy(f.mongo);
	rk_users_finish(&f.users);
	return r > 0 ? 0 : r;
}
