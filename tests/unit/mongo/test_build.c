/* Rules of mongo/build: the exact BSON of inserts, filters and updates, and what a document tells. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "base/encode.h"
#include "mongo/build.h"

#define MOOD                                                                                       \
	"{\"$type\":\"computer.aesthetic.mood\",\"mood\":\"calm \\u0000\\u00e9\","                 \
	"\"when\":\"2025-03-01T12:00:00.123Z\",\"ref\":\"65e1c0ffee65e1c0ffee65e1\"}"
#define OLDER                                                                                      \
	"{\"text\":\"older\",\"when\":\"2024-03-01T12:00:00Z\",\"mongoId\":\"x\",\"n\":9007199254740993}"
#define PAINTING                                                                                   \
	"{\"slug\":\"a:b\",\"code\":\"k3d\",\"imageUrl\":\"https://e.test/k3d\","                  \
	"\"when\":\"2025-03-01T12:00:00Z\",\"acUrl\":\"https://e.test\"}"
#define DID  "did:plc:abc"
#define RKEY "3kaaaaaaaaaaa"
#define OID  "65e1c0ffee65e1c0ffee65e1"

static struct rk_build build_of(
	enum rk_collection_id collection, const char *user, const char *json)
{
	struct rk_build build = {
		.collection = &rk_collections[collection],
		.user = rk_slice_str(user),
		.did = RK_SLICE_LIT(DID),
		.rkey = RK_SLICE_LIT(RKEY),
		.json = rk_slice_str(json),
	};

	assert_true(rk_hex_decode(build.id.bytes, 12, rk_slice_str(OID)));
	return build;
}

static void assert_json(bson_t *bson, const char *expected)
{
	char *text = bson_as_relaxed_extended_json(bson, NULL);

	assert_string_equal(text, expected);
	bson_free(text);
	bson_destroy(bson);
}

static void inserts_have_the_contracts_fields(void **state)
{
	static const struct {
		enum rk_collection_id collection;
		const char *user, *json, *expected;
	} cases[] = {
		{RK_COLLECTION_MOOD, "auth0|1", MOOD,
			"{ \"_id\" : { \"$oid\" : \"" OID "\" }, \"user\" : \"auth0|1\", "
			"\"mood\" : \"calm \\u0000\xc3\xa9\", "
			"\"when\" : { \"$date\" : \"2025-03-01T12:00:00.123Z\" }, "
			"\"atproto\" : { \"rkey\" : \"" RKEY "\" } }"},
		{RK_COLLECTION_MOOD, "auth0|1", OLDER,
			"{ \"_id\" : { \"$oid\" : \"" OID "\" }, \"user\" : \"auth0|1\", "
			"\"mood\" : \"older\", \"when\" : { \"$date\" : \"2024-03-01T12:00:00Z\" }, "
			"\"atproto\" : { \"rkey\" : \"" RKEY "\" } }"},
		{RK_COLLECTION_PAINTING, "auth0|1", PAINTING,
			"{ \"_id\" : { \"$oid\" : \"" OID "\" }, \"user\" : \"auth0|1\", "
			"\"slug\" : \"a:b\", \"code\" : \"k3d\", "
			"\"when\" : { \"$date\" : \"2025-03-01T12:00:00Z\" }, "
			"\"bucket\" : \"user-aesthetic-computer\", "
			"\"atproto\" : { \"rkey\" : \"" RKEY "\" } }"},
		{RK_COLLECTION_PAINTING, "", PAINTING,
			"{ \"_id\" : { \"$oid\" : \"" OID
			"\" }, \"slug\" : \"a:b\", \"code\" : \"k3d\", "
			"\"when\" : { \"$date\" : \"2025-03-01T12:00:00Z\" }, "
			"\"bucket\" : \"art-aesthetic-computer\", "
			"\"atproto\" : { \"rkey\" : \"" RKEY "\" } }"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_build build = build_of(cases[i].collection, cases[i].user, cases[i].json);
		bson_t bson;

		assert_null(rk_build_insert(&bson, &build));
		assert_json(&bson, cases[i].expected);
	}
}

static void what_cannot_be_a_document_says_why(void **state)
{
	static const char *const cases[] = {
		"",
		"[]",
		"{",
		"{\"mood\":1,\"when\":\"2025-03-01T12:00:00Z\"}",
		"{\"when\":\"2025-03-01T12:00:00Z\"}",
		"{\"mood\":\"a\",\"when\":\"yesterday\"}",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_build build = build_of(RK_COLLECTION_MOOD, "u", cases[i]);
		bson_t bson;

		assert_non_null(rk_build_insert(&bson, &build));
		bson_destroy(&bson);
	}
}

/* Documents as they stand, the filter that repeats them, and the key they name. */
static void filters_repeat_what_was_read(void **state)
{
	static const struct {
		const char *document, *filter, *rkey;
		bool gone, has_uri;
	} cases[] = {
		{"{\"_id\":{\"$oid\":\"" OID "\"},\"user\":\"u\"}",
			"\"user\" : \"u\", \"atproto.rkey\" : { \"$exists\" : false }", ""},
		{"{\"_id\":{\"$oid\":\"" OID "\"},\"user\":\"u\",\"deleted\":false,"
		 "\"atproto\":{\"rkey\":\"" RKEY "\"}}",
			"\"user\" : \"u\", \"atproto.rkey\" : \"" RKEY "\"", RKEY},
		{"{\"_id\":{\"$oid\":\"" OID "\"},\"user\":null,\"deleted\":null,"
		 "\"atproto\":{\"rkey\":null,\"uri\":5}}",
			"\"user\" : null, \"atproto.rkey\" : null", "", .has_uri = true},
		{"{\"_id\":{\"$oid\":\"" OID "\"},\"user\":7,\"atproto\":{\"rkey\":true}}",
			"\"user\" : { \"$type\" : 16 }, \"atproto.rkey\" : { \"$type\" : 8 }", ""},
		{"{\"_id\":{\"$oid\":\"" OID "\"},\"atproto\":null,\"deleted\":true}",
			"\"user\" : { \"$exists\" : false }, \"atproto\" : null", "", .gone = true},
		{"{\"_id\":{\"$oid\":\"" OID "\"},\"user\":\"u\",\"deleted\":\"yes\"}",
			"\"user\" : \"u\", \"atproto.rkey\" : { \"$exists\" : false }", "",
			.gone = true},
		{"{\"_id\":{\"$oid\":\"" OID "\"},\"user\":\"u\",\"deleted\":0}",
			"\"user\" : \"u\", \"atproto.rkey\" : { \"$exists\" : false }", ""},
	};
	const struct rk_collection *collection = &rk_collections[RK_COLLECTION_MOOD];
	struct rk_arena arena = {0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bson_t *bson = bson_new_from_json((const uint8_t *)cases[i].document, -1, NULL);
		struct rk_document document;
		bool failed = false;
		char expected[512];
		bson_t filter;

		assert_non_null(bson);
		assert_true(rk_document_read(&document, &arena, bson, collection, &failed));
		assert_false(failed);
		assert_int_equal(document.gone, cases[i].gone);
		assert_int_equal(document.has_uri, cases[i].has_uri);
		assert_true(rk_slice_equal_str(rk_document_rkey(&document), cases[i].rkey));
		rk_build_filter(&filter, &document, collection);
		snprintf(expected, sizeof(expected),
			"{ \"_id\" : { \"$oid\" : \"%s\" }, %s, "
			"\"deleted\" : { \"$ne\" : true } }",
			OID, cases[i].filter);
		assert_json(&filter, expected);
		bson_destroy(bson);
	}
	rk_arena_finish(&arena);
}

