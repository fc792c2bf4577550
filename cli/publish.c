/* refkey publish: MongoDB to ATProto. What it prints is in publish_print.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/event.h"
#include "cli/operation.h"
#include "cli/perform.h"
#include "cli/publish_inside.h"
#include "cli/publish_print.h"
#include "cli/watch.h"
#include "publish/publish.h"

static void begin(void *context, uint64_t found)
{
	const struct rk_operation_run *run = context;

	run->emit(run->context,
		json_pack("{s:s, s:I}", "event", "begin", "found", (json_int_t)found));
}

static void line(void *context, const struct rk_publish_line *line)
{
	const struct rk_operation_run *run = context;

	run->emit(run->context, rk_publish_line_json(line));
}

static void without(void *context, const struct rk_publish_without *without)
{
	const struct rk_operation_run *run = context;
	json_t *event = rk_event_without(
		without->handle, without->id, without->email, without->reason, without->count);

	json_object_set_new(event, "event", json_string("without"));
	run->emit(run->context, event);
}

static void waiting(void *context, const struct rk_user *user, int64_t ms)
{
	const struct rk_operation_run *run = context;
	struct rk_buf name = {0};

	rk_buf_add_str(&name, user->handle.len ? "@" : "");
	rk_buf_add(&name, rk_publish_handle_or_id(user).data, rk_publish_handle_or_id(user).len);
	run->emit(run->context,
		json_pack("{s:s, s:o, s:I}", "event", "waiting", "user",
			rk_event_said_json(rk_buf_slice(&name)), "ms", (json_int_t)ms));
	rk_buf_finish(&name);
}

static int exit_code(int result, const struct rk_publish_summary *summary)
{
	return rk_event_exit(
		result, summary->counts[RK_PUBLISH_FAILED] || summary->put_off, summary->stopped);
}

/* -1: none. */
static int collection_named(const char *documents)
{
	for (int i = 0; documents && i < RK_COLLECTION_COUNT; i++) {
		if (strcmp(rk_collections[i].documents, documents) == 0)
			return i;
	}
	return -1;
}

int rk_operation_publish(const struct rk_operation_run *run, json_t *result)
{
	struct rk_service *service = run->service;
	const struct rk_settings *settings = service->settings;
	const struct rk_publish_options options = rk_publish_options_of(settings);
	const json_t *max_wait = json_object_get(run->request, "maxWait");
	int collection =
		collection_named(json_string_value(json_object_get(run->request, "documents")));
	const char **users, **skip;
	struct rk_publish_summary summary = {0};
	int r;

	if (collection < 0) {
		rk_operation_error(run, "publish: what is to be published is not known");
		return RK_EXIT_USAGE;
	}
	if (json_is_true(json_object_get(run->request, "watch")))
		return rk_operation_watch(run, result, (enum rk_collection_id)collection);
	if (!rk_operation_writes_to_pds(run))
		return RK_EXIT_USAGE;
	users = rk_operation_texts(json_object_get(run->request, "users"));
	skip = rk_operation_texts(json_object_get(run->request, "skip"));
	{
		const struct rk_publish_request request = {
			.collection = (enum rk_collection_id)collection,
			.users = users,
			.skip = skip,
			.limit = rk_operation_number(run->request, "limit"),
			.batch_size = rk_operation_number(run->request, "batchSize"),
			.delay_ms = rk_operation_number(run->request, "delay"),
			.max_wait_ms = json_is_integer(max_wait)
				? json_integer_value(max_wait) * 1000
				: -1,
			.dry_run = json_is_true(json_object_get(run->request, "dryRun")),
			.guests = json_is_true(json_object_get(run->request, "guests")),
			.skip_blobs = json_is_true(json_object_get(run->request, "skipBlobs")),
			.begin = begin,
			.progress = rk_operation_progress,
			.line = line,
			.without = without,
			.waiting = waiting,
			.context = (void *)run,
			.stop = run->stop,
		};

		r = rk_publish_run(service->store, &summary, &options, &request);
		json_object_set_new(result, "dryRun", json_boolean(request.dry_run));
	}
	rk_turn_command_end(&service->turns);
	free(users);
	free(skip);
	rk_operation_failed(run, r, summary.error);
	if (r == 0 && summary.nobody) {
		char text[RK_EVENT_NOBODY];

		rk_event_nobody(text, settings->mongo_db);
		run->emit(run->context, json_pack("{s:s, s:s}", "event", "note", "message", text));
	}
	json_object_set_new(result, "found", json_integer((json_int_t)summary.found));
	for (int i = 0; i < RK_PUBLISH_OUTCOME_COUNT; i++)
		json_object_set_new(result, rk_publish_outcome_rows[i].name,
			json_integer((json_int_t)summary.counts[i]));
	json_object_set_new(result, "putOff", json_integer((json_int_t)summary.put_off));
	json_object_set_new(result, "stopped", json_boolean(summary.stopped));
	json_object_set_new(result, "limited", json_boolean(summary.limited));
	return exit_code(r, &summary);
}

int rk_command_publish(const struct rk_command_call *call)
{
	const struct rk_command_options *options = call->options;
	int collection = collection_named(call->arguments[0]), code;
	struct rk_publish_print print;
	json_t *request;

	if (collection < 0) {
		fprintf(stderr, "refkey: publish: unknown \"%s\"; accepted:", call->arguments[0]);
		for (int i = 0; i < RK_COLLECTION_COUNT; i++)
			fprintf(stderr, " %s", rk_collections[i].documents);
		fputc('\n', stderr);
		return RK_EXIT_USAGE;
	}
	if (options->skip_blobs && !rk_collections[collection].images) {
		fprintf(stderr, "refkey: --skip-blobs: %s have no images\n", call->arguments[0]);
		return RK_EXIT_USAGE;
	}
	if (options->batch_size > RK_PUBLISH_BATCH_MOST) {
		fprintf(stderr, "refkey: --batch-size: a PDS takes at most %d in one batch\n",
			RK_PUBLISH_BATCH_MOST);
		return RK_EXIT_USAGE;
	}
	if (options->watch && (options->dry_run || options->limit || options->report)) {
		fputs("refkey: --watch goes on: --dry-run, --limit and --report do not go with it\n",
			stderr);
		return RK_EXIT_USAGE;
	}
	request = json_pack("{s:s, s:I, s:I, s:I, s:b, s:b, s:b, s:b}", "documents",
		call->arguments[0], "limit", (json_int_t)options->limit, "batchSize",
		(json_int_t)options->batch_size, "delay", (json_int_t)options->delay_ms, "dryRun",
		options->dry_run, "guests", options->guests, "skipBlobs", options->skip_blobs,
		"watch", options->watch);
	if (!request)
		return RK_EXIT_FINDINGS;
	if (options->max_wait_sec != RK_MAX_WAIT_ANY)
		json_object_set_new(
			request, "maxWait", json_integer((json_int_t)options->max_wait_sec));
	rk_operation_list_set(request, "users", options->users);
	rk_operation_list_set(request, "skip", options->skip);
	code = rk_publish_print_begin(&print, options);
	if (code == RK_EXIT_DONE)
		code = rk_operation_perform(
			call, "publish", request, rk_publish_print_event, &print);
	else
		json_decref(request);
	return rk_publish_print_end(&print, code);
}
