/*
 * What --report DIR writes: JSON files of mode 0600, without passwords. A file is whole or not there.
 */
#ifndef RK_CLI_REPORT_H
#define RK_CLI_REPORT_H

#include <jansson.h>
#include <stdbool.h>

/* Makes the folder and those it lies in, mode 0700; NULL: none is wanted. 0 or an exit code, after saying what is wrong. */
int rk_report_folder(const char *folder);
/* False, after saying why: it could not be written. What is there under its name is replaced. */
bool rk_report_write(const char *folder, const char *name, const json_t *json);
/* What an earlier run wrote under that name goes; anything but a file stays. False, after saying why: it could not. */
bool rk_report_remove(const char *folder, const char *name);
/* The same as writing, for any file; what: a word for the message. */
bool rk_report_write_file(const char *path, const char *what, const json_t *json);
/* Says that it could not be written, and why; false. */
bool rk_report_fail(const char *what, const char *path, const char *why);
/* Whether a new file could be written there, before there is anything to write. 0 or negative errno; -EEXIST:
 * something is there. */
int rk_report_probe(const char *path) __attribute__((warn_unused_result));
/* A new list of the same objects, those with the highest "count" first. */
json_t *rk_report_most_first(const json_t *list);

#endif
