/*
 * The writing of a round: unordered bulks, one statement a document, and what the server's answers
 * mean. A taken _id or a filter that no longer matches means that somebody else wrote: look again. Any
 * other refusal becomes an issue; it is not tried again until the record or the document changes.
 */
#include "mirror/inside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"

enum { REFUSED_ATTEMPTS = 5 }; /* an entry that fails alone so often becomes an issue */

/* Statements being gathered for one command. */
struct bulk {
	struct rk_round *round;
	const struct rk_collection *row;
	bool inserts;
	size_t count, room;
	struct rk_item **items;
	bson_t *documents; /* or filters */
	bson_t *updates;
	struct rk_statement_result *results;
};

static int bulk_init(struct bulk *bulk, struct rk_round *round, int collection, bool inserts)
{
	struct rk_arena *arena = &round->arena;

	*bulk = (struct bulk){
		.round = round, .row = &rk_collections[collection], .inserts = inserts};
	bulk->room = round->batch < round->count ? round->batch : round->count;
	bulk->items = rk_arena_calloc(arena, bulk->room, sizeof(struct rk_item *));
	bulk->results = rk_arena_calloc(arena, bulk->room, sizeof(*bulk->results));
	/* These want a coarser alignment than an arena gives. */
	bulk->documents = aligned_alloc(_Alignof(bson_t), bulk->room * sizeof(bson_t));
	bulk->updates = aligned_alloc(_Alignof(bson_t), bulk->room * sizeof(bson_t));
	return bulk->items && bulk->documents && bulk->updates && bulk->results ? 0 : -ENOMEM;
}

static void bulk_clear(struct bulk *bulk)
{
	for (size_t i = 0; i < bulk->count; i++) {
		bson_destroy(&bulk->documents[i]);
		if (!bulk->inserts)
			bson_destroy(&bulk->updates[i]);
	}
	bulk->count = 0;
}

static void bulk_finish(struct bulk *bulk)
{
	bulk_clear(bulk);
	free(bulk->documents);
	free(bulk->updates);
}

static void refused(struct rk_item *item, enum rk_link link, uint32_t issue,
	enum rk_recover_outcome outcome, struct rk_slice message)
{
	item->state = RK_ITEM_SETTLED;
	item->refused = true;
	item->judged = RK_JUDGED;
	item->decision.link = link;
	item->decision.issues = (item->decision.issues & RK_ISSUE_BIT(UNLINKED)) | issue;
	item->decision.outcome = outcome;
	item->message = message;
	if (item->decision.action == RK_ACTION_INSERT)
		item->set_owner = false;
}

/* A document that was to be updated goes on naming the record. */
static enum rk_link link_refused(const struct rk_item *item, enum rk_link otherwise)
{
	return item->decision.action == RK_ACTION_UPDATE ? RK_LINK_LINKED : otherwise;
}

static void rejected(struct rk_round *round, struct rk_item *item, struct rk_slice reason)
{
	rk_log(RK_LOG_WARN, "mirror", "MongoDB refuses a document", RK_LOG_SLICE("did", item->did),
		RK_LOG_STR("collection", rk_collections[item->collection].nsid),
		RK_LOG_SLICE("rkey", item->rkey), RK_LOG_SLICE("reason", reason));
	refused(item, link_refused(item, RK_LINK_NONE), RK_ISSUE_BIT(REJECTED), RK_RECOVER_REJECTED,
		reason);
	rk_refusal_note(round->mirror, item);
}

static bool is_write(const struct rk_item *item, bool insert)
{
	if (item->state != RK_ITEM_OPEN || item->decision.action == RK_ACTION_NOTHING ||
		item->decision.action == RK_ACTION_WAIT)
		return false;
	return (item->decision.action == RK_ACTION_INSERT) == insert;
}

static int rejected_as_taken(struct rk_round *round, struct rk_item *item, struct rk_slice reason)
{
	char message[400];
	char *copy;

	snprintf(message, sizeof(message), RK_VALUE_TAKEN ": %.*s", RK_SLICE_ARG(reason));
	copy = rk_arena_copy(&round->arena, rk_slice_str(message));
	if (!copy)
		return -ENOMEM;
	rejected(round, item, rk_slice_str(copy));
	return 0;
}

/* A unique value is taken: by the document itself, which somebody else inserted, or by another. */
static int taken(struct rk_round *round, struct rk_item *item, struct rk_slice reason)
{
	struct rk_mongo *mongo = round->mirror->mongo;
	const struct rk_collection *row = &rk_collections[item->collection];
	struct rk_documents found = {0};
	struct rk_mongo_taken who;
	struct rk_slice user = item->user;
	const struct rk_oid *id = item->document ? &item->document->id : &item->target;
	bool inserting = item->decision.action == RK_ACTION_INSERT, unknown;
	int r = 0;

	if (inserting)
		r = rk_mongo_by_id(mongo, &found, &round->arena, row, id, 1);
	if (r == 0 && found.count > 0) {
		item->state = RK_ITEM_AGAIN;
		rk_documents_finish(&found);
		return 0;
	}
	rk_documents_finish(&found);
	if (r == 0)
		r = rk_mongo_taken(
			mongo, &who, &round->arena, row, id, item->code, item->slug, user);
	if (r)
		return r;
	item->code_taken = who.code &&
		!rk_slice_equal(
			rk_document_did(round->mirror, &who.code_holder, &unknown), item->did);
	if (item->code_taken)
		refused(item, link_refused(item, RK_LINK_CONFLICT), RK_ISSUE_BIT(CONFLICT),
			RK_RECOVER_CONFLICT, rk_slice_str(RK_CODE_TAKEN));
	else if (who.code || who.slug)
		return rejected_as_taken(round, item, reason);
	else if (item->looks > 0)
		rejected(round, item, reason);
	else
		item->state = RK_ITEM_AGAIN; /* whoever had it is gone again */
	return 0;
}

