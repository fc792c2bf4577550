/*
 * Settings of a command beside a running serve, whose own hold: what the command was given and the
 * serve does otherwise is refused or said, never lost in silence.
 */
#ifndef RK_CLI_AGREE_H
#define RK_CLI_AGREE_H

#include "cli/operation.h"

/* Adds to a request what was given in the environment or as flags. */
void rk_agree_tell(json_t *request, const struct rk_settings *settings);

/*
 * In serve, before the operation: emits an "error" for each setting that must agree and does not
 * (every flag; in the environment what the MongoDB side works by, if the operation needs that) and a
 * "note" for the others. 0 or RK_EXIT_USAGE.
 */
int rk_agree_check(const struct rk_operation_run *run, const struct rk_operation_row *row);

#endif
