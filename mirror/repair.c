/* See repair.h. One user after the other: audited, then repaired, on the caller's thread. */
#include "mirror/repair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "mirror/repair_inside.h"

bool rk_repair_stopping(void *context)
{
	const struct rk_repair_run *run = context;
	const atomic_bool *stop = run->request->stop;

	return stop && atomic_load(stop);
}

static void step_tell(
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

static int person_take(void *context, const struct rk_audit_person *person)
{
	struct rk_repair_run *run = context;
	const struct rk_repair_request *request = run->request;
	const json_t *part =
		request->plan ? rk_repair_plan_find(request->plan, person->user) : NULL;
	struct rk_repair_steps steps = {0};
	char print[RK_REPAIR_PRINT_SIZE];
	int r;

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
				step_tell(run, person->user, &steps.list[i]);
		}
		rk_repair_print(print, person);
		if (steps.count && request->user)
			request->user(request->context, person, print);
	}
	free(steps.list);
	return r;
}

static void progress(void *context, uint64_t done, uint64_t total)
{
	const struct rk_repair_run *run = context;

	if (run->request->progress && !run->checking)
		run->request->progress(run->request->context, done, total);
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
		.person = person_take,
		.progress = progress,
		.waiting = waiting,
		.context = run,
		.stop = run->request->stop,
	};
	struct rk_audit_summary summary;
	int r = rk_audit_run(run->store, &summary, &run->options->audit, &request);

	run->summary->stopped = summary.stopped;
	if (r && summary.error[0])
		snprintf(run->summary->error, sizeof(run->summary->error), "%s", summary.error);
	return r;
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

static int run_open(struct rk_repair_run *run)
{
	const struct rk_audit_options *audit = &run->options->audit;
	const struct rk_account_options account = {
		.pds = audit->pds,
		.bypass_key = audit->bypass_key,
		.max_wait_ms = run->request->max_wait_ms,
		.stopping = rk_repair_stopping,
		.waiting = waiting,
		.context = run,
	};
	int r = rk_mongo_create(
		&run->mongo, audit->mongo_uri, audit->database, run->summary->error);

	run->account = r == 0 ? rk_account_create(run->mongo, &account) : NULL;
	return r == 0 && !run->account ? -ENOMEM : r;
}

static void run_close(struct rk_repair_run *run)
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
	const char *wrong = request->plan ? rk_repair_plan_wrong(request->plan, options) : NULL;
	int r;

	*out = (struct rk_repair_summary){0};
	if (wrong) {
		snprintf(out->error, sizeof(out->error), "the plan: %s", wrong);
		return -EINVAL;
	}
	r = run_open(&run);
	if (r == 0)
		r = request->plan ? run_plan(&run) : pass(&run, request->users);
	run_close(&run);
	out->stopped |= r == -ECANCELED;
	return r == -ECANCELED ? 0 : r;
}

/* Undoing */

struct put_back {
	struct rk_account_write write;
	struct rk_repair_step step;
	char *record;
};

/* Why nothing may be put back for a DID; NULL: it may. */
static const char *barred(struct rk_store *store, const struct rk_user *user, struct rk_slice did)
{
	struct rk_snapshot *snapshot = NULL;
	const char *reason = user ? NULL : "no user has the DID";
	struct rk_repo repo;

	if (rk_snapshot_create(&snapshot, store) != 0 || rk_snapshot_begin(snapshot) != 0) {
		rk_snapshot_destroy(snapshot);
		return "the index cannot be read";
	}
	if (rk_read_repo_by_did(snapshot, &repo, did) == RK_STORE_OK &&
		repo.flags & RK_REPO_TOMBSTONE)
		reason = "forgotten: never put back";
	rk_snapshot_destroy(snapshot);
	return reason;
}

static void entry_read(struct put_back *out, const json_t *entry)
{
	const char *nsid = json_string_value(json_object_get(entry, "collection"));
	const char *rkey = json_string_value(json_object_get(entry, "rkey"));
	const char *ref = json_string_value(json_object_get(entry, "ref"));
	const char *cid = json_string_value(json_object_get(entry, "cid"));
	const char *why = json_string_value(json_object_get(entry, "kind"));
	int collection = rk_collection_find(rk_slice_str(nsid));
	struct rk_rkey parsed;

	out->step = (struct rk_repair_step){.kind = RK_REPAIR_KIND_COUNT,
		.action = RK_REPAIR_CREATE,
		.collection = (uint8_t)(collection < 0 ? 0 : collection),
		.rkey = rk_slice_str(rkey)};
	for (int kind = 0; why && kind < RK_REPAIR_KIND_COUNT; kind++) {
		if (strcmp(rk_repair_kind_names[kind], why) == 0)
			out->step.kind = (enum rk_repair_kind)kind;
	}
	if (ref)
		out->step.has_id = rk_oid_parse(&out->step.id, rk_slice_str(ref));
	if (cid && !rk_cid_from_text(&out->step.cid, rk_slice_str(cid)))
		out->step.cid = (struct rk_cid){.bytes = {0}};
	out->record = json_dumps(json_object_get(entry, "record"), JSON_COMPACT);
	out->write.write = (struct rk_session_write){.action = RK_SESSION_CREATE,
		.collection = nsid,
		.rkey = rkey,
		.record = rk_slice_str(out->record)};
	if (collection < 0 || !rk_rkey_parse(&parsed, rk_slice_str(rkey)) || !out->record)
		rk_account_settle(
			&out->write, RK_ACCOUNT_FAILED, "not a record of refkey's collections");
}

