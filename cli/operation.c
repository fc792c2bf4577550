/* The table of operations, and running one for a command; see operation.h. */
#include "cli/operation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/agree.h"
#include "cli/control.h"
#include "cli/event.h"
#include "cli/interrupt.h"
#include "net/http.h"

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

void rk_operation_print_error(const json_t *event)
{
	fprintf(stderr, "refkey: %s\n", json_string_value(json_object_get(event, "message")));
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

struct printer {
	void (*print)(void *context, const json_t *event);
	void *context;
	bool json; /* what is printed is for programs */
};

static void hear(void *context, const json_t *event)
{
	struct printer *printer = context;
	const char *kind = rk_event_text(event, "event");
	bool aside = strcmp(kind, "note") == 0 || strcmp(kind, "error") == 0 ||
		strcmp(kind, "waiting") == 0; /* on standard error, for people */
	json_t *given = printer->json && !aside ? json_incref((json_t *)event)
						: rk_event_shown((json_t *)event);

	if (strcmp(kind, "note") == 0)
		rk_operation_print_error(given);
	/* Nothing was begun, so there is nothing to sum up. */
	else if (strcmp(kind, "result") != 0 || rk_event_number(event, "exit") != RK_EXIT_USAGE)
		printer->print(printer->context, given);
	json_decref(given);
}

static bool emit(void *context, json_t *event)
{
	hear(context, event);
	json_decref(event);
	return true;
}

static int run_here(const struct rk_command_call *call, const struct rk_operation_row *row,
	const json_t *request, const atomic_bool *stop, struct printer *printer)
{
	struct rk_service service;
	struct rk_operation_run run = {
		.service = &service,
		.request = request,
		.stop = stop,
		.emit = emit,
		.context = printer,
	};
	json_t *result;
	int code;

	if (!rk_service_index_exists(call->settings)) {
		fprintf(stderr,
			"refkey: there is no index in %s: set REFKEY_DATA_DIR to the folder of `refkey serve`\n",
			call->settings->data_dir);
		return RK_EXIT_USAGE;
	}
	if (row->mirror && !call->settings->mongo_uri) {
		fprintf(stderr, "refkey: REFKEY_MONGO_URI is not set: `%s` needs MongoDB\n",
			row->name);
		return RK_EXIT_USAGE;
	}
	if (row->http && rk_http_global_init() != 0) {
		fputs("refkey: libcurl cannot be initialised\n", stderr);
		return RK_EXIT_FINDINGS;
	}
	code = rk_service_open(&service, call->settings);
	if (code)
		return code;
	if (row->mirror)
		code = rk_service_mirror(&service, false);
	result = json_object();
	if (code == 0) {
		code = row->run(&run, result);
		json_object_set_new(result, "event", json_string("result"));
		json_object_set_new(result, "exit", json_integer(code));
		hear(printer, result);
	}
	json_decref(result);
	rk_service_close(&service);
	return code;
}

int rk_operation_perform(const struct rk_command_call *call, const char *name, json_t *request,
	void (*print)(void *context, const json_t *event), void *context)
{
	struct printer printer = {.print = print, .context = context, .json = call->options->json};
	/* A lost line would be missed by who reads them. */
	const atomic_bool *stop = rk_interrupt_take(SA_RESTART);
	int code = RK_EXIT_FINDINGS, r;

	json_object_set_new(request, "operation", json_string(name));
	rk_agree_tell(request, call->settings);
	r = rk_control_ask(call->settings->data_dir, request, stop, hear, &printer, &code);
	if (r == -ENOENT) {
		code = run_here(call, rk_operation_find(name), request, stop, &printer);
	} else if (r) {
		fprintf(stderr, "refkey: the running serve did not answer to the end: %s\n",
			strerror(-r));
		code = RK_EXIT_UNREACHABLE;
	}
	json_decref(request);
	return code;
}
