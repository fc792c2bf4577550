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
#include "cli/event.h"

enum { FOLDER_MODE = 0700, REPORT_MODE = 0600, PARTS_MOST = 100 };

/* With all that it lies in. */
static int folder_make(const char *folder)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s", folder) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (char *c = path + 1; *path && *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(path, FOLDER_MODE) != 0 && errno != EEXIST)
			return -errno;
		*c = '/';
	}
	return mkdir(folder, FOLDER_MODE) == 0 ? 0 : -errno;
}

static int folder_check(const char *folder)
{
	struct stat status;
	int r = folder_make(folder);

	if (r != -EEXIST)
		return r;
	if (stat(folder, &status) != 0)
		return -errno;
	if (!S_ISDIR(status.st_mode))
		return -ENOTDIR;
	return access(folder, W_OK | X_OK) == 0 ? 0 : -errno;
}

int rk_report_folder(const char *folder)
{
	int r = folder ? folder_check(folder) : 0;

	if (r == 0)
		return RK_EXIT_DONE;
	fprintf(stderr, "refkey: --report %s: %s\n", folder, strerror(-r));
	return RK_EXIT_USAGE;
}

/* The file while it is not whole, beside where it will be: never through a link. A run that was killed may have left
 * one, and in a container all have the same number. */
static int part_open(char part[4096], const char *path)
{
	int fd = -1;

	errno = EEXIST;
	for (int i = 0; fd < 0 && errno == EEXIST && i < PARTS_MOST; i++) {
		if (snprintf(part, 4096, "%s.%d.%d", path, (int)getpid(), i) >= 4096) {
			errno = ENAMETOOLONG;
			return -1;
		}
		fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, REPORT_MODE);
	}
	return fd;
}

int rk_report_probe(const char *path)
{
	char part[4096];
	struct stat status;
	int fd;

	if (lstat(path, &status) == 0)
		return -EEXIST;
	if (errno != ENOENT || !*path)
		return -errno;
	fd = part_open(part, path);
	if (fd < 0)
		return -errno;
	close(fd);
	unlink(part);
	return 0;
}

bool rk_report_fail(const char *what, const char *path, const char *why)
{
	char text[480];

	snprintf(text, sizeof(text), "the %s %.360s cannot be written: %s", what, path, why);
	rk_event_print_failure(text);
	return false;
}

bool rk_report_write_file(const char *path, const char *what, const json_t *json)
{
	char part[4096];
	int fd = part_open(part, path);
	FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
	bool ok = false;

	if (file) {
		ok = json_dumpf(json, file, JSON_INDENT(2)) == 0 && fputc('\n', file) != EOF &&
			fflush(file) == 0 && fsync(fd) == 0;
		ok = fclose(file) == 0 && ok;
		ok = ok && rename(part, path) == 0;
	}
	if (!ok)
		rk_report_fail(what, path, strerror(errno));
	if (!ok && fd >= 0)
		unlink(part);
	return ok;
}

static bool path_make(char path[4096], const char *folder, const char *name)
{
	return snprintf(path, 4096, "%s/%s", folder, name) < 4096 ||
		rk_report_fail("report", folder, strerror(ENAMETOOLONG));
}

bool rk_report_write(const char *folder, const char *name, const json_t *json)
{
	char path[4096];

	return path_make(path, folder, name) && rk_report_write_file(path, "report", json);
}

bool rk_report_remove(const char *folder, const char *name)
{
	char path[4096];
	struct stat status;

	if (!path_make(path, folder, name))
		return false;
	if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode) || unlink(path) == 0)
		return true;
	return rk_report_fail("report", path, strerror(errno));
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
