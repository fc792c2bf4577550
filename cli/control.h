/*
 * The control socket of a running serve: control.sock in the data folder, mode 0600. One operation a
 * connection: a line with the request, then a line for each event. Closing the connection stops it, as does
 * taking nothing for five seconds; then nothing more is sent.
 */
#ifndef RK_CLI_CONTROL_H
#define RK_CLI_CONTROL_H

#include "cli/operation.h"

struct rk_control;

/* Listens, and answers a bounded number of connections, each on a thread of its own. 0, or negative. */
int rk_control_create(struct rk_control **out, struct rk_service *service)
	__attribute__((warn_unused_result));
/* Ends what is under way, with its summary where the peer takes it at once. */
void rk_control_destroy(struct rk_control *control);

/* Asks a running serve. 0: it answered and *exit_code is its; -ENOENT: there is none; negative. However long print
 * takes, it works on. When *stop is set the operation is asked to end, and its summary still waited for. */
int rk_control_ask(const char *data_dir, const json_t *request, const atomic_bool *stop,
	void (*print)(void *context, const json_t *event), void *context, int *exit_code)
	__attribute__((warn_unused_result));

#endif
