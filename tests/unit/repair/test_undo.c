/* Rules of repair/undo: what an undo file was told is on disk, by its name too, or does not count. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "repair/undo.h"

enum { SYNCS_MOST = 8 };

/* In place of libc's: what is synced, and how long it was; the one at `failing` fails, the one at `killing` is
 * the process's last call. -1: none. */
static struct {
	ino_t inode[SYNCS_MOST];
	off_t size[SYNCS_MOST];
	int count, failing, killing;
} syncs;

int fsync(int fd)
{
	struct stat stat;

	assert_int_equal(fstat(fd, &stat), 0);
	assert_true(syncs.count < SYNCS_MOST);
	if (syncs.count == syncs.killing)
		_exit(0);
	syncs.inode[syncs.count] = stat.st_ino;
	syncs.size[syncs.count] = stat.st_size;
	if (syncs.count++ != syncs.failing)
		return (int)syscall(SYS_fsync, fd);
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
	syncs.failing = syncs.killing = -1;
	*state = mkdtemp(dir) ? strdup(dir) : NULL;
	return *state ? 0 : -1;
}

/* Takes away what is in undo/, and says how much of it is an undo file by its name; each is of this size. */
static int files_take(const char *dir, size_t size)
{
	char folder[64], path[512];
	int count = 0;
	DIR *entries;

	snprintf(folder, sizeof(folder), "%s/undo", dir);
	entries = opendir(folder);
	for (const struct dirent *one; entries && (one = readdir(entries));) {
		snprintf(path, sizeof(path), "%s/%s", folder, one->d_name);
		if (strstr(one->d_name, ".jsonl")) {
			count++;
			assert_int_equal(size_of(path), size);
		}
		unlink(path);
	}
	if (entries)
		closedir(entries);
	rmdir(folder);
	return count;
}

#define LINE "{\"did\":\"did:web:a\",\"collection\":\"c\",\"rkey\":\"k\",\"record\":{}}\n"

static int teardown(void **state)
{
	files_take(*state, strlen(LINE));
	rmdir(*state);
	free(*state);
	return 0;
}

static void what_was_appended_is_on_disk(void **state)
{
	const struct rk_slice line = RK_SLICE_LIT(LINE);
	struct rk_undo undo = {0};
	char folder[64];
	int before;

	snprintf(folder, sizeof(folder), "%s/undo", (char *)*state);
	assert_int_equal(rk_undo_append(&undo, *state, line), 0);
	/* The file with all of it first, then the names. */
	assert_int_equal(syncs.count, 3);
	assert_int_equal(syncs.inode[0], inode_of(undo.path));
	assert_int_equal(syncs.size[0], line.len);
	assert_int_equal(syncs.inode[1], inode_of(folder));
	assert_int_equal(syncs.inode[2], inode_of(*state));
	before = syncs.count;
	assert_int_equal(rk_undo_append(&undo, *state, line), 0);
	assert_int_equal(syncs.count, before + 1);
	assert_int_equal(syncs.inode[before], inode_of(undo.path));
	assert_int_equal(syncs.size[before], 2 * line.len);
	rk_undo_close(&undo);
	assert_int_equal(files_take(*state, 2 * line.len), 1);
}

static void what_is_not_on_disk_does_not_count(void **state)
{
	const struct rk_slice line = RK_SLICE_LIT(LINE);
	struct rk_undo undo = {0};
	char path[sizeof(undo.path)];

	/* The file, the folder, and the folder's own name. */
	for (int i = 0; i < 3; i++) {
		syncs.count = 0;
		syncs.failing = i;
		assert_int_equal(rk_undo_append(&undo, *state, line), -EIO);
		assert_string_equal(undo.path, "");
		assert_int_equal(files_take(*state, 0), 0);
	}
	syncs.failing = -1;
	assert_int_equal(rk_undo_append(&undo, *state, line), 0);
	syncs.failing = syncs.count; /* the file's */
	assert_int_equal(rk_undo_append(&undo, *state, line), -EIO);
	assert_int_equal(size_of(undo.path), line.len);
	strcpy(path, undo.path);
	rk_undo_close(&undo);
	assert_int_equal(size_of(path), line.len);
}

static void nothing_to_say_makes_no_file(void **state)
{
	struct rk_undo undo = {0};

	assert_int_equal(rk_undo_append(&undo, *state, rk_slice_str("")), 0);
	assert_string_equal(undo.path, "");
	assert_int_equal(files_take(*state, 0), 0);
	rk_undo_close(&undo);
	rk_undo_close(&undo);
}

/* Killed at each step of the first lines: there is no file, or one with all of them. */
static void a_kill_leaves_no_empty_file(void **state)
{
	const struct rk_slice line = RK_SLICE_LIT(LINE);
	int whole = 0;

	for (int i = 0; i <= 3; i++) {
		struct rk_undo undo = {0};
		int status;
		pid_t pid;

		syncs.count = 0;
		syncs.killing = i;
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(rk_undo_append(&undo, *state, line) == 0 ? 1 : 2);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		/* There are three of them. */
		assert_int_equal(WEXITSTATUS(status), i == 3);
		/* What the last one left is in nobody's way. */
		syncs.killing = -1;
		syncs.count = 0;
		assert_int_equal(rk_undo_append(&undo, *state, line), 0);
		rk_undo_close(&undo);
		whole += files_take(*state, line.len);
	}
	assert_int_equal(whole, 3 + 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_appended_is_on_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_not_on_disk_does_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_say_makes_no_file, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kill_leaves_no_empty_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
