/* See perform.h. */
#include "cli/perform.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/agree.h"
#include "cli/control.h"
#include "cli/event.h"
#include "cli/interrupt.h"
#include "net/http.h"

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
		rk_event_print_error(given);
	/* Nothing was begun, so there is nothing to sum up. */
	else if (strcmp(kind, "result") != 0 || rk_event_number(event, "exit") != RK_EXIT_USAGE)
		printer->print(printer->context, given);
	json_decref(given);
	/* Whoever reads along is not to wait for a full buffer. */
	fflush(stdout);
}

static bool emit(void *context, json_t *event)
{
	hear(context, event);
	json_decref(event);
	return true;
}

/* Who did it ended under it: for programs, the result that it owes. */
static void end_for_it(struct printer *printer, int code, const char *error)
{
	json_t *event = json_pack("{s:s, s:i, s:b, s:s}", "event", "result", "exit", code,
		"stopped", true, "error", error);

	if (printer->json)
		hear(printer, event);
	json_decref(event);
}

/* What went wrong before or instead of the operation, as it would say it. */
static int fail(struct printer *printer, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct printer *printer, int code, const char *format, ...)
{
	char text[PATH_MAX + 256];
	va_list list;
	json_t *event;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	event = rk_event_error(text);
	hear(printer, event);
	json_decref(event);
	return code;
}

static int run_here(const struct rk_command_call *call, const struct rk_operation_row *row,
	const json_t *request, const atomic_bool *stop, struct printer *printer)
{
	struct rk_service service = {.settings = call->settings};
	struct rk_operation_run run = {
		.service = &service,
		.request = request,
		.stop = stop,
		.emit = emit,
		.context = printer,
	};
	json_t *result;
	int code;

	if (!rk_service_index_exists(call->settings))
		return fail(printer, RK_EXIT_USAGE,
			"there is no index in %s: set REFKEY_DATA_DIR to the folder of `refkey serve`",
			call->settings->data_dir);
	if (row->mirror && !call->settings->mongo_uri)
		return fail(printer, RK_EXIT_USAGE,
			"REFKEY_MONGO_URI is not set: `%s` needs MongoDB", row->name);
	if (row->http && rk_http_global_init() != 0)
		return fail(printer, RK_EXIT_FINDINGS, "libcurl cannot be initialised");
	code = rk_service_open(&service);
	if (code)
		return code;
	if (row->mirror)
		code = rk_service_mirror(&service);
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
		char text[128];

		snprintf(text, sizeof(text), "the running serve did not answer to the end: %s",
			strerror(-r));
		code = fail(&printer, RK_EXIT_UNREACHABLE, "%s", text);
		end_for_it(&printer, code, text);
	}
	json_decref(request);
	return code;
}
