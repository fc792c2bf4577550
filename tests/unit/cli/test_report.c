/* Rules of cli/report: a file is whole or not there, of mode 0600, and never written through a link. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"

static char dir[64];

static int folder_make(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/refkey-test-report-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static const char *in_folder(char path[256], const char *name)
{
	snprintf(path, 256, "%s/%s", dir, name);
	return path;
}

static void file_make(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void assert_holds(const char *path, const char *expected)
{
	char text[64] = {0};
	int fd = open(path, O_RDONLY | O_NOFOLLOW);

	assert_true(fd >= 0);
	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, expected);
	close(fd);
}

static void write_one(const char *name)
{
	json_t *json = json_pack("[i]", 1);

	assert_true(rk_report_write(dir, name, json));
	json_decref(json);
}

static void a_link_in_its_place_is_replaced(void **state)
{
	char path[256], victim[256];
	struct stat status;

	file_make(in_folder(victim, "victim"), "mine");
	assert_int_equal(symlink(victim, in_folder(path, "linked.json")), 0);
	write_one("linked.json");
	assert_holds(victim, "mine");
	assert_holds(path, "[\n  1\n]\n");
	assert_int_equal(lstat(path, &status), 0);
	assert_int_equal(status.st_mode, S_IFREG | 0600);
	unlink(path);
	unlink(victim);
}

static void what_is_removed_is_a_file_or_nothing(void **state)
{
	char path[256], folder[256];
	struct stat status;

	file_make(in_folder(path, "errors.json"), "[]");
	assert_true(rk_report_remove(dir, "errors.json"));
	assert_int_equal(lstat(path, &status), -1);
	assert_true(rk_report_remove(dir, "errors.json"));
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(mkdir(in_folder(folder, "folder.json"), 0700), 0);
	assert_true(rk_report_remove(dir, "errors.json"));
	assert_true(rk_report_remove(dir, "folder.json"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

/* The number of this process comes again, and who was killed left its part. */
static void what_a_killed_run_left_is_in_nobodys_way(void **state)
{
	char path[256], part[300], other[300], older[300];

	in_folder(path, "again.json");
	snprintf(part, sizeof(part), "%s.%d.0", path, (int)getpid());
	snprintf(other, sizeof(other), "%s.%d.1", path, (int)getpid());
	snprintf(older, sizeof(older), "%s.%d", path, (int)getpid());
	file_make(part, "half");
	file_make(older, "half");
	assert_int_equal(symlink("/nowhere/at/all", other), 0);
	write_one("again.json");
	assert_holds(path, "[\n  1\n]\n");
	assert_holds(part, "half");
	unlink(path);
	unlink(part);
	unlink(other);
	unlink(older);
	/* Nothing of its own is left. */
	assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_in_its_place_is_replaced),
		cmocka_unit_test(what_is_removed_is_a_file_or_nothing),
		cmocka_unit_test(what_a_killed_run_left_is_in_nobodys_way),
	};
	return cmocka_run_group_tests_name("cli/report", tests, folder_make, NULL);
}
