/* See publish_print.h. */
#include "cli/publish_print.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/event.h"
#include "cli/operation.h"
#include "cli/report.h"

int rk_publish_print_begin(struct rk_publish_print *print, const struct rk_command_options *options)
{
	*print = (struct rk_publish_print){
		.options = options,
		.list.name = "records",
		.lines = options->verbose || options->watch || !isatty(STDOUT_FILENO),
		.without = json_array(),
		.errors = json_array(),
	};
	rk_progress_init(&print->progress);
	if (!options->watch)
		rk_progress_show(&print->progress, 0, 0);
	return rk_report_folder(options->report);
}

static void told_begin(struct rk_publish_print *print, json_int_t found)
{
	print->told = json_pack("{s:b, s:I, s:i, s:b, s:b}", "dryRun", print->options->dry_run,
		"found", found, "putOff", 0, "stopped", true, "limited", false);
	for (int i = 0; i < RK_PUBLISH_OUTCOME_COUNT; i++)
		json_object_set_new(print->told, rk_publish_outcome_rows[i].name, json_integer(0));
}

static void told_add(struct rk_publish_print *print, const char *outcome, json_int_t count)
{
	json_object_set_new(
		print->told, outcome, json_integer(rk_event_number(print->told, outcome) + count));
}

/* One element of "records"; takes over nothing. */
static void print_json(struct rk_publish_print *print, const json_t *event)
{
	json_t *copy = rk_event_copy(event);

	json_object_del(copy, "handle");
	rk_event_list_add(&print->list, copy);
	json_decref(copy);
}

static void print_line(struct rk_publish_print *print, const json_t *event)
{
	const char *outcome = rk_event_text(event, "outcome"),
		   *reason = rk_event_text(event, "reason");
	const char *verb = print->options->dry_run ? "Would be synced" : "Synced";
	const char *words = rk_event_text(event, "words"), *user = rk_event_text(event, "user");
	bool failed = strcmp(outcome, "failed") == 0;

	told_add(print, outcome, 1);
	if (failed && !print->options->watch) {
		json_t *error = rk_event_copy(event);

		for (const char *const *name = (const char *const[]){"n", "total", "handle",
			     "outcome", "rkey", NULL};
			*name; name++)
			json_object_del(error, *name);
		json_array_append_new(print->errors, error);
	}
	if (!print->options->json && !print->lines && !failed)
		return;
	rk_progress_make_way(&print->progress);
	if (print->options->json) {
		print_json(print, event);
		return;
	}
	printf("[%" JSON_INTEGER_FORMAT, rk_event_number(event, "n"));
	if (rk_event_number(event, "total"))
		printf("/%" JSON_INTEGER_FORMAT, rk_event_number(event, "total"));
	printf("] %s%s%s%s ", json_is_true(json_object_get(event, "handle")) ? "@" : "",
		*user ? user : "nobody", *words ? " - " : "", words);
	if (failed)
		printf("❌ Failed: %s (%s)\n", reason, rk_event_text(event, "ref"));
	else if (strcmp(outcome, "skipped") == 0)
		printf("⏭️  Skipped: %s\n", reason);
	else if (json_is_true(json_object_get(event, "deleted")))
		printf("🗑️  Deleted (%s)\n", rk_event_text(event, "rkey"));
	else
		printf("✅ %s (%s)%s\n", verb, rk_event_text(event, "rkey"),
			strcmp(outcome, "linked") == 0 ? ", was there" : "");
}

static void print_without(struct rk_publish_print *print, const json_t *event)
{
	const char *handle = json_string_value(json_object_get(event, "handle"));
	json_t *copy = rk_event_copy(event);

	json_array_append_new(print->without, copy);
	told_add(print, rk_publish_outcome_rows[RK_PUBLISH_SKIPPED].name,
		rk_event_number(event, "count"));
	if (print->options->json || !print->lines)
		return;
	rk_progress_make_way(&print->progress);
	printf("⏭️  %s%s: %" JSON_INTEGER_FORMAT " skipped: %s\n", handle ? "@" : "",
		handle ? handle : rk_event_text(event, "sub"), rk_event_number(event, "count"),
		rk_event_without_reason(event));
}

