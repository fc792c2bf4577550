/* Who is to be audited, and their documents by owner; see inside.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/inside.h"
#include "base/list.h"
#include "mirror/lost.h"
#include "mongo/audit.h"
#include "mongo/build.h"

enum { ASKED_MOST = 1000 }; /* users in one question; of more all documents are read */

struct selection {
	struct rk_audit_run *run;
	const struct rk_user **only, **skip; /* ended by NULL; NULL: none */
};

/* Of one collection's documents, on a thread and with a client of its own. */
struct reading {
	const struct selection *selection;
	uint8_t collection;
	struct rk_audit_entry *entries; /* texts in the run's arena for the collection */
	size_t count, room;
	int result;
	char error[256];
	pthread_t thread;
};

static bool is_among(const struct rk_user *const *list, const struct rk_user *user)
{
	for (; list && *list; list++) {
		if (*list == user)
			return true;
	}
	return false;
}

static bool is_wanted(const struct selection *s, const struct rk_user *user)
{
	return (!s->only || is_among(s->only, user)) && !is_among(s->skip, user);
}

/* In the words of publish. */
static const char *flaw_of(const struct rk_document *document, bool foreign)
{
	if (document->user.presence == RK_PRESENCE_OTHER)
		return "its user is no string";
	if (foreign)
		return "the _id is no ObjectId";
	if (document->rkey.presence == RK_PRESENCE_OTHER ||
		(document->rkey.presence == RK_PRESENCE_STRING && document->rkey.text.len == 0))
		return "its atproto.rkey is no key";
	return NULL;
}

static bool keep(struct rk_arena *arena, struct rk_slice *text)
{
	const char *copy = text->len ? rk_arena_copy(arena, *text) : NULL;
	bool kept = copy || text->len == 0;

	*text = rk_slice_make(copy, copy ? text->len : 0);
	return kept;
}

/* Only what is told of a document later is kept of it: there may be a million. */
static int document_take(void *context, const struct rk_document *document, struct rk_slice id)
{
	struct reading *reading = context;
	const struct selection *s = reading->selection;
	struct rk_audit_run *run = s->run;
	struct rk_arena *arena = &run->arenas[reading->collection];
	struct rk_slice owner = rk_document_owner(document, run->options->guest_user);
	struct rk_slice rkey = rk_document_rkey(document), code = document->code;
	const struct rk_user *user = rk_users_by_id(&run->users, owner);

	if (user ? !is_wanted(s, user) : s->only != NULL)
		return 0;
	if (user)
		owner = user->id;
	if ((!user && !keep(arena, &owner)) || !keep(arena, &rkey) || !keep(arena, &code) ||
		!keep(arena, &id))
		return -ENOMEM;
	if (rk_list_grow(&reading->entries, &reading->room, reading->count,
		    sizeof(*reading->entries)) != 0)
		return -ENOMEM;
	reading->entries[reading->count++] = (struct rk_audit_entry){
		.owner = owner,
		.collection = reading->collection,
		.document = {.id = document->id,
			.foreign = id.len > 0,
			.name = id,
			.flaw = flaw_of(document, id.len > 0),
			.gone = document->gone,
			.rkey = rkey,
			.code = code},
	};
	return 0;
}

static int entry_order(const void *a, const void *b)
{
	const struct rk_audit_entry *left = a, *right = b;
	int order = rk_slice_compare(left->owner, right->owner);

	return order
		? order
		: (left->collection > right->collection) - (left->collection < right->collection);
}

static void subject_add(
	struct rk_audit_run *run, const struct rk_user *user, size_t from, size_t count)
{
	run->subjects[run->subject_count++] =
		(struct rk_audit_subject){.user = user, .from = from, .count = count};
}

