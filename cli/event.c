/* See event.h. */
#include "cli/event.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/operation.h"

const char *rk_event_text(const json_t *event, const char *name)
{
	const char *text = json_string_value(json_object_get(event, name));

	return text ? text : "";
}

json_int_t rk_event_number(const json_t *event, const char *name)
{
	return json_integer_value(json_object_get(event, name));
}

static void print_waiting(const json_t *event)
{
	const char *user = rk_event_text(event, "user");

	fprintf(stderr, "refkey: the PDS's limits: waiting %" JSON_INTEGER_FORMAT " s%s%s\n",
		(rk_event_number(event, "ms") + 999) / 1000, *user ? " for " : "", user);
}

bool rk_event_print_usual(struct rk_progress *progress, const json_t *event)
{
	const char *kind = rk_event_text(event, "event");

	if (strcmp(kind, "progress") == 0) {
		rk_progress_show(progress, (uint64_t)rk_event_number(event, "done"),
			(uint64_t)rk_event_number(event, "total"));
	} else if (strcmp(kind, "waiting") == 0) {
		rk_progress_clear(progress);
		print_waiting(event);
	} else if (strcmp(kind, "error") == 0) {
		rk_progress_clear(progress);
		rk_operation_print_error(event);
	} else {
		return false;
	}
	return true;
}

bool rk_event_has_summary(const json_t *result)
{
	/* Beside what every result has ("event", "exit"). */
	return json_object_size(result) > 2;
}

void rk_event_print_put_off(const json_t *result)
{
	if (rk_event_number(result, "putOff"))
		printf("Left:    %" JSON_INTEGER_FORMAT
		       ", a limit of the PDS lasts longer than --max-wait; running it again continues.\n",
			rk_event_number(result, "putOff"));
}

void rk_event_print_ended(const json_t *result)
{
	if (json_is_true(json_object_get(result, "stopped")))
		puts("Stopped; running it again continues.");
	if (json_is_true(json_object_get(result, "limited")))
		puts("The limit was reached; running it again continues.");
}

int rk_event_exit(int result, bool findings)
{
	switch (result) {
	case 0:
		return findings ? RK_EXIT_FINDINGS : RK_EXIT_DONE;
	case -ENOENT:
		return RK_EXIT_USAGE;
	case -EHOSTUNREACH:
		return RK_EXIT_UNREACHABLE;
	default:
		return RK_EXIT_FINDINGS;
	}
}
