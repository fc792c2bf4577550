/* See inside.h: one user after the other, through the user's account (account/account.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "publish/inside.h"

/* Of a key that follows from few uploads: what is lost of a day's, if it ends before they are written. */
enum { GROUP_WITH_BLOBS = 25 };
enum {
	FAILURES_OF_SOME = 3,
	UNREACHED_MOST = 8,   /* users in a row; then it is the PDS */
	STALE_MS = 10 * 1000, /* a document that was read so long ago is read again */
};

struct worker {
	struct rk_publish_run *run;
	struct rk_mongo *mongo;
	struct rk_snapshot *snapshot;
	struct rk_account_client *account;
	const struct rk_publish_person *person;
	struct rk_publish_reading reading;
	struct rk_publish_parcel *parcel; /* the batch under way */
	int64_t read_ms;                  /* when its documents were */
	struct rk_listing listing;
	uint64_t batches;
};

static bool is_stopping(void *context)
{
	const struct worker *w = context;

	return rk_publish_stopping(w->run);
}

static void tell_waiting(void *context, int64_t ms)
{
	struct worker *w = context;
	struct rk_publish_parcel *parcel = calloc(1, sizeof(*parcel));

	if (!parcel)
		return; /* nothing but the telling is lost */
	parcel->person = w->person;
	parcel->waiting_ms = ms;
	rk_publish_hand_on(w->run, parcel);
}

static int listed(void *context, const struct rk_session_record *record)
{
	struct worker *w = context;

	return rk_listing_add(
		&w->listing, record->rkey, rk_listing_ref_of(record->value, w->run->collection));
}

static void list_restart(void *context)
{
	struct worker *w = context;

	rk_listing_finish(&w->listing);
}

/* What the repo has. */
static int list(struct worker *w)
{
	int r = rk_account_list(w->account, w->run->collection->nsid, list_restart, listed, w);

	rk_listing_seal(&w->listing);
	return r;
}

/* The same, before anything is written. A dry run is to say what the PDS does. */
static int list_first(struct worker *w)
{
	struct rk_cid commit;
	int r;

	if (!w->run->request->dry_run &&
		rk_publish_known(w->run, w->snapshot, &w->listing, &commit, w->person))
		return rk_account_expect(w->account, &commit);
	r = list(w);
	if (r == 0)
		rk_publish_compare(w->run, w->snapshot, &w->listing, w->person);
	return r;
}