/* Users and owners of documents, both in order of their ids. */
static int subjects_make(const struct selection *s)
{
	struct rk_audit_run *run = s->run;
	size_t at = 0, others = 0;

	run->subjects = calloc(run->users.count + run->entry_count + 1, sizeof(*run->subjects));
	run->others = calloc(run->entry_count + 1, sizeof(*run->others));
	if (!run->subjects || !run->others)
		return -ENOMEM;
	if (run->entry_count)
		qsort(run->entries, run->entry_count, sizeof(*run->entries), entry_order);
	for (size_t i = 0; i <= run->users.count; i++) {
		const struct rk_user *user = i < run->users.count ? &run->users.list[i] : NULL;
		size_t from;

		/* Whoever comes before the user is none. */
		while (at < run->entry_count &&
			(!user || rk_slice_compare(run->entries[at].owner, user->id) < 0)) {
			from = at;
			while (at < run->entry_count &&
				rk_slice_equal(run->entries[at].owner, run->entries[from].owner))
				at++;
			run->others[others].id = run->entries[from].owner;
			subject_add(run, &run->others[others++], from, at - from);
		}
		if (!user || !is_wanted(s, user))
			continue;
		from = at;
		while (at < run->entry_count && rk_slice_equal(run->entries[at].owner, user->id))
			at++;
		if (at > from || user->did.len || s->only)
			subject_add(run, user, from, at - from);
	}
	return 0;
}

/* The documents of who is to be audited: one user's are no reason to read everybody's. */
static int documents_select(struct reading *reading, struct rk_mongo *mongo)
{
	const struct selection *s = reading->selection;
	const struct rk_mongo_whose whose = {.users = s->only,
		.nobodys = is_among(s->only,
			rk_users_by_id(&s->run->users, rk_slice_str(s->run->options->guest_user)))};
	size_t count = 0;

	while (s->only && s->only[count])
		count++;
	return rk_mongo_each(mongo, &rk_collections[reading->collection],
		count && count <= ASKED_MOST ? &whose : NULL, document_take, reading);
}

static void *reading_run(void *context)
{
	struct reading *reading = context;
	const struct rk_audit_options *options = reading->selection->run->options;
	struct rk_mongo *mongo = NULL;
	int r = rk_mongo_create(&mongo, options->mongo_uri, options->database, reading->error);

	if (r == 0)
		r = documents_select(reading, mongo);
	reading->result = rk_mongo_result(mongo, r, reading->error);
	rk_mongo_destroy(mongo);
	return NULL;
}

static int entries_append(struct rk_audit_run *run, const struct reading *reading)
{
	struct rk_audit_entry *list = reallocarray(
		run->entries, run->entry_count + reading->count + 1, sizeof(*run->entries));

	if (!list)
		return -ENOMEM;
	run->entries = list;
	if (reading->count)
		memcpy(&list[run->entry_count], reading->entries, reading->count * sizeof(*list));
	run->entry_count += reading->count;
	return 0;
}

/* All collections at once: the PDS has nothing to do before they are read. */
static int documents_read(const struct selection *s)
{
	struct reading readings[RK_COLLECTION_COUNT];
	int r = 0, started = 0;

	for (; r == 0 && started < RK_COLLECTION_COUNT; started += r == 0) {
		readings[started] =
			(struct reading){.selection = s, .collection = (uint8_t)started};
		r = -pthread_create(
			&readings[started].thread, NULL, reading_run, &readings[started]);
	}
	for (int i = 0; i < started; i++) {
		struct reading *reading = &readings[i];

		pthread_join(reading->thread, NULL);
		if (r == 0 && reading->result) {
			r = reading->result;
			memcpy(s->run->error, reading->error, sizeof(reading->error));
		}
		if (r == 0)
			r = entries_append(s->run, reading);
		free(reading->entries);
	}
	return r;
}

