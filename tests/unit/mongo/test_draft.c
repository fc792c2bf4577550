/* Rules of mongo/draft: the record that a document becomes, or why it becomes none. */
#include "tests/unit/test.h"

#include <stdlib.h>

#include "base/encode.h"
#include "mongo/draft.h"

#define MOOD (&rk_collections[RK_COLLECTION_MOOD])
#define OID  "65e1c0ffee65e1c0ffee65e1"
#define WHEN 1740830400123 /* 2025-03-01T12:00:00.123Z */

static bool make(struct rk_draft *draft, struct rk_buf *json, const bson_t *document)
{
	struct rk_oid id;

	assert_true(rk_oid_parse(&id, rk_slice_str(OID)));
	return rk_draft_make(draft, json, document, MOOD, &id);
}

static void add_mood(bson_t *document, const void *text, int len)
{
	bson_init(document);
	bson_append_utf8(document, "mood", -1, text, len);
	BSON_APPEND_DATE_TIME(document, "when", WHEN);
}

static void says_what_the_document_says(void **state)
{
	struct rk_buf json = {0};
	struct rk_draft draft;
	bson_t document;

	add_mood(&document, "a \"q\" \xf0\x9f\x8c\xb1\n\0z", 13);
	BSON_APPEND_UTF8(&document, "likes", "not the record's");
	assert_true(make(&draft, &json, &document));
	assert_string_equal(rk_buf_cstr(&json),
		"{\"$type\":\"computer.aesthetic.mood\",\"mood\":\"a \\\"q\\\" \xf0\x9f\x8c\xb1\\n\\u0000z\","
		"\"when\":\"2025-03-01T12:00:00.123Z\",\"ref\":\"" OID "\"}");
	assert_int_equal(draft.when_ms, WHEN);
	assert_string_equal(draft.words, "a \"q\" \xf0\x9f\x8c\xb1  z");
	assert_string_equal(draft.reason, "");
	bson_destroy(&document);
	rk_buf_finish(&json);
}

/* A server refuses a projection that names a field twice. */
static void no_field_is_asked_for_twice(void **state)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		bson_iter_t one, two;
		bson_t fields;

		rk_draft_projection(&fields, &rk_collections[i]);
		assert_true(bson_iter_init(&one, &fields));
		while (bson_iter_next(&one)) {
			unsigned count = 0;

			assert_true(bson_iter_init(&two, &fields));
			while (bson_iter_next(&two))
				count += strcmp(bson_iter_key(&one), bson_iter_key(&two)) == 0;
			assert_int_equal(count, 1);
		}
		bson_destroy(&fields);
	}
}

