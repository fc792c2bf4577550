/* See undo_files.h. */
#include "repair/undo_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* While a file is written, or written anew; left behind by a kill, it is nothing. */
#define PART ".part"

struct purge {
	uint64_t *counts;
	struct rk_slice did;
	int folder;
	bool remove;
};

/* Whether a line stays: of somebody else. */
static bool line_stays(const struct purge *purge, const char *line, size_t len)
{
	json_t *entry = json_loadb(line, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	const char *did = json_string_value(json_object_get(entry, "did"));
	const char *nsid = json_string_value(json_object_get(entry, "collection"));
	int collection = nsid ? rk_collection_find(rk_slice_str(nsid)) : -1;
	bool theirs = did && rk_slice_equal_str(purge->did, did);
	bool stays = did && !theirs;

	if (theirs)
		purge->counts[collection < 0 ? 0 : collection]++;
	json_decref(entry);
	return stays;
}

/* Lines that stay, from one file to the other, if there is one. */
static int lines_copy(
	const struct purge *purge, FILE *from, FILE *to, size_t *kept, size_t *dropped)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t len;
	int r = 0;

	while (r == 0 && (len = getline(&line, &room, from)) > 0) {
		bool stays = line_stays(purge, line, (size_t)len);

		*kept += stays;
		*dropped += !stays;
		if (stays && to && fwrite(line, 1, (size_t)len, to) != (size_t)len)
			r = -EIO;
	}
	if (r == 0 && ferror(from))
		r = -EIO;
	free(line);
	return r;
}

static FILE *file_open(const struct purge *purge, const char *name, int flags, const char *mode)
{
	int fd = openat(purge->folder, name, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *file = fd < 0 ? NULL : fdopen(fd, mode);

	if (fd >= 0 && !file)
		close(fd);
	return file;
}

/* The file without the DID's lines in its place, or none if there is nothing else in it. */
static int file_rewrite(const struct purge *purge, const char *name, FILE *from)
{
	const struct purge again = {.counts = (uint64_t[RK_COLLECTION_COUNT]){0},
		.did = purge->did,
		.folder = purge->folder};
	char part[300];
	size_t kept = 0, dropped = 0;
	FILE *to;
	int r;

	snprintf(part, sizeof(part), "%.255s" PART, name);
	to = file_open(purge, part, O_WRONLY | O_CREAT | O_TRUNC, "w");
	if (!to)
		return -errno;
	rk_file_give(fileno(to), purge->folder, name);
	rewind(from);
	r = lines_copy(&again, from, to, &kept, &dropped);
	if (r == 0 && (fflush(to) != 0 || fsync(fileno(to)) != 0))
		r = -errno;
	if (fclose(to) != 0 && r == 0)
		r = -errno;
	if (r == 0 && kept > 0 && renameat(purge->folder, part, purge->folder, name) != 0)
		r = -errno;
	if (r || kept == 0)
		unlinkat(purge->folder, part, 0);
	if (r == 0 && kept == 0 && unlinkat(purge->folder, name, 0) != 0)
		r = -errno;
	return r;
}

static int file_purge(const struct purge *purge, const char *name)
{
	FILE *file = file_open(purge, name, O_RDONLY, "r");
	size_t kept = 0, dropped = 0;
	int r;

	if (!file)
		return errno == ENOENT ? 0 : -errno;
	r = lines_copy(purge, file, NULL, &kept, &dropped);
	if (r == 0 && dropped > 0 && purge->remove)
		r = file_rewrite(purge, name, file);
	fclose(file);
	return r;
}

static bool is_part(const char *name)
{
	size_t len = strlen(name), part = strlen(PART);

	return len > part && strcmp(name + len - part, PART) == 0;
}

int rk_undo_files_purge(uint64_t counts[RK_COLLECTION_COUNT], const char *data_dir,
	struct rk_slice did, bool remove)
{
	struct purge purge = {.counts = counts, .did = did, .remove = remove};
	const struct dirent *entry;
	char path[4096];
	DIR *folder;
	int r = 0;

	memset(counts, 0, RK_COLLECTION_COUNT * sizeof(*counts));
	if (snprintf(path, sizeof(path), "%s/undo", data_dir) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	r = rk_file_open_folder(path);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	folder = fdopendir(r);
	if (!folder) {
		close(r);
		return -ENOMEM;
	}
	purge.folder = r;
	r = 0;
	while (r == 0 && (entry = readdir(folder))) {
		struct stat status;

		if (fstatat(purge.folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
			!S_ISREG(status.st_mode))
			continue;
		if (!is_part(entry->d_name))
			r = file_purge(&purge, entry->d_name);
		else if (remove && unlinkat(purge.folder, entry->d_name, 0) != 0)
			r = -errno;
	}
	if (r == 0 && remove && fsync(purge.folder) != 0)
		r = -errno;
	closedir(folder);
	return r;
}
