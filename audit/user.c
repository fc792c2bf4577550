/* One user after the other: both sides read, compared, and looked at again where something moved. See
 * inside.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/inside.h"
#include "base/clock.h"
#include "mongo/build.h"

enum {
	LOOKS_MOST = 4,     /* at a user whose documents change meanwhile */
	FAILURES_MOST = 12, /* in a row: the PDS is taken for unreachable */
	FAILING_MOST_MS = 30 * 1000,
	BACKOFF_FIRST_MS = 250,
	BACKOFF_MOST_MS = 2000,
	WINDOW = 64, /* users that are done and not told yet */
	MONGO_PAUSE_MS = 500,
};

/* Beside results of net/pds.h: asked often enough; behind a relay, of one host of many. */
enum { GIVEN_UP = 100 };

static bool is_stopping(void *run)
{
	return rk_audit_stopping(run);
}

/* The PDS */

/* Waits until the PDS may be asked. */
static int turn_await(struct rk_audit_worker *w)
{
	struct rk_audit_run *run = w->run;

	for (;;) {
		int64_t wait;

		pthread_mutex_lock(&run->lock);
		wait = run->not_before_ms - rk_clock_mono_ms();
		pthread_mutex_unlock(&run->lock);
		if (wait <= 0)
			return 0;
		if (!rk_clock_pause_unless(wait, is_stopping, run))
			return -ECANCELED;
	}
}

/* After RK_PDS_RETRY. 0: try again; GIVEN_UP; -ECANCELED; -EHOSTUNREACH. */
static int after_failure(struct rk_audit_worker *w, const struct rk_pds_reply *reply)
{
	struct rk_audit_run *run = w->run;
	int64_t now = rk_clock_mono_ms(), wait = BACKOFF_FIRST_MS;
	bool limited = reply->http_status == 429;
	char text[256];

	if (w->failures++ == 0)
		w->failing_ms = now;
	for (unsigned i = 1; i < w->failures && wait < BACKOFF_MOST_MS; i++)
		wait *= 2;
	if (limited) {
		if (reply->retry_after_ms > wait)
			wait = reply->retry_after_ms;
		w->failures = 0;
		if (run->request->max_wait_ms >= 0 && wait > run->request->max_wait_ms) {
			rk_audit_fail(run, -EAGAIN,
				"a limit of the PDS lasts too long; running it again continues");
			return -EAGAIN;
		}
		pthread_mutex_lock(&run->lock);
		if (now + wait > run->not_before_ms) {
			run->not_before_ms = now + wait;
			run->waiting_ms = wait;
			pthread_cond_signal(&run->finished);
		}
		pthread_mutex_unlock(&run->lock);
		return 0;
	}
	if (w->failures >= FAILURES_MOST || now - w->failing_ms > FAILING_MOST_MS) {
		w->failures = 0;
		if (run->options->relay)
			return GIVEN_UP;
		snprintf(text, sizeof(text), "the PDS: %.200s", reply->message);
		rk_audit_fail(run, -EHOSTUNREACH, text);
		return -EHOSTUNREACH;
	}
	return rk_clock_pause_unless(wait, is_stopping, run) ? 0 : -ECANCELED;
}

static int unread_set(struct rk_audit_person *person, const char *text)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		person->collections[i].record_count = 0;
	person->unread = rk_arena_copy(&person->arena, rk_slice_str(text));
	return person->unread ? 0 : -ENOMEM;
}

/* The user's records, or person->unread. */
static int repo_get(struct rk_audit_worker *w, struct rk_audit_person *person)
{
	struct rk_pds_reply reply;
	char text[300];
	int r;

	person->rev = 0;
	if (person->user->did.len == 0)
		return 0;
	do {
		r = turn_await(w);
		if (r == 0)
			r = rk_audit_repo_read(w, &reply, person);
		if (r == RK_PDS_RETRY)
			r = after_failure(w, &reply);
		else
			break;
	} while (r == 0);
	if (r >= 0 && r != GIVEN_UP)
		w->failures = 0;
	switch (r) {
	case RK_PDS_OK:
	case RK_PDS_ABSENT: /* an account that is not there has no records */
		return 0;
	case RK_PDS_INACTIVE:
		snprintf(text, sizeof(text), "the account is %s", reply.account_status);
		return unread_set(person, text);
	case RK_PDS_WRONG:
	case GIVEN_UP:
		return unread_set(person, reply.message);
	case -EHOSTUNREACH:
	case -EAGAIN:
	case -ECANCELED:
		return r;
	default: /* the machine's own: nothing that a result of the run says of the request */
		snprintf(text, sizeof(text), "a repo cannot be read: %.200s",
			reply.message[0] ? reply.message : strerror(-r));
		rk_audit_fail(w->run, -EIO, text);
		return -EIO;
	}
}

