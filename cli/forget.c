/* refkey forget: erases a user everywhere. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/event.h"
#include "cli/operation.h"
#include "cli/perform.h"
#include "repair/forget.h"

static void found(void *context, const struct rk_user *user, bool forgotten,
	const struct rk_forget_counts *counts)
{
	const struct rk_operation_run *run = context;
	json_t *sides = json_object();

	for (int i = 0; i < RK_FORGET_SIDE_COUNT; i++) {
		json_t *side = counts->unread[i] ? json_null() : json_object();

		for (int c = 0; !counts->unread[i] && c < RK_COLLECTION_COUNT; c++)
			json_object_set_new(side, rk_collections[c].nsid,
				json_integer((json_int_t)counts->of[i][c]));
		json_object_set_new(sides, rk_forget_side_rows[i].name, side);
	}
	run->emit(run->context,
		json_pack("{s:s, s:o, s:o, s:o, s:b, s:o}", "event", "found", "user",
			rk_event_text_json(user->id), "handle", rk_event_text_json(user->handle),
			"did", rk_event_text_json(user->did), "forgotten", forgotten, "found",
			sides));
}

static void cleaned(void *context, enum rk_forget_side side, uint64_t count)
{
	const struct rk_operation_run *run = context;

	run->emit(run->context,
		json_pack("{s:s, s:s, s:I}", "event", "cleaned", "side",
			rk_forget_side_rows[side].name, "count", (json_int_t)count));
}

static int exit_code(int result, const struct rk_forget_summary *summary)
{
	if (result == -EPERM)
		return RK_EXIT_USAGE;
	return rk_event_exit(result, summary->stuck >= 0, summary->stopped);
}

static void failure_tell(
	const struct rk_operation_run *run, int r, const struct rk_forget_summary *summary)
{
	const char *why = summary->error[0] ? summary->error : strerror(-r);
	char text[512];

	if (summary->stuck < 0) {
		rk_operation_error(run, why);
		return;
	}
	snprintf(text, sizeof(text),
		json_is_true(json_object_get(run->request, "yes"))
			? "%s could not be cleaned: %s. Run it again to continue"
			: "%s could not be read: %s",
		rk_forget_side_rows[summary->stuck].text, why);
	rk_operation_error(run, text);
}

int rk_operation_forget(const struct rk_operation_run *run, json_t *result)
{
	struct rk_service *service = run->service;
	const struct rk_settings *settings = service->settings;
	const struct rk_forget_options options = {
		.mongo_uri = settings->mongo_uri,
		.database = settings->mongo_db,
		.guest_user = settings->guest_user,
		.pds = settings->pds_url,
		.bypass_key = settings->pds_bypass_key,
		.data_dir = settings->data_dir,
	};
	const json_t *max_wait = json_object_get(run->request, "maxWait");
	const char *name = json_string_value(json_object_get(run->request, "name"));
	const struct rk_forget_request request = {
		.name = name ? name : "",
		.yes = json_is_true(json_object_get(run->request, "yes")),
		.max_wait_ms = json_is_integer(max_wait) ? json_integer_value(max_wait) * 1000 : -1,
		.found = found,
		.cleaned = cleaned,
		.progress = rk_operation_progress,
		.waiting = rk_operation_waiting,
		.context = (void *)run,
		.stop = run->stop,
	};
	struct rk_forget_summary summary;
	json_t *removed = json_object();
	int r;

	json_object_set_new(result, "dryRun", json_boolean(!request.yes));
	json_object_set_new(result, "removed", removed);
	if (!rk_operation_writes_to_pds(run))
		return RK_EXIT_USAGE;
	r = rk_forget_run(
		service->store, service->writer, service->mirror, &summary, &options, &request);
	rk_turn_command_end(&service->turns);
	if (r || summary.stuck >= 0)
		failure_tell(run, r, &summary);
	for (int i = 0; i < RK_FORGET_SIDE_COUNT; i++)
		json_object_set_new(removed, rk_forget_side_rows[i].name,
			json_integer((json_int_t)summary.removed[i]));
	json_object_set_new(result, "clean", json_boolean(summary.clean));
	json_object_set_new(result, "stopped", json_boolean(summary.stopped));
	if (summary.stuck >= 0)
		json_object_set_new(
			result, "stuck", json_string(rk_forget_side_rows[summary.stuck].name));
	return exit_code(r, &summary);
}

/* Printing */

struct printing {
	bool json;
	json_t *all; /* what --json prints at the end */
	struct rk_progress progress;
};

static const struct rk_forget_side_row *side_row(const char *name)
{
	for (int i = 0; name && i < RK_FORGET_SIDE_COUNT; i++) {
		if (strcmp(rk_forget_side_rows[i].name, name) == 0)
			return &rk_forget_side_rows[i];
	}
	return NULL;
}

