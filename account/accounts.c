/* See accounts.h. Who they are; what is done for each is in accounts_make.c. */
#include "account/accounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "account/accounts_make.h"
#include "base/encode.h"
#include "mongo/publish.h"

#define ROW(id, name, text) [RK_ACCOUNTS_##id] = {name, text},
const struct rk_accounts_outcome_row rk_accounts_outcome_rows[RK_ACCOUNTS_OUTCOME_COUNT] = {
	RK_ACCOUNTS_OUTCOMES(ROW)};
#undef ROW

struct run {
	const struct rk_accounts_options *options;
	const struct rk_accounts_request *request;
	struct rk_accounts_summary *summary;
	struct rk_mongo *mongo;
	struct rk_users users;
	uint64_t *counts;          /* of users.list */
	struct rk_users strangers; /* owners that users does not have, one for each document */
	const struct rk_user *guest;
	struct rk_accounts_person *persons;
	size_t person_count;
};

static int count_one(struct run *run, const struct rk_document *document)
{
	struct rk_slice owner = rk_document_owner(document, run->options->guest_user);
	const struct rk_user *user;

	if (document->gone || document->user.presence == RK_PRESENCE_OTHER)
		return 0;
	user = rk_users_by_id(&run->users, owner);
	if (!user)
		return rk_users_add(&run->strangers, &(struct rk_user){.id = owner});
	run->counts[user - run->users.list]++;
	return 0;
}

static int count_all(struct run *run, const struct rk_collection *collection)
{
	struct rk_mongo_scan *scan = NULL;
	struct rk_documents documents = {0};
	struct rk_arena arena = {0};
	bool more = true;
	int r = rk_mongo_scan_begin(run->mongo, &scan, collection);

	while (r == 0 && more) {
		documents.count = 0;
		rk_arena_reset(&arena);
		r = rk_mongo_scan_next(scan, &documents, &arena, &more);
		for (size_t i = 0; r == 0 && i < documents.count; i++)
			r = count_one(run, &documents.list[i]);
	}
	rk_mongo_scan_end(scan);
	rk_documents_finish(&documents);
	rk_arena_finish(&arena);
	return r;
}

/* 0: not among them; -ENOENT: one of the names is nobody's, or of several. */
static int is_among(struct run *run, const char *const *names, const struct rk_user *user)
{
	for (size_t i = 0; names && names[i]; i++) {
		const struct rk_user *named =
			rk_users_by_name(&run->users, rk_slice_str(names[i]), run->summary->error);

		if (!named)
			return -ENOENT;
		if (named == user)
			return 1;
	}
	return 0;
}

static int person_add(struct run *run, const struct rk_user *user, uint64_t count, bool known)
{
	struct rk_accounts_person *person = &run->persons[run->person_count++];
	struct rk_buf email = {0};
	int r = known ? rk_mongo_user_text(run->mongo, &email, user->id, "email") : 0;
	const char *copy = "";

	if (r == 0 && email.len > 0 && rk_utf8_valid(rk_buf_slice(&email)))
		copy = rk_arena_copy(&run->users.arena, rk_buf_slice(&email));
	rk_buf_finish(&email);
	*person = (struct rk_accounts_person){.id = user->id,
		.handle = user->handle,
		.email = copy,
		.count = count,
		.known = known};
	run->summary->users++;
	run->summary->documents += count;
	return r ? r : copy ? 0 : -ENOMEM;
}

static int most_first(const void *a, const void *b)
{
	const struct rk_accounts_person *left = a, *right = b;

	if (left->count != right->count)
		return left->count < right->count ? 1 : -1;
	return rk_slice_compare(left->id, right->id);
}

