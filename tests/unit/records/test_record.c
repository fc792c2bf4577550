/* Rules of records/record: what of a record the index keeps, and which lexicon rule it breaks. */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdlib.h>

#include "atproto/cbor.h"
#include "records/record.h"

#define TID  "3kabcdefghij2"
#define REF  "65f0a1b2c3d4e5f601234567"
#define WHEN "2024-03-12T18:00:01.234Z"
enum { WHEN_S = 1710266401, FILL_MOST = 6000 };

enum value_kind { TEXT, FILL, NUMBER, NOTHING, YES, LIST, BLOB, LINK };

/* One field of a record: FILL is a text of `number` letters (before: `text`). */
struct field {
	const char *name;
	enum value_kind kind;
	const char *text; /* TEXT; BLOB: the MIME type */
	int64_t number;   /* NUMBER; FILL: bytes; BLOB: size */
};

static int field_order(const void *a, const void *b)
{
	const struct field *x = a, *y = b;

	return rk_cbor_key_compare(rk_slice_str(x->name), rk_slice_str(y->name));
}

static struct rk_cid some_cid(void)
{
	struct rk_cid cid;

	rk_cid_compute(&cid, RK_CODEC_RAW, rk_slice_str("image"));
	return cid;
}

static void blob_put(struct rk_buf *out, const struct field *field)
{
	struct rk_cid cid = some_cid();

	rk_cbor_put_map(out, 4);
	rk_cbor_put_text(out, rk_slice_str("ref"));
	rk_cbor_put_cid(out, &cid);
	rk_cbor_put_text(out, rk_slice_str("size"));
	rk_cbor_put_int(out, field->number);
	rk_cbor_put_text(out, rk_slice_str("$type"));
	rk_cbor_put_text(out, rk_slice_str("blob"));
	rk_cbor_put_text(out, rk_slice_str("mimeType"));
	rk_cbor_put_text(out, rk_slice_str(field->text));
}

static void value_put(struct rk_buf *out, const struct field *field)
{
	char fill[FILL_MOST];
	struct rk_cid cid = some_cid();
	size_t before = field->text ? strlen(field->text) : 0;

	switch (field->kind) {
	case TEXT:
		rk_cbor_put_text(out, rk_slice_str(field->text));
		break;
	case FILL:
		assert_in_range(field->number, before, FILL_MOST);
		memset(fill, 'a', (size_t)field->number);
		if (before)
			memcpy(fill, field->text, before);
		rk_cbor_put_text(out, rk_slice_make(fill, (size_t)field->number));
		break;
	case NUMBER:
		rk_cbor_put_int(out, field->number);
		break;
	case NOTHING:
		rk_cbor_put_null(out);
		break;
	case YES:
		rk_cbor_put_bool(out, true);
		break;
	case LIST:
		rk_cbor_put_array(out, 1);
		rk_cbor_put_text(out, rk_slice_str(field->text ? field->text : ""));
		break;
	case BLOB:
		blob_put(out, field);
		break;
	case LINK:
		rk_cbor_put_cid(out, &cid);
		break;
	}
}

enum { FIELDS = 12 };

static void record_make(struct rk_buf *out, const struct field *fields)
{
	struct field sorted[FIELDS];
	size_t count = 0;

	while (count < FIELDS && fields[count].name) {
		sorted[count] = fields[count];
		count++;
	}
	qsort(sorted, count, sizeof(sorted[0]), field_order);
	rk_buf_clear(out);
	rk_cbor_put_map(out, count);
	for (size_t i = 0; i < count; i++) {
		rk_cbor_put_text(out, rk_slice_str(sorted[i].name));
		value_put(out, &sorted[i]);
	}
	assert_int_equal(rk_buf_failed(out), 0);
	assert_true(rk_cbor_check(rk_buf_slice(out)));
}

struct test {
	const char *rule;
	struct field fields[FIELDS];
	const char *invalid; /* NULL: valid */
	const char *ref, *code, *slug;
	bool no_when;
};

#define MOOD_TYPE                                                                                  \
	{                                                                                          \
		"$type", TEXT, "computer.aesthetic.mood"                                           \
	}
