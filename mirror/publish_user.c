/* See publish_inside.h: one user after the other, with a session at the PDS. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "mirror/publish_inside.h"
#include "mirror/publish_listing.h"

enum {
	FAILURES_MOST = 12, /* in a row: the PDS is taken for unreachable */
	FAILING_MOST_MS = 30 * 1000,
	BACKOFF_FIRST_MS = 250,
	BACKOFF_MOST_MS = 2000,
	SPLIT_FROM = 3, /* failures of a batch, before its halves are tried */
	TELL_WAIT_MS = 1000,
};

/* Beside results of net/pds.h: the user is left for another run. */
enum { PUT_OFF = 100 };

struct worker {
	struct rk_publish_run *run;
	struct rk_mongo *mongo;
	struct rk_session *session;
	const struct rk_publish_person *person;
	struct rk_publish_parcel *parcel; /* the batch under way */
	struct rk_listing listing;
	struct rk_buf did;
	unsigned failures; /* in a row */
	int64_t failing_ms;
	bool open; /* logged in as the person */
	uint64_t batches;
};

static bool is_stopping(void *run)
{
	return rk_publish_stopping(run);
}

/* False: the run ends. */
static bool pause_ms(struct worker *w, int64_t ms)
{
	return rk_clock_pause_unless(ms, is_stopping, w->run);
}

/* Waits as the PDS's limits want it. 0, PUT_OFF, -ECANCELED. */
static int wait_for(struct worker *w, int64_t ms)
{
	int64_t most = w->run->request->max_wait_ms;
	struct rk_publish_parcel *parcel;

	if (most >= 0 && ms > most)
		return PUT_OFF;
	if (ms >= TELL_WAIT_MS) {
		parcel = calloc(1, sizeof(*parcel));
		if (!parcel)
			return -ENOMEM;
		parcel->person = w->person;
		parcel->waiting_ms = ms;
		rk_publish_hand_on(w->run, parcel);
	}
	return pause_ms(w, ms) ? 0 : -ECANCELED;
}

/* After RK_PDS_RETRY: waits before the next try. 0, PUT_OFF, -ECANCELED, -EHOSTUNREACH. */
static int after_failure(struct worker *w, const struct rk_pds_reply *reply)
{
	int64_t now = rk_clock_mono_ms(), wait = BACKOFF_FIRST_MS;
	char text[256];

	if (reply->http_status == 429)
		return wait_for(
			w, rk_pace_wait_ms(rk_session_pace(w->session), rk_clock_wall_ms()));
	if (w->failures++ == 0)
		w->failing_ms = now;
	if (w->failures >= FAILURES_MOST || now - w->failing_ms > FAILING_MOST_MS) {
		snprintf(text, sizeof(text), "the PDS: %.200s", reply->message);
		rk_publish_fail(w->run, -EHOSTUNREACH, text);
		return -EHOSTUNREACH;
	}
	for (unsigned i = 1; i < w->failures && wait < BACKOFF_MOST_MS; i++)
		wait *= 2;
	return pause_ms(w, wait) ? 0 : -ECANCELED;
}

static struct rk_slice text_of(const json_t *value, const char *name)
{
	const json_t *text = json_object_get(value, name);

	return rk_slice_make(json_string_value(text), json_string_length(text));
}

static int listed(void *context, const struct rk_session_record *record)
{
	struct worker *w = context;
	const struct rk_field *field = w->run->collection->fields;
	struct rk_slice ref;

	while (field->role != RK_ROLE_REF)
		field++;
	ref = text_of(record->value, field->name);
	if (ref.len == 0 && field->older)
		ref = text_of(record->value, field->older);
	return rk_listing_add(&w->listing, record->rkey, ref);
}

/* What the repo has. RK_PDS_OK, ABSENT, INACTIVE, WRONG; PUT_OFF; negative. */
static int list(struct worker *w, struct rk_pds_reply *reply)
{
	int64_t most = w->run->request->max_wait_ms;
	int r;

	for (;;) {
		rk_listing_finish(&w->listing);
		r = rk_session_list(w->session, reply, rk_buf_cstr(&w->did),
			w->run->collection->nsid, most < 0 ? INT64_MAX : most, listed, w);
		if (r == RK_PDS_RETRY && reply->http_status == 0 && reply->retry_after_ms >= 0)
			return PUT_OFF;
		if (r != RK_PDS_RETRY)
			break;
		r = after_failure(w, reply);
		if (r)
			return r;
	}
	rk_listing_seal(&w->listing);
	return r;
}

