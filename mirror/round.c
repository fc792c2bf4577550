/*
 * A round: from entries of the index to documents and back. Here: taking entries, looking at documents,
 * the order of things. Facts and decision are in judge.c, bulk writes in apply.c, telling the index in
 * tell.c.
 *
 * The snapshot is open only while entries are taken and while facts are gathered, never while MongoDB
 * is asked; so a record may change in between, which its CID shows.
 */
#include "mirror/inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"

enum { PASSES = 3 };

void rk_round_init(struct rk_round *round, struct rk_mirror *mirror)
{
	*round = (struct rk_round){
		.mirror = mirror, .batch = mirror->options.batch, .write_most = UINT64_MAX};
}

void rk_round_reset(struct rk_round *round)
{
	rk_arena_reset(&round->arena);
	round->count = 0;
	round->bytes = 0;
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		round->documents[i].count = 0;
		round->named[i].count = 0;
		round->coded[i].count = 0;
	}
}

void rk_round_finish(struct rk_round *round)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		rk_documents_finish(&round->documents[i]);
		rk_documents_finish(&round->named[i]);
		rk_documents_finish(&round->coded[i]);
	}
	free(round->items);
	rk_arena_finish(&round->arena);
}

static struct rk_item *item_new(struct rk_round *round)
{
	if (rk_list_grow(&round->items, &round->room, round->count, sizeof(*round->items)) != 0)
		return NULL;
	round->items[round->count] = (struct rk_item){0};
	return &round->items[round->count++];
}

static int keep(struct rk_round *round, struct rk_slice *slice)
{
	char *copy = rk_arena_copy(&round->arena, *slice);

	if (!copy)
		return -ENOMEM;
	slice->data = (const uint8_t *)copy;
	return 0;
}

/* What the index holds of the item's record. */
static int item_fill(struct rk_round *round, struct rk_item *item, const struct rk_record *record)
{
	int r = 0;

	item->repo = record->repo;
	item->collection = record->collection;
	item->cid = record->cid;
	item->ref = record->ref;
	item->code = record->code;
	item->code_taken = record->flags & RK_RECORD_CODE_TAKEN;
	round->bytes += record->json.len;
	r = keep(round, &item->ref);
	if (r == 0)
		r = keep(round, &item->code);
	item->derived =
		rk_document_id(&item->target, item->ref, item->did, item->collection, item->rkey);
	return r;
}

int rk_round_add(
	struct rk_round *round, const struct rk_record *record, struct rk_slice did, uint8_t flags)
{
	struct rk_item *item = item_new(round);
	int r;

	if (!item)
		return -ENOMEM;
	item->flags = flags;
	item->did = did;
	item->rkey = record->rkey;
	r = keep(round, &item->did);
	if (r == 0)
		r = keep(round, &item->rkey);
	return r ? r : item_fill(round, item, record);
}

struct taking {
	struct rk_round *round;
	size_t most;
	int error;
};

static bool take(void *context, const struct rk_pending *pending)
{
	struct taking *taking = context;
	struct rk_item *item = item_new(taking->round);

	if (!item) {
		taking->error = -ENOMEM;
		return false;
	}
	item->key = pending->key;
	item->generation = pending->generation;
	item->attempts = pending->attempts;
	item->flags = pending->flags;
	item->repo = pending->repo;
	item->collection = pending->collection;
	item->rkey = pending->rkey;
	item->ref = pending->ref;
	taking->error = keep(taking->round, &item->key);
	if (taking->error == 0)
		taking->error = keep(taking->round, &item->rkey);
	if (taking->error == 0)
		taking->error = keep(taking->round, &item->ref);
	return taking->error == 0 && taking->round->count < taking->most;
}

static int item_complete(struct rk_round *round, struct rk_item *item)
{
	struct rk_snapshot *s = round->mirror->snapshot;
	struct rk_record record;
	struct rk_repo repo;
	int r;

	if (item->collection >= RK_COLLECTION_COUNT) {
		item->state = RK_ITEM_DROPPED;
		return 0;
	}
	r = rk_read_repo(s, &repo, item->repo);
	if (r == 0) {
		item->did = repo.did;
		r = keep(round, &item->did);
	}
	if (r == 0)
		r = rk_read_record(s, &record, item->repo, item->collection, item->rkey);
	if (item->flags & RK_PENDING_GONE && item->did.data && (r == 0 || r == RK_STORE_ABSENT)) {
		item->derived = rk_document_id(
			&item->target, item->ref, item->did, item->collection, item->rkey);
		item->lives_on = r == 0;
		if (r == 0)
			rk_document_id(&item->lives_as, record.ref, item->did, item->collection,
				item->rkey);
		return 0;
	}
	if (r == RK_STORE_ABSENT) {
		item->state = RK_ITEM_DROPPED;
		return 0;
	}
	if (r == 0)
		r = item_fill(round, item, &record);
	return rk_read_found(r);
}

