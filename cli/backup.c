/* refkey backup DIR: a hot, compacted copy of the index. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/event.h"
#include "cli/operation.h"
#include "cli/perform.h"

/* Whether another folder is what it takes. */
static bool is_wrong_folder(int result)
{
	switch (result) {
	case -EINVAL:
	case -ENOTEMPTY:
	case -EEXIST:
	case -ENOENT:
	case -ENOTDIR:
	case -EACCES:
	case -EPERM:
	case -EROFS:
	case -ENAMETOOLONG:
		return true;
	default:
		return false;
	}
}

int rk_operation_backup(const struct rk_operation_run *run, json_t *result)
{
	const char *dir = json_string_value(json_object_get(run->request, "dir"));
	char message[512];
	int r = dir ? rk_store_backup(run->service->store, dir) : -EINVAL;

	if (r) {
		snprintf(message, sizeof(message), "cannot write a backup to %.300s: %s%s",
			dir ? dir : "", strerror(-r),
			r == -ENOTEMPTY ? "; accepted: a folder that is empty or not there" : "");
		rk_operation_error(run, message);
		return is_wrong_folder(r) ? RK_EXIT_USAGE : RK_EXIT_FINDINGS;
	}
	json_object_set_new(result, "dir", json_string(dir));
	return RK_EXIT_DONE;
}

static void print(void *context, const json_t *event)
{
	const bool *as_json = context;
	const char *kind = json_string_value(json_object_get(event, "event"));
	json_t *dir = json_object_get(event, "dir");

	if (kind && strcmp(kind, "error") == 0) {
		rk_event_print_error(event);
	} else if (dir && *as_json) {
		fputs("{\"dir\": ", stdout);
		json_dumpf(dir, stdout, JSON_ENCODE_ANY);
		puts("}");
	} else if (dir) {
		printf("The index was copied to %s; put data.mdb into a data folder to use it.\n",
			json_string_value(dir));
	}
}

int rk_command_backup(const struct rk_command_call *call)
{
	bool as_json = call->options->json;
	const char *dir = call->arguments[0];
	char cwd[PATH_MAX], path[PATH_MAX * 2];

	/* A serve that does it has a working directory of its own. */
	if (dir[0] != '/' && getcwd(cwd, sizeof(cwd)))
		snprintf(path, sizeof(path), "%s/%s", cwd, dir);
	else
		snprintf(path, sizeof(path), "%s", dir);
	return rk_operation_perform(
		call, "backup", json_pack("{s:s}", "dir", path), print, &as_json);
}