int rk_audit_select(struct rk_audit_run *run)
{
	const struct rk_audit_options *options = run->options;
	struct selection s = {.run = run};
	struct rk_mongo *mongo = NULL;
	int r = rk_mongo_create(&mongo, options->mongo_uri, options->database, run->error);

	if (r == 0)
		r = rk_mongo_users(mongo, &run->users, true);
	if (r == 0)
		r = rk_users_by_names(&run->users, &s.only, run->request->users, run->error);
	if (r == 0)
		r = rk_users_by_names(&run->users, &s.skip, run->request->skip, run->error);
	r = rk_mongo_result(mongo, r, run->error);
	rk_mongo_destroy(mongo);
	if (r == 0)
		r = documents_read(&s);
	if (r == 0)
		r = subjects_make(&s);
	if (r == 0 && run->subject_count == 0 && !s.skip)
		r = rk_mongo_lost(run->store, options->database, run->error);
	free(s.only);
	free(s.skip);
	return r;
}

/* From the index alone */

static bool all_are_dids(const char *const *names)
{
	for (; names && *names; names++) {
		if (strncmp(*names, "did:", strlen("did:")) != 0)
			return false;
	}
	return true;
}

/* Beside those of MongoDB, where names were to be asked there, a user for each other repo of the index, known by its
 * DID. */
static int users_index(struct rk_audit_run *run, struct rk_snapshot *snapshot)
{
	struct rk_repo repo = {0};
	int r = 0;

	for (rk_repo_id id = 0; r == 0; id = repo.id) {
		r = rk_read_repo_after(snapshot, &repo, id);
		if (r == 0 && !rk_users_by_did(&run->users, repo.did)) {
			const struct rk_user user = {.id = repo.did, .did = repo.did};

			r = rk_users_add(&run->users, &user);
		}
	}
	if (r == RK_STORE_ABSENT)
		r = rk_users_seal(&run->users);
	return rk_read_found(r);
}

/* Who was named, whether the index has of them or not; else all that it has. */
static int subjects_indexed(const struct selection *s, struct rk_snapshot *snapshot)
{
	struct rk_audit_run *run = s->run;

	run->subjects = calloc(run->users.count + 1, sizeof(*run->subjects));
	if (!run->subjects)
		return -ENOMEM;
	for (size_t i = 0; i < run->users.count; i++) {
		const struct rk_user *user = &run->users.list[i];
		struct rk_repo repo;
		int r = 0;

		if (!is_wanted(s, user))
			continue;
		if (!s->only)
			r = user == rk_users_by_did(&run->users, user->did)
				? rk_read_repo_by_did(snapshot, &repo, user->did)
				: RK_STORE_ABSENT;
		if (r == 0)
			subject_add(run, user, 0, 0);
		else if (r != RK_STORE_ABSENT)
			return rk_read_found(r);
	}
	return 0;
}

static int users_handles(struct rk_audit_run *run)
{
	struct rk_mongo *mongo = NULL;
	int r;

	if (all_are_dids(run->request->users) && all_are_dids(run->request->skip))
		return 0;
	r = rk_mongo_create(&mongo, run->options->mongo_uri, run->options->database, run->error);
	if (r == 0)
		r = rk_mongo_users(mongo, &run->users, true);
	r = rk_mongo_result(mongo, r, run->error);
	rk_mongo_destroy(mongo);
	return r;
}

int rk_audit_select_indexed(struct rk_audit_run *run)
{
	struct selection s = {.run = run};
	struct rk_snapshot *snapshot = NULL;
	int r = users_handles(run);

	if (r == 0)
		r = rk_snapshot_create(&snapshot, run->store);
	if (r == 0)
		r = rk_snapshot_begin(snapshot);
	if (r == 0) {
		r = users_index(run, snapshot);
		if (r == 0)
			r = rk_users_by_names(
				&run->users, &s.only, run->request->users, run->error);
		if (r == 0)
			r = rk_users_by_names(&run->users, &s.skip, run->request->skip, run->error);
		if (r == 0)
			r = subjects_indexed(&s, snapshot);
		rk_snapshot_end(snapshot);
	}
	rk_snapshot_destroy(snapshot);
	free(s.only);
	free(s.skip);
	return r;
}
