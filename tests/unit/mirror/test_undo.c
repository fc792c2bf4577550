/* Rules of mirror/undo: what an undo file was told is on disk, by its name too, or does not count. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mirror/undo.h"

enum { SYNCS_MOST = 8 };

/* In place of libc's: what is synced, and how long it was; `failing` of them fail. */
static struct {
	ino_t inode[SYNCS_MOST];
	off_t size[SYNCS_MOST];
	int count, failing;
} syncs;

int fsync(int fd)
{
	struct stat stat;

	assert_int_equal(fstat(fd, &stat), 0);
	assert_true(syncs.count < SYNCS_MOST);
	syncs.inode[syncs.count] = stat.st_ino;
	syncs.size[syncs.count++] = stat.st_size;
	if (syncs.failing == 0)
		return (int)syscall(SYS_fsync, fd);
	syncs.failing--;
	errno = EIO;
	return -1;
}

static ino_t inode_of(const char *path)
{
	struct stat found;

	assert_int_equal(stat(path, &found), 0);
	return found.st_ino;
}

static off_t size_of(const char *path)
{
	struct stat found;

	assert_int_equal(stat(path, &found), 0);
	return found.st_size;
}

static int setup(void **state)
{
	char dir[] = "/tmp/refkey-undo-XXXXXX";

	memset(&syncs, 0, sizeof(syncs));
	*state = mkdtemp(dir) ? strdup(dir) : NULL;
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	char folder[64], path[512];
	DIR *entries;

	snprintf(folder, sizeof(folder), "%s/undo", (char *)*state);
	entries = opendir(folder);
	for (const struct dirent *one; entries && (one = readdir(entries));) {
		snprintf(path, sizeof(path), "%s/%s", folder, one->d_name);
		unlink(path);
	}
	if (entries)
		closedir(entries);
	rmdir(folder);
	rmdir(*state);
	free(*state);
	return 0;
}

#define LINE "{\"did\":\"did:web:a\",\"collection\":\"c\",\"rkey\":\"k\",\"record\":{}}\n"

static void what_was_appended_is_on_disk(void **state)
{
	const struct rk_slice line = RK_SLICE_LIT(LINE);
	struct rk_undo undo = {0};
	char folder[64];
	int before;

	snprintf(folder, sizeof(folder), "%s/undo", (char *)*state);
	assert_int_equal(rk_undo_append(&undo, *state, line), 0);
	/* The names first, then the file with all of it. */
	assert_int_equal(syncs.count, 3);
	assert_int_equal(syncs.inode[0], inode_of(folder));
	assert_int_equal(syncs.inode[1], inode_of(*state));
	assert_int_equal(syncs.inode[2], inode_of(undo.path));
	assert_int_equal(syncs.size[2], line.len);
	before = syncs.count;
	assert_int_equal(rk_undo_append(&undo, *state, line), 0);
	assert_int_equal(syncs.count, before + 1);
	assert_int_equal(syncs.inode[before], inode_of(undo.path));
	assert_int_equal(syncs.size[before], 2 * line.len);
	rk_undo_close(&undo);
}

static void what_is_not_on_disk_does_not_count(void **state)
{
	const struct rk_slice line = RK_SLICE_LIT(LINE);
	struct rk_undo undo = {0};
	char path[sizeof(undo.path)];

	syncs.failing = 1; /* the folder's */
	assert_int_equal(rk_undo_append(&undo, *state, line), -EIO);
	assert_string_equal(undo.path, "");
	assert_int_equal(rk_undo_append(&undo, *state, line), 0);
	syncs.failing = 1; /* the file's */
	assert_int_equal(rk_undo_append(&undo, *state, line), -EIO);
	assert_int_equal(size_of(undo.path), line.len);
	strcpy(path, undo.path);
	rk_undo_close(&undo);
	assert_int_equal(size_of(path), line.len);
}

static void a_file_that_says_nothing_goes(void **state)
{
	struct rk_undo undo = {0};
	char path[sizeof(undo.path)];

	assert_int_equal(rk_undo_append(&undo, *state, rk_slice_str("")), 0);
	strcpy(path, undo.path);
	assert_int_equal(access(path, F_OK), 0);
	rk_undo_close(&undo);
	assert_int_equal(access(path, F_OK), -1);
	rk_undo_close(&undo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_appended_is_on_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_not_on_disk_does_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_says_nothing_goes, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
