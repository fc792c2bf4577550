/* See accounts_report.h. */
#include "cli/accounts_report.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/command.h"
#include "cli/report.h"

enum { MODE = 0600 };

/* The name of a new file is on the disk, too. */
static bool folder_sync(const char *folder)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* A run that was killed, or a full disk, may have left half a line. */
static bool line_end(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char last;

	if (size <= 0)
		return size == 0;
	return pread(fd, &last, 1, size - 1) == 1 && (last == '\n' || write_all(fd, "\n", 1));
}

/* Not a pipe, nor a file that is somebody else's, or has another name somewhere. */
static bool is_ours(int fd)
{
	struct stat status;
	bool ours = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
		status.st_uid == geteuid() && status.st_nlink == 1;

	if (!ours)
		errno = EPERM;
	return ours;
}

int rk_accounts_report_open(struct rk_accounts_report *report, const char *folder)
{
	report->fd = -1;
	if (snprintf(report->path, sizeof(report->path), "%s/accounts-created.jsonl", folder) >=
		(int)sizeof(report->path)) {
		rk_report_fail("report", report->path, strerror(ENAMETOOLONG));
		return RK_EXIT_USAGE;
	}
	report->fd = open(report->path,
		O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, MODE);
	if (report->fd >= 0 && flock(report->fd, LOCK_EX | LOCK_NB) != 0) {
		rk_report_fail("report", report->path,
			errno == EWOULDBLOCK ? "another `accounts --create` is under way with it"
					     : strerror(errno));
		rk_accounts_report_close(report);
		return RK_EXIT_USAGE;
	}
	if (report->fd >= 0 && is_ours(report->fd) && fchmod(report->fd, MODE) == 0 &&
		line_end(report->fd) && fsync(report->fd) == 0 && folder_sync(folder))
		return RK_EXIT_DONE;
	rk_report_fail("report", report->path, strerror(errno));
	rk_accounts_report_close(report);
	return RK_EXIT_USAGE;
}

static json_t *text_json(struct rk_slice text)
{
	json_t *json = text.len ? json_stringn((const char *)text.data, text.len) : NULL;

	return json ? json : json_null();
}

bool rk_accounts_report_note(struct rk_accounts_report *report, enum rk_accounts_step step,
	const struct rk_accounts_line *line)
{
	static const char *const names[] = {[RK_ACCOUNTS_BEGUN] = "begun",
		[RK_ACCOUNTS_MADE] = "made",
		[RK_ACCOUNTS_STORED] = "stored"};
	const struct rk_accounts_person *person = line->person;
	char now[RK_CLOCK_ISO_SIZE];
	json_t *entry;
	char *text;
	bool ok;

	rk_clock_iso(now, rk_clock_wall_ms());
	entry = json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:I}", "at", now, "step",
		names[step], "handle", text_json(person->handle), "sub", text_json(person->id),
		"email", text_json(rk_slice_str(person->email)), "account", line->name, "did",
		text_json(rk_slice_str(line->did)), "count", (json_int_t)person->count);
	text = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
	json_decref(entry);
	errno = ENOMEM;
	ok = text && write_all(report->fd, text, strlen(text)) && write_all(report->fd, "\n", 1) &&
		fsync(report->fd) == 0;
	if (!ok)
		rk_report_fail("report", report->path, strerror(errno));
	free(text);
	return ok;
}

void rk_accounts_report_close(struct rk_accounts_report *report)
{
	if (report->fd >= 0)
		close(report->fd);
	report->fd = -1;
}