/* Logs in, once for a user. RK_PDS_OK, DENIED, …; PUT_OFF; negative. */
static int login(struct worker *w, struct rk_pds_reply *reply)
{
	struct rk_buf password = {0};
	int r = RK_PDS_OK;

	if (w->open)
		return RK_PDS_OK;
	*reply = (struct rk_pds_reply){0};
	r = rk_mongo_user_text(w->mongo, &password, w->person->user->id, "atproto.password");
	if (r == 0 && password.len == 0) {
		snprintf(reply->message, sizeof(reply->message),
			"users.atproto has no app password");
		r = RK_PDS_DENIED;
	}
	while (r == 0) {
		r = rk_session_open(
			w->session, reply, rk_buf_cstr(&w->did), rk_buf_cstr(&password));
		if (r != RK_PDS_RETRY)
			break;
		r = after_failure(w, reply);
	}
	w->open = r == RK_PDS_OK;
	if (password.data)
		explicit_bzero(password.data, password.cap);
	rk_buf_finish(&password);
	return r;
}

static void settle(
	struct rk_publish_item *item, enum rk_publish_outcome outcome, const char *reason)
{
	item->settled = true;
	item->outcome = outcome;
	snprintf(item->reason, sizeof(item->reason), "%s", reason);
}

/* The first of an item's keys that is free, in the repo and in the parcel. */
static void place(const struct worker *w, struct rk_publish_item *item)
{
	bool taken = true;

	for (uint32_t attempt = 0; taken && attempt < RK_KEY_PLACES; attempt++) {
		uint64_t tid = rk_record_key_tid(&item->key, attempt);

		taken = rk_listing_taken(&w->listing, tid);
		for (size_t i = 0; i < w->parcel->count && !taken; i++)
			taken = &w->parcel->items[i] != item && w->parcel->items[i].tid == tid;
		item->tid = tid;
	}
	rk_tid_format(item->rkey, item->tid);
}

/* The record that is on the PDS for an item. */
static bool find(struct worker *w, struct rk_publish_item *item)
{
	struct rk_slice rkey = rk_listing_ref(&w->listing, &item->document.id);

	if (rkey.len == 0 || rkey.len >= sizeof(item->rkey))
		return false;
	snprintf(item->rkey, sizeof(item->rkey), "%.*s", RK_SLICE_ARG(rkey));
	return true;
}

/* A batch was answered in a way that leaves open what became of it. Settles what is there. */
static int look_again(struct worker *w, struct rk_publish_item **items, size_t *count)
{
	struct rk_pds_reply reply;
	size_t left = 0;
	int r = list(w, &reply);

	if (r > 0 && r != PUT_OFF)
		return 0; /* what the next write says will do */
	for (size_t i = 0; r == 0 && i < *count; i++) {
		if (find(w, items[i])) {
			settle(items[i], RK_PUBLISH_CREATED, "");
			continue;
		}
		/* Its key may be another record's by now. */
		if (rk_listing_taken(&w->listing, items[i]->tid))
			place(w, items[i]);
		items[left++] = items[i];
	}
	if (r == 0)
		*count = left;
	return r;
}

static int write_some(struct worker *w, struct rk_publish_item **items, size_t count);

static int write_halves(struct worker *w, struct rk_publish_item **items, size_t count)
{
	int r = write_some(w, items, count / 2);

	return r ? r : write_some(w, items + count / 2, count - count / 2);
}

/* One applyWrites, until it is known what became of it. Items that are written or refused are settled;
 * those that are not were put off. 0, PUT_OFF or negative. */
static int write_some(struct worker *w, struct rk_publish_item **items, size_t count)
{
	struct rk_session_write writes[RK_SESSION_WRITES_MOST];
	struct rk_pds_reply reply;
	unsigned tries = 0;
	int r = 0;

	while (r == 0 && count > 0) {
		int64_t wait;
		size_t n = rk_pace_writes(rk_session_pace(w->session), &wait, count, RK_PACE_CREATE,
			rk_clock_wall_ms());

		if (n == 0) {
			r = wait_for(w, wait);
			continue;
		}
		if (rk_publish_stopping(w->run))
			return -ECANCELED;
		for (size_t i = 0; i < n; i++)
			writes[i] = (struct rk_session_write){items[i]->rkey, items[i]->json};
		r = rk_session_create_records(
			w->session, &reply, w->run->collection->nsid, writes, n);
		switch (r) {
		case RK_PDS_OK:
			w->failures = 0;
			for (size_t i = 0; i < n; i++)
				settle(items[i], RK_PUBLISH_CREATED, "");
			items += n;
			count -= n;
			continue;
		case RK_PDS_RETRY:
			r = after_failure(w, &reply);
			if (r == 0 && reply.http_status != 429)
				r = look_again(w, items, &count);
			if (r || reply.http_status < 500 || ++tries < SPLIT_FROM)
				continue;
			if (count > 1)
				return write_halves(w, items, count);
			break;
		case RK_PDS_WRONG:
			r = 0;
			if (n > 1) {
				r = write_halves(w, items, n);
				items += n;
				count -= n;
				continue;
			}
			break;
		case RK_PDS_DENIED:
		case RK_PDS_ABSENT:
		case RK_PDS_INACTIVE:
			n = count; /* the account's, not the record's */
			r = 0;
			break;
		default:
			continue;
		}
		for (size_t i = 0; i < n && i < count; i++)
			settle(items[i], RK_PUBLISH_FAILED, reply.message);
		if (n >= count)
			return r;
		items += n;
		count -= n;
	}
	return r;
}

