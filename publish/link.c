/* After the PDS's yes: atproto.rkey in the documents, in unordered bulks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "publish/inside.h"

enum {
	LOST_MOST_MS = 30 * 1000, /* MongoDB is away for so long: the run ends */
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MOST_MS = 2000,
	STOPPED_MOST_MS = 5 * 1000, /* … when it is to end anyway */
};

static bool wants_link(const struct rk_publish_item *item)
{
	return item->outcome == RK_PUBLISH_CREATED || item->outcome == RK_PUBLISH_LINKED;
}

static void item_fail(struct rk_publish_item *item, const char *reason, struct rk_slice more)
{
	item->outcome = RK_PUBLISH_FAILED;
	snprintf(item->reason, sizeof(item->reason), "the record is on the PDS, but %s%s%.*s",
		reason, more.len ? ": " : "", more.len > 80 ? 80 : (int)more.len,
		more.len ? (const char *)more.data : "");
}

/* What became of documents that did not match: the same key is as good as ours. */
static int look(struct rk_publish_run *run, struct rk_mongo *mongo, struct rk_arena *arena,
	struct rk_publish_item **items, size_t count)
{
	struct rk_documents documents = {0};
	struct rk_oid *ids = rk_arena_calloc(arena, count, sizeof(*ids));
	int r;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		ids[i] = items[i]->document.id;
	r = rk_mongo_by_id(mongo, &documents, arena, run->collection, ids, count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct rk_document *now =
			rk_documents_find(&documents, &items[i]->document.id);

		if (items[i]->outcome == RK_PUBLISH_FAILED)
			continue;
		if (now && !now->gone && rk_slice_equal_str(rk_document_rkey(now), items[i]->rkey))
			continue;
		item_fail(items[i],
			!now                             ? "the document was removed meanwhile"
				: now->gone              ? "the document was deleted meanwhile"
				: now->rkey.text.len > 0 ? "the document names another one"
							 : "the document changed meanwhile",
			(struct rk_slice){0});
	}
	rk_documents_finish(&documents);
	return r;
}

/* One bulk. -EIO: nothing is known of it, to be done again. */
static int bulk(struct rk_publish_run *run, struct rk_mongo *mongo, struct rk_publish_item **items,
	const struct rk_publish_person **persons, size_t count)
{
	struct rk_arena arena = {0};
	struct rk_statement_result *results = rk_arena_calloc(&arena, count, sizeof(*results));
	bson_t *filters = rk_arena_calloc(&arena, count, sizeof(*filters));
	bson_t *updates = rk_arena_calloc(&arena, count, sizeof(*updates));
	size_t matched, done = 0, built = 0;
	int r = results && filters && updates ? 0 : -ENOMEM;

	for (; r == 0 && built < count; built++) {
		const struct rk_build build = {
			.collection = run->collection,
			.did = persons[built]->user->did,
			.rkey = rk_slice_str(items[built]->rkey),
		};

		rk_build_filter(&filters[built], &items[built]->document, run->collection);
		if (rk_build_update(
			    &updates[built], &items[built]->document, &build, RK_BUILD_RKEY))
			r = -ENOMEM;
	}
	if (r == 0)
		r = rk_mongo_update(
			mongo, results, &matched, &arena, run->collection, filters, updates, count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (results[i].result == RK_STATEMENT_BUSY)
			r = -EIO;
		else if (results[i].result == RK_STATEMENT_DONE)
			done++;
	}
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (results[i].result != RK_STATEMENT_DONE)
			item_fail(items[i], "MongoDB refused its key", results[i].text);
	}
	if (r == 0 && matched != done)
		r = look(run, mongo, &arena, items, count);
	for (size_t i = 0; i < built; i++) {
		bson_destroy(&filters[i]);
		bson_destroy(&updates[i]);
	}
	rk_arena_finish(&arena);
	return r;
}

static int bulk_until_done(struct rk_publish_run *run, struct rk_mongo *mongo,
	struct rk_publish_item **items, const struct rk_publish_person **persons, size_t count)
{
	int64_t from = rk_clock_mono_ms(), wait = BACKOFF_FIRST_MS;
	int r;

	while ((r = bulk(run, mongo, items, persons, count)) == -EIO) {
		int64_t most = rk_publish_stopping(run) ? STOPPED_MOST_MS : LOST_MOST_MS;

		if (rk_clock_mono_ms() - from > most) {
			char text[RK_MONGO_ERROR];

			r = rk_mongo_result(mongo, r, text);
			rk_publish_fail(run, r, text);
			return r;
		}
		rk_clock_pause(wait);
		wait = wait * 2 < BACKOFF_MOST_MS ? wait * 2 : BACKOFF_MOST_MS;
	}
	return r;
}

static int link_all(struct rk_publish_run *run, struct rk_mongo *mongo,
	struct rk_publish_item **items, const struct rk_publish_person **persons, size_t count)
{
	int r = 0;

	for (size_t at = 0, some; r == 0 && at < count; at += some) {
		some = count - at;
		if (some > run->options->mongo_batch)
			some = run->options->mongo_batch;
		r = bulk_until_done(run, mongo, items + at, persons + at, some);
	}
	return r;
}

int rk_publish_link(
	struct rk_publish_run *run, struct rk_mongo *mongo, struct rk_publish_parcel *parcels)
{
	struct rk_publish_item **items;
	const struct rk_publish_person **persons;
	size_t most = 0, count = 0;
	int r = 0;

	for (const struct rk_publish_parcel *parcel = parcels; parcel; parcel = parcel->next)
		most += parcel->count;
	if (most == 0)
		return 0;
	items = calloc(most, sizeof(*items));
	persons = calloc(most, sizeof(*persons));
	if (!items || !persons)
		r = -ENOMEM;
	for (struct rk_publish_parcel *parcel = parcels; r == 0 && parcel; parcel = parcel->next) {
		for (size_t i = 0; i < parcel->count; i++) {
			if (!wants_link(&parcel->items[i]))
				continue;
			items[count] = &parcel->items[i];
			persons[count++] = parcel->person;
		}
	}
	if (r == 0)
		r = link_all(run, mongo, items, persons, count);
	free(items);
	free(persons);
	return r;
}