static int persons_make(struct run *run)
{
	const struct rk_accounts_request *request = run->request;
	const struct rk_users *strangers = &run->strangers;
	int r = rk_users_seal(&run->strangers);

	if (r == 0)
		r = is_among(run, request->users, NULL);
	if (r == 0)
		r = is_among(run, request->skip, NULL);
	run->persons = calloc(run->users.count + strangers->count + 1, sizeof(*run->persons));
	if (!run->persons)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < run->users.count; i++) {
		const struct rk_user *user = &run->users.list[i];

		if (run->counts[i] == 0 || user->did.len > 0 ||
			(request->users && request->users[0] &&
				!is_among(run, request->users, user)) ||
			is_among(run, request->skip, user))
			continue;
		r = person_add(run, user, run->counts[i], true);
	}
	for (size_t from = 0, to; r == 0 && from < strangers->count; from = to) {
		for (to = from; to < strangers->count &&
			rk_slice_equal(strangers->list[to].id, strangers->list[from].id);)
			to++;
		if (!request->users || !request->users[0])
			r = person_add(run, &strangers->list[from], to - from, false);
	}
	if (r == 0 && run->person_count > 0)
		qsort(run->persons, run->person_count, sizeof(*run->persons), most_first);
	return r;
}

static int select_all(struct run *run)
{
	int r = rk_mongo_users(run->mongo, &run->users, true);

	run->counts = calloc(run->users.count + 1, sizeof(*run->counts));
	if (!run->counts)
		return -ENOMEM;
	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++)
		r = count_all(run, &rk_collections[i]);
	if (r == 0)
		r = persons_make(run);
	return rk_mongo_result(run->mongo, r, run->summary->error);
}

static int tell_all(struct run *run, struct rk_accounts_maker *maker)
{
	const struct rk_accounts_request *request = run->request;
	struct rk_accounts_summary *summary = run->summary;
	struct rk_accounts_line *line = calloc(1, sizeof(*line));
	size_t count = run->person_count;
	int r = line ? 0 : -ENOMEM;

	if (request->limit && request->limit < count) {
		count = request->limit;
		summary->limited = true;
	}
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (request->stop && atomic_load(request->stop)) {
			r = -ECANCELED;
			break;
		}
		*line = (struct rk_accounts_line){
			.n = i + 1, .total = count, .person = &run->persons[i]};
		if (maker)
			r = rk_accounts_maker_make(maker, line);
		if (r == RK_ACCOUNTS_PUT_OFF)
			summary->put_off = count - i;
		/* One whose last note failed is there all the same. */
		if (r == 0 || (r == -EIO && line->did[0])) {
			summary->counts[line->outcome]++;
			request->line(request->context, line);
		}
	}
	free(line);
	return r;
}

int rk_accounts_run(struct rk_accounts_summary *out, const struct rk_accounts_options *options,
	const struct rk_accounts_request *request)
{
	struct run run = {.options = options, .request = request, .summary = out};
	struct rk_accounts_maker *maker = NULL;
	int r;

	*out = (struct rk_accounts_summary){0};
	r = rk_mongo_create(&run.mongo, options->mongo_uri, options->database, out->error);
	if (r == 0)
		r = select_all(&run);
	if (r == 0 && request->create) {
		maker = rk_accounts_maker_create(run.mongo, options, request);
		r = maker ? rk_accounts_maker_begin(maker) : -ENOMEM;
	}
	if (r == RK_ACCOUNTS_PUT_OFF)
		out->put_off = run.person_count;
	out->nobody = r == 0 && run.users.count == 0;
	/* What ends before the first account has a summary, too. */
	if (r == 0 || (maker && (r == RK_ACCOUNTS_PUT_OFF || r == -ECANCELED)))
		request->begin(request->context, out->users, out->documents);
	if (r == 0)
		r = tell_all(&run, maker);
	if (maker && !out->error[0])
		snprintf(out->error, sizeof(out->error), "%s", rk_accounts_maker_error(maker));
	rk_accounts_maker_destroy(maker);
	rk_mongo_destroy(run.mongo);
	rk_users_finish(&run.strangers);
	rk_users_finish(&run.users);
	free(run.counts);
	free(run.persons);
	if (r == -ECANCELED) {
		out->stopped = true;
		return 0;
	}
	return r == RK_ACCOUNTS_PUT_OFF ? 0 : r;
}