/* The PDS has nothing, or nothing good, to say of the user's account. */
static void settle_account(struct rk_publish_item *item, const char *reason)
{
	item->write.of_account = true;
	rk_publish_settle(item, RK_PUBLISH_FAILED, reason);
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
static int look_again(void *context, struct rk_account_write **writes, size_t count)
{
	struct worker *w = context;
	int r = list(w);

	for (size_t i = 0; r == 0 && i < count; i++) {
		struct rk_publish_item *item = writes[i]->context;

		if (find(w, item))
			rk_account_settle(writes[i], RK_ACCOUNT_DONE, "");
		else if (rk_listing_taken(&w->listing, item->tid))
			place(w, item); /* its key is another record's by now */
	}
	return r;
}

static int mongo_failed(struct worker *w, const struct rk_mongo *mongo)
{
	char text[RK_MONGO_ERROR];
	int r = rk_mongo_result(mongo, -EIO, text);

	rk_publish_fail(w->run, r, text);
	return r;
}

/* Limits, images and failures keep a batch back, and its documents are deleted meanwhile. */
static int last_look(void *context, struct rk_account_write **writes, size_t count)
{
	struct worker *w = context;
	int64_t now = rk_clock_mono_ms();
	int r;

	if (now - w->read_ms <= STALE_MS)
		return 0;
	r = rk_publish_read_again(w->run, w->mongo, w->parcel);
	if (r)
		return r == -EIO ? mongo_failed(w, w->mongo) : r;
	w->read_ms = now;
	for (size_t i = 0; i < count; i++) {
		const struct rk_publish_item *item = writes[i]->context;

		if (item->settled)
			rk_account_settle(writes[i], RK_ACCOUNT_FAILED, item->reason);
	}
	return 0;
}

/* Settles what is on the PDS already or cannot be published, and gives all else its key. */
static void settle_or_place(struct worker *w, struct rk_publish_item *item)
{
	if (item->settled)
		return;
	if (find(w, item))
		rk_publish_settle(item, RK_PUBLISH_LINKED, "");
	else if (!item->write.write.record.data)
		rk_publish_settle(item, RK_PUBLISH_FAILED, item->refusal);
	else
		place(w, item);
}

/* Writes a group of what is open. */
static int group_write(struct worker *w, struct rk_account_write **writes, size_t count)
{
	bool dry_run = w->run->request->dry_run;
	int r = dry_run ? rk_account_can_login(w->account)
			: rk_account_write(w->account, writes, count, look_again, w);

	for (size_t i = 0; i < count; i++) {
		struct rk_publish_item *item = writes[i]->context;

		if (dry_run && r == 0)
			rk_account_settle(writes[i], RK_ACCOUNT_DONE, "");
		if (writes[i]->state != RK_ACCOUNT_OPEN && !item->settled)
			rk_publish_settle(item,
				writes[i]->state == RK_ACCOUNT_DONE ? RK_PUBLISH_CREATED
								    : RK_PUBLISH_FAILED,
				writes[i]->reason);
	}
	return r;
}

/* Writes what is open. 0, or a result of the account. */
static int batch_write(struct worker *w, struct rk_publish_parcel *parcel)
{
	struct rk_account_write *writes[RK_SESSION_WRITES_MOST];
	size_t most = w->run->pictures ? GROUP_WITH_BLOBS : RK_SESSION_WRITES_MOST;
	int r = 0, written;

	for (size_t at = 0, count = 0; r == 0 && at < parcel->count; count = 0) {
		for (; at < parcel->count && count < most; at++) {
			struct rk_publish_item *item = &parcel->items[at];

			if (!item->settled && w->run->pictures)
				r = rk_publish_thumbnail(w->run, w->account, parcel, at);
			if (r)
				break;
			if (item->settled)
				continue;
			item->write.context = item;
			writes[count++] = &item->write;
		}
		/* Whatever kept the next one back, what was uploaded for these is of use. */
		written = count ? group_write(w, writes, count) : 0;
		r = r && written == 0 ? r : written;
	}
	return r;
}

/* Whether it is the account that failed, or the PDS over it, and not the run. */
static bool is_of_account(const struct worker *w, int r)
{
	const struct rk_publish_run *run = w->run;

	if (r == -EHOSTUNREACH)
		return run->request->some || !atomic_load(&run->cancel);
	return r > 0 && r != RK_ACCOUNT_PUT_OFF;
}

/* So does all of the batch that is open. */
static void rest_fail(struct worker *w)
{
	for (size_t i = 0; i < w->parcel->count; i++) {
		if (!w->parcel->items[i].settled)
			settle_account(&w->parcel->items[i], rk_account_error(w->account));
	}
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

static size_t batch_most(const struct rk_publish_request *request)
{
	return request->batch_size && request->batch_size < RK_SESSION_WRITES_MOST
		? (size_t)request->batch_size
		: RK_SESSION_WRITES_MOST;
}

/* Begins to read the batch at some place, if there is one and the limit allows it. */
static void batch_begin(struct worker *w, size_t at)
{
	size_t count = w->person->count - at, most = batch_most(w->run->request);

	count = count > 0 ? rk_publish_allow(w->run, count < most ? count : most) : 0;
	if (count > 0)
		rk_publish_read_begin(
			&w->reading, w->person, w->run->ids + w->person->from + at, count);
}

/* What was begun and not taken. */
static void batch_drop(struct worker *w)
{
	if (!w->reading.begun)
		return;
	rk_publish_give_back(w->run, w->reading.count);
	rk_publish_read_drop(&w->reading);
}

/* The batch that was begun; read again if that was long ago, for a limit's sake. */
static int batch_take(struct worker *w)
{
	struct rk_publish_reading *reading = &w->reading;
	int r = rk_publish_read_end(reading, &w->parcel);

	if (r == 0 && rk_clock_mono_ms() - reading->at_ms > STALE_MS) {
		rk_publish_parcel_destroy(w->parcel);
		rk_publish_read_begin(reading, w->person, reading->ids, reading->count);
		r = rk_publish_read_end(reading, &w->parcel);
	}
	w->read_ms = reading->at_ms;
	return r == -EIO ? mongo_failed(w, reading->mongo) : r;
}

/* The PDS stopped to answer while it wrote: what is there by now is settled. How much else may be there, and is not
 * to come on top of the limit with what others write. */
static size_t unanswered(struct worker *w)
{
	bool known = list(w) == 0;
	size_t count = 0;

	for (size_t i = 0; i < w->parcel->count; i++) {
		struct rk_publish_item *item = &w->parcel->items[i];

		if (item->settled)
			continue;
		if (known && find(w, item))
			rk_publish_settle(item, RK_PUBLISH_CREATED, "");
		count += !known;
	}
	return count;
}

/* 0, RK_ACCOUNT_PUT_OFF or negative; *done grows by what is settled, *placed by what counts for the limit. */
static int batch_run(struct worker *w, size_t count, size_t *done, size_t *placed)
{
	struct rk_publish_parcel *parcel = w->parcel;
	/* A document that is not there any more counts as done: there is nothing to tell of it. */
	size_t left = count - parcel->count;
	int r;

	for (size_t i = 0; i < parcel->count; i++)
		settle_or_place(w, &parcel->items[i]);
	r = batch_write(w, parcel);
	if (r == -EHOSTUNREACH && w->run->request->limit)
		*placed += unanswered(w);
	if (is_of_account(w, r))
		rest_fail(w);
	if (r > 0 && r != RK_ACCOUNT_PUT_OFF)
		r = 0;
	rk_publish_thumbnails_drop(w->run, parcel);
	*done += left + parcel->count;
	*done -= keep_settled(parcel);
	for (size_t i = 0; i < parcel->count; i++)
		*placed += rk_publish_took_place(&parcel->items[i]);
	if (parcel->count)
		rk_publish_hand_on(w->run, parcel);
	else
		rk_publish_parcel_destroy(parcel);
	return r;
}

/* All of a user's documents fail alike, but for the first ones, which are done. */
static int fail_all(struct worker *w, size_t done, const char *reason)
{
	struct rk_publish_run *run = w->run;
	size_t count = w->person->count - done;
	struct rk_publish_parcel *parcel = calloc(1, sizeof(*parcel));

	if (parcel)
		parcel->items = calloc(count + 1, sizeof(*parcel->items));
	if (!parcel || !parcel->items) {
		free(parcel);
		return -ENOMEM;
	}
	parcel->person = w->person;
	parcel->count = count;
	for (size_t i = 0; i < count; i++) {
		parcel->items[i].document.id = run->ids[w->person->from + done + i];
		settle_account(&parcel->items[i], reason);
	}
	rk_publish_hand_on(run, parcel);
	return 0;
}

/* Whether that the PDS failed may still be this user's alone, and others are to go on. It is how the run ends,
 * all the same. */
static bool gives_up(struct worker *w)
{
	struct rk_publish_run *run = w->run;
	bool alone;

	pthread_mutex_lock(&run->lock);
	alone = !run->failure && ++run->unreached < UNREACHED_MOST;
	if (alone && !run->request->some && !run->given_up) {
		run->given_up = true;
		snprintf(run->error, sizeof(run->error), "%s", rk_account_error(w->account));
	}
	pthread_mutex_unlock(&run->lock);
	return alone;
}

static void reached(struct worker *w)
{
	pthread_mutex_lock(&w->run->lock);
	w->run->unreached = 0;
	pthread_mutex_unlock(&w->run->lock);
}

/* Whether the next batch is read while one is written: not so if it may not be written, or not soon. */
static bool reads_ahead(const struct worker *w)
{
	return !w->run->request->limit && !w->run->request->delay_ms;
}

/* All of a user's batches; the first one may have been begun. */
static int batches_run(struct worker *w, size_t *done)
{
	struct rk_publish_run *run = w->run;
	int r = 0;

	for (size_t at = 0; r == 0 && at < w->person->count && !rk_publish_stopping(run);) {
		size_t count, placed = 0;

		if (run->request->delay_ms && w->batches++ > 0 &&
			!rk_clock_pause_unless((int64_t)run->request->delay_ms, is_stopping, w))
			break;
		if (!w->reading.begun)
			batch_begin(w, at);
		if (!w->reading.begun)
			break;
		count = w->reading.count;
		at += count;
		r = batch_take(w);
		if (r == 0 && reads_ahead(w))
			batch_begin(w, at);
		if (r == 0)
			r = batch_run(w, count, done, &placed);
		rk_publish_give_back(run, count - placed);
	}
	return r;
}

static int person_run(struct worker *w)
{
	struct rk_publish_run *run = w->run;
	size_t done = 0;
	int r = rk_account_take(w->account, w->person->user);

	if (r == 0 && reads_ahead(w))
		batch_begin(w, 0);
	if (r == 0)
		r = list_first(w);
	if (r == 0)
		r = batches_run(w, &done);
	batch_drop(w);
	if (r > 0 && r != RK_ACCOUNT_PUT_OFF)
		return fail_all(w, done, rk_account_error(w->account));
	if (r == 0)
		reached(w);
	if (r == -EHOSTUNREACH && gives_up(w))
		return fail_all(w, done, rk_account_error(w->account));
	if (r == RK_ACCOUNT_PUT_OFF) {
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
	struct worker w = {.run = run, .reading = {.run = run}};
	const struct rk_account_options options = {
		.pds = run->options->pds,
		.bypass_key = run->options->bypass_key,
		.max_wait_ms = run->request->max_wait_ms,
		.failures_most = run->request->some ? FAILURES_OF_SOME : 0,
		.logins = run->request->some ? run->request->some->logins : NULL,
		.cancel = &run->cancel,
		.stop = run->request->stop,
		.waiting = tell_waiting,
		.last_look = last_look,
		.context = &w,
	};
	char error[256];
	int r = rk_mongo_create(&w.mongo, run->options->mongo_uri, run->options->database, error);

	if (r == 0)
		r = rk_snapshot_create(&w.snapshot, run->store);
	w.account = r == 0 ? rk_account_create(w.mongo, &options) : NULL;
	if (r == 0 && !w.account)
		r = -ENOMEM;
	while (r == 0 && !rk_publish_stopping(run) && person_next(&w))
		r = person_run(&w);
	if (r && r != -ECANCELED)
		rk_publish_fail(
			run, r, r == -EHOSTUNREACH ? rk_account_error(w.account) : strerror(-r));
	rk_listing_finish(&w.listing);
	rk_snapshot_destroy(w.snapshot);
	rk_account_destroy(w.account);
	rk_mongo_destroy(w.mongo);
	rk_mongo_destroy(w.reading.mongo);
	pthread_mutex_lock(&run->lock);
	run->working--;
	pthread_cond_signal(&run->filled);
	pthread_mutex_unlock(&run->lock);
	return NULL;
}
