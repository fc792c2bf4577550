/* See repair.h. One user after the other: audited, then repaired, on the caller's thread. */
#include "repair/repair.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "repair/inside.h"

bool rk_repair_stopping(void *context)
{
	const struct rk_repair_run *run = context;
	const atomic_bool *stop = run->request->stop;

	return stop && atomic_load(stop);
}

void rk_repair_tell(
	struct rk_repair_run *run, const struct rk_user *user, const struct rk_repair_step *step)
{
	run->summary->counts[step->action][step->state]++;
	if (run->request->step)
		run->request->step(run->request->context, user, step);
}

static void limit_take(struct rk_repair_run *run, struct rk_repair_steps *steps)
{
	if (steps->count > run->left) {
		steps->count = (size_t)run->left;
		run->summary->limited = true;
	}
	run->left -= steps->count;
}

/* A plan is a list that somebody looked at. */
static bool is_guarded(const struct rk_repair_run *run)
{
	return !run->request->plan && run->request->kinds & RK_REPAIR_BIT(ORPHANS);
}

static bool are_too_many(uint64_t removed, uint64_t records)
{
	return removed > RK_REPAIR_ORPHANS_MOST && removed > records / RK_REPAIR_ORPHANS_SHARE;
}

static void orphans_refuse(
	struct rk_repair_run *run, struct rk_slice of, uint64_t removed, uint64_t records)
{
	if (!run->too_many)
		snprintf(run->summary->refusal, sizeof(run->summary->refusal),
			"orphans: the documents of %" PRIu64 " of %" PRIu64
			" records of %.*s are not there any more, which is more than %d and one in %d: if MongoDB was lost, or REFKEY_MONGO_DB is another, `refkey recover --restore` or the right name helps; if they are to go, make a plan (--plan FILE), look at it, and --apply it",
			removed, records, of.len < 100 ? (int)of.len : 100, (const char *)of.data,
			RK_REPAIR_ORPHANS_MOST, RK_REPAIR_ORPHANS_SHARE);
	run->too_many = true;
}

/* Records whose documents were there once, and are not marked but gone. */
static void orphans_count(struct rk_repair_run *run, const struct rk_audit_person *person)
{
	uint64_t removed = 0, records = 0, all;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		const struct rk_audit_collection *c = &person->collections[i];

		records += c->record_count;
		for (size_t k = 0; k < c->record_count; k++)
			removed += c->records[k].kind == RK_AUDIT_ORPHANED &&
				c->records[k].document == RK_AUDIT_NONE;
	}
	run->removed += removed;
	run->records += records;
	if (are_too_many(removed, records))
		orphans_refuse(run, person->user->id, removed, records);
	/* Later on, of what the pass before counted; before, it is known only at the end. */
	all = run->records_before;
	if (all && are_too_many(run->removed, all))
		orphans_refuse(run, rk_slice_str("all"), run->removed, all);
}

static int person_take(void *context, const struct rk_audit_person *person)
{
	struct rk_repair_run *run = context;
	const struct rk_repair_request *request = run->request;
	const json_t *part =
		request->plan ? rk_repair_plan_find(request->plan, person->user) : NULL;
	struct rk_repair_steps steps = {0};
	char print[RK_REPAIR_PRINT_SIZE];
	int r;

	run->summary->begun = true;
	if (rk_repair_stopping(run))
		return 0;
	if (person->unread) {
		run->summary->unread += !run->checking;
		if (request->unread && !run->checking)
			request->unread(request->context, person);
		return 0;
	}
	if (person->user->did.len == 0 || (request->plan && !part))
		return 0;
	if (is_guarded(run))
		orphans_count(run, person);
	if (run->yes && !run->checking && run->too_many)
		return -EPERM;
	r = rk_repair_plan(&steps, run, person);
	if (r == 0 && part && !rk_repair_plan_apply(&steps, part, person)) {
		snprintf(run->summary->error, sizeof(run->summary->error),
			"%.*s: a side has moved since the plan was made%s",
			RK_SLICE_ARG(person->user->id),
			run->checking ? ", so nothing is done: make a new one" : "");
		r = -ESTALE;
	}
	run->seen += r == 0;
	if (r == 0 && !run->checking) {
		limit_take(run, &steps);
		if (run->yes && steps.count)
			r = rk_repair_carry_out(run, person, &steps);
		for (size_t i = 0; i < steps.count; i++) {
			/* What the end of the run left open is not told: it is for the next. */
			if (!run->yes || steps.list[i].state != RK_REPAIR_PLANNED)
				rk_repair_tell(run, person->user, &steps.list[i]);
		}
		rk_repair_print(print, person);
		if (steps.count && request->user)
			request->user(request->context, person, print);
	}
	free(steps.list);
	return r;
}

/* Of both passes, where there are two. */
static void progress(void *context, uint64_t done, uint64_t total)
{
	const struct rk_repair_run *run = context;
	uint64_t before = run->users_before;

	if (run->request->progress)
		run->request->progress(run->request->context, before + done,
			run->checking ? 2 * total : before + total);
}

