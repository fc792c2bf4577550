/*
 * See watch_withdraw.h. The record goes first: killed in between, the document still names it, is found
 * again, and there is only the key left to be removed.
 */
#include "publish/watch_withdraw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "publish/listing.h"
#include "records/record.h"

struct removal {
	struct rk_account_write write;
	char rkey[RK_RKEY_MOST + 1];
	size_t item;
	bool unseen; /* by the index */
};

struct withdrawing {
	const struct rk_withdrawing *with;
	struct rk_withdrawal *list;
	size_t count;
	struct rk_documents documents;
	struct rk_arena arena;
	struct removal *removals;
	size_t removal_count, room;
};

static void settle(struct rk_withdrawal *item, int state, const char *reason)
{
	item->state = state;
	snprintf(item->reason, sizeof(item->reason), "%s", reason);
}

static const struct rk_document *document_of(
	const struct withdrawing *w, const struct rk_withdrawal *item)
{
	return rk_documents_find(&w->documents, &item->id);
}

/* Those that came back to life, or were cleared by somebody else, are left alone. */
static int read_again(struct withdrawing *w)
{
	struct rk_oid *ids = rk_arena_calloc(&w->arena, w->count, sizeof(*ids));
	int r;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < w->count; i++)
		ids[i] = w->list[i].id;
	r = rk_mongo_by_id(
		w->with->mongo, &w->documents, &w->arena, w->with->collection, ids, w->count);
	for (size_t i = 0; r == 0 && i < w->count; i++) {
		const struct rk_document *now = document_of(w, &w->list[i]);

		if (!now || !now->gone ||
			(rk_document_rkey(now).len > 0 &&
				!rk_slice_equal_str(rk_document_rkey(now), w->list[i].rkey)))
			settle(&w->list[i], RK_WITHDRAWAL_VOID, "");
	}
	return r;
}

static void restart(void *context)
{
	struct withdrawing *w = context;

	w->removal_count = 0;
}

static int removal_add(struct withdrawing *w, struct rk_slice rkey, size_t item)
{
	struct removal *removal;

	if (rk_list_grow(&w->removals, &w->room, w->removal_count, sizeof(*w->removals)) != 0)
		return -ENOMEM;
	removal = &w->removals[w->removal_count++];
	*removal = (struct removal){.item = item};
	snprintf(removal->rkey, sizeof(removal->rkey), "%.*s", RK_SLICE_ARG(rkey));
	return 0;
}

static int visit(void *context, const struct rk_session_record *record)
{
	struct withdrawing *w = context;
	struct rk_slice ref = rk_listing_ref_of(record->value, w->with->collection);
	uint8_t normal[RK_REF_MOST];
	struct rk_rkey rkey;
	struct rk_oid id;
	bool has_ref =
		rk_ref_normalize(normal, ref) && rk_oid_parse(&id, rk_slice_make(normal, ref.len));
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->count && rk_rkey_parse(&rkey, record->rkey); i++) {
		const struct rk_withdrawal *item = &w->list[i];

		if (item->state == RK_WITHDRAWAL_OPEN &&
			(has_ref ? memcmp(&id, &item->id, sizeof(id)) == 0
				 : rk_slice_equal_str(record->rkey, item->rkey)))
			r = removal_add(w, record->rkey, i);
	}
	return r;
}

static int mark(void *context, struct rk_write *tx)
{
	struct withdrawing *w = context;
	const struct rk_withdrawing *with = w->with;
	uint8_t collection = (uint8_t)(with->collection - rk_collections);

	for (size_t i = 0; i < w->removal_count; i++) {
		struct removal *removal = &w->removals[i];
		bool failed = w->list[removal->item].state == RK_WITHDRAWAL_FAILED;
		int r = rk_write_withdrawn(
			tx, with->repo, collection, rk_slice_str(removal->rkey), !failed);

		if (r < 0)
			return r;
		removal->unseen = r == RK_STORE_ABSENT;
	}
	return 0;
}

/* In the index, what is about to go is marked; what it has not seen yet would come behind the mark. */
static int records_mark(struct withdrawing *w)
{
	int r = w->removal_count && w->with->repo ? rk_writer_call(w->with->writer, mark, w) : 0;
	size_t left = 0;

	for (size_t i = 0; i < w->removal_count; i++) {
		if (w->removals[i].unseen && w->with->indexed)
			w->list[w->removals[i].item].later = true;
	}
	for (size_t i = 0; i < w->removal_count; i++) {
		if (!w->list[w->removals[i].item].later)
			w->removals[left++] = w->removals[i];
	}
	w->removal_count = left;
	return r;
}

/* No record, and no key: all is done, and what the index still says of it is about to change. */
static bool is_done_before(const struct withdrawing *w, size_t item)
{
	for (size_t i = 0; i < w->removal_count; i++) {
		if (w->removals[i].item == item)
			return false;
	}
	return rk_document_rkey(document_of(w, &w->list[item])).len == 0;
}

