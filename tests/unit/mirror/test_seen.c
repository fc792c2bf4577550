/* Rules of mirror/seen: what was seen is found, and whether it names a live record. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "mirror/inside.h"

static struct rk_document document_of(unsigned i, const char *rkey, bool gone)
{
	struct rk_document document = {
		.rkey = {rkey ? RK_PRESENCE_STRING : RK_PRESENCE_MISSING, 0, rk_slice_str(rkey)},
		.gone = gone,
	};

	memcpy(document.id.bytes, &i, sizeof(i));
	return document;
}

static void finds_what_was_seen(void **state)
{
	enum { COUNT = 5000 };
	struct rk_seen seen = {0};
	char rkey[16];

	assert_null(rk_seen_find(&seen, &(struct rk_oid){{0}}));
	assert_false(rk_seen_names(&seen, rk_slice_str("a")));
	for (unsigned i = 0; i < COUNT; i++) {
		struct rk_document document;

		snprintf(rkey, sizeof(rkey), "key%u", i);
		document = document_of(i * 2654435761u, i % 3 ? rkey : NULL, i % 5 == 0);
		assert_int_equal(rk_seen_add(&seen, &document), 0);
	}
	rk_seen_seal(&seen);
	for (unsigned i = 0; i < COUNT; i++) {
		struct rk_document document = document_of(i * 2654435761u, NULL, false);
		const struct rk_seen_id *found = rk_seen_find(&seen, &document.id);

		assert_non_null(found);
		assert_int_equal(found->links, i % 3 && i % 5);
		snprintf(rkey, sizeof(rkey), "key%u", i);
		assert_int_equal(rk_seen_names(&seen, rk_slice_str(rkey)), i % 3 != 0);
		document = document_of(i * 2654435761u + 1, NULL, false);
		assert_null(rk_seen_find(&seen, &document.id));
	}
	rk_seen_finish(&seen);
	rk_seen_finish(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(finds_what_was_seen)};

	return cmocka_run_group_tests_name("mirror/seen", tests, NULL, NULL);
}