static void what_the_lexicon_forbids_is_told(void **state)
{
	static const struct {
		const char *json, *reason;
	} cases[] = {
		{"{\"when\":{\"$date\":\"2025-03-01T12:00:00Z\"}}", "mood is missing"},
		{"{\"mood\":null,\"when\":{\"$date\":\"2025-03-01T12:00:00Z\"}}",
			"mood is missing"},
		{"{\"mood\":5,\"when\":{\"$date\":\"2025-03-01T12:00:00Z\"}}",
			"mood is not a string"},
		{"{\"mood\":[\"x\"],\"when\":{\"$date\":\"2025-03-01T12:00:00Z\"}}",
			"mood is not a string"},
		{"{\"mood\":\"x\"}", "when is missing"},
		{"{\"mood\":\"x\",\"when\":\"2025-03-01T12:00:00Z\"}", "when is not a date"},
		{"{\"mood\":\"x\",\"when\":1740830400123}", "when is not a date"},
		{"{\"mood\":\"x\",\"when\":{\"$date\":{\"$numberLong\":\"253402300800000\"}}}",
			"when is not a date of the years 0 to 9999"},
		{"{\"mood\":\"x\",\"when\":{\"$date\":{\"$numberLong\":\"-62167219200001\"}}}",
			"when is not a date of the years 0 to 9999"},
		{"{\"mood\":\"\",\"when\":{\"$date\":{\"$numberLong\":\"253402300799999\"}}}", ""},
		{"{\"mood\":\"x\",\"when\":{\"$date\":{\"$numberLong\":\"-62167219200000\"}}}", ""},
		{"{\"mood\":\"x\",\"when\":{\"$date\":1},\"atproto\":null}", ""},
		{"{\"mood\":\"x\",\"when\":{\"$date\":1},\"atproto\":{\"uri\":5}}", ""},
		{"{\"mood\":\"x\",\"when\":{\"$date\":1},\"atproto\":\"x\"}",
			"atproto is not an object"},
		{"{\"mood\":\"x\",\"when\":{\"$date\":1},\"atproto\":[]}",
			"atproto is not an object"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bson_error_t error;
		bson_t *document = bson_new_from_json((const uint8_t *)cases[i].json, -1, &error);
		struct rk_buf json = {0};
		struct rk_draft draft;
		bool made;

		assert_non_null(document);
		rk_buf_add_str(&json, "before");
		made = make(&draft, &json, document);
		assert_string_equal(draft.reason, cases[i].reason);
		assert_int_equal(made, !*cases[i].reason);
		if (!made)
			assert_string_equal(rk_buf_cstr(&json), "before");
		rk_buf_finish(&json);
		bson_destroy(document);
	}
}

/* Controls of one byte and of two, at both ends; their like in other characters stays. */
static void words_command_no_terminal(void **state)
{
	struct rk_buf json = {0};
	struct rk_draft draft;
	bson_t document;
	const char *text = "\xc2\x9b"
			   "2J\x1b[m \xc2\xa0\xc3\x9b\xe2\x82\xac\xc2\x80";

	add_mood(&document, text, (int)strlen(text));
	assert_true(make(&draft, &json, &document));
	assert_string_equal(draft.words, "  2J [m \xc2\xa0\xc3\x9b\xe2\x82\xac  ");
	bson_destroy(&document);
	rk_buf_finish(&json);
}

static void moods_of_5000_bytes_and_no_more(void **state)
{
	char text[5001];

	memset(text, 'x', sizeof(text));
	for (int len = 4999; len <= 5001; len++) {
		struct rk_buf json = {0};
		struct rk_draft draft;
		bson_t document;

		add_mood(&document, text, len);
		assert_int_equal(make(&draft, &json, &document), len <= 5000);
		assert_string_equal(
			draft.reason, len <= 5000 ? "" : "mood has 5001 bytes, 5000 are allowed");
		bson_destroy(&document);
		rk_buf_finish(&json);
	}
}

static void cut_characters_are_told(void **state)
{
	static const struct {
		const char *text;
		int len;
	} cases[] = {
		{"hi \xf0\x9f\x8c", 6},
		{"\xed\xa0\xbc", 3}, /* half of a surrogate pair */
		{"\xff", 1},
		{"\xc0\x80", 2},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_buf json = {0};
		struct rk_draft draft;
		bson_t document;

		add_mood(&document, cases[i].text, cases[i].len);
		assert_false(make(&draft, &json, &document));
		assert_string_equal(draft.reason, "mood is not valid UTF-8 (a character is cut?)");
		assert_string_equal(draft.words, "");
		bson_destroy(&document);
		rk_buf_finish(&json);
	}
}

static void words_end_with_whole_ones(void **state)
{
	char words[2000];
	struct rk_buf json = {0};
	struct rk_draft draft;
	bson_t document;

	for (int shift = 0; shift < 4; shift++) {
		memset(words, 'x', (size_t)shift);
		for (int i = 0; i < 100; i++)
			memcpy(words + shift + i * 4, "\xf0\x9f\x8c\xb1", 4);
		add_mood(&document, words, shift + 400);
		rk_buf_clear(&json);
		assert_true(make(&draft, &json, &document));
		assert_true(rk_utf8_valid(rk_slice_str(draft.words)));
		assert_true(strlen(draft.words) > RK_DRAFT_WORDS_MOST - 5);
		bson_destroy(&document);
	}
	add_mood(&document,
		"the quick brown fox jumps over the lazy dog, and then it sleeps soundly on", -1);
	rk_buf_clear(&json);
	assert_true(make(&draft, &json, &document));
	assert_string_equal(
		draft.words, "the quick brown fox jumps over the lazy dog, and then it sleeps");
	bson_destroy(&document);
	rk_buf_finish(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(says_what_the_document_says),
		cmocka_unit_test(no_field_is_asked_for_twice),
		cmocka_unit_test(what_the_lexicon_forbids_is_told),
		cmocka_unit_test(words_command_no_terminal),
		cmocka_unit_test(moods_of_5000_bytes_and_no_more),
		cmocka_unit_test(cut_characters_are_told),
		cmocka_unit_test(words_end_with_whole_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
