/* Putting back what an undo file holds: all of it is looked at, then one account's entries after the other's.
 * See repair.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "mongo/build.h"
#include "repair/inside.h"
#include "repair/undo_read.h"

enum { LOOKED_UP_MOST = 500 }; /* documents in one question */

struct undoing {
	struct rk_repair_run run;
	struct rk_undo_file file;
	struct rk_users users;
	struct rk_snapshot *snapshot;
};

static int refuse(struct undoing *u, const struct rk_undo_entry *entry, const char *why)
{
	snprintf(u->run.summary->error, sizeof(u->run.summary->error),
		"the undo file: line %zu: %s, so nothing is done", entry->line, why);
	return -EINVAL;
}

static int mongo_failed(struct undoing *u, int r)
{
	return rk_mongo_result(u->run.mongo, r, u->run.summary->error);
}

/* Looking at it */

/* The owner's DID; empty: nobody has one. */
static struct rk_slice document_did(const struct undoing *u, const struct rk_document *document)
{
	struct rk_slice owner = rk_document_owner(document, u->run.options->audit.guest_user);
	const struct rk_user *user = owner.data ? rk_users_by_id(&u->users, owner) : NULL;

	return user ? user->did : (struct rk_slice){0};
}

/* Documents that MongoDB has, of so many entries. */
static int documents_check(struct undoing *u, const struct rk_undo_entry *entries, size_t count)
{
	struct rk_oid ids[LOOKED_UP_MOST];
	int r = 0;

	for (int collection = 0; r == 0 && collection < RK_COLLECTION_COUNT; collection++) {
		struct rk_documents documents = {0};
		struct rk_arena arena = {0};
		size_t asked = 0;

		for (size_t i = 0; i < count; i++) {
			if (entries[i].collection == collection)
				ids[asked++] = entries[i].target;
		}
		if (asked)
			r = mongo_failed(u,
				rk_mongo_by_id(u->run.mongo, &documents, &arena,
					&rk_collections[collection], ids, asked));
		for (size_t i = 0; r == 0 && i < count; i++) {
			for (size_t k = 0; r == 0 && k < documents.count &&
				entries[i].collection == collection;
				k++) {
				const struct rk_document *document = &documents.list[k];

				if (memcmp(&document->id, &entries[i].target,
					    sizeof(document->id)) == 0 &&
					!rk_slice_equal(document_did(u, document), entries[i].did))
					r = refuse(u, &entries[i],
						"its record's document is somebody else's");
			}
		}
		rk_documents_finish(&documents);
		rk_arena_finish(&arena);
	}
	return r;
}

/* A document that was removed is known to the index by whose it was. */
static int owners_check(struct undoing *u)
{
	char hex[RK_OID_LEN + 1];
	int r = rk_snapshot_begin(u->snapshot);

	if (r)
		return r;
	for (size_t i = 0; r >= 0 && i < u->file.count; i++) {
		const struct rk_undo_entry *entry = &u->file.entries[i];
		struct rk_owner_view owner = {0};
		struct rk_repo repo = {0};

		rk_oid_format(hex, &entry->target);
		r = rk_read_owner(u->snapshot, &owner, entry->collection, rk_slice_str(hex));
		if (r == 0 && owner.known && owner.owner.repo)
			r = rk_read_repo_by_did(u->snapshot, &repo, entry->did);
		if (r >= 0 && owner.known && owner.owner.repo && owner.owner.repo != repo.id)
			r = refuse(u, entry, "its record's document is somebody else's");
		else if (r == RK_STORE_CORRUPT)
			r = -EUCLEAN;
	}
	rk_snapshot_end(u->snapshot);
	return r < 0 ? r : 0;
}

static int file_check(struct undoing *u)
{
	int r = 0;

	for (size_t i = 0; i < u->file.count; i++) {
		if (!rk_users_by_did(&u->users, u->file.entries[i].did))
			return refuse(u, &u->file.entries[i], "no user has its did");
	}
	for (size_t at = 0; r == 0 && at < u->file.count; at += LOOKED_UP_MOST) {
		size_t left = u->file.count - at;

		r = documents_check(
			u, u->file.entries + at, left < LOOKED_UP_MOST ? left : LOOKED_UP_MOST);
	}
	return r ? r : owners_check(u);
}

/* Doing it */

struct put_back {
	struct rk_account_write write;
	bool was_there;
	struct rk_repair_step step;
};

/* Why nothing may be put back for a DID; NULL: it may. */
static const char *barred(struct undoing *u, struct rk_slice did)
{
	struct rk_repo repo;
	const char *reason = NULL;
	int r;

	if (rk_snapshot_begin(u->snapshot) != 0)
		return "the index cannot be read";
	r = rk_read_repo_by_did(u->snapshot, &repo, did);
	if (r == RK_STORE_OK && repo.flags & RK_REPO_TOMBSTONE)
		reason = "forgotten: never put back";
	else if (r < 0 || r == RK_STORE_CORRUPT)
		reason = "the index cannot be read";
	rk_snapshot_end(u->snapshot);
	return reason;
}

