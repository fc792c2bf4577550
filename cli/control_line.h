/*
 * What both ends of the control socket (control.h) share: where it is, and a line sent. Lines are JSON without
 * line breaks, as jansson's compact form is.
 */
#ifndef RK_CLI_CONTROL_LINE_H
#define RK_CLI_CONTROL_LINE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/un.h>

#define RK_CONTROL_NAME "control.sock"

enum { RK_CONTROL_POLL_MS = 200 }; /* between looks at whether to stop */

/* The folder, opened: the caller's to close, not before the address was used. Or negative. The address leads
 * through it, for it has room for a hundred characters, and a folder's path may have more. */
int rk_control_folder_open(struct sockaddr_un *address, const char *data_dir);

/* False when the peer is gone, or took nothing for five seconds, or, once *stopping is set, not all of it within
 * one. */
bool rk_control_line_send(int fd, const json_t *json, const atomic_bool *stopping);

#endif