static void waiting(void *context, int64_t ms)
{
	const struct rk_repair_run *run = context;

	if (run->request->waiting)
		run->request->waiting(run->request->context, ms);
}

/* The users of the plan, ended by NULL; to be freed. */
static const char **plan_users(const json_t *plan)
{
	const json_t *users = json_object_get(plan, "users"), *user;
	const char **list = calloc(json_array_size(users) + 1, sizeof(*list));
	size_t i;

	json_array_foreach(users, i, user)
	{
		if (list)
			list[i] = json_string_value(json_object_get(user, "user"));
	}
	return list;
}

static int pass(struct rk_repair_run *run, const char *const *users)
{
	const struct rk_audit_request request = {
		.users = users,
		.skip = run->request->skip,
		.in_turn = true,
		.max_wait_ms = run->request->max_wait_ms,
		.person = person_take,
		.progress = progress,
		.waiting = waiting,
		.context = run,
		.stop = run->request->stop,
	};
	struct rk_audit_summary summary;
	int r = rk_audit_run(run->store, &summary, &run->options->audit, &request);

	run->summary->stopped = summary.stopped;
	run->users_before = summary.users;
	if (r && summary.error[0])
		snprintf(run->summary->error, sizeof(run->summary->error), "%s", summary.error);
	return r;
}

/* One pass that only counts, where orphans are to be deleted: then all that would be deleted is named, or it
 * is done. */
static int run_kinds(struct rk_repair_run *run)
{
	const char *const *users = run->request->users;
	int r = 0;

	if (run->yes && is_guarded(run)) {
		run->checking = true;
		r = pass(run, users);
		run->checking = false;
		if (are_too_many(run->removed, run->records))
			orphans_refuse(run, rk_slice_str("all"), run->removed, run->records);
		run->yes = !run->too_many;
		run->summary->refused = r == 0 && run->too_many;
		run->records_before = run->records;
		run->records = run->removed = 0;
	}
	if (r == 0 && !run->summary->stopped)
		r = pass(run, users);
	if (!run->request->yes && are_too_many(run->removed, run->records))
		orphans_refuse(run, rk_slice_str("all"), run->removed, run->records);
	return r == 0 && run->too_many && run->request->yes ? -EPERM : r;
}

static int run_plan(struct rk_repair_run *run)
{
	const json_t *plan = run->request->plan;
	size_t count = json_array_size(json_object_get(plan, "users"));
	const char **users;
	int r;

	if (count == 0)
		return 0;
	users = plan_users(plan);
	if (!users)
		return -ENOMEM;
	run->checking = true;
	r = pass(run, users);
	if (r == -ENOENT) {
		char who[sizeof(run->summary->error)];

		memcpy(who, run->summary->error, sizeof(who));
		snprintf(run->summary->error, sizeof(run->summary->error),
			"the plan: %.120s, so nothing is done: make a new one", who);
		r = -ESTALE;
	}
	if (r == 0 && !run->summary->stopped && run->seen < count) {
		snprintf(run->summary->error, sizeof(run->summary->error),
			"%zu users of the plan cannot be read as they were, so nothing is done: make a new one",
			count - (size_t)run->seen);
		r = -ESTALE;
	}
	run->checking = false;
	if (r == 0 && !run->summary->stopped)
		r = pass(run, users);
	free(users);
	return r;
}

int rk_repair_open(struct rk_repair_run *run)
{
	const struct rk_audit_options *audit = &run->options->audit;
	const struct rk_account_options account = {
		.pds = audit->pds,
		.bypass_key = audit->bypass_key,
		.max_wait_ms = run->request->max_wait_ms,
		.stop = run->request->stop,
		.waiting = waiting,
		.last_look = rk_repair_last_look,
		.context = run,
	};
	int r = rk_mongo_create(
		&run->mongo, audit->mongo_uri, audit->database, run->summary->error);

	run->account = r == 0 ? rk_account_create(run->mongo, &account) : NULL;
	return r == 0 && !run->account ? -ENOMEM : r;
}

void rk_repair_close(struct rk_repair_run *run)
{
	rk_undo_close(&run->undo);
	rk_account_destroy(run->account);
	rk_mongo_destroy(run->mongo);
}

int rk_repair_run(struct rk_store *store, struct rk_writer *writer, struct rk_repair_summary *out,
	const struct rk_repair_options *options, const struct rk_repair_request *request)
{
	struct rk_repair_run run = {
		.store = store,
		.writer = writer,
		.options = options,
		.request = request,
		.summary = out,
		.yes = request->yes,
		.left = request->limit ? request->limit : UINT64_MAX,
	};
	int r = 0;

	*out = (struct rk_repair_summary){0};
	if (request->plan)
		r = rk_repair_plan_check(request->plan, options, out->error);
	if (r == 0)
		r = rk_repair_open(&run);
	if (r == 0)
		r = request->plan ? run_plan(&run) : run_kinds(&run);
	rk_repair_close(&run);
	out->stopped |= r == -ECANCELED;
	out->begun |= r == 0;
	return r == -ECANCELED ? 0 : r;
}
