/* What `refkey repair` prints and leaves in files, from the operation's events. */
#ifndef RK_CLI_REPAIR_PRINT_H
#define RK_CLI_REPAIR_PRINT_H

#include <jansson.h>

#include "cli/command.h"
#include "cli/event.h"
#include "cli/progress.h"

struct rk_repair_print {
	const struct rk_command_options *options;
	bool yes, said_mode;
	struct rk_event_list list;
	json_t *steps;         /* of the user who comes next, for a plan */
	json_t *planned, *all; /* users of the plan, steps of the report; NULL: none is wanted */
	json_t *summary;
	struct rk_progress progress;
};

void rk_repair_print_begin(struct rk_repair_print *print, const struct rk_command_options *options);
void rk_repair_print_event(void *print, const json_t *event);
/* Writes plan and report, each whole or not at all, with mode 0600. The exit code, or
 * RK_EXIT_FINDINGS for RK_EXIT_DONE where one could not be written. */
int rk_repair_print_end(struct rk_repair_print *print, int code);

#endif