int rk_round_take(struct rk_round *round, size_t most)
{
	struct rk_snapshot *s = round->mirror->snapshot;
	struct taking taking = {round, most, 0};
	int r;

	rk_round_reset(round);
	r = rk_snapshot_begin(s);
	if (r)
		return r;
	round->now_ms = rk_clock_wall_ms();
	r = rk_read_pending(s, round->now_ms, take, &taking);
	if (r == 0)
		r = taking.error;
	for (size_t i = 0; r == 0 && i < round->count; i++) {
		/* The rest stays due. */
		if (round->bytes > RK_ROUND_BYTES)
			round->count = i;
		else
			r = item_complete(round, &round->items[i]);
	}
	rk_snapshot_end(s);
	return rk_read_found(r);
}

static int by_id(const void *a, const void *b)
{
	return memcmp(((const struct rk_document *)a)->id.bytes,
		((const struct rk_document *)b)->id.bytes, 12);
}

static bool is_presumed_absent(const struct rk_round *round, const struct rk_item *item)
{
	const struct rk_seen *seen = round->seen ? &round->seen[item->collection] : NULL;

	return seen && item->looks == 0 && !rk_seen_find(seen, &item->target) &&
		!(item->derived && rk_seen_names(seen, item->rkey));
}

/* Documents by _id, then, for records without a ref of their own, those that name them. */
static int look_by_id(struct rk_round *round, int collection)
{
	struct rk_documents *documents = &round->documents[collection];
	struct rk_oid *ids = rk_arena_calloc(&round->arena, round->count + 1, sizeof(*ids));
	size_t count = 0;
	int r = 0;

	if (!ids)
		return -ENOMEM;
	documents->count = 0;
	for (size_t i = 0; i < round->count; i++) {
		struct rk_item *item = &round->items[i];

		if (item->state != RK_ITEM_OPEN || item->collection != collection)
			continue;
		item->document = NULL;
		item->by_name = false;
		item->presumed = is_presumed_absent(round, item);
		if (!item->presumed)
			ids[count++] = item->target;
	}
	if (count > 0)
		r = rk_mongo_by_id(round->mirror->mongo, documents, &round->arena,
			&rk_collections[collection], ids, count);
	if (r || documents->count == 0)
		return r;
	qsort(documents->list, documents->count, sizeof(*documents->list), by_id);
	for (size_t i = 0; i < round->count; i++) {
		struct rk_item *item = &round->items[i];
		struct rk_document key;

		if (item->state != RK_ITEM_OPEN || item->collection != collection)
			continue;
		key.id = item->target;
		item->document = bsearch(
			&key, documents->list, documents->count, sizeof(*documents->list), by_id);
	}
	return 0;
}

static bool is_nameless(const struct rk_item *item, int collection)
{
	return item->state == RK_ITEM_OPEN && item->collection == collection && item->derived &&
		!item->document && !item->presumed;
}

static int look_by_name(struct rk_round *round, int collection)
{
	struct rk_documents *named = &round->named[collection];
	struct rk_slice *rkeys = rk_arena_calloc(&round->arena, round->count + 1, sizeof(*rkeys));
	size_t count = 0;
	int r;

	if (!rkeys)
		return -ENOMEM;
	named->count = 0;
	for (size_t i = 0; i < round->count; i++) {
		if (is_nameless(&round->items[i], collection))
			rkeys[count++] = round->items[i].rkey;
	}
	if (count == 0)
		return 0;
	r = rk_mongo_by_rkey(round->mirror->mongo, named, &round->arena,
		&rk_collections[collection], rkeys, count);
	for (size_t i = 0; r == 0 && i < round->count; i++) {
		struct rk_item *item = &round->items[i];

		if (!is_nameless(item, collection))
			continue;
		for (size_t j = 0; j < named->count; j++) {
			const struct rk_document *document = &named->list[j];
			bool unknown;

			/* Keys are unique in a repo only. Of several documents a live one counts. */
			if (!rk_slice_equal(rk_document_rkey(document), item->rkey) ||
				!rk_slice_equal(rk_document_did(round->mirror, document, &unknown),
					item->did) ||
				(item->document && document->gone) ||
				(item->lives_on &&
					memcmp(&item->lives_as, &document->id,
						sizeof(item->lives_as)) == 0))
				continue;
			item->document = document;
			item->by_name = true;
		}
	}
	return r;
}