static void print_begin(struct rk_publish_print *print, const json_t *event)
{
	const struct rk_command_options *options = print->options;
	unsigned long long batch = options->batch_size;

	told_begin(print, rk_event_number(event, "found"));
	rk_progress_make_way(&print->progress);
	if (options->json)
		return;
	if (options->watch) {
		printf("Mode: watch, %s\nBatch size: %llu\nDelay: %llu ms\n",
			json_is_true(json_object_get(event, "atOnce"))
				? "at once"
				: "documents older than 60 s",
			batch ? batch : RK_PUBLISH_BATCH_MOST,
			(unsigned long long)options->delay_ms);
		return;
	}
	printf("Mode: %s\nBatch size: %llu\nDelay: %llu ms\nFound: %" JSON_INTEGER_FORMAT
	       " to publish\n",
		options->dry_run ? "dry run" : "live", batch ? batch : RK_PUBLISH_BATCH_MOST,
		(unsigned long long)options->delay_ms, rk_event_number(event, "found"));
}

/* Of whom nothing is published, and why. */
static json_t *skipped_users(const struct rk_publish_print *print)
{
	json_t *users = rk_report_most_first(print->without), *skipped = json_array();
	const json_t *user;
	size_t i;

	json_array_foreach(users, i, user)
	{
		json_t *one = json_copy((json_t *)user);

		json_object_del(one, "email");
		json_object_set_new(one, "reason", json_string(rk_event_without_reason(user)));
		json_array_append_new(skipped, one);
	}
	json_decref(users);
	return skipped;
}

static void print_summary(struct rk_publish_print *print, const json_t *event)
{
	json_t *error = json_object_get(event, "error");

	rk_progress_make_way(&print->progress);
	if (!json_object_get(event, "found") && !error)
		return;
	/* Whoever did it ended before it could sum up: what was told until then. */
	print->summary = rk_event_copy(error && print->told ? print->told : event);
	if (error)
		json_object_set(print->summary, "error", error);
	if (!print->options->watch)
		json_object_set_new(print->summary, "skippedUsers", skipped_users(print));
	if (print->options->json) {
		rk_event_list_end(&print->list, print->summary);
		return;
	}
	if (!print->told)
		return;
	printf("%sSynced:  %" JSON_INTEGER_FORMAT "\nSkipped: %" JSON_INTEGER_FORMAT
	       "\nFailed:  %" JSON_INTEGER_FORMAT "\n",
		print->options->dry_run ? "Dry run: nothing was written.\n" : "",
		rk_event_number(event, "created") + rk_event_number(event, "linked"),
		rk_event_number(event, "skipped"), rk_event_number(event, "failed"));
	if (print->options->watch)
		printf("Deleted: %" JSON_INTEGER_FORMAT "\n", rk_event_number(event, "deleted"));
	rk_event_print_put_off(event);
	rk_event_print_ended(event);
}

static void show(struct rk_publish_print *print, const json_t *event, const char *done)
{
	if (!print->options->watch)
		rk_progress_show(&print->progress, (uint64_t)rk_event_number(event, done),
			(uint64_t)rk_event_number(event, "total"));
}

void rk_publish_print_event(void *context, const json_t *event)
{
	struct rk_publish_print *print = context;
	const char *kind = rk_event_text(event, "event");

	if (strcmp(kind, "line") == 0) {
		print_line(print, event);
		show(print, event, "n");
	} else if (strcmp(kind, "progress") == 0) {
		show(print, event, "done");
	} else if (strcmp(kind, "without") == 0) {
		print_without(print, event);
	} else if (strcmp(kind, "begin") == 0) {
		print_begin(print, event);
	} else if (!rk_event_print_usual(&print->progress, event)) {
		print_summary(print, event);
	}
}

int rk_publish_print_end(struct rk_publish_print *print, int code)
{
	const char *folder = print->options->report;

	/* The same for people. */
	if (!print->summary && print->told && !print->options->watch)
		print_summary(print, print->told);
	rk_progress_finish(&print->progress);
	if (folder && print->summary) {
		json_t *without = rk_report_most_first(print->without);
		bool ok = rk_report_write(folder, "users-without-atproto.json", without);

		ok = (json_array_size(print->errors)
				     ? rk_report_write(
					       folder, "migration-errors.json", print->errors)
				     : rk_report_remove(folder, "migration-errors.json")) &&
			ok;
		ok = rk_report_write(folder, "publish-summary.json", print->summary) && ok;
		if (!ok && code == RK_EXIT_DONE)
			code = RK_EXIT_FINDINGS;
		json_decref(without);
	}
	json_decref(print->told);
	json_decref(print->without);
	json_decref(print->errors);
	json_decref(print->summary);
	return code;
}
