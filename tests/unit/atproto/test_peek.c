/* Rules of atproto/peek: it says what the parser says, and leaves what is unusual to it. */
#include "tests/unit/atproto/make.h"

#include <stdio.h>
#include <stdlib.h>

#include "atproto/peek.h"
#include "tests/unit/vectors.h"

static bool moods(struct rk_slice nsid)
{
	return rk_slice_equal_str(nsid, "computer.aesthetic.mood");
}

static bool any(struct rk_slice nsid)
{
	return nsid.len > 0;
}

static bool none(struct rk_slice nsid)
{
	return nsid.len == 0;
}

static struct rk_slice fixture(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "tests/fixtures/%s.frame", name);
	return rk_test_read_source(path);
}

static void agrees_with_the_parser(void **state)
{
	static const char *const names[] = {"commit-init", "commit-create", "commit-ops",
		"commit-p256", "sync", "identity", "identity-bare", "account",
		"account-deactivated"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rk_slice frame = fixture(names[i]);
		struct rk_arena arena = {0};
		struct rk_event event;
		struct rk_peek peek;
		bool ours = false;

		assert_int_equal(rk_event_parse(&event, &arena, frame), RK_EVENT_OK);
		assert_true(rk_event_peek(&peek, frame, moods));
		assert_int_equal(peek.type, event.type);
		assert_int_equal(peek.seq, event.seq);
		assert_int_equal(peek.time_ms, event.time_ms);
		assert_true(rk_slice_equal(peek.did.text, event.did.text));
		for (size_t op = 0; op < event.op_count; op++)
			ours = ours || moods(event.ops[op].collection);
		assert_int_equal(peek.wanted, ours);
		assert_true(rk_event_peek(&peek, frame, any));
		assert_int_equal(peek.wanted, event.op_count > 0);
		rk_arena_finish(&arena);
		free((void *)frame.data);
	}
}

static void other_types_are_left_to_the_parser(void **state)
{
	static const char *const names[] = {"info", "error", "unknown"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct rk_slice frame = fixture(names[i]);
		struct rk_peek peek;

		assert_false(rk_event_peek(&peek, frame, none));
		free((void *)frame.data);
	}
}

static void no_part_of_a_frame_is_one(void **state)
{
	struct rk_slice frame = fixture("commit-ops");
	uint8_t *longer = malloc(frame.len + 1);
	struct rk_peek peek;

	for (size_t len = 0; len < frame.len; len++)
		assert_false(rk_event_peek(&peek, rk_slice_sub(frame, 0, len), none));
	memcpy(longer, frame.data, frame.len);
	longer[frame.len] = 0;
	assert_false(rk_event_peek(&peek, rk_slice_make(longer, frame.len + 1), none));
	free(longer);
	free((void *)frame.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agrees_with_the_parser),
		cmocka_unit_test(other_types_are_left_to_the_parser),
		cmocka_unit_test(no_part_of_a_frame_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