int rk_round_refuse(struct rk_round *round, const char *text)
{
	struct rk_item *item = &round->items[0];
	struct rk_slice reason = rk_slice_str(text);
	bool write = is_write(item, true) || is_write(item, false);
	int r = 0;

	item->state = RK_ITEM_AGAIN;
	if (write && item->code.len > 0)
		r = taken(round, item, reason);
	if (r == 0 && item->state == RK_ITEM_AGAIN && item->attempts >= REFUSED_ATTEMPTS) {
		item->decision.set_link = !(item->flags & RK_PENDING_GONE);
		rejected(round, item, reason);
	}
	return r;
}

static int answers_read(struct bulk *bulk, bool all_matched)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < bulk->count; i++) {
		struct rk_item *item = bulk->items[i];

		switch (bulk->results[i].result) {
		case RK_STATEMENT_DONE:
			if (!all_matched) {
				item->state = RK_ITEM_AGAIN;
				break;
			}
			item->state = RK_ITEM_SETTLED;
			bulk->round->written++;
			if (bulk->inserts) {
				item->set_owner = true;
				item->owner = item->repo;
				item->owner_of = item->target;
			}
			break;
		case RK_STATEMENT_TAKEN:
			r = taken(bulk->round, item, bulk->results[i].text);
			break;
		case RK_STATEMENT_BUSY:
			item->state = RK_ITEM_AGAIN;
			item->refused = true; /* later, not in this round */
			break;
		case RK_STATEMENT_REFUSED:
			rejected(bulk->round, item, bulk->results[i].text);
			break;
		}
	}
	return r;
}

static int bulk_send(struct bulk *bulk)
{
	struct rk_round *round = bulk->round;
	size_t matched = 0, expected = 0;
	struct rk_mongo *mongo;
	int r;

	if (bulk->count == 0)
		return 0;
	mongo = round->mirror->mongo;
	if (bulk->inserts)
		r = rk_mongo_insert(mongo, bulk->results, &round->arena, bulk->row, bulk->documents,
			bulk->count);
	else
		r = rk_mongo_update(mongo, bulk->results, &matched, &round->arena, bulk->row,
			bulk->documents, bulk->updates, bulk->count);
	for (size_t i = 0; r == 0 && i < bulk->count; i++)
		expected += bulk->results[i].result == RK_STATEMENT_DONE;
	if (r == 0) {
		rk_metric_add(bulk->inserts ? RK_METRIC_MONGO_INSERTS : RK_METRIC_MONGO_UPDATES,
			(int64_t)(bulk->inserts ? expected : matched));
		r = answers_read(bulk, bulk->inserts || matched == expected);
	}
	bulk_clear(bulk);
	return r;
}

static unsigned changes_of(const struct rk_decision *decision)
{
	switch (decision->action) {
	case RK_ACTION_SET_RKEY:
		return RK_BUILD_RKEY | (decision->fields ? RK_BUILD_FIELDS : 0);
	case RK_ACTION_UPDATE:
		return RK_BUILD_FIELDS;
	case RK_ACTION_MARK_GONE:
		return RK_BUILD_GONE | RK_BUILD_UNLINK;
	default:
		return RK_BUILD_UNLINK;
	}
}

static int bulk_add(struct bulk *bulk, struct rk_item *item)
{
	const struct rk_build build = {
		.collection = bulk->row,
		.id = item->target,
		.user = item->user,
		.did = item->did,
		.rkey = item->rkey,
		.json = item->json,
	};
	size_t at = bulk->count;
	const char *wrong;

	if (bulk->inserts) {
		wrong = rk_build_insert(&bulk->documents[at], &build);
	} else {
		rk_build_filter(&bulk->documents[at], item->document, bulk->row);
		wrong = rk_build_update(
			&bulk->updates[at], item->document, &build, changes_of(&item->decision));
	}
	if (wrong) {
		bson_destroy(&bulk->documents[at]);
		if (!bulk->inserts)
			bson_destroy(&bulk->updates[at]);
		rejected(bulk->round, item, rk_slice_str(wrong));
		return 0;
	}
	bulk->items[bulk->count++] = item;
	return bulk->count == bulk->room ? bulk_send(bulk) : 0;
}

/* Settles what needs no writing, and everything in a dry run; keeps to the limit. */
static void settle(struct rk_round *round)
{
	uint64_t writes = round->written;

	for (size_t i = 0; i < round->count; i++) {
		struct rk_item *item = &round->items[i];

		if (item->state != RK_ITEM_OPEN)
			continue;
		if (!is_write(item, true) && !is_write(item, false))
			item->state = RK_ITEM_SETTLED;
		else if (writes++ >= round->write_most)
			item->state = RK_ITEM_OVER;
		else if (round->dry_run)
			item->state = RK_ITEM_SETTLED;
	}
	if (round->dry_run)
		round->written = writes < round->write_most ? writes : round->write_most;
}

int rk_round_write(struct rk_round *round)
{
	int r = 0;

	settle(round);
	for (int kind = 0; r == 0 && kind < 2 * RK_COLLECTION_COUNT; kind++) {
		bool inserts = kind % 2 == 0;
		struct bulk bulk = {0};

		for (size_t i = 0; r == 0 && i < round->count; i++) {
			struct rk_item *item = &round->items[i];

			if (item->collection != kind / 2 || !is_write(item, inserts))
				continue;
			if (!bulk.room)
				r = bulk_init(&bulk, round, kind / 2, inserts);
			if (r == 0)
				r = bulk_add(&bulk, item);
		}
		if (r == 0)
			r = bulk_send(&bulk);
		bulk_finish(&bulk);
	}
	return r;
}
