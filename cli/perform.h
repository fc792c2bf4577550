/* A command's way to an operation, here or in a running serve. */
#ifndef RK_CLI_PERFORM_H
#define RK_CLI_PERFORM_H

#include "cli/operation.h"

/*
 * Runs an operation for a command: by the running serve if there is one, else here. print is called
 * for each event but notes, with texts as people may see them unless --json is given (event.h has what came), and
 * for a result unless it is RK_EXIT_USAGE. Takes over the request. Returns the exit code.
 */
int rk_operation_perform(const struct rk_command_call *call, const char *name, json_t *request,
	void (*print)(void *context, const json_t *event), void *context);

#endif
