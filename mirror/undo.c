/* See undo.h. */
#include "mirror/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

enum { FOLDER_MODE = 0700, FILE_MODE = 0600, NAMES_MOST = 1000, LINE_MOST = 4 << 20 };

/* What is in the folder is on disk by its name, too. */
static int folder_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

	if (fd < 0 || fsync(fd) != 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	return r;
}

static int undo_open(struct rk_undo *undo, const char *data_dir)
{
	char folder[sizeof(undo->path) - 64], when[RK_CLOCK_ISO_SIZE];
	int r;

	if (snprintf(folder, sizeof(folder), "%s/undo", data_dir) >= (int)sizeof(folder))
		return -ENAMETOOLONG;
	if (mkdir(folder, FOLDER_MODE) != 0 && errno != EEXIST)
		return -errno;
	rk_clock_iso(when, rk_clock_wall_ms());
	undo->fd = -1;
	for (int i = 0; undo->fd < 0 && i < NAMES_MOST; i++) {
		snprintf(undo->path, sizeof(undo->path), "%s/repair-%.10sT%.2s%.2s%.2s-%d.jsonl",
			folder, when, when + 11, when + 14, when + 17, i);
		undo->fd = open(undo->path,
			O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
		if (undo->fd < 0 && errno != EEXIST)
			break;
	}
	r = undo->fd < 0 ? -errno : folder_sync(folder);
	if (r == 0)
		r = folder_sync(data_dir);
	if (r) {
		if (undo->fd >= 0) {
			close(undo->fd);
			unlink(undo->path);
		}
		*undo = (struct rk_undo){0};
	}
	return r;
}

int rk_undo_append(struct rk_undo *undo, const char *data_dir, struct rk_slice lines)
{
	off_t from;
	size_t done = 0;
	int r = undo->path[0] ? 0 : undo_open(undo, data_dir);

	if (r)
		return r;
	from = lseek(undo->fd, 0, SEEK_END);
	while (r == 0 && done < lines.len) {
		ssize_t n = write(undo->fd, lines.data + done, lines.len - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			r = n == 0 ? -EIO : -errno;
	}
	if (r == 0 && fsync(undo->fd) != 0)
		r = -errno;
	if (r && from >= 0 && ftruncate(undo->fd, from) != 0)
		return r; /* what is left of it names records that are still there */
	return r;
}

void rk_undo_close(struct rk_undo *undo)
{
	struct stat stat;

	if (!undo->path[0])
		return;
	if (fstat(undo->fd, &stat) == 0 && stat.st_size == 0)
		unlink(undo->path);
	close(undo->fd);
	*undo = (struct rk_undo){0};
}

/* A string without a NUL in it, which would cut it short. */
static bool is_text(const json_t *value)
{
	return json_is_string(value) &&
		strlen(json_string_value(value)) == json_string_length(value);
}

static bool is_entry(const json_t *entry)
{
	return is_text(json_object_get(entry, "did")) &&
		is_text(json_object_get(entry, "collection")) &&
		is_text(json_object_get(entry, "rkey"));
}

int rk_undo_read(json_t **out, const char *path, char error[256])
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t room = 0, number = 0;
	ssize_t len;
	int r = 0;

	*out = json_array();
	error[0] = '\0';
	if (!file) {
		r = -errno;
		snprintf(error, 256, "%s", strerror(-r));
		return r;
	}
	while (r == 0 && (len = getline(&line, &room, file)) > 0) {
		bool whole = line[len - 1] == '\n';
		json_t *entry = len > LINE_MOST
			? NULL
			: json_loadb(
				  line, (size_t)len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);

		number++;
		if (!whole) {
			json_decref(entry); /* what it was to undo was not done */
			break;
		}
		if (!is_entry(entry)) {
			snprintf(error, 256, "line %zu is none of an undo file", number);
			r = -EINVAL;
		} else if (json_is_object(json_object_get(entry, "record"))) {
			r = json_array_append(*out, entry) ? -ENOMEM : 0;
		}
		json_decref(entry);
	}
	if (r == 0 && ferror(file)) {
		r = -EIO;
		snprintf(error, 256, "it cannot be read");
	}
	free(line);
	fclose(file);
	return r;
}
