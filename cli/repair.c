/* refkey repair: what an audit finds and a rule settles. What it prints is in repair_print.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/audit.h"
#include "cli/event.h"
#include "cli/perform.h"
#include "cli/repair_print.h"
#include "cli/report.h"
#include "repair/repair.h"

enum { PLAN_MOST = 64 << 20 }; /* bytes */

static void step_take(void *context, const struct rk_user *user, const struct rk_repair_step *step)
{
	const struct rk_operation_run *run = context;

	run->emit(run->context,
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:s, s:o}", "event", "line", "user",
			rk_event_text_json(user->id), "handle", rk_event_text_json(user->handle),
			"did", rk_event_text_json(user->did), "step", rk_repair_step_json(step),
			"outcome", rk_repair_state_names[step->state], "reason",
			rk_event_said_json(rk_slice_str(step->reason))));
}

static void user_take(void *context, const struct rk_audit_person *person, const char *documents)
{
	const struct rk_operation_run *run = context;
	char rev[RK_TID_LEN + 1];

	rk_tid_format(rev, person->rev);
	run->emit(run->context,
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:s}", "event", "user", "user",
			rk_event_text_json(person->user->id), "handle",
			rk_event_text_json(person->user->handle), "did",
			rk_event_text_json(person->user->did), "rev",
			person->rev ? json_string(rev) : json_null(), "documents", documents));
}

static void torn(const struct rk_operation_run *run, size_t line)
{
	char message[256];

	snprintf(message, sizeof(message),
		"the undo file: line %zu, the last, was cut off while it was written, and stands for nothing: what it names was not deleted",
		line);
	rk_operation_error(run, message);
}

/* Of a dry run: what --yes would be told. */
static void refusal(const struct rk_operation_run *run, const char *text)
{
	char message[600];

	snprintf(message, sizeof(message), "--yes would do nothing of this: %s", text);
	run->emit(run->context,
		json_pack("{s:s, s:o}", "event", "note", "message",
			rk_event_said_json(rk_slice_str(message))));
}

static void unread_take(void *context, const struct rk_audit_person *person)
{
	char message[512];

	snprintf(message, sizeof(message), "%.*s: left alone, its repo could not be read: %s",
		RK_SLICE_ARG(person->user->id), person->unread);
	rk_operation_error(context, message);
}

static int exit_code(int r, const struct rk_repair_summary *summary)
{
	uint64_t failed = summary->unread + summary->put_off + summary->torn;

	for (int i = 0; i < RK_REPAIR_ACTION_COUNT; i++)
		failed += summary->counts[i][RK_REPAIR_FAILED];
	if (r == -EINVAL)
		return RK_EXIT_USAGE;
	return rk_event_exit(r, failed, summary->stopped);
}

static json_t *kinds_json(unsigned kinds)
{
	json_t *names = json_array();

	for (int i = 0; i < RK_REPAIR_KIND_COUNT; i++) {
		if (kinds & 1u << i)
			json_array_append_new(names, json_string(rk_repair_kind_names[i]));
	}
	return names;
}

static void result_fill(json_t *result, const struct rk_repair_summary *summary, unsigned kinds,
	const struct rk_repair_options *options, bool yes, bool complete)
{
	uint64_t failed = 0, planned = 0, there = 0;

	for (int i = 0; i < RK_REPAIR_ACTION_COUNT; i++) {
		failed += summary->counts[i][RK_REPAIR_FAILED];
		planned += summary->counts[i][RK_REPAIR_PLANNED];
		json_object_set_new(result, rk_repair_action_names[i],
			json_integer((json_int_t)(summary->counts[i][RK_REPAIR_DONE] +
				summary->counts[i][RK_REPAIR_PLANNED] +
				summary->counts[i][RK_REPAIR_THERE])));
		there += summary->counts[i][RK_REPAIR_THERE];
	}
	json_object_set_new(result, "kinds", kinds_json(kinds));
	json_object_set_new(result, "pds", json_string(options->audit.pds));
	json_object_set_new(
		result, "onDelete", json_string(rk_repair_on_delete_names[options->on_delete]));
	json_object_set_new(result, "dryRun", json_boolean(!yes || summary->refused));
	json_object_set_new(result, "planned", json_integer((json_int_t)planned));
	json_object_set_new(result, "there", json_integer((json_int_t)there));
	json_object_set_new(result, "failed", json_integer((json_int_t)failed));
	json_object_set_new(result, "unread", json_integer((json_int_t)summary->unread));
	json_object_set_new(result, "putOff", json_integer((json_int_t)summary->put_off));
	json_object_set_new(
		result, "undo", summary->undo[0] ? json_string(summary->undo) : json_null());
	json_object_set_new(result, "refused", json_boolean(summary->refused));
	json_object_set_new(result, "torn", json_boolean(summary->torn > 0));
	json_object_set_new(result, "complete", json_boolean(complete));
	json_object_set_new(result, "stopped", json_boolean(summary->stopped));
	json_object_set_new(result, "limited", json_boolean(summary->limited));
}

