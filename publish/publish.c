/* See publish.h. Selecting, starting the threads, linking and telling, on the caller's thread. */
#include "publish/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/list.h"
#include "publish/inside.h"

/* Users at once. A login waits a third of a second at the reference PDS whatever it costs there, so there are more
 * than cores; of what it costs, its processor time is most. With images twice as many: while some upload theirs, the
 * next ones are logged in and have their first images ready. */
enum { THREADS_EACH = 4, THREADS_LEAST = 8, THREADS_MOST = 64 };
enum { STOPPED_MOST_MS = 5000, TICK_MS = 1000 };

#define ROW(id, name, text) [RK_PUBLISH_##id] = {name, text},
const struct rk_publish_outcome_row rk_publish_outcome_rows[RK_PUBLISH_OUTCOME_COUNT] = {
	RK_PUBLISH_OUTCOMES(ROW)};
#undef ROW

bool rk_publish_stopping(struct rk_publish_run *run)
{
	const atomic_bool *stop = run->request->stop;

	return atomic_load(&run->cancel) || (stop && atomic_load(stop));
}

void rk_publish_fail(struct rk_publish_run *run, int result, const char *error)
{
	pthread_mutex_lock(&run->lock);
	if (!run->failure) {
		run->failure = result;
		snprintf(run->error, sizeof(run->error), "%s", error);
	}
	atomic_store(&run->cancel, true);
	pthread_cond_broadcast(&run->emptied);
	pthread_mutex_unlock(&run->lock);
}

void rk_publish_parcel_destroy(struct rk_publish_parcel *parcel)
{
	if (!parcel)
		return;
	rk_arena_finish(&parcel->arena);
	free(parcel->items);
	free(parcel);
}

void rk_publish_hand_on(struct rk_publish_run *run, struct rk_publish_parcel *parcel)
{
	pthread_mutex_lock(&run->lock);
	while (run->queued >= RK_PUBLISH_QUEUE_MOST && !run->failure)
		pthread_cond_wait(&run->emptied, &run->lock);
	*run->last = parcel;
	run->last = &parcel->next;
	run->queued += parcel->count;
	pthread_cond_signal(&run->filled);
	pthread_mutex_unlock(&run->lock);
}

size_t rk_publish_allow(struct rk_publish_run *run, size_t count)
{
	pthread_mutex_lock(&run->lock);
	if (run->left == 0)
		run->limited = true;
	if (count > run->left)
		count = run->left;
	run->left -= count;
	pthread_mutex_unlock(&run->lock);
	return count;
}

void rk_publish_give_back(struct rk_publish_run *run, size_t count)
{
	pthread_mutex_lock(&run->lock);
	run->left += count;
	pthread_mutex_unlock(&run->lock);
}

/* Selecting */

/* A document that can never be published. */
struct hopeless {
	const struct rk_user *user; /* NULL: nobody */
	const char *id, *reason;
};

struct selection {
	struct rk_publish_run *run;
	struct rk_publish_candidate *list;
	size_t count, room;
	struct rk_users strangers; /* owners that users does not have, one for each document */
	const struct rk_user **only, **skip;
	const struct rk_user *guest;
	struct rk_arena arena; /* of hopeless */
	struct hopeless *hopeless;
	size_t hopeless_count, hopeless_room;
};

static bool is_among(const struct rk_user *const *list, const struct rk_user *user)
{
	for (; list && *list; list++) {
		if (*list == user)
			return true;
	}
	return false;
}

static int hopeless_add(
	struct selection *s, const struct rk_user *user, const char *id, const char *reason)
{
	const char *copy = rk_arena_copy(&s->arena, rk_slice_str(id));

	if (rk_list_grow(
		    &s->hopeless, &s->hopeless_room, s->hopeless_count, sizeof(*s->hopeless)) != 0)
		return -ENOMEM;
	s->hopeless[s->hopeless_count++] =
		(struct hopeless){.user = user, .id = copy, .reason = reason};
	return copy ? 0 : -ENOMEM;
}

static int keep(
	struct selection *s, const struct rk_user *user, int64_t when_ms, const struct rk_oid *id)
{
	if (rk_list_grow(&s->list, &s->room, s->count, sizeof(*s->list)) != 0)
		return -ENOMEM;
	/* Without a time it is refused: last, so that a run with a limit need not tell of it each time. */
	s->list[s->count++] = (struct rk_publish_candidate){
		.user = user, .when_ms = when_ms ? when_ms : INT64_MAX, .id = *id};
	return 0;
}

