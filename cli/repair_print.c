/* See repair_print.h. */
#include "cli/repair_print.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/event.h"
#include "cli/operation.h"
#include "cli/report.h"

void rk_repair_print_begin(struct rk_repair_print *print, const struct rk_command_options *options)
{
	*print = (struct rk_repair_print){
		.options = options,
		.list.name = "steps",
		.yes = options->yes || ((options->apply || options->undo) && !options->dry_run),
		.steps = json_array(),
	};
	if (options->plan)
		print->planned = json_array();
	if (options->report)
		print->all = json_array();
	rk_progress_init(&print->progress);
	rk_progress_show(&print->progress, 0, 0);
}

/* Once there is something to say. */
static void print_mode(struct rk_repair_print *print)
{
	if (print->options->json || print->said_mode)
		return;
	rk_progress_make_way(&print->progress);
	printf("Mode: %s\n", !print->yes ? "dry run" : print->options->undo ? "undo" : "live");
	print->said_mode = true;
}

/* The step and what became of it, in one object. */
static json_t *flat(const json_t *event)
{
	json_t *line = json_copy(json_object_get(rk_event_exact(event), "step"));

	for (const char *const *name =
			(const char *const[]){"user", "handle", "did", "outcome", "reason", NULL};
		*name; name++)
		json_object_set(line, *name, json_object_get(rk_event_exact(event), *name));
	return line;
}

static void print_text(const struct rk_repair_print *print, const json_t *event)
{
	const json_t *step = json_object_get(event, "step");
	const char *action = rk_event_text(step, "action"),
		   *outcome = rk_event_text(event, "outcome");
	const char *handle = rk_event_text(event, "handle"), *verb = "deleted";

	if (strcmp(action, "link") == 0)
		verb = "linked";
	else if (strcmp(action, "mark") == 0)
		verb = "marked";
	else if (strcmp(action, "create") == 0)
		verb = "put back";
	printf("%s%s ", *handle ? "@" : "", *handle ? handle : rk_event_text(event, "user"));
	if (strcmp(outcome, "failed") == 0)
		printf("❌ Failed, not %s: ", verb);
	else if (strcmp(outcome, "done") == 0)
		printf("✅ %s: ", verb);
	else if (strcmp(outcome, "there") == 0)
		printf("✅ there already: ");
	else
		printf("would be %s: ", verb);
	if (strcmp(action, "delete") == 0 || strcmp(action, "create") == 0)
		printf("at://%s/%s/%s", rk_event_text(event, "did"),
			rk_event_text(step, "collection"), rk_event_text(step, "rkey"));
	else
		printf("%s %s, %s", rk_event_text(step, "collection"), rk_event_text(step, "ref"),
			rk_event_text(step, "rkey"));
	if (*rk_event_text(step, "kind"))
		printf(" (%s)", rk_event_text(step, "kind"));
	if (*rk_event_text(event, "reason"))
		printf(": %s", rk_event_text(event, "reason"));
	putchar('\n');
}

static void print_line(struct rk_repair_print *print, const json_t *event)
{
	json_t *line = flat(event);

	if (print->planned)
		json_array_append(print->steps, json_object_get(rk_event_exact(event), "step"));
	if (print->all)
		json_array_append(print->all, line);
	rk_progress_make_way(&print->progress);
	if (print->options->json) {
		rk_event_list_add(&print->list, line);
	} else {
		print_text(print, event);
	}
	json_decref(line);
}

static void plan_user(struct rk_repair_print *print, const json_t *event)
{
	json_t *user = rk_event_copy(event);

	json_object_set(user, "steps", print->steps);
	json_array_append_new(print->planned, user);
	json_decref(print->steps);
	print->steps = json_array();
}

static void print_dry(const struct rk_repair_print *print, const json_t *event)
{
	const struct rk_command_options *options = print->options;

	fputs(print->yes ? "Nothing was written." : "Dry run: nothing was written.", stdout);
	if (!print->yes && !options->dry_run && !options->plan && rk_event_number(event, "planned"))
		fputs(" To do it, run it again with --yes.", stdout);
	putchar('\n');
}

static void print_summary(struct rk_repair_print *print, const json_t *event)
{
	const char *undo = rk_event_text(event, "undo");
	json_int_t there = rk_event_number(event, "there");

	rk_progress_make_way(&print->progress);
	if (!rk_event_has_summary(event))
		return;
	print->summary = rk_event_copy(event);
	if (print->options->json) {
		rk_event_list_end(&print->list, print->summary);
		return;
	}
	if (json_is_true(json_object_get(event, "dryRun")))
		print_dry(print, event);
	if (print->options->undo)
		printf("%s %" JSON_INTEGER_FORMAT "\n",
			print->yes ? "Put back:" : "To be put back:",
			rk_event_number(event, "create") - there);
	else
		printf("Linked:  %" JSON_INTEGER_FORMAT "\nDeleted: %" JSON_INTEGER_FORMAT
		       "\nMarked:  %" JSON_INTEGER_FORMAT "\n",
			rk_event_number(event, "link"), rk_event_number(event, "delete"),
			rk_event_number(event, "mark"));
	if (there)
		printf("There already: %" JSON_INTEGER_FORMAT "\n", there);
	printf("Failed:  %" JSON_INTEGER_FORMAT "\n", rk_event_number(event, "failed"));
	rk_event_print_put_off(event);
	if (*undo)
		printf("Undo file: %s\n", undo);
	rk_event_print_ended(event);
}

void rk_repair_print_event(void *context, const json_t *event)
{
	struct rk_repair_print *print = context;
	const char *kind = rk_event_text(event, "event");

	if (strcmp(kind, "error") != 0 &&
		(strcmp(kind, "result") != 0 || rk_event_has_summary(event)))
		print_mode(print);
	if (strcmp(kind, "line") == 0) {
		print_line(print, event);
	} else if (strcmp(kind, "user") == 0) {
		if (print->planned)
			plan_user(print, event);
	} else if (!rk_event_print_usual(&print->progress, event)) {
		print_summary(print, event);
	}
}

static bool plan_write(const struct rk_repair_print *print)
{
	json_t *plan = json_pack("{s:i, s:O, s:O, s:O, s:O}", "version", 1, "pds",
		json_object_get(print->summary, "pds"), "kinds",
		json_object_get(print->summary, "kinds"), "onDelete",
		json_object_get(print->summary, "onDelete"), "users", print->planned);
	bool ok = rk_report_write_file(print->options->plan, "plan", plan);

	if (ok && !print->options->json)
		printf("Plan:    %s, carried out by: refkey repair --apply %s\n",
			print->options->plan, print->options->plan);
	json_decref(plan);
	return ok;
}

int rk_repair_print_end(struct rk_repair_print *print, int code)
{
	bool ok = true;

	rk_progress_finish(&print->progress);
	/* A plan is of all that could be looked at, or it is none. */
	if (print->planned && print->summary &&
		json_is_true(json_object_get(print->summary, "complete")))
		ok = plan_write(print);
	else if (print->planned && code != RK_EXIT_USAGE)
		ok = fputs("refkey: no plan was written: not everybody was looked at\n", stderr) <
			0;
	if (print->all && print->summary) {
		json_t *all =
			json_pack("{s:O, s:O}", "steps", print->all, "summary", print->summary);

		ok = rk_report_write(print->options->report, "repair.json", all) && ok;
		json_decref(all);
	}
	json_decref(print->steps);
	json_decref(print->planned);
	json_decref(print->all);
	json_decref(print->summary);
	return ok || code != RK_EXIT_DONE ? code : RK_EXIT_FINDINGS;
}