/* Kinds by their names, of a request or a plan. */
static unsigned kinds_of(const json_t *names)
{
	unsigned kinds = 0;

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		for (int kind = 0; name && kind < RK_REPAIR_KIND_COUNT; kind++) {
			if (strcmp(rk_repair_kind_names[kind], name) == 0)
				kinds |= 1u << kind;
		}
	}
	return kinds;
}

static int operate(
	const struct rk_operation_run *run, json_t *result, const struct rk_repair_options *options)
{
	const json_t *plan = json_object_get(run->request, "plan");
	const char *undo = json_string_value(json_object_get(run->request, "undo"));
	const json_t *max_wait = json_object_get(run->request, "maxWait");
	const char **users = rk_operation_texts(json_object_get(run->request, "users"));
	const char **skip = rk_operation_texts(json_object_get(run->request, "skip"));
	const struct rk_repair_request request = {
		.kinds = kinds_of(json_object_get(plan ? plan : run->request, "kinds")),
		.users = users,
		.skip = skip,
		.plan = plan,
		.limit = rk_operation_number(run->request, "limit"),
		.batch_size = rk_operation_number(run->request, "batchSize"),
		.delay_ms = rk_operation_number(run->request, "delay"),
		.max_wait_ms = json_is_integer(max_wait) ? json_integer_value(max_wait) * 1000 : -1,
		.yes = json_is_true(json_object_get(run->request, "yes")),
		.step = step_take,
		.user = user_take,
		.unread = unread_take,
		.progress = rk_operation_progress,
		.waiting = rk_operation_waiting,
		.context = (void *)run,
		.stop = run->stop,
	};
	struct rk_service *service = run->service;
	struct rk_repair_summary *summary = calloc(1, sizeof(*summary));
	int r = -ENOMEM, code;

	if (summary && undo)
		r = rk_repair_undo(service->store, summary, options, &request, undo);
	else if (summary)
		r = rk_repair_run(service->store, service->writer, summary, options, &request);
	free(users);
	free(skip);
	if (!summary)
		return RK_EXIT_FINDINGS;
	if (r)
		rk_operation_failed(run, r,
			r == -EPERM && summary->refusal[0] ? summary->refusal : summary->error);
	else if (summary->refusal[0])
		refusal(run, summary->refusal);
	else if (summary->torn)
		torn(run, summary->torn);
	if (summary->begun)
		result_fill(result, summary, request.kinds, options, request.yes,
			r == 0 && !summary->stopped);
	code = exit_code(r, summary);
	free(summary);
	return code;
}

/* The command itself asks for no such thing. */
static bool is_complete(const struct rk_operation_run *run)
{
	bool complete = json_object_get(run->request, "plan") ||
		json_is_string(json_object_get(run->request, "undo")) ||
		kinds_of(json_object_get(run->request, "kinds"));

	if (!complete)
		rk_operation_error(run,
			"repair: the request names no kinds (duplicates, orphans, unlinked, vanished), no plan and no undo file");
	return complete;
}

int rk_operation_repair(const struct rk_operation_run *run, json_t *result)
{
	const struct rk_settings *settings = run->service->settings;
	struct rk_repair_options options = {
		.mongo_batch = settings->mongo_batch,
		.on_delete = settings->on_delete,
	};
	int code;

	if (!is_complete(run) || !rk_audit_options_make(&options.audit, run, "repair", false) ||
		!rk_operation_writes_to_pds(run))
		return RK_EXIT_USAGE;
	code = operate(run, result, &options);
	rk_turn_command_end(&run->service->turns);
	return code;
}

/* The command */

static unsigned kinds_wanted(const struct rk_command_options *options)
{
	return options->all ? RK_REPAIR_ALL
			    : (options->duplicates ? RK_REPAIR_BIT(DUPLICATES) : 0) |
			(options->orphans ? RK_REPAIR_BIT(ORPHANS) : 0) |
			(options->unlinked ? RK_REPAIR_BIT(UNLINKED) : 0) |
			(options->vanished ? RK_REPAIR_BIT(VANISHED) : 0);
}

