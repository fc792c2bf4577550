/* refkey recover: ATProto to MongoDB, once and on request. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/event.h"
#include "cli/operation.h"
#include "cli/perform.h"
#include "cli/progress.h"
#include "cli/report.h"

static void recover_line(void *context, const char *uri, const char *ref, const char *action)
{
	const struct rk_operation_run *run = context;

	run->emit(run->context,
		json_pack("{s:s, s:s, s:s, s:s}", "event", "line", "uri", uri, "ref",
			ref ? ref : "", "action", action));
}

static int exit_code(int result, const struct rk_recover_summary *summary)
{
	return rk_event_exit(result,
		summary->counts[RK_RECOVER_FAILED] || summary->counts[RK_RECOVER_REJECTED],
		summary->stopped);
}

int rk_operation_recover(const struct rk_operation_run *run, json_t *result)
{
	const char **users = rk_operation_texts(json_object_get(run->request, "users"));
	const char **skip = rk_operation_texts(json_object_get(run->request, "skip"));
	const struct rk_recover_request request = {
		.users = users,
		.skip = skip,
		.limit = rk_operation_number(run->request, "limit"),
		.batch_size = rk_operation_number(run->request, "batchSize"),
		.delay_ms = rk_operation_number(run->request, "delay"),
		.dry_run = json_is_true(json_object_get(run->request, "dryRun")),
		.restore = json_is_true(json_object_get(run->request, "restore")),
		.progress = rk_operation_progress,
		.line = recover_line,
		.context = (void *)run,
		.stop = run->stop,
	};
	struct rk_recover_summary summary = {0};
	int r = rk_mirror_recover(run->service->mirror, &summary, &request);

	free(users);
	free(skip);
	rk_operation_failed(run, r, summary.error);
	json_object_set_new(result, "dryRun", json_boolean(request.dry_run));
	json_object_set_new(result, "records", json_integer((json_int_t)summary.records));
	for (int i = 0; i < RK_RECOVER_OUTCOME_COUNT; i++)
		json_object_set_new(result, rk_recover_outcome_rows[i].name,
			json_integer((json_int_t)summary.counts[i]));
	json_object_set_new(result, "stopped", json_boolean(summary.stopped));
	json_object_set_new(result, "limited", json_boolean(summary.limited));
	return exit_code(r, &summary);
}

struct printing {
	bool json, dry_run, unreported;
	const char *report; /* folder; NULL: none */
	json_t *actions;    /* for the report */
	struct rk_event_list list;
	struct rk_progress progress;
};

static void print_line(struct printing *p, const json_t *event)
{
	const char *uri = json_string_value(json_object_get(event, "uri"));
	const char *action = json_string_value(json_object_get(event, "action"));
	json_t *copy = rk_event_copy(event);

	if (p->report)
		json_array_append(p->actions, copy);
	if (p->json) {
		rk_event_list_add(&p->list, copy);
	} else {
		rk_progress_make_way(&p->progress);
		printf("%s%s: %s\n", p->dry_run ? "would be " : "", action, uri);
	}
	json_decref(copy);
}

/* The same object as --json prints. */
static bool report_write(const struct printing *p, json_t *summary)
{
	json_t *report = json_pack("{s:O, s:O}", "actions", p->actions, "summary", summary);
	bool ok = rk_report_write(p->report, "recover-report.json", report);

	json_decref(report);
	return ok;
}

static void print_summary(struct printing *p, const json_t *event)
{
	json_t *summary;

	if (!rk_event_has_summary(event))
		return;
	rk_progress_make_way(&p->progress);
	summary = rk_event_copy(event);
	if (p->report)
		p->unreported = !report_write(p, summary);
	if (p->json) {
		rk_event_list_end(&p->list, summary);
		json_decref(summary);
		return;
	}
	json_decref(summary);
	printf("%s%" JSON_INTEGER_FORMAT " records looked at\n",
		p->dry_run ? "Dry run: nothing was written. " : "",
		json_integer_value(json_object_get(event, "records")));
	for (int i = 0; i < RK_RECOVER_OUTCOME_COUNT; i++) {
		json_int_t count =
			json_integer_value(json_object_get(event, rk_recover_outcome_rows[i].name));

		if (count)
			printf("  %-11s %8" JSON_INTEGER_FORMAT "  %s\n",
				rk_recover_outcome_rows[i].name, count,
				rk_recover_outcome_rows[i].text);
	}
	rk_event_print_ended(event);
}

static void print(void *context, const json_t *event)
{
	struct printing *p = context;
	const char *kind = json_string_value(json_object_get(event, "event"));

	if (!kind)
		return;
	if (strcmp(kind, "line") == 0) {
		print_line(p, event);
	} else if (!rk_event_print_usual(&p->progress, event)) {
		print_summary(p, event);
	}
}

int rk_command_recover(const struct rk_command_call *call)
{
	const struct rk_command_options *options = call->options;
	struct printing p = {.json = options->json,
		.dry_run = options->dry_run,
		.report = options->report,
		.list.name = "actions"};
	json_t *request = json_pack("{s:I, s:I, s:I, s:b, s:b}", "limit",
		(json_int_t)options->limit, "batchSize", (json_int_t)options->batch_size, "delay",
		(json_int_t)options->delay_ms, "dryRun", options->dry_run, "restore",
		options->restore);

	int code = rk_report_folder(options->report);

	if (code) {
		json_decref(request);
		return code;
	}
	p.actions = json_array();
	if (!request || !p.actions) {
		json_decref(request);
		json_decref(p.actions);
		return RK_EXIT_FINDINGS;
	}
	rk_operation_list_set(request, "users", options->users);
	rk_operation_list_set(request, "skip", options->skip);
	rk_progress_init(&p.progress);
	rk_progress_show(&p.progress, 0, 0);
	code = rk_operation_perform(call, "recover", request, print, &p);
	rk_progress_finish(&p.progress);
	json_decref(p.actions);
	return p.unreported && code == RK_EXIT_DONE ? RK_EXIT_FINDINGS : code;
}