/* MongoDB */

/* Ends the run. */
static int mongo_failed(struct rk_audit_worker *w)
{
	char text[RK_MONGO_ERROR];
	int r = rk_mongo_result(w->mongo, -EIO, text);

	rk_audit_fail(w->run, r, text);
	return r;
}

/* Reads documents by _id, trying for a while where the server is away. */
static int documents_read(struct rk_audit_worker *w, struct rk_documents *out,
	struct rk_arena *arena, int collection, const struct rk_oid *ids, size_t count)
{
	int64_t since = rk_clock_mono_ms();
	int r;

	for (;;) {
		out->count = 0;
		r = rk_mongo_by_id(w->mongo, out, arena, &rk_collections[collection], ids, count);
		if (r != -EIO)
			return r;
		if (!rk_mongo_is_away(w->mongo) || rk_clock_mono_ms() - since > FAILING_MOST_MS)
			break;
		if (!rk_clock_pause_unless(MONGO_PAUSE_MS, is_stopping, w->run))
			return -ECANCELED;
	}
	return mongo_failed(w);
}

static bool is_theirs(const struct rk_audit_run *run, const struct rk_user *user,
	const struct rk_document *document)
{
	struct rk_slice owner = rk_document_owner(document, run->options->guest_user);
	const struct rk_user *known = rk_users_by_id(&run->users, owner);

	/* Two users of one DID have one repo. */
	return rk_slice_equal(owner, user->id) ||
		(known && known->did.len && rk_slice_equal(known->did, user->did));
}

static int document_add(struct rk_audit_person *person, struct rk_audit_collection *c,
	const struct rk_document *document)
{
	struct rk_audit_document *list =
		rk_arena_calloc(&person->arena, c->document_count + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	if (c->document_count)
		memcpy(list, c->documents, c->document_count * sizeof(*list));
	list[c->document_count++] = (struct rk_audit_document){.id = document->id,
		.gone = document->gone,
		.rkey = rk_document_rkey(document),
		.code = document->code};
	c->documents = list;
	return 0;
}

static void foreign_set(struct rk_audit_collection *c, const struct rk_oid *id)
{
	for (size_t i = 0; i < c->record_count; i++) {
		if (memcmp(&c->records[i].target, id, sizeof(*id)) == 0)
			c->records[i].foreign = true;
	}
}

/* Documents of records that none of the user's are: somebody else's, or new. */
static int strays_look(struct rk_audit_worker *w, struct rk_audit_person *person, int collection)
{
	struct rk_audit_collection *c = &person->collections[collection];
	struct rk_oid *ids = calloc(c->record_count + 1, sizeof(*ids));
	struct rk_documents found = {0};
	size_t count = 0;
	int r = ids ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < c->record_count; i++) {
		if (rk_audit_document_find(c, &c->records[i].target) == RK_AUDIT_NONE)
			ids[count++] = c->records[i].target;
	}
	if (count)
		r = documents_read(w, &found, &person->arena, collection, ids, count);
	for (size_t i = 0; r == 0 && i < found.count; i++) {
		if (!is_theirs(w->run, person->user, &found.list[i]))
			foreign_set(c, &found.list[i].id);
		else
			r = document_add(person, c, &found.list[i]);
	}
	rk_audit_sort(c);
	rk_documents_finish(&found);
	free(ids);
	return r;
}

/* Whether the record's code is one to be asked for: it is not that of the document it is linked to, or it
 * has none. */
static bool is_odd_code(const struct rk_audit_collection *c, const struct rk_audit_record *record)
{
	if (record->code.len == 0 || record->code_taken)
		return false;
	return record->kind == RK_AUDIT_ABSENT ||
		(record->kind == RK_AUDIT_FINE &&
			!rk_slice_equal(c->documents[record->document].code, record->code));
}

static int codes_look(struct rk_audit_worker *w, struct rk_audit_person *person, int collection)
{
	struct rk_audit_collection *c = &person->collections[collection];
	int r = 0;

	for (size_t i = 0; r == 0 && i < c->record_count; i++) {
		struct rk_audit_record *record = &c->records[i];
		struct rk_mongo_taken who = {0};

		if (!is_odd_code(c, record))
			continue;
		r = rk_mongo_taken(w->mongo, &who, &person->arena, &rk_collections[collection],
			&record->target, record->code, (struct rk_slice){0}, person->user->id);
		record->code_taken =
			r == 0 && who.code && !is_theirs(w->run, person->user, &who.code_holder);
	}
	return r == -EIO ? mongo_failed(w) : r;
}

