/* See report.h. */
#include "cli/report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"

enum { FOLDER_MODE = 0700, REPORT_MODE = 0600 };

int rk_report_folder(const char *folder)
{
	if (!folder || mkdir(folder, FOLDER_MODE) == 0 || errno == EEXIST)
		return RK_EXIT_DONE;
	fprintf(stderr, "refkey: --report %s: %s\n", folder, strerror(errno));
	return RK_EXIT_USAGE;
}

bool rk_report_write(const char *folder, const char *name, const json_t *json)
{
	char path[4096], part[4096];
	FILE *file = NULL;
	bool ok = false;
	int fd = -1;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
		snprintf(part, sizeof(part), "%s/%s.%d", folder, name, (int)getpid()) >=
			(int)sizeof(part)) {
		errno = ENAMETOOLONG;
	} else {
		fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, REPORT_MODE);
		file = fd >= 0 ? fdopen(fd, "w") : NULL;
	}
	if (file) {
		ok = json_dumpf(json, file, JSON_INDENT(2)) == 0 && fputc('\n', file) != EOF &&
			fflush(file) == 0 && fsync(fd) == 0;
		ok = fclose(file) == 0 && ok;
		ok = ok && rename(part, path) == 0;
	}
	if (!ok)
		fprintf(stderr, "refkey: the report %s/%s cannot be written: %s\n", folder, name,
			strerror(errno));
	if (!ok && fd >= 0)
		unlink(part);
	return ok;
}

static json_int_t count_of(const json_t *object)
{
	return json_integer_value(json_object_get(object, "count"));
}

static int most_first(const void *a, const void *b)
{
	json_int_t left = count_of(*(json_t *const *)a), right = count_of(*(json_t *const *)b);

	return (left < right) - (left > right);
}

json_t *rk_report_most_first(const json_t *list)
{
	size_t count = json_array_size(list);
	json_t **items = calloc(count + 1, sizeof(*items)), *out = json_array();

	for (size_t i = 0; items && i < count; i++)
		items[i] = json_array_get(list, i);
	if (items && count)
		qsort(items, count, sizeof(*items), most_first);
	for (size_t i = 0; items && i < count; i++)
		json_array_append(out, items[i]);
	free(items);
	return out;
}
