/* See inside.h. What is found is sorted by user and key once, and told of where nothing can be published. */
#include "publish/inside.h"

#include <errno.h>
#include <stdlib.h>

#include "base/list.h"

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

static void hopeless_tell(struct rk_publish_run *run, const struct selection *s)
{
	const struct rk_user nobody = {0};

	for (size_t i = 0; i < s->hopeless_count; i++) {
		const struct hopeless *one = &s->hopeless[i];
		const struct rk_publish_line line = {.n = ++run->told,
			.total = rk_publish_lines(run),
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

int rk_publish_select(struct rk_publish_run *run, struct rk_mongo *mongo)
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
		r = rk_snapshot_create(&snapshot, run->store);
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
		request->progress(request->context, run->told, rk_publish_lines(run));
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
