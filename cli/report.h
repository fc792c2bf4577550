/*
 * What --report DIR writes: JSON files of mode 0600, without passwords. A file is whole or not there.
 */
#ifndef RK_CLI_REPORT_H
#define RK_CLI_REPORT_H

#include <jansson.h>
#include <stdbool.h>

/* Makes the folder, mode 0700; NULL: none is wanted. 0 or an exit code, after saying what is wrong. */
int rk_report_folder(const char *folder);
/* False, after saying why: it could not be written. */
bool rk_report_write(const char *folder, const char *name, const json_t *json);
/* A new list of the same objects, those with the highest "count" first. */
json_t *rk_report_most_first(const json_t *list);

#endif
