/* See inside.h: documents read ahead. Beginning is a thread, and waiting for it is its end, so that
 * there is no other state between the two. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "publish/inside.h"

/* Why a document is not to be published, which was when the run began; NULL: it is. */
static const char *left_alone(const struct rk_publish_run *run,
	const struct rk_publish_person *person, const struct rk_document *document)
{
	if (document->gone || rk_document_rkey(document).len > 0)
		return "published or deleted meanwhile";
	if (!rk_slice_equal(
		    rk_document_owner(document, run->options->guest_user), person->user->id))
		return "somebody else's meanwhile";
	return NULL;
}

/* A record, a refusal, or that there is nothing to be done. */
static int item_read(struct rk_publish_reading *reading, struct rk_publish_item *item,
	const struct rk_document *document, const bson_t *body)
{
	const struct rk_publish_run *run = reading->run;
	struct rk_arena *arena = &reading->parcel->arena;
	struct rk_buf json = {0};
	struct rk_slice url = {0};
	struct rk_draft draft;
	bool made = rk_draft_make(&draft, &json, body, run->collection, &document->id);
	const char *why = left_alone(run, reading->person, document);
	char *copy = NULL;
	int r = 0;

	item->document = *document;
	memcpy(item->words, draft.words, sizeof(item->words));
	memcpy(item->refusal, draft.reason, sizeof(item->refusal));
	if (why) {
		rk_publish_settle(item, RK_PUBLISH_SKIPPED, why);
	} else if (!draft.takes_key) {
		rk_publish_settle(item, RK_PUBLISH_FAILED, draft.reason);
	} else if (made) {
		if (!rk_buf_failed(&json))
			copy = rk_arena_copy(arena, rk_buf_slice(&json));
		if (run->pictures)
			url = rk_publish_thumbnail_url(run, arena, draft.image);
		r = copy && (url.data || !run->pictures) ? 0 : -ENOMEM;
		item->picture.url = (const char *)url.data;
		item->write.write = (struct rk_session_write){.action = RK_SESSION_CREATE,
			.collection = run->collection->nsid,
			.rkey = item->rkey,
			.record = rk_slice_make(copy, copy ? json.len : 0)};
		rk_record_key_init(&item->key, run->collection, &document->id, draft.when_ms);
	}
	if (rk_buf_failed(&json))
		r = -ENOMEM;
	rk_buf_finish(&json);
	return r;
}

static int take(void *context, const struct rk_document *document, const bson_t *body)
{
	struct rk_publish_reading *reading = context;
	struct rk_publish_parcel *parcel = reading->parcel;

	if (parcel->count >= reading->count)
		return 0;
	return item_read(reading, &parcel->items[parcel->count++], document, body);
}

static int read_all(struct rk_publish_reading *reading)
{
	const struct rk_publish_options *options = reading->run->options;
	struct rk_publish_parcel *parcel = calloc(1, sizeof(*parcel));
	char error[256];
	int r = 0;

	reading->parcel = parcel;
	if (!parcel)
		return -ENOMEM;
	parcel->person = reading->person;
	parcel->items = calloc(reading->count, sizeof(*parcel->items));
	if (!parcel->items)
		return -ENOMEM;
	if (!reading->mongo)
		r = rk_mongo_create(&reading->mongo, options->mongo_uri, options->database, error);
	if (r)
		return r;
	return rk_mongo_bodies(reading->mongo, reading->run->collection, &parcel->arena,
		reading->ids, reading->count, take, reading);
}

static void *run(void *context)
{
	struct rk_publish_reading *reading = context;

	reading->result = read_all(reading);
	return NULL;
}

int rk_publish_read_again(
	struct rk_publish_run *run, struct rk_mongo *mongo, struct rk_publish_parcel *parcel)
{
	struct rk_documents documents = {0};
	struct rk_arena arena = {0};
	struct rk_oid *ids = rk_arena_calloc(&arena, parcel->count + 1, sizeof(*ids));
	size_t count = 0;
	int r = ids ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < parcel->count; i++) {
		if (!parcel->items[i].settled)
			ids[count++] = parcel->items[i].document.id;
	}
	if (r == 0 && count)
		r = rk_mongo_by_id(mongo, &documents, &arena, run->collection, ids, count);
	for (size_t i = 0; r == 0 && i < parcel->count; i++) {
		const struct rk_document *now =
			rk_documents_find(&documents, &parcel->items[i].document.id);
		const char *why = now ? left_alone(run, parcel->person, now) : "removed meanwhile";

		if (why && !parcel->items[i].settled)
			rk_publish_settle(&parcel->items[i], RK_PUBLISH_SKIPPED, why);
	}
	rk_documents_finish(&documents);
	rk_arena_finish(&arena);
	return r;
}

void rk_publish_read_begin(struct rk_publish_reading *reading,
	const struct rk_publish_person *person, const struct rk_oid *ids, size_t count)
{
	reading->person = person;
	reading->ids = ids;
	reading->count = count;
	reading->parcel = NULL;
	reading->at_ms = rk_clock_mono_ms();
	reading->begun = true;
	reading->threaded = pthread_create(&reading->thread, NULL, run, reading) == 0;
	/* Without a thread it takes its time here. */
	if (!reading->threaded)
		run(reading);
}

static void await(struct rk_publish_reading *reading)
{
	if (reading->threaded)
		pthread_join(reading->thread, NULL);
	reading->begun = reading->threaded = false;
}

int rk_publish_read_end(struct rk_publish_reading *reading, struct rk_publish_parcel **parcel)
{
	await(reading);
	*parcel = reading->parcel;
	reading->parcel = NULL;
	if (reading->result) {
		rk_publish_parcel_destroy(*parcel);
		*parcel = NULL;
	}
	return reading->result;
}

void rk_publish_read_drop(struct rk_publish_reading *reading)
{
	if (!reading->begun)
		return;
	await(reading);
	rk_publish_parcel_destroy(reading->parcel);
	reading->parcel = NULL;
}