static int records_delete(struct withdrawing *w)
{
	struct rk_account_write **writes =
		rk_arena_calloc(&w->arena, w->removal_count + 1, sizeof(struct rk_account_write *));
	int r;

	if (!writes)
		return -ENOMEM;
	for (size_t i = 0; i < w->removal_count; i++) {
		struct removal *removal = &w->removals[i];

		removal->write.write = (struct rk_session_write){.action = RK_SESSION_DELETE,
			.collection = w->with->collection->nsid,
			.rkey = removal->rkey};
		writes[i] = &removal->write;
	}
	r = w->removal_count
		? rk_account_write(w->with->account, writes, w->removal_count, NULL, NULL)
		: 0;
	for (size_t i = 0; i < w->count; i++) {
		if (w->list[i].state == RK_WITHDRAWAL_OPEN && !w->list[i].later &&
			!is_done_before(w, i))
			settle(&w->list[i], RK_WITHDRAWAL_DONE, "");
	}
	/* One record that stays is enough. */
	for (size_t i = 0; i < w->removal_count; i++) {
		const struct removal *removal = &w->removals[i];
		struct rk_withdrawal *item = &w->list[removal->item];

		if (removal->write.state == RK_ACCOUNT_FAILED) {
			settle(item, RK_WITHDRAWAL_FAILED, removal->write.reason);
			item->of_account = removal->write.of_account;
		} else if (removal->write.state == RK_ACCOUNT_OPEN &&
			item->state == RK_WITHDRAWAL_DONE) {
			settle(item, RK_WITHDRAWAL_OPEN, "");
		}
	}
	return r;
}

/* Whether the document is gone does not matter any more: its record is. */
static void filter_build(bson_t *out, const struct rk_withdrawal *item)
{
	bson_oid_t oid;

	bson_init(out);
	memcpy(oid.bytes, item->id.bytes, sizeof(oid.bytes));
	BSON_APPEND_OID(out, "_id", &oid);
	BSON_APPEND_UTF8(out, "atproto.rkey", item->rkey);
}

static int keys_remove(struct withdrawing *w)
{
	struct rk_statement_result *results =
		rk_arena_calloc(&w->arena, w->count, sizeof(*results));
	bson_t *filters = rk_arena_calloc(&w->arena, w->count, sizeof(*filters));
	bson_t *updates = rk_arena_calloc(&w->arena, w->count, sizeof(*updates));
	struct rk_withdrawal **items =
		rk_arena_calloc(&w->arena, w->count, sizeof(struct rk_withdrawal *));
	size_t matched, count = 0;
	int r = results && filters && updates && items ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < w->count; i++) {
		const struct rk_build build = {.collection = w->with->collection};

		/* It may never have come to name its record. */
		if (w->list[i].state != RK_WITHDRAWAL_DONE ||
			rk_document_rkey(document_of(w, &w->list[i])).len == 0)
			continue;
		filter_build(&filters[count], &w->list[i]);
		if (rk_build_update(
			    &updates[count], document_of(w, &w->list[i]), &build, RK_BUILD_UNLINK))
			r = -ENOMEM;
		items[count++] = &w->list[i];
	}
	if (r == 0 && count > 0)
		r = rk_mongo_update(w->with->mongo, results, &matched, &w->arena,
			w->with->collection, filters, updates, count);
	for (size_t i = 0; i < count; i++) {
		if (r)
			settle(items[i], RK_WITHDRAWAL_OPEN, "");
		else if (results[i].result == RK_STATEMENT_BUSY)
			settle(items[i], RK_WITHDRAWAL_OPEN, "");
		else if (results[i].result != RK_STATEMENT_DONE)
			settle(items[i], RK_WITHDRAWAL_FAILED,
				"the record is deleted, but MongoDB refused to remove its key");
		bson_destroy(&filters[i]);
		bson_destroy(&updates[i]);
	}
	return r;
}

/* Those of documents that are another's by now. */
static void removals_drop_void(struct withdrawing *w)
{
	size_t left = 0;

	for (size_t i = 0; i < w->removal_count; i++) {
		if (w->list[w->removals[i].item].state == RK_WITHDRAWAL_OPEN)
			w->removals[left++] = w->removals[i];
	}
	w->removal_count = left;
}

static bool any_failed(const struct withdrawing *w)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->list[i].state == RK_WITHDRAWAL_FAILED)
			return true;
	}
	return false;
}

int rk_withdraw(const struct rk_withdrawing *with, struct rk_withdrawal *list, size_t count)
{
	struct withdrawing w = {.with = with, .list = list, .count = count};
	int r = rk_account_take(with->account, list->user), told;

	if (r == 0)
		r = rk_account_list(with->account, with->collection->nsid, restart, visit, &w);
	/* As late as can be. */
	if (r == 0)
		r = read_again(&w);
	if (r == 0)
		removals_drop_void(&w);
	if (r == 0)
		r = records_mark(&w);
	if (r == 0)
		r = records_delete(&w);
	if (any_failed(&w) && with->repo) {
		told = rk_writer_call(with->writer, mark, &w);
		r = r ? r : told;
	}
	/* What is deleted is told MongoDB, whatever happened to the rest. */
	told = keys_remove(&w);
	rk_documents_finish(&w.documents);
	rk_arena_finish(&w.arena);
	free(w.removals);
	return r ? r : told;
}