#define MOOD                                                                                       \
	{                                                                                          \
		"mood", TEXT, "fine"                                                               \
	}
#define AT                                                                                         \
	{                                                                                          \
		"when", TEXT, WHEN                                                                 \
	}
#define WITH_REF                                                                                   \
	{                                                                                          \
		"ref", TEXT, REF                                                                   \
	}
#define LONG      "a string is too long"
#define LACKS     "a required field is missing"
#define NO_STRING "a field is not a string"
#define NO_IMAGE  "a blob is not an image of this kind"
#define NO_URI    "a URI is malformed"
#define NO_DATE   "a datetime is malformed"
#define NO_TYPE   "$type is not the collection"

static const struct test moods[] = {
	{"by_the_lexicon", {MOOD_TYPE, MOOD, AT, WITH_REF}, NULL, REF},
	{"older_text", {MOOD_TYPE, {"text", TEXT, "fine"}, AT, WITH_REF}, NULL, REF},
	{"older_mongo_id", {MOOD_TYPE, MOOD, AT, {"mongoId", TEXT, REF}}, NULL, REF},
	{"older_both", {MOOD_TYPE, {"text", TEXT, "x"}, AT, {"mongoId", TEXT, REF}}, NULL, REF},
	{"ref_wins_over_mongo_id", {MOOD_TYPE, MOOD, AT, WITH_REF, {"mongoId", TEXT, "0"}}, NULL,
		REF},
	{"wrong_mood_is_not_saved_by_text",
		{MOOD_TYPE, {"mood", NUMBER}, {"text", TEXT, "x"}, AT, WITH_REF}, NO_STRING, REF},
	{"no_ref", {MOOD_TYPE, MOOD, AT}, NULL},
	{"empty_ref", {MOOD_TYPE, MOOD, AT, {"ref", TEXT, ""}}, NULL},
	{"ref_of_64", {MOOD_TYPE, MOOD, AT, {"ref", FILL, "zz", 64}}, NULL,
		"zzaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	{"ref_of_65_is_not_looked_up", {MOOD_TYPE, MOOD, AT, {"ref", FILL, "zz", 65}}, NULL},
	{"upper_case_ref", {MOOD_TYPE, MOOD, AT, {"ref", TEXT, "65F0A1B2C3D4E5F601234567"}}, NULL,
		REF},
	{"upper_case_ref_that_is_no_hex", {MOOD_TYPE, MOOD, AT, {"ref", TEXT, "65F0G"}}, NULL,
		"65F0G"},
	{"ref_is_a_number", {MOOD_TYPE, MOOD, AT, {"ref", NUMBER}}, NO_STRING},
	{"ref_is_null", {MOOD_TYPE, MOOD, AT, {"ref", NOTHING}}, NO_STRING},
	{"ref_is_a_link", {MOOD_TYPE, MOOD, AT, {"ref", LINK}}, NO_STRING},
	{"mood_5000", {MOOD_TYPE, {"mood", FILL, NULL, 5000}, AT, WITH_REF}, NULL, REF},
	{"mood_5001", {MOOD_TYPE, {"mood", FILL, NULL, 5001}, AT, WITH_REF}, LONG, REF},
	{"text_5001", {MOOD_TYPE, {"text", FILL, NULL, 5001}, AT, WITH_REF}, LONG, REF},
	{"mood_5000_in_bytes_not_letters",
		{MOOD_TYPE, {"mood", FILL, "\xf0\x9f\x8c\xb1", 5001}, AT}, LONG},
	{"empty_mood", {MOOD_TYPE, {"mood", TEXT, ""}, AT, WITH_REF}, NULL, REF},
	{"no_mood", {MOOD_TYPE, AT, WITH_REF}, LACKS, REF},
	{"mood_is_a_list", {MOOD_TYPE, {"mood", LIST, "x"}, AT}, NO_STRING},
	{"mood_is_true", {MOOD_TYPE, {"mood", YES}, AT}, NO_STRING},
	{"no_when", {MOOD_TYPE, MOOD, WITH_REF}, LACKS, REF, .no_when = true},
	{"when_is_a_number", {MOOD_TYPE, MOOD, {"when", NUMBER, NULL, 1}}, NO_STRING,
		.no_when = true},
	{"when_without_zone", {MOOD_TYPE, MOOD, {"when", TEXT, "2024-03-12T18:00:01"}}, NO_DATE,
		.no_when = true},
	{"when_is_a_word", {MOOD_TYPE, MOOD, {"when", TEXT, "now"}}, NO_DATE, .no_when = true},
	{"no_type", {MOOD, AT, WITH_REF}, NO_TYPE, REF},
	{"other_type", {{"$type", TEXT, "computer.aesthetic.painting"}, MOOD, AT}, NO_TYPE},
	{"longer_type", {{"$type", TEXT, "computer.aesthetic.mood#main"}, MOOD, AT}, NO_TYPE},
	{"type_is_a_number", {{"$type", NUMBER}, MOOD, AT}, NO_TYPE},
	{"first_broken_row_counts", {MOOD_TYPE, {"mood", NUMBER}, {"when", TEXT, "x"}}, NO_STRING,
		.no_when = true},
	{"foreign_fields_are_kept", {MOOD_TYPE, MOOD, AT, {"zz", LIST, "x"}, {"a", NOTHING}}, NULL},
	{"code_is_none_of_a_mood",
		{MOOD_TYPE, MOOD, AT, {"code", TEXT, "abc"}, {"slug", TEXT, "s"}}, NULL},
};

#define PAINTING_TYPE                                                                              \
	{                                                                                          \
		"$type", TEXT, "computer.aesthetic.painting"                                       \
	}
#define SLUG                                                                                       \
	{                                                                                          \
		"slug", TEXT, "2024.3.12"                                                          \
	}
#define CODE                                                                                       \
	{                                                                                          \
		"code", TEXT, "abc"                                                                \
	}
#define IMAGE                                                                                      \
	{                                                                                          \
		"imageUrl", TEXT, "https://aesthetic.computer/media/paintings/abc"                 \
	}
#define PAINTING PAINTING_TYPE, SLUG, CODE, IMAGE, AT, WITH_REF
#define GOT      REF, "abc", "2024.3.12"

static const struct test paintings[] = {
	{"by_the_lexicon", {PAINTING}, NULL, GOT},
	{"slug_of_two", {PAINTING_TYPE, {"slug", TEXT, "a:b"}, CODE, IMAGE, AT, WITH_REF}, NULL,
		REF, "abc", "a:b"},
	{"no_ref", {PAINTING_TYPE, SLUG, CODE, IMAGE, AT}, NULL, NULL, "abc", "2024.3.12"},
	{"ac_url_is_kept", {PAINTING, {"acUrl", TEXT, "https://aesthetic.computer/painting~abc"}},
		NULL, GOT},
	{"ref_24", {PAINTING_TYPE, SLUG, CODE, IMAGE, AT, {"ref", FILL, NULL, 24}}, NULL,
		"aaaaaaaaaaaaaaaaaaaaaaaa", "abc", "2024.3.12"},
	{"ref_25", {PAINTING_TYPE, SLUG, CODE, IMAGE, AT, {"ref", FILL, NULL, 25}}, LONG,
		"aaaaaaaaaaaaaaaaaaaaaaaaa", "abc", "2024.3.12"},
	{"code_10", {PAINTING_TYPE, SLUG, {"code", FILL, NULL, 10}, IMAGE, AT}, NULL, NULL,
		"aaaaaaaaaa", "2024.3.12"},
	{"code_11", {PAINTING_TYPE, SLUG, {"code", FILL, NULL, 11}, IMAGE, AT}, LONG, NULL, NULL,
		"2024.3.12"},
	{"code_keeps_its_case", {PAINTING_TYPE, SLUG, {"code", TEXT, "AbC"}, IMAGE, AT}, NULL, NULL,
		"AbC", "2024.3.12"},
	{"no_code", {PAINTING_TYPE, SLUG, IMAGE, AT}, LACKS, NULL, NULL, "2024.3.12"},
	{"slug_128", {PAINTING_TYPE, {"slug", FILL, NULL, 128}, CODE, IMAGE, AT}, NULL, NULL, "abc",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
	{"slug_129", {PAINTING_TYPE, {"slug", FILL, NULL, 129}, CODE, IMAGE, AT}, LONG, NULL,
		"abc"},
	{"no_slug", {PAINTING_TYPE, CODE, IMAGE, AT}, LACKS, NULL, "abc"},
	{"image_512", {PAINTING_TYPE, SLUG, CODE, {"imageUrl", FILL, "https:", 512}, AT, WITH_REF},
		NULL, GOT},
	{"image_513", {PAINTING_TYPE, SLUG, CODE, {"imageUrl", FILL, "https:", 513}, AT, WITH_REF},
		LONG, GOT},
	{"no_image", {PAINTING_TYPE, SLUG, CODE, AT, WITH_REF}, LACKS, GOT},
	{"png", {PAINTING, {"thumbnail", BLOB, "image/png", 1000000}}, NULL, GOT},
	{"jpeg", {PAINTING, {"thumbnail", BLOB, "image/jpeg", 0}}, NULL, GOT},
	{"gif", {PAINTING, {"thumbnail", BLOB, "image/gif", 5}}, NO_IMAGE, GOT},
	{"thumbnail_too_big", {PAINTING, {"thumbnail", BLOB, "image/png", 1000001}}, NO_IMAGE, GOT},
	{"thumbnail_of_negative_size", {PAINTING, {"thumbnail", BLOB, "image/png", -1}}, NO_IMAGE,
		GOT},
	{"thumbnail_is_a_text", {PAINTING, {"thumbnail", TEXT, "x"}}, NO_IMAGE, GOT},
	{"thumbnail_is_a_link", {PAINTING, {"thumbnail", LINK}}, NO_IMAGE, GOT},
	{"thumbnail_is_null", {PAINTING, {"thumbnail", NOTHING}}, NO_IMAGE, GOT},
	{"recording", {PAINTING, {"recordingUrl", TEXT, "https://x/y.zip"}}, NULL, GOT},
	{"recording_is_no_uri", {PAINTING, {"recordingUrl", TEXT, "y.zip"}}, NO_URI, GOT},
};

static void read_one(struct rk_record_read *out, struct rk_arena *arena,
	enum rk_collection_id collection, const struct field *fields)
{
	struct rk_buf cbor = {0};

	record_make(&cbor, fields);
	assert_int_equal(
		rk_record_read(out, arena, collection, rk_slice_str(TID), rk_buf_slice(&cbor)), 0);
	rk_buf_finish(&cbor); /* nothing that was read may lie in it */
}

static void text_check(const char *rule, const char *what, struct rk_slice have, const char *want)
{
	if (!rk_slice_equal(have, rk_slice_str(want)))
		fail_msg("%s: %s is \"%.*s\", not \"%s\"", rule, what, RK_SLICE_ARG(have),
			want ? want : "");
}

static void table_check(enum rk_collection_id collection, const struct test *tests, size_t count)
{
	struct rk_arena arena = {0};

	for (size_t i = 0; i < count; i++) {
		const struct test *test = &tests[i];
		struct rk_record_read got;
		const char *invalid;

		read_one(&got, &arena, collection, test->fields);
		invalid = got.facts.invalid;
		if (!invalid != !test->invalid || (invalid && strcmp(invalid, test->invalid) != 0))
			fail_msg("%s: %s, not %s", test->rule, invalid ? invalid : "valid",
				test->invalid ? test->invalid : "valid");
		text_check(test->rule, "ref", got.facts.ref, test->ref);
		text_check(test->rule, "code", got.facts.code, test->code);
		text_check(test->rule, "slug", got.facts.slug, test->slug);
		if (got.facts.has_when == test->no_when)
			fail_msg("%s: has_when is %d", test->rule, got.facts.has_when);
		if (got.facts.has_when)
			assert_int_equal(got.facts.when_ms, WHEN_S * INT64_C(1000) + 234);
		assert_true(got.json.len > 2 && got.json.data[0] == '{');
		rk_arena_reset(&arena);
	}
	rk_arena_finish(&arena);
}

static void moods_by_their_rows(void **state)
{
	table_check(RK_COLLECTION_MOOD, moods, sizeof(moods) / sizeof(moods[0]));
}

static void paintings_by_their_rows(void **state)
{
	table_check(RK_COLLECTION_PAINTING, paintings, sizeof(paintings) / sizeof(paintings[0]));
}

static void record_key_is_a_tid(void **state)
{
	static const struct {
		const char *rkey;
		bool valid;
	} keys[] = {
		{TID, true},
		{"3kabcdefghij", false},
		{"3kabcdefghij22", false},
		{"3kabcdefghij1", false},
		{"zkabcdefghij2", false},
		{"self", false},
		{"", false},
	};
	const struct field fields[FIELDS] = {MOOD_TYPE, MOOD, AT, WITH_REF};
	struct rk_arena arena = {0};
	struct rk_buf cbor = {0};

	record_make(&cbor, fields);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		struct rk_record_read got;

		assert_int_equal(rk_record_read(&got, &arena, RK_COLLECTION_MOOD,
					 rk_slice_str(keys[i].rkey), rk_buf_slice(&cbor)),
			0);
		if (keys[i].valid)
			assert_null(got.facts.invalid);
		else
			assert_string_equal(got.facts.invalid, "the record key is not a TID");
		assert_true(rk_slice_equal_str(got.facts.ref, REF));
	}
	rk_buf_finish(&cbor);
	rk_arena_finish(&arena);
}

static void what_is_not_an_object_is_invalid_and_kept(void **state)
{
	struct rk_arena arena = {0};
	struct rk_buf cbor = {0};
	struct rk_record_read got;

	rk_cbor_put_array(&cbor, 1);
	rk_cbor_put_text(&cbor, rk_slice_str("mood"));
	assert_int_equal(rk_record_read(&got, &arena, RK_COLLECTION_MOOD, rk_slice_str(TID),
				 rk_buf_slice(&cbor)),
		0);
	assert_string_equal(got.facts.invalid, "the record is not an object");
	assert_true(rk_slice_equal_str(got.json, "[\"mood\"]"));
	assert_false(got.facts.has_when);
	assert_int_equal(got.facts.ref.len, 0);
	rk_buf_finish(&cbor);
	rk_arena_finish(&arena);
}

static void what_is_not_canonical_is_refused(void **state)
{
	static const struct rk_slice cases[] = {
		RK_SLICE_LIT(""),
		RK_SLICE_LIT("\xa1"),
		RK_SLICE_LIT("\xa0\x00"),
		RK_SLICE_LIT("\xa2\x61"
			     "b\x01\x61"
			     "a\x01"), /* keys out of order */
		RK_SLICE_LIT("\xa1\x61"
			     "a\xfb\x3f\xf8\0\0\0\0\0\0"), /* a float */
		RK_SLICE_LIT("\xbf\xff"),
	};
	struct rk_arena arena = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_record_read got;

		assert_int_equal(rk_record_read(&got, &arena, RK_COLLECTION_MOOD, rk_slice_str(TID),
					 cases[i]),
			-EINVAL);
	}
	rk_arena_finish(&arena);
}

