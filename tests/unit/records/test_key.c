/* Rules of records/key: a key follows from the document, and a taken one gives way to another. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "records/key.h"

#define MOOD     (&rk_collections[RK_COLLECTION_MOOD])
#define PAINTING (&rk_collections[RK_COLLECTION_PAINTING])

static struct rk_oid oid(uint32_t n)
{
	struct rk_oid id = {{0x68, 0x12, 0x34, 0x56, 1, 2, 3, 4}};

	for (int i = 0; i < 4; i++)
		id.bytes[11 - i] = (uint8_t)(n >> 8 * i);
	return id;
}

/* Records on PDSs are found again by these: they must never become others. */
static void keys_are_what_they_always_were(void **state)
{
	static const struct {
		const struct rk_collection *collection;
		int64_t when_ms;
		uint32_t id, attempt;
		const char *tid;
	} cases[] = {
		{MOOD, 1700000000123, 1, 0, "3ke6kg42cxhqr"},
		{MOOD, 1700000000123, 1, 1, "3ke6kg42cz2y2"},
		{MOOD, 1700000000123, 2, 0, "3ke6kg42cmlwf"},
		{PAINTING, 1700000000123, 1, 0, "3ke6kg42czzat"},
		{MOOD, 0, 1, 0, "222222222tpqr"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_oid id = oid(cases[i].id);
		struct rk_record_key key;
		char text[RK_TID_LEN + 1];

		rk_record_key_init(&key, cases[i].collection, &id, cases[i].when_ms);
		rk_tid_format(text, rk_record_key_tid(&key, cases[i].attempt));
		assert_string_equal(text, cases[i].tid);
	}
}

static void the_time_is_the_documents(void **state)
{
	static const struct {
		int64_t when_ms, key_ms;
	} cases[] = {
		{0, 0},
		{1700000000123, 1700000000123},
		{-1, 0},
		{INT64_MIN, 0},
		{INT64_C(9007199254739), INT64_C(9007199254739)},
		{INT64_C(9007199254740), INT64_C(9007199254739)},
		{INT64_MAX, INT64_C(9007199254739)},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (uint32_t attempt = 0; attempt < 100; attempt++) {
			struct rk_oid id = oid(attempt);
			struct rk_record_key key;
			char text[RK_TID_LEN + 1];
			uint64_t tid, parsed;

			rk_record_key_init(&key, MOOD, &id, cases[i].when_ms);
			tid = rk_record_key_tid(&key, attempt);
			assert_int_equal(rk_tid_unix_us(tid) / 1000, cases[i].key_ms);
			rk_tid_format(text, tid);
			assert_true(rk_tid_parse(&parsed, rk_slice_str(text)));
			assert_int_equal(parsed, tid);
		}
	}
}

static void every_place_comes_up_once(void **state)
{
	uint8_t *seen = calloc(1, RK_KEY_PLACES);

	assert_non_null(seen);
	for (uint32_t n = 0; n < 4; n++) {
		struct rk_oid id = oid(n);
		struct rk_record_key key;

		memset(seen, 0, RK_KEY_PLACES);
		rk_record_key_init(&key, MOOD, &id, 1700000000123);
		for (uint32_t attempt = 0; attempt < RK_KEY_PLACES; attempt++) {
			uint64_t place = rk_record_key_tid(&key, attempt) - key.first;

			assert_true(place < RK_KEY_PLACES);
			assert_int_equal(seen[place]++, 0);
		}
		assert_int_equal(
			rk_record_key_tid(&key, RK_KEY_PLACES), rk_record_key_tid(&key, 0));
	}
	free(seen);
}

/* A repo full of documents of one and the same moment: each gets a key of its own, soon, and the same
 * in another order only where nobody was in its way. */
static void a_million_of_one_moment_are_settled(void **state)
{
	enum { MANY = 1000 * 1000 };
	uint8_t *taken = calloc(1, RK_KEY_PLACES);
	uint64_t attempts = 0, first = 0;

	assert_non_null(taken);
	for (uint32_t n = 0; n < MANY; n++) {
		struct rk_oid id = oid(n);
		struct rk_record_key key;
		uint32_t attempt = 0;
		uint64_t place;

		rk_record_key_init(&key, MOOD, &id, 1700000000123);
		while (taken[place = rk_record_key_tid(&key, attempt) - key.first]) {
			attempt++;
			assert_true(attempt < RK_KEY_PLACES);
		}
		taken[place] = 1;
		attempts += attempt;
		first += attempt == 0;
	}
	/* Filling a table evenly to 98 in 100 takes fewer than 4 looks each; clustering would take
	 * many more. */
	assert_true(attempts < UINT64_C(4) * MANY);
	assert_true(first > MANY / 2);
	free(taken);
}

/* Moods of one person lie seconds apart: nobody ever has to move. */
static void those_of_different_moments_never_meet(void **state)
{
	struct rk_oid id = oid(7);
	struct rk_record_key earlier, later;

	rk_record_key_init(&earlier, MOOD, &id, 1700000000123);
	rk_record_key_init(&later, MOOD, &id, 1700000000124);
	assert_true(earlier.first + RK_KEY_PLACES <= later.first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_what_they_always_were),
		cmocka_unit_test(the_time_is_the_documents),
		cmocka_unit_test(every_place_comes_up_once),
		cmocka_unit_test(a_million_of_one_moment_are_settled),
		cmocka_unit_test(those_of_different_moments_never_meet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
