/*
 * Lines on standard error: the log's, and what commands say of themselves. Each is written by one write(2), so that
 * lines never mix, and above what a terminal shows there that is no line (cli/progress.h). Any thread.
 */
#ifndef RK_BASE_LINE_H
#define RK_BASE_LINE_H

#include "base/slice.h"

/* With its newline. What cannot be written is lost: there is nowhere to say so. */
void rk_line_write(struct rk_slice line);

/* Who writes lines from now on, one at a time; NULL: rk_line_write itself, as at first. On return nobody is in the
 * one before. It must not write a line by rk_line_write. */
typedef void rk_line_writer(void *context, struct rk_slice line);
void rk_line_writer_set(rk_line_writer *writer, void *context);

#endif
