/* Every line of the shared lists of valid and invalid identifiers: syntax/KIND_{syntax,parse}_*. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "tests/unit/atproto/syntax_valid.h"
#include "tests/unit/vectors.h"

static bool at_identifier_valid(struct rk_slice in)
{
	struct rk_at_identifier out;

	return rk_at_identifier_parse(&out, in);
}

static bool tid_valid(struct rk_slice in)
{
	uint64_t out;

	return rk_tid_parse(&out, in);
}

static bool datetime_valid(struct rk_slice in)
{
	int64_t out;

	return rk_datetime_parse(&out, in);
}

struct list {
	const char *file;
	bool (*valid)(struct rk_slice in);
	bool expected;
	size_t lines; /* at least so many are in it: an emptied list is noticed */
};

static const struct list lists[] = {
	{"syntax/atidentifier_syntax_valid.txt", at_identifier_valid, true, 11},
	{"syntax/atidentifier_syntax_invalid.txt", at_identifier_valid, false, 22},
	{"syntax/aturi_syntax_valid.txt", at_uri_valid, true, 23},
	{"syntax/aturi_syntax_invalid.txt", at_uri_valid, false, 72},
	{"syntax/datetime_syntax_valid.txt", datetime_valid, true, 35},
	{"syntax/datetime_syntax_invalid.txt", datetime_valid, false, 45},
	{"syntax/datetime_parse_invalid.txt", datetime_valid, false, 7},
	{"syntax/did_syntax_valid.txt", did_valid, true, 24},
	{"syntax/did_syntax_invalid.txt", did_valid, false, 18},
	{"syntax/handle_syntax_valid.txt", handle_valid, true, 71},
	{"syntax/handle_syntax_invalid.txt", handle_valid, false, 48},
	{"syntax/language_syntax_valid.txt", rk_language_valid, true, 18},
	{"syntax/language_syntax_invalid.txt", rk_language_valid, false, 7},
	{"syntax/language_parse_invalid.txt", rk_language_valid, false, 4},
	{"syntax/nsid_syntax_valid.txt", nsid_valid, true, 25},
	{"syntax/nsid_syntax_invalid.txt", nsid_valid, false, 27},
	{"syntax/recordkey_syntax_valid.txt", rkey_valid, true, 16},
	{"syntax/recordkey_syntax_invalid.txt", rkey_valid, false, 11},
	{"syntax/tid_syntax_valid.txt", tid_valid, true, 4},
	{"syntax/tid_syntax_invalid.txt", tid_valid, false, 9},
};

/* One case a line; empty lines and those starting with # are not cases; blanks belong to the case. */
static void every_line_is_judged_as_listed(void **state)
{
	const struct list *list = *state;
	char path[RK_VECTORS_PATH_SIZE];
	struct rk_slice text;
	size_t count = 0, wrong = 0;

	rk_vectors_require(path, sizeof(path), list->file);
	text = rk_test_read(path);
	for (size_t from = 0, to; from < text.len; from = to + 1) {
		struct rk_slice line;

		for (to = from; to < text.len && text.data[to] != '\n';)
			to++;
		line = rk_slice_sub(text, from, to - from);
		if (line.len == 0 || line.data[0] == '#')
			continue;
		count++;
		if (list->valid(line) != list->expected) {
			print_error("%s: %.*s\n", list->file, RK_SLICE_ARG(line));
			wrong++;
		}
	}
	free((void *)(uintptr_t)text.data);
	assert_int_equal(wrong, 0);
	assert_true(count >= list->lines);
}

int main(void)
{
	struct CMUnitTest tests[sizeof(lists) / sizeof(lists[0])];

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		tests[i] = (struct CMUnitTest){.name = lists[i].file,
			.test_func = every_line_is_judged_as_listed,
			.initial_state = (void *)(uintptr_t)&lists[i]};
	return rk_vectors_exit(
		cmocka_run_group_tests_name("atproto/syntax interop", tests, NULL, NULL));
}