static int id_order(const void *a, const void *b)
{
	return memcmp(&((const struct rk_document *)a)->id, &((const struct rk_document *)b)->id,
		sizeof(struct rk_oid));
}

/* A document as it is now; false: it is as it was. */
static bool document_renew(const struct rk_audit_run *run, const struct rk_user *user,
	struct rk_audit_document *document, const struct rk_document *now)
{
	if (!now || !is_theirs(run, user, now)) {
		document->id = (struct rk_oid){.bytes = {0}}; /* to be taken out */
		document->foreign = true;
		document->rkey = (struct rk_slice){0};
		document->gone = true;
		return true;
	}
	if (document->gone == now->gone && rk_slice_equal(document->rkey, rk_document_rkey(now)) &&
		rk_slice_equal(document->code, now->code))
		return false;
	document->gone = now->gone;
	document->rkey = rk_document_rkey(now);
	document->code = now->code;
	document->flaw = NULL; /* what it was for a moment is not told */
	return true;
}

static void documents_mark(const struct rk_audit_collection *c, bool *marks)
{
	for (size_t i = 0; i < c->document_count; i++)
		marks[i] = c->documents[i].kind != RK_AUDIT_FINE && !c->documents[i].foreign;
	for (size_t i = 0; i < c->record_count; i++) {
		const struct rk_audit_record *record = &c->records[i];

		if ((record->kind != RK_AUDIT_FINE || record->differs) &&
			record->document != RK_AUDIT_NONE)
			marks[record->document] = true;
	}
}

/* Documents that something was found of are read once more. *changed: at least one is not what it was. */
static int documents_confirm(
	struct rk_audit_worker *w, struct rk_audit_person *person, int collection, bool *changed)
{
	struct rk_audit_collection *c = &person->collections[collection];
	bool *marks = calloc(c->document_count + 1, sizeof(*marks));
	struct rk_oid *ids = calloc(c->document_count + 1, sizeof(*ids));
	struct rk_documents now = {0};
	size_t count = 0, kept = 0;
	int r = marks && ids ? 0 : -ENOMEM;

	if (r == 0)
		documents_mark(c, marks);
	for (size_t i = 0; r == 0 && i < c->document_count; i++) {
		if (marks[i])
			ids[count++] = c->documents[i].id;
	}
	if (count)
		r = documents_read(w, &now, &person->arena, collection, ids, count);
	if (r == 0 && now.count)
		qsort(now.list, now.count, sizeof(*now.list), id_order);
	for (size_t i = 0; r == 0 && i < c->document_count; i++) {
		struct rk_audit_document *document = &c->documents[i];
		const struct rk_document key = {.id = document->id};
		bool renewed = marks[i] &&
			document_renew(w->run, person->user, document,
				now.count
					? bsearch(&key, now.list, now.count, sizeof(key), id_order)
					: NULL);

		*changed |= renewed;
		if (!renewed || !document->foreign)
			c->documents[kept++] = *document;
	}
	if (r == 0)
		c->document_count = kept;
	rk_documents_finish(&now);
	free(marks);
	free(ids);
	return r;
}

/* Of a repo that could not be read only what needs no record is known. */
static void unread_forget(struct rk_audit_person *person)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		struct rk_audit_collection *c = &person->collections[i];

		c->synced = c->counts[RK_AUDIT_DANGLING];
		c->counts[RK_AUDIT_DANGLING] = c->vanished = 0;
		for (size_t j = 0; j < c->document_count; j++) {
			if (c->documents[j].kind == RK_AUDIT_DANGLING)
				c->documents[j].kind = RK_AUDIT_FINE;
		}
	}
}

/* What follows from both sides as they were read; *ahead as in inside.h. */
static int judge(
	struct rk_audit_worker *w, struct rk_audit_person *person, uint64_t rev_before, bool *ahead)
{
	int r = 0;

	*ahead = false;
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		rk_audit_sort(&person->collections[i]);
		rk_audit_compare(&person->collections[i]);
	}
	if (person->unread)
		unread_forget(person);
	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++)
		r = rk_audit_findings(&person->collections[i], &person->arena);
	if (r == 0 && !person->unread)
		r = rk_audit_index_compare(w, person, rev_before, ahead);
	return r;
}