static void put_back_init(struct put_back *out, const struct rk_undo_entry *entry)
{
	*out = (struct put_back){
		.step = {.kind = RK_REPAIR_KIND_COUNT,
			.action = RK_REPAIR_CREATE,
			.collection = entry->collection,
			.has_id = entry->has_id,
			.id = entry->id,
			.rkey = entry->rkey,
			.cid = entry->cid},
		.write.write = {.action = RK_SESSION_CREATE,
			.collection = rk_collections[entry->collection].nsid,
			.rkey = (const char *)entry->rkey.data,
			.record = entry->record},
	};
	for (int kind = 0; kind < RK_REPAIR_KIND_COUNT; kind++) {
		if (strcmp(rk_repair_kind_names[kind], entry->kind) == 0)
			out->step.kind = (enum rk_repair_kind)kind;
	}
}

static void entries_tell(
	struct undoing *u, const struct rk_user *user, struct put_back *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rk_repair_step *step = &list[i].step;

		if (list[i].write.state == RK_ACCOUNT_OPEN && u->run.yes)
			continue;
		if (list[i].write.state == RK_ACCOUNT_DONE)
			step->state = list[i].was_there ? RK_REPAIR_THERE : RK_REPAIR_DONE;
		else if (list[i].write.state == RK_ACCOUNT_FAILED)
			step->state = RK_REPAIR_FAILED;
		memcpy(step->reason, list[i].write.reason, sizeof(step->reason));
		rk_repair_tell(&u->run, user, step);
	}
}

/* All entries of one user. */
static int user_put_back(
	struct undoing *u, const struct rk_user *user, struct put_back *list, size_t count)
{
	struct rk_repair_run *run = &u->run;
	const char *reason = barred(u, user->did);
	struct rk_account_write **writes = calloc(count + 1, sizeof(*writes));
	int r = writes ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		writes[i] = &list[i].write;
		if (reason)
			rk_account_settle(&list[i].write, RK_ACCOUNT_FAILED, reason);
	}
	if (r == 0 && !reason) {
		r = rk_account_take(run->account, user);
		if (r == 0)
			r = rk_account_look_up(run->account, writes, count);
		for (size_t i = 0; i < count; i++)
			list[i].was_there = list[i].write.state == RK_ACCOUNT_DONE;
		if (r == 0 && run->yes)
			r = rk_account_write(run->account, writes, count, NULL, NULL);
	}
	for (size_t i = 0; r > 0 && r != RK_ACCOUNT_PUT_OFF && i < count; i++) {
		if (list[i].write.state == RK_ACCOUNT_OPEN)
			rk_account_settle(
				&list[i].write, RK_ACCOUNT_FAILED, rk_account_error(run->account));
	}
	for (size_t i = 0; r == RK_ACCOUNT_PUT_OFF && i < count; i++)
		run->summary->put_off += list[i].write.state == RK_ACCOUNT_OPEN;
	if (r == -EHOSTUNREACH)
		snprintf(run->summary->error, sizeof(run->summary->error), "%s",
			rk_account_error(run->account));
	entries_tell(u, user, list, count);
	free(writes);
	return r < 0 ? r : 0;
}

static int entry_order(const void *a, const void *b)
{
	const struct rk_undo_entry *left = a, *right = b;
	int order = rk_slice_compare(left->did, right->did);

	return order ? order : (left->line > right->line) - (left->line < right->line);
}

static int file_put_back(struct undoing *u)
{
	struct rk_undo_entry *entries = u->file.entries;
	struct put_back *list = calloc(u->file.count + 1, sizeof(*list));
	int r = list ? 0 : -ENOMEM;

	if (u->file.count)
		qsort(entries, u->file.count, sizeof(*entries), entry_order);
	for (size_t at = 0; r == 0 && at < u->file.count && !rk_repair_stopping(&u->run);) {
		struct rk_slice did = entries[at].did;
		size_t count = 0;

		for (; at < u->file.count && rk_slice_equal(entries[at].did, did); at++)
			put_back_init(&list[count++], &entries[at]);
		r = user_put_back(u, rk_users_by_did(&u->users, did), list, count);
	}
	free(list);
	return r;
}

static int file_read(struct undoing *u, const char *path)
{
	struct rk_repair_summary *out = u->run.summary;
	char error[256];
	int r = rk_undo_read(&u->file, path, error);

	out->torn = u->file.torn;
	if (r == 0 || r == -ENOMEM)
		return r;
	snprintf(
		out->error, sizeof(out->error), "the undo file: %.200s, so nothing is done", error);
	return -EINVAL;
}

int rk_repair_undo(struct rk_store *store, struct rk_repair_summary *out,
	const struct rk_repair_options *options, const struct rk_repair_request *request,
	const char *path)
{
	struct undoing u = {
		.run = {.store = store,
			.options = options,
			.request = request,
			.summary = out,
			.yes = request->yes},
	};
	int r;

	*out = (struct rk_repair_summary){0};
	r = file_read(&u, path);
	if (r == 0)
		r = rk_repair_open(&u.run);
	if (r == 0)
		r = rk_snapshot_create(&u.snapshot, store);
	if (r == 0)
		r = mongo_failed(&u, rk_mongo_users(u.run.mongo, &u.users, true));
	if (r == 0)
		r = file_check(&u);
	out->begun = r == 0;
	if (r == 0)
		r = file_put_back(&u);
	rk_repair_close(&u.run);
	rk_snapshot_destroy(u.snapshot);
	rk_users_finish(&u.users);
	rk_undo_file_finish(&u.file);
	out->stopped = rk_repair_stopping(&u.run);
	return r == -ECANCELED ? 0 : r;
}
