/* Rules of base/file: what is opened is what it is taken for. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

enum { MOST = 4 };

static void only_what_it_is_taken_for_is_opened(void **state)
{
	static const struct {
		const char *name;
		int file, folder; /* 0: opened; else the error */
	} rows[] = {
		{"four", 0, -ENOTDIR},
		{"five", -EFBIG, -ENOTDIR},
		{"folder", -EISDIR, 0},
		{"pipe", -EINVAL, -ENOTDIR},
		{"link", -ELOOP, -ENOTDIR},
		{"folder-link", -ELOOP, -ENOTDIR},
		{"none", -ENOENT, -ENOENT},
	};
	char dir[] = "/tmp/refkey-test-XXXXXX";
	FILE *file;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	file = fopen("four", "w");
	assert_non_null(file);
	assert_true(fputs("four", file) >= 0 && fclose(file) == 0);
	file = fopen("five", "w");
	assert_non_null(file);
	assert_true(fputs("five!", file) >= 0 && fclose(file) == 0);
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(symlink("four", "link"), 0);
	assert_int_equal(symlink("folder", "folder-link"), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int fd = rk_file_open(rows[i].name, MOST);

		if (fd >= 0 ? rows[i].file != 0 : rows[i].file != fd)
			fail_msg("%s: %d", rows[i].name, fd);
		if (fd >= 0)
			close(fd);
		fd = rk_file_open_folder(rows[i].name);
		if (fd >= 0 ? rows[i].folder != 0 : rows[i].folder != fd)
			fail_msg("%s as a folder: %d", rows[i].name, fd);
		if (fd >= 0)
			close(fd);
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		remove(rows[i].name);
	assert_int_equal(chdir("/"), 0);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_it_is_taken_for_is_opened),
	};
	return cmocka_run_group_tests_name("base/file", tests, NULL, NULL);
}