static void no_memory_is_not_a_bad_record(void **state)
{
	const struct field fields[FIELDS] = {MOOD_TYPE, {"mood", FILL, NULL, 5000}, AT, WITH_REF};
	struct rk_arena arena;
	struct rk_buf cbor = {0};
	struct rk_record_read got;

	record_make(&cbor, fields);
	rk_arena_init(&arena, 4096);
	assert_int_equal(rk_record_read(&got, &arena, RK_COLLECTION_MOOD, rk_slice_str(TID),
				 rk_buf_slice(&cbor)),
		-ENOMEM);
	rk_arena_finish(&arena);
	rk_buf_finish(&cbor);
}

static void json_is_exact(void **state)
{
	const struct field fields[FIELDS] = {
		MOOD_TYPE,
		{"mood", TEXT,
			"\xf0\x9f\x8c\xb1 gr\xc3\xbc\xc3\x9f \"dich\" \\ </b>\n\t\x01\x7f\xe2\x80\xa8"},
		AT,
		WITH_REF,
		{"n", NUMBER, NULL, -9007199254740991},
	};
	struct rk_arena arena = {0};
	struct rk_record_read got;

	read_one(&got, &arena, RK_COLLECTION_MOOD, fields);
	assert_null(got.facts.invalid);
	assert_string_equal((const char *)got.json.data,
		"{\"n\":-9007199254740991,\"ref\":\"" REF
		"\",\"mood\":\"\xf0\x9f\x8c\xb1 gr\xc3\xbc\xc3\x9f "
		"\\\"dich\\\" \\\\ </b>\\n\\t\\u0001\x7f\xe2\x80\xa8\",\"when\":\"" WHEN
		"\",\"$type\":\"computer.aesthetic.mood\"}");
	rk_arena_finish(&arena);
}