static int candidate_add(
	void *context, const struct rk_document *document, const char *id, bool foreign)
{
	struct selection *s = context;
	const struct rk_user *user = NULL;

	switch (document->user.presence) {
	case RK_PRESENCE_STRING:
		user = rk_users_by_id(s->run->users, document->user.text);
		if (!user && !s->only)
			return rk_users_add(
				&s->strangers, &(struct rk_user){.id = document->user.text});
		break;
	case RK_PRESENCE_MISSING:
	case RK_PRESENCE_NULL:
		if (!s->run->request->guests)
			return 0;
		user = s->guest;
		if (!user && !s->only)
			return rk_users_add(&s->strangers,
				&(struct rk_user){.id = rk_slice_str(s->run->options->guest_user)});
		break;
	case RK_PRESENCE_OTHER:
		return s->only ? 0 : hopeless_add(s, NULL, id, "its user is no string");
	}
	if (!user || (s->only && !is_among(s->only, user)) || is_among(s->skip, user))
		return 0;
	if (foreign)
		return hopeless_add(s, user, id, "the _id is no ObjectId");
	return keep(s, user, document->when_ms, &document->id);
}

/* A user's in the order of their keys, so that a batch's records lie side by side in the repo's tree. */
static int by_user_and_key(const void *a, const void *b)
{
	const struct rk_publish_candidate *left = a, *right = b;

	if (left->user != right->user)
		return left->user < right->user ? -1 : 1;
	if (left->when_ms != right->when_ms)
		return left->when_ms < right->when_ms ? -1 : 1;
	return memcmp(&left->id, &right->id, sizeof(left->id));
}

/* Why nothing may be published for a user; NULL: it may. An index that cannot be read says neither. */
static int barred(struct rk_snapshot *snapshot, const struct rk_user *user, const char **reason)
{
	struct rk_repo repo;
	int r;

	*reason = "no ATProto account";
	if (user->did.len == 0)
		return 0;
	*reason = NULL;
	r = rk_read_repo_by_did(snapshot, &repo, user->did);
	if (r == RK_STORE_OK && repo.flags & RK_REPO_TOMBSTONE)
		*reason = "forgotten: never published again";
	return rk_read_ended(r);
}

static int tell_without(struct rk_publish_run *run, struct rk_mongo *mongo,
	const struct rk_user *user, const char *reason, uint64_t count)
{
	struct rk_publish_without without = {
		.id = user->id, .handle = user->handle, .reason = reason, .count = count};
	struct rk_buf email = {0};
	int r = rk_mongo_user_text(mongo, &email, user->id, "email");

	without.email = rk_buf_cstr(&email);
	run->summary->counts[RK_PUBLISH_SKIPPED] += count;
	run->left_out += count;
	run->told += count;
	if (r == 0 && run->request->without)
		run->request->without(run->request->context, &without);
	rk_buf_finish(&email);
	return r;
}

/* How many documents there will be lines of, or were told of together, as far as is known. */
static uint64_t lines_of(const struct rk_publish_run *run)
{
	uint64_t limit = run->request->limit, most = run->id_count;

	if (limit && limit < most && limit + run->passed < most)
		most = limit + run->passed;
	return most + run->hopeless + run->left_out;
}

static void hopeless_tell(struct rk_publish_run *run, const struct selection *s)
{
	const struct rk_user nobody = {0};

	for (size_t i = 0; i < s->hopeless_count; i++) {
		const struct hopeless *one = &s->hopeless[i];
		const struct rk_publish_line line = {.n = ++run->told,
			.total = lines_of(run),
			.user = one->user ? one->user : &nobody,
			.ref = one->id,
			.rkey = "",
			.words = "",
			.outcome = RK_PUBLISH_FAILED,
			.reason = one->reason};

		run->summary->counts[RK_PUBLISH_FAILED]++;
		if (run->request->line)
			run->request->line(run->request->context, &line);
	}
}

/* From candidates in order of their users to persons. */
static int persons_make(struct rk_publish_run *run, struct rk_mongo *mongo, struct selection *s,
	struct rk_snapshot *snapshot)
{
	int r = 0;

