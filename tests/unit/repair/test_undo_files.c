/* Rules of repair/undo_files: whose lines go, what stays of a file, and what is no entry at all. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "repair/undo_files.h"

#define ADA "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
#define BEA "did:plc:z72i7hdynmk6r22z27h6tvur"
#define LINE(did, collection)                                                                      \
	"{\"did\":\"" did "\",\"collection\":\"computer.aesthetic." collection                     \
	"\",\"rkey\":\"a\",\"record\":{}}\n"

struct folder {
	char dir[64];
};

static void path_of(const struct folder *f, char out[160], const char *name)
{
	snprintf(out, 160, "%s/undo/%s", f->dir, name);
}

static void put(const struct folder *f, const char *name, const char *text)
{
	char path[160];
	FILE *file;

	path_of(f, path, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fputs(text, file) < 0, 0);
	fclose(file);
}

/* What a file holds; NULL: there is none. */
static const char *text_of(const struct folder *f, const char *name)
{
	static char text[4096];
	char path[160];
	FILE *file;

	path_of(f, path, name);
	file = fopen(path, "r");
	if (!file)
		return NULL;
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static int setup(void **state)
{
	struct folder *f = calloc(1, sizeof(*f));
	char path[160];

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "/tmp/refkey-test-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	path_of(f, path, "");
	assert_int_equal(mkdir(path, 0700), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"one", "two", "torn", "one.part", ""};
	struct folder *f = *state;
	char path[160];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(f, path, names[i]);
		remove(path);
	}
	snprintf(path, sizeof(path), "%s/undo", f->dir);
	rmdir(path);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void purge(const struct folder *f, bool remove, uint64_t moods, uint64_t paintings)
{
	uint64_t counts[RK_COLLECTION_COUNT];

	assert_int_equal(rk_undo_files_purge(counts, f->dir, rk_slice_str(ADA), remove), 0);
	assert_int_equal(counts[RK_COLLECTION_MOOD], moods);
	assert_int_equal(counts[RK_COLLECTION_PAINTING], paintings);
}

static void lines_of_one_go_and_the_rest_stays_as_it_was(void **state)
{
	const char *mixed = LINE(BEA, "mood") LINE(ADA, "mood") LINE(BEA, "painting")
		LINE(ADA, "painting") LINE(ADA, "mood");
	struct folder *f = *state;

	put(f, "one", mixed);
	put(f, "two", LINE(ADA, "mood"));
	purge(f, false, 3, 1);
	assert_string_equal(text_of(f, "one"), mixed);
	purge(f, true, 3, 1);
	assert_string_equal(text_of(f, "one"), LINE(BEA, "mood") LINE(BEA, "painting"));
	assert_null(text_of(f, "two"));
	purge(f, true, 0, 0);
	assert_string_equal(text_of(f, "one"), LINE(BEA, "mood") LINE(BEA, "painting"));
}

static void what_is_no_entry_may_hold_anything_and_goes_too(void **state)
{
	struct folder *f = *state;

	put(f, "torn", LINE(BEA, "mood") "{\"did\":\"" ADA "\",\"record\":{\"mo");
	put(f, "one.part", LINE(ADA, "mood"));
	purge(f, false, 0, 0);
	assert_non_null(text_of(f, "one.part"));
	purge(f, true, 0, 0);
	assert_string_equal(text_of(f, "torn"), LINE(BEA, "mood"));
	assert_null(text_of(f, "one.part"));
}

static void nothing_is_written_through_a_link(void **state)
{
	struct folder *f = *state;
	uint64_t counts[RK_COLLECTION_COUNT];
	char undo[160], elsewhere[160];

	put(f, "one", LINE(ADA, "mood"));
	snprintf(undo, sizeof(undo), "%s/undo", f->dir);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", f->dir);
	assert_int_equal(rename(undo, elsewhere), 0);
	assert_int_equal(symlink("elsewhere", undo), 0);
	assert_int_equal(rk_undo_files_purge(counts, f->dir, rk_slice_str(ADA), true), -ENOTDIR);
	assert_non_null(text_of(f, "one"));
	assert_int_equal(unlink(undo), 0);
	assert_int_equal(rename(elsewhere, undo), 0);
}

static void without_a_folder_there_is_nothing(void **state)
{
	const struct folder none = {.dir = "/tmp/refkey-test-none"};

	purge(&none, true, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			lines_of_one_go_and_the_rest_stays_as_it_was, setup, teardown),
		cmocka_unit_test_setup_teardown(
			what_is_no_entry_may_hold_anything_and_goes_too, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_written_through_a_link, setup, teardown),
		cmocka_unit_test(without_a_folder_there_is_nothing),
	};
	return cmocka_run_group_tests_name("repair/undo_files", tests, NULL, NULL);
}