/* Both sides as of now, and the index. *moved: they were not the same throughout. */
static int look(
	struct rk_audit_worker *w, struct rk_audit_person *person, uint64_t rev_before, bool *moved)
{
	int r = repo_get(w, person);

	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		rk_audit_sort(&person->collections[i]);
		r = strays_look(w, person, i);
	}
	if (r == 0)
		r = rk_audit_index_facts(w, person);
	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		rk_audit_compare(&person->collections[i]);
		r = codes_look(w, person, i);
	}
	if (r == 0)
		r = judge(w, person, rev_before, moved);
	for (int i = 0; r == 0 && !person->unread && i < RK_COLLECTION_COUNT; i++)
		r = documents_confirm(w, person, i, moved);
	return r;
}

static int documents_copy(const struct rk_audit_run *run, const struct rk_audit_subject *subject,
	struct rk_audit_person *person)
{
	for (size_t i = 0; i < subject->count; i++)
		person->collections[run->entries[subject->from + i].collection].document_count++;
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		struct rk_audit_collection *c = &person->collections[i];

		c->documents = rk_arena_calloc(
			&person->arena, c->document_count + 1, sizeof(*c->documents));
		if (!c->documents)
			return -ENOMEM;
		c->document_count = 0;
	}
	for (size_t i = 0; i < subject->count; i++) {
		const struct rk_audit_entry *entry = &run->entries[subject->from + i];
		struct rk_audit_collection *c = &person->collections[entry->collection];

		c->documents[c->document_count++] = entry->document;
	}
	return 0;
}

static int person_audit(struct rk_audit_worker *w, const struct rk_audit_subject *subject,
	struct rk_audit_person *person)
{
	uint64_t rev_before = UINT64_MAX;
	bool moved = true;
	int r;

	person->user = subject->user;
	if (!w->mongo)
		return rk_audit_index_only(w, person);
	r = documents_copy(w->run, subject, person);
	for (int looks = 0; r == 0 && moved && looks < LOOKS_MOST; looks++) {
		r = look(w, person, rev_before, &moved);
		rev_before = person->rev;
	}
	/* It never stood still: as it is now, with the documents as last read. */
	return r == 0 && moved ? judge(w, person, UINT64_MAX, &moved) : r;
}

/* Threads */

static struct rk_audit_subject *subject_take(struct rk_audit_run *run)
{
	size_t window = run->request->in_turn ? 1 : WINDOW;
	struct rk_audit_subject *subject = NULL;

	pthread_mutex_lock(&run->lock);
	while (!run->failure && !rk_audit_stopping(run) && run->next < run->subject_count &&
		run->next >= run->told_all + window)
		pthread_cond_wait(&run->told, &run->lock);
	if (!run->failure && !rk_audit_stopping(run) && run->next < run->subject_count)
		subject = &run->subjects[run->next++];
	pthread_mutex_unlock(&run->lock);
	return subject;
}

static void subject_done(
	struct rk_audit_run *run, struct rk_audit_subject *subject, struct rk_audit_person *person)
{
	pthread_mutex_lock(&run->lock);
	subject->person = person;
	subject->done = true;
	pthread_cond_signal(&run->finished);
	pthread_mutex_unlock(&run->lock);
}

static int worker_open(struct rk_audit_worker *w)
{
	const struct rk_audit_options *options = w->run->options;
	const struct rk_pds_options pds = {
		.http = {.allow_private = options->allow_private,
			.trusted = {options->pds},
			.cancel = &w->run->cancel},
		.bypass_key = options->relay ? NULL : options->bypass_key, /* that PDS's alone */
		.bypass_origin = options->pds,
	};
	char error[256];
	int r = rk_snapshot_create(&w->snapshot, w->run->store);

	if (r || w->run->request->index_only)
		return r;
	r = rk_mongo_create(&w->mongo, options->mongo_uri, options->database, error);
	w->pds = r == 0 ? rk_pds_create(&pds) : NULL;
	return r == 0 && !w->pds ? -ENOMEM : r;
}

void *rk_audit_work(void *context)
{
	struct rk_audit_run *run = context;
	struct rk_audit_worker w = {.run = run};
	struct rk_audit_subject *subject;
	int r = worker_open(&w);

	while (r == 0 && (subject = subject_take(run))) {
		struct rk_audit_person *person = calloc(1, sizeof(*person));

		r = person ? person_audit(&w, subject, person) : -ENOMEM;
		if (r && person) {
			rk_arena_finish(&person->arena);
			free(person);
			person = NULL;
		}
		subject_done(run, subject, person);
	}
	if (r && r != -ECANCELED)
		rk_audit_fail(run, r, strerror(-r));
	rk_pds_destroy(w.pds);
	rk_mongo_destroy(w.mongo);
	rk_snapshot_destroy(w.snapshot);
	pthread_mutex_lock(&run->lock);
	run->working--;
	pthread_cond_signal(&run->finished);
	pthread_mutex_unlock(&run->lock);
	return NULL;
}