static void entries_tell(
	struct rk_repair_run *run, const struct rk_user *user, struct put_back *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rk_repair_step *step = &list[i].step;

		if (list[i].write.state == RK_ACCOUNT_OPEN && run->yes)
			continue;
		if (list[i].write.state == RK_ACCOUNT_DONE)
			step->state = RK_REPAIR_DONE;
		else if (list[i].write.state == RK_ACCOUNT_FAILED)
			step->state = RK_REPAIR_FAILED;
		memcpy(step->reason, list[i].write.reason, sizeof(step->reason));
		step_tell(run, user, step);
	}
}

/* All entries of one DID. */
static int did_put_back(struct rk_repair_run *run, const struct rk_user *user, struct rk_slice did,
	struct put_back *list, size_t count)
{
	const struct rk_user nobody = {.did = did};
	const char *reason = barred(run->store, user, did);
	struct rk_account_write **writes = calloc(count + 1, sizeof(*writes));
	int r = writes ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++) {
		writes[i] = &list[i].write;
		if (reason && list[i].write.state == RK_ACCOUNT_OPEN)
			rk_account_settle(&list[i].write, RK_ACCOUNT_FAILED, reason);
	}
	if (r == 0 && !reason) {
		r = rk_account_take(run->account, user);
		if (r == 0)
			r = rk_account_look_up(run->account, writes, count);
		if (r == 0 && run->yes)
			r = rk_account_write(run->account, writes, count, NULL, NULL);
	}
	for (size_t i = 0; r > 0 && r != RK_ACCOUNT_PUT_OFF && i < count; i++) {
		if (list[i].write.state == RK_ACCOUNT_OPEN)
			rk_account_settle(
				&list[i].write, RK_ACCOUNT_FAILED, rk_account_error(run->account));
	}
	for (size_t i = 0; r == RK_ACCOUNT_PUT_OFF && i < count; i++)
		run->summary->put_off += list[i].write.state == RK_ACCOUNT_OPEN;
	if (r == -EHOSTUNREACH)
		snprintf(run->summary->error, sizeof(run->summary->error), "%s",
			rk_account_error(run->account));
	entries_tell(run, user ? user : &nobody, list, count);
	free(writes);
	return r < 0 ? r : 0;
}

static int entries_put_back(struct rk_repair_run *run, const json_t *entries)
{
	size_t all = json_array_size(entries);
	struct put_back *list = calloc(all + 1, sizeof(*list));
	bool *taken = calloc(all + 1, sizeof(*taken));
	struct rk_users users = {0};
	int r = list && taken ? rk_mongo_users(run->mongo, &users, true) : -ENOMEM;

	if (r == -EIO) {
		snprintf(run->summary->error, sizeof(run->summary->error), "MongoDB: %.200s",
			rk_mongo_error(run->mongo));
		r = -EHOSTUNREACH;
	}
	for (size_t i = 0; r == 0 && i < all && !rk_repair_stopping(run); i++) {
		const char *did =
			json_string_value(json_object_get(json_array_get(entries, i), "did"));
		size_t count = 0;

		for (size_t k = i; k < all && !taken[i]; k++) {
			const json_t *entry = json_array_get(entries, k);

			if (taken[k] ||
				strcmp(did, json_string_value(json_object_get(entry, "did"))) != 0)
				continue;
			entry_read(&list[count++], entry);
			taken[k] = k > i;
		}
		if (count)
			r = did_put_back(run, rk_users_by_did(&users, rk_slice_str(did)),
				rk_slice_str(did), list, count);
		for (size_t k = 0; k < count; k++)
			free(list[k].record);
		memset(list, 0, count * sizeof(*list));
	}
	rk_users_finish(&users);
	free(list);
	free(taken);
	return r;
}

int rk_repair_undo(struct rk_store *store, struct rk_repair_summary *out,
	const struct rk_repair_options *options, const struct rk_repair_request *request,
	const char *path)
{
	struct rk_repair_run run = {
		.store = store,
		.options = options,
		.request = request,
		.summary = out,
		.yes = request->yes,
	};
	json_t *entries;
	char error[256];
	int r;

	*out = (struct rk_repair_summary){0};
	r = rk_undo_read(&entries, path, error);
	if (r) {
		snprintf(out->error, sizeof(out->error), "the undo file: %.200s", error);
		json_decref(entries);
		return -EINVAL;
	}
	r = run_open(&run);
	if (r == 0)
		r = entries_put_back(&run, entries);
	run_close(&run);
	json_decref(entries);
	out->stopped = rk_repair_stopping(&run);
	return r == -ECANCELED ? 0 : r;
}
