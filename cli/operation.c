/* The table of operations, and what they have in common; see operation.h. */
#include "cli/operation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/event.h"

static const struct rk_operation_row rows[] = {
	{"status", false, false, rk_operation_status},
	{"check", false, false, rk_operation_check},
	{"backup", false, false, rk_operation_backup},
	{"recover", true, false, rk_operation_recover},
	{"publish", true, true, rk_operation_publish},
	{"audit", false, true, rk_operation_audit},
	{"forget", true, true, rk_operation_forget},
	{"delete", true, true, rk_operation_delete},
	{"repair", true, true, rk_operation_repair},
	{"lexicon", false, false, rk_operation_lexicon},
};

const struct rk_operation_row *rk_operation_find(const char *name)
{
	for (size_t i = 0; name && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	}
	return NULL;
}

void rk_operation_progress(void *context, uint64_t done, uint64_t total)
{
	const struct rk_operation_run *run = context;

	run->emit(run->context,
		json_pack("{s:s, s:I, s:I}", "event", "progress", "done", (json_int_t)done, "total",
			(json_int_t)total));
}

void rk_operation_waiting(void *context, int64_t ms)
{
	const struct rk_operation_run *run = context;

	run->emit(run->context, json_pack("{s:s, s:I}", "event", "waiting", "ms", (json_int_t)ms));
}

void rk_operation_error(const struct rk_operation_run *run, const char *message)
{
	run->emit(run->context, rk_event_error(message));
}

void rk_operation_failed(const struct rk_operation_run *run, int result, const char *text)
{
	if (result)
		rk_operation_error(run, *text ? text : strerror(-result));
}

static bool refuse(const struct rk_operation_run *run, const char *format)
{
	const char *name = json_string_value(json_object_get(run->request, "operation"));
	char text[256];

	snprintf(text, sizeof(text), format, name ? name : "this");
	rk_operation_error(run, text);
	return false;
}

const char *rk_operation_pds_refusal(const struct rk_settings *settings)
{
	if (!settings->pds_url)
		return "REFKEY_PDS_URL is not set: `%s` needs the PDS";
	if (settings->source != RK_SOURCE_PDS)
		return "REFKEY_SOURCE is relay: `%s` needs the users' own PDS";
	return NULL;
}

bool rk_operation_writes_to_pds(const struct rk_operation_run *run)
{
	const char *wrong = rk_operation_pds_refusal(run->service->settings);

	if (wrong)
		return refuse(run, wrong);
	switch (rk_turn_command(&run->service->turns, run->stop)) {
	case 0:
		return true;
	case -EBUSY:
		return refuse(run,
			"another publish, or what else writes to the PDS, is under way: wait for its end, or stop it; then `%s`");
	default:
		return refuse(run, "`%s` was stopped before the dual write let it begin");
	}
}

const char **rk_operation_texts(const json_t *list)
{
	size_t count = json_array_size(list);
	const char **out = count ? calloc(count + 1, sizeof(*out)) : NULL;

	for (size_t i = 0; out && i < count; i++) {
		const char *text = json_string_value(json_array_get(list, i));

		out[i] = text ? text : "";
	}
	return out;
}

uint64_t rk_operation_number(const json_t *request, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(request, name));

	return value > 0 ? (uint64_t)value : 0;
}

void rk_operation_list_set(json_t *request, const char *name, const char *const *list)
{
	json_t *array = json_array();

	for (size_t i = 0; list && list[i]; i++)
		json_array_append_new(array, json_string(list[i]));
	json_object_set_new(request, name, array);
}