/* Whether it is not its own document's code: codes are unique. */
static bool is_odd_code(const struct rk_item *item, int collection)
{
	return item->state == RK_ITEM_OPEN && item->collection == collection && item->code.len &&
		!item->presumed && !(item->flags & RK_PENDING_GONE) &&
		!(item->document && rk_slice_equal(item->document->code, item->code));
}

static bool is_code_taken(const struct rk_round *round, const struct rk_item *item)
{
	const struct rk_documents *coded = &round->coded[item->collection];
	bool taken = false;

	for (size_t i = 0; i < coded->count; i++) {
		const struct rk_document *document = &coded->list[i];
		bool unknown;

		if (!rk_slice_equal(document->code, item->code))
			continue;
		if (rk_slice_equal(rk_document_did(round->mirror, document, &unknown), item->did))
			return false;
		taken = true;
	}
	return taken;
}

/* Of records with a code that is not their document's: whether it is somebody else's. */
static int look_by_code(struct rk_round *round, int collection)
{
	struct rk_documents *coded = &round->coded[collection];
	struct rk_slice *codes = rk_arena_calloc(&round->arena, round->count + 1, sizeof(*codes));
	size_t count = 0;
	int r = 0;

	if (!codes)
		return -ENOMEM;
	coded->count = 0;
	for (size_t i = 0; i < round->count; i++) {
		if (is_odd_code(&round->items[i], collection))
			codes[count++] = round->items[i].code;
	}
	if (count > 0)
		r = rk_mongo_by_code(round->mirror->mongo, coded, &round->arena,
			&rk_collections[collection], codes, count);
	for (size_t i = 0; r == 0 && i < round->count; i++) {
		struct rk_item *item = &round->items[i];

		if (item->state == RK_ITEM_OPEN && item->collection == collection &&
			!item->presumed)
			item->code_taken =
				is_odd_code(item, collection) && is_code_taken(round, item);
	}
	return r;
}

int rk_round_look(struct rk_round *round)
{
	int r = 0;

	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		r = look_by_id(round, i);
		if (r == 0)
			r = look_by_name(round, i);
		if (r == 0)
			r = look_by_code(round, i);
	}
	return r;
}

/* Whether somebody is in the round whom the users as last read do not have. */
static bool has_strangers(const struct rk_round *round)
{
	for (size_t i = 0; i < round->count; i++) {
		const struct rk_item *item = &round->items[i];
		bool unknown = false;

		if (item->state != RK_ITEM_OPEN)
			continue;
		if (!rk_users_by_did(&round->mirror->users, item->did))
			return true;
		if (item->document)
			rk_document_did(round->mirror, item->document, &unknown);
		if (unknown)
			return true;
	}
	return false;
}

/* What an earlier scan told is enough for an insert, which the _id guards, and for nothing else. */
static bool presumptions_end(struct rk_round *round)
{
	bool any = false;

	for (size_t i = 0; i < round->count; i++) {
		struct rk_item *item = &round->items[i];

		if (item->state != RK_ITEM_OPEN || !item->presumed ||
			item->decision.action == RK_ACTION_INSERT)
			continue;
		item->looks++;
		any = true;
	}
	return any;
}

/* Somebody may own now what a key was found by. */
static int look_with_fresh_users(struct rk_round *round)
{
	int r = rk_claims_refresh(round->mirror);

	return r ? r : rk_round_look(round);
}

static int look_and_decide(struct rk_round *round)
{
	bool moved = false;
	int r = rk_round_look(round);

	if (r == 0 && has_strangers(round) && rk_claims_old(round->mirror, RK_USERS_FRESH_MS))
		r = look_with_fresh_users(round);
	if (r == 0)
		r = rk_round_decide(round);
	/* Users change unseen, and what is marked is not unmarked by anybody. */
	if (r == 0)
		r = rk_claims_moved(round, &moved);
	if (r == 0 && moved)
		r = look_with_fresh_users(round);
	if (r == 0 && moved)
		r = rk_round_decide(round);
	return r;
}

int rk_round_run(struct rk_round *round)
{
	round->written = 0;
	for (int pass = 0; pass < PASSES; pass++) {
		bool open = false;
		int r = look_and_decide(round);

		if (r == 0 && presumptions_end(round))
			r = look_and_decide(round);
		if (r == 0)
			r = rk_round_write(round);
		if (r)
			return r;
		for (size_t i = 0; pass + 1 < PASSES && i < round->count; i++) {
			struct rk_item *item = &round->items[i];

			if (item->state != RK_ITEM_AGAIN || item->refused)
				continue;
			item->state = RK_ITEM_OPEN;
			item->looks++;
			open = true;
		}
		if (!open)
			break;
	}
	return 0;
}
