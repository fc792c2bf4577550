/*
 * Operations: what commands do to the index, the same whether a running serve does it (asked over its
 * control socket) or the command itself. Requests and what comes back are JSON objects, so that both
 * ways print alike.
 *
 * Events, by "event": "line" (one thing done), "progress" (done, total), "error" (message, and what to
 * do), "note" (message, beside the matter), and last "result" (exit, and what the operation says of
 * itself).
 */
#ifndef RK_CLI_OPERATION_H
#define RK_CLI_OPERATION_H

#include <jansson.h>

#include "cli/service.h"

/* Takes over the event. False: nobody is there to hear more. */
typedef bool rk_operation_emit(void *context, json_t *event);

struct rk_operation_run {
	struct rk_service *service;
	const json_t *request; /* borrowed */
	const atomic_bool *stop;
	rk_operation_emit *emit;
	void *context;
};

struct rk_operation_row {
	const char *name;
	bool mirror; /* needs the MongoDB side */
	bool http;   /* speaks to the PDS */
	/* Returns an exit code and fills *result (a new object). */
	int (*run)(const struct rk_operation_run *run, json_t *result);
};

/* Whether the operation may write to the PDS now: the settings allow it, and no other command is at it. Then
 * it has the turn (rk_turn_command_end at the end), for which that of a dual write is waited for. False:
 * said why; it ends with RK_EXIT_USAGE. */
bool rk_operation_writes_to_pds(const struct rk_operation_run *run);
/* Why nothing can be written to the PDS with these settings, a format with what wants to in it; NULL: it can. */
const char *rk_operation_pds_refusal(const struct rk_settings *settings);

/* What operations send. The first two go into requests whose context is the run. */
void rk_operation_progress(void *run, uint64_t done, uint64_t total);
void rk_operation_waiting(void *run, int64_t ms);
void rk_operation_error(const struct rk_operation_run *run, const char *message);
/* The error of a result that is not 0: the text, or errno's where it is empty. */
void rk_operation_failed(const struct rk_operation_run *run, int result, const char *text);

const struct rk_operation_row *rk_operation_find(const char *name); /* NULL: none */

int rk_operation_audit(const struct rk_operation_run *run, json_t *result);
int rk_operation_status(const struct rk_operation_run *run, json_t *result);
int rk_operation_check(const struct rk_operation_run *run, json_t *result);
int rk_operation_backup(const struct rk_operation_run *run, json_t *result);
int rk_operation_lexicon(const struct rk_operation_run *run, json_t *result);
int rk_operation_publish(const struct rk_operation_run *run, json_t *result);
int rk_operation_delete(const struct rk_operation_run *run, json_t *result);
int rk_operation_forget(const struct rk_operation_run *run, json_t *result);
int rk_operation_repair(const struct rk_operation_run *run, json_t *result);
int rk_operation_recover(const struct rk_operation_run *run, json_t *result);

/* Parts of requests. A list of texts is ended by NULL, or NULL where there is none: free it, the texts
 * are the request's. A number that is absent or negative is 0. */
void rk_operation_list_set(json_t *request, const char *name, const char *const *list);
const char **rk_operation_texts(const json_t *list);
uint64_t rk_operation_number(const json_t *request, const char *name);

#endif