/* A batch of documents */

struct batch {
	struct worker *worker;
	struct rk_publish_parcel *parcel;
	size_t count;
};

static int body_take(void *context, const struct rk_document *document, const bson_t *body)
{
	struct batch *batch = context;
	struct worker *w = batch->worker;
	struct rk_publish_parcel *parcel = batch->parcel;
	struct rk_publish_item *item = &parcel->items[parcel->count];
	struct rk_buf json = {0};
	struct rk_draft draft;
	char *copy = NULL;
	bool made;

	if (parcel->count >= batch->count)
		return 0;
	parcel->count++;
	item->document = *document;
	made = rk_draft_make(&draft, &json, body, w->run->collection, &document->id);
	memcpy(item->words, draft.words, sizeof(item->words));
	if (document->gone || rk_document_rkey(document).len > 0) {
		settle(item, RK_PUBLISH_SKIPPED, "published or deleted meanwhile");
	} else if (find(w, item)) {
		settle(item, RK_PUBLISH_LINKED, "");
	} else if (!made) {
		settle(item, RK_PUBLISH_FAILED, draft.reason);
	} else {
		copy = rk_arena_copy(&parcel->arena, rk_buf_slice(&json));
		item->json = rk_slice_make(copy, json.len);
		rk_record_key_init(&item->key, w->run->collection, &document->id, draft.when_ms);
		place(w, item);
	}
	made = rk_buf_failed(&json) || (item->json.len && !copy);
	rk_buf_finish(&json);
	return made ? -ENOMEM : 0;
}

static void settle_open(
	struct rk_publish_parcel *parcel, enum rk_publish_outcome outcome, const char *reason)
{
	for (size_t i = 0; i < parcel->count; i++) {
		if (!parcel->items[i].settled)
			settle(&parcel->items[i], outcome, reason);
	}
}

/* Writes what is open, in requests within the PDS's bound on bytes. 0, PUT_OFF or negative. */
static int batch_write(struct worker *w, struct rk_publish_parcel *parcel)
{
	struct rk_publish_item *items[RK_SESSION_WRITES_MOST];
	struct rk_pds_reply reply;
	int r = 0;

	for (size_t at = 0; r == 0 && at < parcel->count;) {
		size_t count = 0, bytes = 0;

		for (; at < parcel->count && count < RK_SESSION_WRITES_MOST; at++) {
			struct rk_publish_item *item = &parcel->items[at];

			if (item->settled)
				continue;
			if (count > 0 && bytes + item->json.len + 256 > RK_SESSION_BYTES_MOST)
				break;
			bytes += item->json.len + 256;
			items[count++] = item;
		}
		if (count == 0)
			break;
		if (w->run->request->dry_run) {
			for (size_t i = 0; i < count; i++)
				settle(items[i], RK_PUBLISH_CREATED, "");
			continue;
		}
		r = login(w, &reply);
		if (r > 0 && r != PUT_OFF) {
			settle_open(parcel, RK_PUBLISH_FAILED, reply.message);
			return 0;
		}
		if (r == 0)
			r = write_some(w, items, count);
	}
	return r;
}

/* Only what is settled is handed on: the rest is for the next run. */
static size_t keep_settled(struct rk_publish_parcel *parcel)
{
	size_t kept = 0, all = parcel->count;

	for (size_t i = 0; i < all; i++) {
		if (parcel->items[i].settled)
			parcel->items[kept++] = parcel->items[i];
	}
	parcel->count = kept;
	return all - kept;
}