static void uris_as_the_reference_takes_them(void **state)
{
	static const struct {
		const char *uri;
		bool valid;
	} uris[] = {
		{"https://a.example/x?y#z", true},
		{"http:x", true},
		{"at://did:plc:abc/x", true},
		{"a+b-c.d1:x", true},
		{"HTTPS://A", true},
		{"", false},
		{":", false},
		{"://x", false},
		{"https", false},
		{"https:", false},
		{"https://", false},
		{"https:///x", false},
		{"https:/x", false},
		{"1https://x", false},
		{"ht/tp:x", false},
		{"https://a b", false},
		{"https://a\nb", false},
		{" https://a", false},
	};
	struct rk_arena arena = {0};

	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		const struct field fields[FIELDS] = {
			PAINTING_TYPE, SLUG, CODE, {"imageUrl", TEXT, uris[i].uri}, AT, WITH_REF};
		struct rk_record_read got;

		read_one(&got, &arena, RK_COLLECTION_PAINTING, fields);
		if (uris[i].valid != !got.facts.invalid)
			fail_msg("%s: %s", uris[i].uri,
				got.facts.invalid ? got.facts.invalid : "valid");
	}
	rk_arena_finish(&arena);
}

static void refs_are_normalized(void **state)
{
	static const struct {
		const char *ref, *normal; /* NULL: none */
	} refs[] = {
		{"ABCDEF", "abcdef"},
		{"abc123", "abc123"},
		{"0", "0"},
		{"ABCDEG", "ABCDEG"},
		{"AB CD", "AB CD"},
		{"\xc3\x89", "\xc3\x89"},
		{"", NULL},
		{"0123456789012345678901234567890123456789012345678901234567890123",
			"0123456789012345678901234567890123456789012345678901234567890123"},
		{"01234567890123456789012345678901234567890123456789012345678901234", NULL},
	};

	for (size_t i = 0; i < sizeof(refs) / sizeof(refs[0]); i++) {
		uint8_t out[RK_REF_MOST];
		struct rk_slice ref = rk_slice_str(refs[i].ref);

		assert_int_equal(rk_ref_normalize(out, ref), refs[i].normal != NULL);
		if (refs[i].normal)
			assert_true(
				rk_slice_equal_str(rk_slice_make(out, ref.len), refs[i].normal));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moods_by_their_rows),
		cmocka_unit_test(paintings_by_their_rows),
		cmocka_unit_test(record_key_is_a_tid),
		cmocka_unit_test(what_is_not_an_object_is_invalid_and_kept),
		cmocka_unit_test(what_is_not_canonical_is_refused),
		cmocka_unit_test(no_memory_is_not_a_bad_record),
		cmocka_unit_test(json_is_exact),
		cmocka_unit_test(uris_as_the_reference_takes_them),
		cmocka_unit_test(refs_are_normalized),
	};
	return cmocka_run_group_tests_name("records/record", tests, NULL, NULL);
}
