/* refkey check: proves that the index agrees with itself. */
#include <stdio.h>
#include <string.h>

#include "cli/event.h"
#include "cli/operation.h"
#include "cli/perform.h"

static void report(void *context, const char *what)
{
	const struct rk_operation_run *run = context;

	/* A key that is none may be of any bytes. */
	run->emit(run->context,
		json_pack("{s:s, s:o}", "event", "line", "wrong",
			rk_event_said_json(rk_slice_str(what))));
}

int rk_operation_check(const struct rk_operation_run *run, json_t *result)
{
	struct rk_check_summary summary = {0};
	int64_t wrong = rk_store_check(run->service->store, &summary, report, (void *)run);
	json_int_t records = 0;

	if (wrong < 0) {
		rk_operation_error(run,
			"the index cannot be read to its end: restore a backup, or delete the data folder: "
			"it is built again from the PDS");
		return RK_EXIT_FINDINGS;
	}
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		records += (json_int_t)summary.counts.records[i];
	json_object_set_new(result, "wrong", json_integer(wrong));
	json_object_set_new(result, "repos", json_integer((json_int_t)summary.counts.repos));
	json_object_set_new(result, "records", json_integer(records));
	json_object_set_new(result, "lookups", json_integer((json_int_t)summary.lookups));
	json_object_set_new(result, "pending", json_integer((json_int_t)summary.counts.pending));
	return wrong ? RK_EXIT_FINDINGS : RK_EXIT_DONE;
}

struct printing {
	bool json;
	json_t *findings;
};

/* The value and its name, which is in the plural. */
static void print_count(const json_t *event, const char *name, const char *behind)
{
	json_int_t count = rk_event_number(event, name);

	printf("%" JSON_INTEGER_FORMAT " %.*s%s", count, (int)strlen(name) - (count == 1), name,
		behind);
}

static void print(void *context, const json_t *event)
{
	struct printing *p = context;
	const char *kind = json_string_value(json_object_get(event, "event"));
	json_t *wrong = json_object_get(event, "wrong");

	if (kind && strcmp(kind, "error") == 0) {
		rk_event_print_error(event);
	} else if (kind && strcmp(kind, "line") == 0) {
		if (p->json)
			json_array_append(p->findings, wrong);
		else
			printf("wrong: %s\n", json_string_value(wrong));
	} else if (p->json && rk_event_has_summary(event)) {
		json_t *copy = rk_event_copy(event);

		json_object_set(copy, "findings", p->findings);
		json_dumpf(copy, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(copy);
	} else if (wrong) {
		print_count(event, "repos", ", ");
		print_count(event, "records", ", ");
		print_count(event, "lookups", ": ");
		printf("%" JSON_INTEGER_FORMAT " thing%s wrong\n", json_integer_value(wrong),
			json_integer_value(wrong) == 1 ? "" : "s");
		if (json_integer_value(wrong))
			puts("Restore a backup, or delete the data folder: it is built again from the PDS.");
	}
}

int rk_command_check(const struct rk_command_call *call)
{
	struct printing p = {.json = call->options->json, .findings = json_array()};
	int code = rk_operation_perform(call, "check", json_object(), print, &p);

	json_decref(p.findings);
	return code;
}