static bool usage_is_wrong(const struct rk_command_call *call, unsigned kinds)
{
	const struct rk_command_options *options = call->options;
	const char *wrong = NULL;
	bool file = options->apply || options->undo;

	if (!file && kinds == 0)
		wrong = "say what: --duplicates, --orphans, --unlinked, --vanished or --all";
	else if (options->apply && options->undo)
		wrong = "--apply and --undo: one or the other";
	else if (file &&
		(kinds || options->users || options->skip || options->plan || options->limit))
		wrong = "--apply and --undo carry out a file as it is: without kinds, --user, --skip, --limit and --plan";
	else if (options->plan && options->yes)
		wrong = "--plan is of a dry run: carry it out by --apply FILE";
	else if (options->vanished && call->settings->on_delete == RK_ON_DELETE_KEEP)
		wrong = "--vanished does as REFKEY_ON_DELETE says, and that is keep";
	else if (options->batch_size > RK_PUBLISH_BATCH_MOST)
		wrong = "--batch-size: a PDS takes at most 200 in one batch";
	if (wrong)
		fprintf(stderr, "refkey: repair: %s\n", wrong);
	return wrong != NULL;
}

/* Before anybody is looked at. What is there is never written over: somebody may be looking at it. */
static bool plan_path_is_wrong(const char *path)
{
	int r = path ? rk_report_probe(path) : 0;

	if (r)
		fprintf(stderr, "refkey: --plan %s: %s\n", path,
			r == -EEXIST ? "there is something already: name a new file"
				     : strerror(-r));
	return r != 0;
}

/* As --apply or --undo has it; NULL after saying why. To be freed. */
static char *path_real(const char *option, const char *path)
{
	char *real = realpath(path, NULL);

	if (!real)
		fprintf(stderr, "refkey: %s %s: %s\n", option, path, strerror(errno));
	return real;
}

/* The operation may run in another process, with another folder. */
static bool undo_set(json_t *request, const char *path)
{
	char *real = path ? path_real("--undo", path) : NULL;

	if (real)
		json_object_set_new(request, "undo", json_string(real));
	free(real);
	return real || !path;
}

/* The plan itself: a process of another user's may not read what this one may. */
static bool plan_set(json_t *request, const char *path)
{
	char *real = path ? path_real("--apply", path) : NULL;
	int fd = real ? rk_file_open(real, PLAN_MOST) : -1;
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	json_t *plan = NULL;
	json_error_t wrong = {.text = "out of memory"};
	char message[512];

	free(real);
	if (!real)
		return !path;
	if (file) {
		plan = json_loadf(file, JSON_REJECT_DUPLICATES, &wrong);
		fclose(file);
	}
	if (!plan) {
		snprintf(message, sizeof(message), "the plan: %s%s",
			fd >= 0 ? "it is none of --plan: " : "",
			fd >= 0                 ? wrong.text
				: fd == -EINVAL ? "it is no file"
				: fd == -EFBIG  ? "it is too large for one"
						: strerror(-fd));
		rk_event_print_failure(message);
		return false;
	}
	json_object_set_new(request, "plan", plan);
	return true;
}

int rk_command_repair(const struct rk_command_call *call)
{
	const struct rk_command_options *options = call->options;
	bool file = options->apply || options->undo;
	struct rk_repair_print print;
	unsigned kinds = kinds_wanted(options);
	json_t *request;
	int code;

	if (usage_is_wrong(call, kinds))
		return RK_EXIT_USAGE;
	request = json_pack("{s:I, s:I, s:I, s:b, s:o}", "limit", (json_int_t)options->limit,
		"batchSize", (json_int_t)options->batch_size, "delay",
		(json_int_t)options->delay_ms, "yes", (options->yes || file) && !options->dry_run,
		"kinds", kinds_json(kinds));
	if (options->max_wait_sec != RK_MAX_WAIT_ANY)
		json_object_set_new(
			request, "maxWait", json_integer((json_int_t)options->max_wait_sec));
	rk_operation_list_set(request, "users", options->users);
	rk_operation_list_set(request, "skip", options->skip);
	code = rk_report_folder(options->report);
	if (code == RK_EXIT_DONE &&
		(!plan_set(request, options->apply) || !undo_set(request, options->undo) ||
			plan_path_is_wrong(options->plan)))
		code = RK_EXIT_USAGE;
	if (code) {
		json_decref(request);
		return code;
	}
	rk_repair_print_begin(&print, options);
	code = rk_operation_perform(call, "repair", request, rk_repair_print_event, &print);
	return rk_repair_print_end(&print, code);
}