	run->ids = calloc(s->count + 1, sizeof(*run->ids));
	run->persons = calloc(s->count + 1, sizeof(*run->persons));
	if (!run->ids || !run->persons)
		return -ENOMEM;
	for (size_t from = 0, to; r == 0 && from < s->count; from = to) {
		const struct rk_user *user = s->list[from].user;
		const char *reason;

		for (to = from; to < s->count && s->list[to].user == user;)
			to++;
		r = rk_snapshot_begin(snapshot);
		if (r)
			break;
		r = barred(snapshot, user, &reason);
		rk_snapshot_end(snapshot);
		if (r)
			break;
		if (reason) {
			r = tell_without(run, mongo, user, reason, to - from);
			continue;
		}
		run->persons[run->person_count++] = (struct rk_publish_person){
			.user = user, .from = run->id_count, .count = to - from};
		for (size_t i = from; i < to; i++)
			run->ids[run->id_count++] = s->list[i].id;
	}
	return r;
}

static int strangers_tell(struct rk_publish_run *run, struct rk_mongo *mongo, struct rk_users *all)
{
	int r = rk_users_seal(all);

	for (size_t from = 0, to; r == 0 && from < all->count; from = to) {
		for (to = from;
			to < all->count && rk_slice_equal(all->list[to].id, all->list[from].id);)
			to++;
		r = tell_without(run, mongo, &all->list[from], "no ATProto account", to - from);
	}
	return r;
}

/* They were looked for a moment ago, and each is looked at again before it is written. */
static int some_take(struct selection *s)
{
	const struct rk_publish_some *some = s->run->request->some;
	int r = 0;

	for (size_t i = 0; r == 0 && i < some->count; i++)
		r = keep(s, some->list[i].user, some->list[i].when_ms, &some->list[i].id);
	return r;
}

static int users_take(struct rk_publish_run *run, struct rk_mongo *mongo)
{
	run->users = run->request->some ? run->request->some->users : &run->users_read;
	return run->request->some ? 0 : rk_mongo_users(mongo, &run->users_read, true);
}

static int select_all(struct rk_publish_run *run, struct rk_mongo *mongo, struct rk_store *store)
{
	const struct rk_publish_request *request = run->request;
	struct selection s = {.run = run};
	struct rk_snapshot *snapshot = NULL;
	int r = users_take(run, mongo);

	run->summary->nobody = r == 0 && run->users->count == 0;
	if (r == 0)
		r = rk_users_by_names(run->users, &s.only, request->users, run->error);
	if (r == 0)
		r = rk_users_by_names(run->users, &s.skip, request->skip, run->error);
	if (r == 0) {
		s.guest = rk_users_by_id(run->users, rk_slice_str(run->options->guest_user));
		r = request->some ? some_take(&s)
				  : rk_mongo_unpublished(mongo, run->collection, candidate_add, &s);
	}
	if (r == 0)
		r = rk_snapshot_create(&snapshot, store);
	if (r == 0 && s.count > 0)
		qsort(s.list, s.count, sizeof(*s.list), by_user_and_key);
	run->hopeless = s.hopeless_count;
	run->summary->found = s.count + s.strangers.count + s.hopeless_count;
	if (r == 0 && request->begin)
		request->begin(request->context, run->summary->found);
	if (r == 0)
		r = persons_make(run, mongo, &s, snapshot);
	if (r == 0)
		r = strangers_tell(run, mongo, &s.strangers);
	if (r == 0)
		hopeless_tell(run, &s);
	if (r == 0 && request->progress)
		request->progress(request->context, run->told, lines_of(run));
	r = rk_mongo_result(mongo, r, run->error);
	rk_snapshot_destroy(snapshot);
	rk_users_finish(&s.strangers);
	rk_arena_finish(&s.arena);
	free(s.hopeless);
	free(s.only);
	free(s.skip);
	free(s.list);
	return r;
}

/* Telling */

static void tell(struct rk_publish_run *run, const struct rk_publish_parcel *parcel)
{
	if (parcel->waiting_ms && run->request->waiting)
		run->request->waiting(
			run->request->context, parcel->person->user, parcel->waiting_ms);
	for (size_t i = 0; i < parcel->count; i++)
		run->passed += !rk_publish_took_place(&parcel->items[i]);
	for (size_t i = 0; i < parcel->count; i++) {
		const struct rk_publish_item *item = &parcel->items[i];
		struct rk_publish_line line = {
			.n = ++run->told,
			.total = lines_of(run),
			.user = parcel->person->user,
			.rkey = item->rkey,
			.words = item->words,
			.outcome = item->outcome,
			.reason = item->reason,
			.of_account = item->write.of_account,
		};
		char ref[RK_OID_LEN + 1];

		rk_oid_format(ref, &item->document.id);
		line.ref = ref;
		run->summary->counts[item->outcome]++;
		if (run->request->line)
			run->request->line(run->request->context, &line);
	}
}