static void print_found(const json_t *event)
{
	const char *handle = json_string_value(json_object_get(event, "handle"));
	const char *user = json_string_value(json_object_get(event, "user"));
	const char *did = json_string_value(json_object_get(event, "did"));
	const json_t *sides = json_object_get(event, "found");

	printf("🗑️  Forgetting %s%s (%s)%s\n\n", handle ? "@" : "",
		handle         ? handle
			: user ? user
			       : "an account that is nobody's",
		did ? did : "no ATProto account",
		json_is_true(json_object_get(event, "forgotten")) ? ", already begun" : "");
	for (int i = 0; i < RK_FORGET_SIDE_COUNT; i++) {
		const json_t *side = json_object_get(sides, rk_forget_side_rows[i].name);

		printf("%s:%s", rk_forget_side_rows[i].text,
			json_is_object(side) ? "" : " could not be read");
		for (int c = 0; json_is_object(side) && c < RK_COLLECTION_COUNT; c++) {
			json_int_t count = rk_event_number(side, rk_collections[c].nsid);

			printf("%s %" JSON_INTEGER_FORMAT " %s%s", c ? "," : "", count,
				rk_collections[c].noun, count == 1 ? "" : "s");
		}
		putchar('\n');
	}
	putchar('\n');
}

/* Without an account there is nothing in the index, and its file stays as it is. */
static bool has_account(const json_t *all)
{
	return json_is_string(json_object_get(all, "did"));
}

static void print_end(const json_t *all)
{
	bool dry_run = json_is_true(json_object_get(all, "dryRun"));

	if (json_is_true(json_object_get(all, "clean")) && dry_run)
		/* A run that was killed may have come so far, and not to this. */
		printf("✅ Nothing is left: neither on the PDS, nor in MongoDB, in undo files or in the index.\n%s",
			has_account(all)
				? "   Once more with --yes writes the index's file anew, if an earlier run was ended before that.\n"
				: "");
	else if (json_is_true(json_object_get(all, "clean")))
		puts("✅ Nothing is left: looked again on the PDS, in MongoDB, in undo files and in the index.\n"
		     "   Backups that were made before still have it.");
	else if (json_is_true(json_object_get(all, "stopped")))
		puts("Stopped; running it again continues.");
	else if (dry_run && json_integer_value(json_object_get(all, "exit")) == RK_EXIT_DONE)
		puts("Nothing was erased: to erase all of it for good, run it again with --yes.");
}

static void print(void *context, const json_t *event)
{
	struct printing *p = context;
	const char *kind = json_string_value(json_object_get(event, "event"));
	const struct rk_forget_side_row *side =
		side_row(json_string_value(json_object_get(event, "side")));

	if (!kind)
		return;
	if (strcmp(kind, "error") == 0)
		json_object_set(
			p->all, "message", json_object_get(rk_event_exact(event), "message"));
	if (rk_event_print_usual(&p->progress, event))
		return;
	rk_progress_make_way(&p->progress);
	if (strcmp(kind, "found") == 0 || strcmp(kind, "result") == 0) {
		json_object_update(p->all, (json_t *)event);
		if (!p->json && *kind == 'f')
			print_found(event);
		else if (!p->json)
			print_end(p->all);
	} else if (strcmp(kind, "cleaned") == 0 && !p->json && side) {
		printf("✅ %s: %" JSON_INTEGER_FORMAT " removed%s\n", side->text,
			json_integer_value(json_object_get(event, "count")),
			side == &rk_forget_side_rows[RK_FORGET_INDEX] && has_account(p->all)
				? ", and its file written anew"
				: "");
	}
	fflush(stdout);
}

int rk_command_forget(const struct rk_command_call *call)
{
	const struct rk_command_options *options = call->options;
	struct printing p = {.json = options->json, .all = json_object()};
	json_t *request;
	char *text;
	int code;

	request = json_pack("{s:s, s:b}", "name", call->arguments[0], "yes", options->yes);
	if (!request || !p.all) {
		json_decref(p.all);
		json_decref(request);
		return RK_EXIT_FINDINGS;
	}
	if (options->max_wait_sec != RK_MAX_WAIT_ANY)
		json_object_set_new(
			request, "maxWait", json_integer((json_int_t)options->max_wait_sec));
	rk_progress_init(&p.progress);
	rk_progress_show(&p.progress, 0, 0);
	code = rk_operation_perform(call, "forget", request, print, &p);
	rk_progress_finish(&p.progress);
	json_object_del(p.all, "event");
	json_object_del(p.all, "exit");
	text = options->json && json_object_size(p.all) ? json_dumps(p.all, JSON_INDENT(2)) : NULL;
	if (text)
		puts(text);
	free(text);
	json_decref(p.all);
	return code;
}