/* 0, PUT_OFF or negative; *done grows by what is settled. */
static int batch_run(struct worker *w, const struct rk_oid *ids, size_t count, size_t *done)
{
	struct rk_publish_parcel *parcel = calloc(1, sizeof(*parcel));
	struct batch batch = {.worker = w, .parcel = parcel, .count = count};
	size_t left;
	int r;

	if (parcel)
		parcel->items = calloc(count, sizeof(*parcel->items));
	if (!parcel || !parcel->items) {
		free(parcel);
		return -ENOMEM;
	}
	parcel->person = w->person;
	w->parcel = parcel;
	r = rk_mongo_bodies(
		w->mongo, w->run->collection, &parcel->arena, ids, count, body_take, &batch);
	if (r == -EIO) {
		char text[256];

		snprintf(text, sizeof(text), "MongoDB: %.200s", rk_mongo_error(w->mongo));
		rk_publish_fail(w->run, -EHOSTUNREACH, text);
		r = -EHOSTUNREACH;
	}
	/* A document that is not there any more counts as done: there is nothing to tell of it. */
	left = r == 0 ? count - parcel->count : 0;
	if (r == 0)
		r = batch_write(w, parcel);
	*done += left + parcel->count;
	*done -= keep_settled(parcel);
	if (parcel->count)
		rk_publish_hand_on(w->run, parcel);
	else
		rk_publish_parcel_destroy(parcel);
	return r;
}

static size_t batch_most(const struct rk_publish_request *request)
{
	return request->batch_size && request->batch_size < RK_SESSION_WRITES_MOST
		? (size_t)request->batch_size
		: RK_SESSION_WRITES_MOST;
}

/* All of a user's documents fail alike. */
static int fail_all(struct worker *w, const char *reason)
{
	struct rk_publish_run *run = w->run;
	struct rk_publish_parcel *parcel = calloc(1, sizeof(*parcel));

	if (parcel)
		parcel->items = calloc(w->person->count, sizeof(*parcel->items));
	if (!parcel || !parcel->items) {
		free(parcel);
		return -ENOMEM;
	}
	parcel->person = w->person;
	parcel->count = w->person->count;
	for (size_t i = 0; i < parcel->count; i++) {
		parcel->items[i].document.id = run->ids[w->person->from + i];
		settle(&parcel->items[i], RK_PUBLISH_FAILED, reason);
	}
	rk_publish_hand_on(run, parcel);
	return 0;
}

static int person_run(struct worker *w)
{
	struct rk_publish_run *run = w->run;
	const struct rk_oid *ids = run->ids + w->person->from;
	struct rk_pds_reply reply;
	size_t done = 0;
	int r;

	w->open = false;
	rk_buf_clear(&w->did);
	rk_buf_add_slice(&w->did, w->person->user->did);
	r = rk_buf_failed(&w->did);
	if (r == 0)
		r = list(w, &reply);
	if (r > 0 && r != PUT_OFF)
		return fail_all(w, reply.message);
	while (r == 0 && done < w->person->count) {
		size_t want = w->person->count - done, allowed, before = done;

		if (rk_publish_stopping(run))
			break;
		want = want < batch_most(run->request) ? want : batch_most(run->request);
		allowed = rk_publish_allow(run, want);
		if (allowed == 0)
			break;
		if (run->request->delay_ms && w->batches++ > 0 &&
			!pause_ms(w, (int64_t)run->request->delay_ms))
			break;
		r = batch_run(w, ids + done, allowed, &done);
		rk_publish_give_back(run, allowed - (done - before));
	}
	if (r == PUT_OFF) {
		pthread_mutex_lock(&run->lock);
		run->put_off += w->person->count - done;
		pthread_mutex_unlock(&run->lock);
		r = 0;
	}
	return r;
}

static bool person_next(struct worker *w)
{
	struct rk_publish_run *run = w->run;
	bool more;

	pthread_mutex_lock(&run->lock);
	more = run->next < run->person_count && run->left > 0;
	if (run->next < run->person_count && run->left == 0)
		run->limited = true;
	if (more)
		w->person = &run->persons[run->next++];
	pthread_mutex_unlock(&run->lock);
	return more;
}

void *rk_publish_work(void *context)
{
	struct rk_publish_run *run = context;
	const struct rk_session_options options = {
		.http = {.trusted = {run->options->pds}, .cancel = &run->cancel},
		.origin = run->options->pds,
		.bypass_key = run->options->bypass_key,
		.timeout_ms = 30 * 1000,
		.idle_ms = 15 * 1000,
	};
	struct worker w = {.run = run};
	char error[256];
	int r = rk_mongo_create(&w.mongo, run->options->mongo_uri, run->options->database, error);

	w.session = r == 0 ? rk_session_create(&options) : NULL;
	if (r == 0 && !w.session)
		r = -ENOMEM;
	while (r == 0 && !rk_publish_stopping(run) && person_next(&w))
		r = person_run(&w);
	if (r && r != -ECANCELED)
		rk_publish_fail(run, r, strerror(-r));
	rk_listing_finish(&w.listing);
	rk_buf_finish(&w.did);
	rk_session_destroy(w.session);
	rk_mongo_destroy(w.mongo);
	pthread_mutex_lock(&run->lock);
	run->working--;
	pthread_cond_signal(&run->filled);
	pthread_mutex_unlock(&run->lock);
	return NULL;
}