/* The parcels that lie there, or NULL when no thread works any more. */
static struct rk_publish_parcel *take(struct rk_publish_run *run)
{
	const atomic_bool *stop = run->request->stop;
	struct rk_publish_parcel *parcels;
	int64_t stopped_ms = 0;

	pthread_mutex_lock(&run->lock);
	while (!run->first && run->working > 0) {
		const struct timespec until = rk_clock_after(TICK_MS);

		pthread_cond_timedwait(&run->filled, &run->lock, &until);
		/* What is under way may end, unless the PDS says nothing at all. */
		if (!stop || !atomic_load(stop))
			continue;
		if (stopped_ms == 0)
			stopped_ms = rk_clock_mono_ms();
		else if (rk_clock_mono_ms() - stopped_ms > STOPPED_MOST_MS)
			atomic_store(&run->cancel, true);
	}
	parcels = run->first;
	run->first = NULL;
	run->last = &run->first;
	run->queued = 0;
	pthread_cond_broadcast(&run->emptied);
	pthread_mutex_unlock(&run->lock);
	return parcels;
}

static void settle_all(struct rk_publish_run *run, struct rk_mongo *mongo)
{
	struct rk_publish_parcel *parcels;
	int r = 0;

	while ((parcels = take(run))) {
		if (r == 0 && !run->request->dry_run) {
			r = rk_publish_link(run, mongo, parcels);
			if (r && r != -EHOSTUNREACH)
				rk_publish_fail(run, r, strerror(-r));
		}
		while (parcels) {
			struct rk_publish_parcel *next = parcels->next;

			/* Not linked: what the PDS has is found again by the next run. */
			if (r == 0)
				tell(run, parcels);
			rk_publish_parcel_destroy(parcels);
			parcels = next;
		}
	}
}

static int work_all(struct rk_publish_run *run, struct rk_mongo *mongo)
{
	size_t most = (size_t)run->options->threads * THREADS_EACH, started = 0;
	pthread_t threads[THREADS_MOST];
	int r = 0;

	if (most < THREADS_LEAST)
		most = THREADS_LEAST;
	if (run->pictures)
		most *= 2;
	if (most > THREADS_MOST)
		most = THREADS_MOST;
	if (rk_publish_is_one_by_one(run->request))
		most = 1;
	run->logins_most = (most + 1) / 2;
	if (most > run->person_count)
		most = run->person_count;
	run->working = most;
	for (; r == 0 && started < most; started++) {
		r = -pthread_create(&threads[started], NULL, rk_publish_work, run);
		if (r)
			break;
	}
	if (r) {
		rk_publish_fail(run, r, strerror(-r));
		pthread_mutex_lock(&run->lock);
		run->working -= most - started;
		pthread_mutex_unlock(&run->lock);
	}
	settle_all(run, mongo);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	return run->failure ? run->failure : run->given_up ? -EHOSTUNREACH : 0;
}

int rk_publish_run(struct rk_store *store, struct rk_publish_summary *out,
	const struct rk_publish_options *options, const struct rk_publish_request *request)
{
	struct rk_publish_run run = {
		.store = store,
		.options = options,
		.request = request,
		.collection = &rk_collections[request->collection],
		.summary = out,
		.left = request->limit ? request->limit : UINT64_MAX,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.emptied = PTHREAD_COND_INITIALIZER,
	};
	struct rk_mongo *mongo = NULL;
	int r;

	rk_clock_cond_init(&run.filled);
	rk_clock_cond_init(&run.logged_in);
	*out = (struct rk_publish_summary){0};
	run.last = &run.first;
	r = rk_mongo_create(&mongo, options->mongo_uri, options->database, run.error);
	if (r == 0)
		r = select_all(&run, mongo, store);
	if (r == 0)
		r = rk_publish_thumbnails_begin(&run);
	if (r == 0)
		r = work_all(&run, mongo);
	rk_publish_thumbnails_end(&run);
	out->put_off = run.put_off;
	out->limited = run.limited;
	out->stopped = request->stop && atomic_load(request->stop);
	snprintf(out->error, sizeof(out->error), "%s", run.error);
	rk_mongo_destroy(mongo);
	rk_users_finish(&run.users_read);
	free(run.ids);
	free(run.persons);
	pthread_mutex_destroy(&run.lock);
	pthread_cond_destroy(&run.filled);
	pthread_cond_destroy(&run.logged_in);
	pthread_cond_destroy(&run.emptied);
	return r;
}