static void times_are_dates(void **state)
{
	static const struct {
		const char *document;
		int64_t when_ms;
	} cases[] = {
		{"{\"when\":{\"$date\":{\"$numberLong\":\"1740830400123\"}}}", 1740830400123},
		{"{\"when\":{\"$date\":{\"$numberLong\":\"-1\"}}}", -1},
		{"{\"when\":\"2025-03-01T12:00:00.123Z\"}", 0},
		{"{\"when\":null}", 0},
		{"{}", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bson_t *bson = bson_new_from_json((const uint8_t *)cases[i].document, -1, NULL);
		struct rk_arena arena = {0};
		struct rk_document document;
		bool failed = false;

		assert_non_null(bson);
		assert_false(rk_document_read(
			&document, &arena, bson, &rk_collections[RK_COLLECTION_PAINTING], &failed));
		assert_int_equal(document.when_ms, cases[i].when_ms);
		bson_destroy(bson);
		rk_arena_finish(&arena);
	}
}

static void codes_are_texts_of_paintings(void **state)
{
	static const struct {
		const char *document;
		int collection;
		const char *code;
	} cases[] = {
		{"{\"code\":\"abc\"}", RK_COLLECTION_PAINTING, "abc"},
		{"{\"code\":5}", RK_COLLECTION_PAINTING, ""},
		{"{}", RK_COLLECTION_PAINTING, ""},
		{"{\"code\":\"abc\"}", RK_COLLECTION_MOOD, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bson_t *bson = bson_new_from_json((const uint8_t *)cases[i].document, -1, NULL);
		struct rk_arena arena = {0};
		struct rk_document document;
		bool failed = false;

		assert_non_null(bson);
		assert_false(rk_document_read(
			&document, &arena, bson, &rk_collections[cases[i].collection], &failed));
		assert_true(rk_slice_equal_str(document.code, cases[i].code));
		bson_destroy(bson);
		rk_arena_finish(&arena);
	}
}

static void only_object_ids_are_refs(void **state)
{
	const struct rk_collection *collection = &rk_collections[RK_COLLECTION_MOOD];
	bson_t *bson = bson_new_from_json((const uint8_t *)"{\"_id\":\"" OID "\"}", -1, NULL);
	struct rk_arena arena = {0};
	struct rk_document document;
	bool failed = false;

	assert_false(rk_document_read(&document, &arena, bson, collection, &failed));
	assert_false(failed);
	bson_destroy(bson);
	rk_arena_finish(&arena);
}

static void updates_touch_only_what_the_record_owns(void **state)
{
	static const struct {
		unsigned changes;
		bool linked, has_uri;
		const char *uri, *expected;
		bool bare;
	} cases[] = {
		{RK_BUILD_RKEY, false, false, "",
			"{ \"$set\" : { \"atproto.rkey\" : \"" RKEY "\" } }"},
		{RK_BUILD_RKEY, false, false, "",
			"{ \"$set\" : { \"atproto\" : { \"rkey\" : \"" RKEY "\" } } }",
			.bare = true},
		{RK_BUILD_GONE | RK_BUILD_UNLINK, false, false, "",
			"{ \"$set\" : { \"deleted\" : true } }", .bare = true},
		{RK_BUILD_RKEY, true, true, "at://" DID "/computer.aesthetic.mood/other",
			"{ \"$set\" : { \"atproto.rkey\" : \"" RKEY "\" }, "
			"\"$unset\" : { \"atproto.uri\" : \"\" } }"},
		{RK_BUILD_RKEY, true, true, "at://" DID "/computer.aesthetic.mood/" RKEY,
			"{ \"$set\" : { \"atproto.rkey\" : \"" RKEY "\" } }"},
		{RK_BUILD_FIELDS, true, true, "stale",
			"{ \"$set\" : { \"mood\" : \"calm \\u0000\xc3\xa9\", "
			"\"when\" : { \"$date\" : \"2025-03-01T12:00:00.123Z\" } } }"},
		{RK_BUILD_GONE | RK_BUILD_UNLINK, true, true, "stale",
			"{ \"$set\" : { \"deleted\" : true }, "
			"\"$unset\" : { \"atproto.rkey\" : \"\", \"atproto.uri\" : \"\" } }"},
		{RK_BUILD_GONE | RK_BUILD_UNLINK, false, false, "",
			"{ \"$set\" : { \"deleted\" : true } }"},
		{RK_BUILD_UNLINK, true, false, "", "{ \"$unset\" : { \"atproto.rkey\" : \"\" } }"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_build build = build_of(RK_COLLECTION_MOOD, "u", MOOD);
		struct rk_document document = {
			.rkey = {cases[i].linked ? RK_PRESENCE_STRING : RK_PRESENCE_MISSING},
			.bare = cases[i].bare,
			.has_uri = cases[i].has_uri,
			.uri = rk_slice_str(cases[i].uri),
		};
		bson_t bson;

		assert_null(rk_build_update(&bson, &document, &build, cases[i].changes));
		assert_json(&bson, cases[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inserts_have_the_contracts_fields),
		cmocka_unit_test(what_cannot_be_a_document_says_why),
		cmocka_unit_test(filters_repeat_what_was_read),
		cmocka_unit_test(times_are_dates),
		cmocka_unit_test(codes_are_texts_of_paintings),
		cmocka_unit_test(only_object_ids_are_refs),
		cmocka_unit_test(updates_touch_only_what_the_record_owns),
	};
	return cmocka_run_group_tests_name("mongo/build", tests, NULL, NULL);
}
