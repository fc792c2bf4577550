/* refkey delete: single ones, on both sides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/event.h"
#include "cli/operation.h"
#include "cli/perform.h"
#include "repair/delete.h"

static void line(void *context, const struct rk_delete_line *line)
{
	const struct rk_operation_run *run = context;
	json_t *records = json_array();

	for (size_t i = 0; i < line->rkey_count; i++) {
		struct rk_buf uri = {0};

		rk_buf_printf(&uri, "at://%.*s/%s/%s", RK_SLICE_ARG(line->did),
			rk_collections[line->collection].nsid, line->rkeys[i]);
		json_array_append_new(records, json_string(rk_buf_cstr(&uri)));
		rk_buf_finish(&uri);
	}
	run->emit(run->context,
		json_pack("{s:s, s:s, s:s, s:o, s:s?, s:o, s:s?}", "event", "line", "name",
			line->name, "outcome", rk_delete_outcome_rows[line->outcome].name, "reason",
			rk_event_said_json(rk_slice_str(line->reason)), "collection",
			line->collection < 0 ? NULL : rk_collections[line->collection].nsid,
			"records", records, "document", *line->document ? line->document : NULL));
}

static int exit_code(int result, const struct rk_delete_summary *summary)
{
	return rk_event_exit(result,
		summary->counts[RK_DELETE_FAILED] || summary->counts[RK_DELETE_UNKNOWN],
		summary->stopped);
}

int rk_operation_delete(const struct rk_operation_run *run, json_t *result)
{
	struct rk_service *service = run->service;
	const struct rk_settings *settings = service->settings;
	const struct rk_delete_options options = {
		.mongo_uri = settings->mongo_uri,
		.database = settings->mongo_db,
		.guest_user = settings->guest_user,
		.pds = settings->pds_url,
		.bypass_key = settings->pds_bypass_key,
	};
	const json_t *max_wait = json_object_get(run->request, "maxWait");
	static const char *const none[] = {NULL};
	const char **names = rk_operation_texts(json_object_get(run->request, "names"));
	const struct rk_delete_request request = {
		.names = names ? names : none,
		.dry_run = json_is_true(json_object_get(run->request, "dryRun")),
		.max_wait_ms = json_is_integer(max_wait) ? json_integer_value(max_wait) * 1000 : -1,
		.line = line,
		.waiting = rk_operation_waiting,
		.context = (void *)run,
		.stop = run->stop,
	};
	struct rk_delete_summary summary;
	int r;

	if (!rk_operation_writes_to_pds(run)) {
		free(names);
		return RK_EXIT_USAGE;
	}
	r = rk_delete_run(service->store, &summary, &options, &request);
	rk_turn_command_end(&service->turns);
	free(names);
	rk_operation_failed(run, r, summary.error);
	for (int i = 0; i < RK_DELETE_OUTCOME_COUNT; i++)
		json_object_set_new(result, rk_delete_outcome_rows[i].name,
			json_integer((json_int_t)summary.counts[i]));
	json_object_set_new(result, "dryRun", json_boolean(request.dry_run));
	json_object_set_new(result, "stopped", json_boolean(summary.stopped));
	return exit_code(r, &summary);
}

/* Printing */

struct printing {
	bool json, dry_run;
	uint64_t done, total; /* names */
	struct rk_event_list records;
	struct rk_progress progress;
};

static const char *outcome_text(const char *name)
{
	for (int i = 0; i < RK_DELETE_OUTCOME_COUNT; i++) {
		if (strcmp(rk_delete_outcome_rows[i].name, name) == 0)
			return rk_delete_outcome_rows[i].text;
	}
	return name;
}

static void print_line(const struct printing *p, const json_t *event)
{
	const char *outcome = rk_event_text(event, "outcome"),
		   *reason = rk_event_text(event, "reason");
	const char *document = rk_event_text(event, "document");
	const json_t *uri;
	size_t i;

	printf("%s: %s%s%s%s\n", rk_event_text(event, "name"),
		p->dry_run && strcmp(outcome, "deleted") == 0 ? "would be " : "",
		outcome_text(outcome), *reason ? ": " : "", reason);
	json_array_foreach(json_object_get(event, "records"), i, uri)
		printf("  record %s\n", json_string_value(uri));
	if (*document)
		printf("  document %s\n", document);
}

static void print(void *context, const json_t *event)
{
	struct printing *p = context;
	const char *kind = rk_event_text(event, "event");
	json_t *copy;

	if (rk_event_print_usual(&p->progress, event))
		return;
	rk_progress_make_way(&p->progress);
	copy = p->json ? rk_event_copy(event) : NULL;
	if (p->json && strcmp(kind, "line") == 0) {
		rk_event_list_add(&p->records, copy);
	} else if (strcmp(kind, "line") == 0) {
		print_line(p, event);
	} else if (p->json && strcmp(kind, "result") == 0) {
		rk_event_list_end(&p->records, copy);
	} else if (json_is_true(json_object_get(event, "stopped"))) {
		puts("Stopped; running it again continues.");
	}
	json_decref(copy);
	fflush(stdout);
	if (strcmp(kind, "line") == 0)
		rk_progress_show(&p->progress, ++p->done, p->total);
}

int rk_command_delete(const struct rk_command_call *call)
{
	const struct rk_command_options *options = call->options;
	struct printing p = {.json = options->json,
		.dry_run = options->dry_run,
		.total = call->argument_count,
		.records.name = "records"};
	json_t *request;
	int code;

	request = json_pack("{s:b}", "dryRun", options->dry_run);
	if (!request)
		return RK_EXIT_FINDINGS;
	rk_operation_list_set(request, "names", call->arguments);
	if (options->max_wait_sec != RK_MAX_WAIT_ANY)
		json_object_set_new(
			request, "maxWait", json_integer((json_int_t)options->max_wait_sec));
	rk_progress_init(&p.progress);
	rk_progress_show(&p.progress, 0, p.total);
	code = rk_operation_perform(call, "delete", request, print, &p);
	rk_progress_finish(&p.progress);
	return code;
}
