/* What `refkey publish` prints and leaves in its folder of reports, from the operation's events. */
#ifndef RK_CLI_PUBLISH_PRINT_H
#define RK_CLI_PUBLISH_PRINT_H

#include <jansson.h>

#include "cli/command.h"
#include "cli/event.h"
#include "cli/progress.h"

struct rk_publish_print {
	const struct rk_command_options *options;
	bool lines;
	struct rk_event_list list;
	json_t *told; /* the result, as far as it was told of; NULL: not even what is to be done */
	json_t *without, *errors, *summary;
	struct rk_progress progress;
};

/* Makes the folder of reports. RK_EXIT_DONE, or after saying why: RK_EXIT_USAGE. */
int rk_publish_print_begin(
	struct rk_publish_print *print, const struct rk_command_options *options);
void rk_publish_print_event(void *print, const json_t *event);
/* Writes the reports, each whole or not at all, with mode 0600. The exit code, or RK_EXIT_FINDINGS for
 * RK_EXIT_DONE where one could not be written. */
int rk_publish_print_end(struct rk_publish_print *print, int code);

#endif
