/* Rules of xrpc/params: each parameter by its row, everything else refused by name. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "records/collections.h"
#include "xrpc/params.h"

enum { TEXT, NUMBER, FLAG, WHEN, REF, REPO, COLLECTION, MANY };

static const struct rk_param_row rows[] = {
	[TEXT] = {.name = "text", .kind = RK_PARAM_TEXT, .least = 1, .most = 10},
	[NUMBER] = {.name = "number",
		.kind = RK_PARAM_INTEGER,
		.least = 1,
		.most = 100,
		.otherwise = 50},
	[FLAG] = {.name = "flag", .kind = RK_PARAM_BOOLEAN},
	[WHEN] = {.name = "when", .kind = RK_PARAM_DATETIME},
	[REF] = {.name = "ref", .kind = RK_PARAM_REF, .required = true, .least = 1, .most = 64},
	[REPO] = {.name = "repo", .kind = RK_PARAM_REPO},
	[COLLECTION] = {.name = "collection", .kind = RK_PARAM_COLLECTION},
	[MANY] = {.name = "many", .kind = RK_PARAM_URI, .array = true},
	{0},
};

static const struct rk_param_row rkey_rows[] = {{.name = "rkey", .kind = RK_PARAM_RKEY}, {0}};

static struct rk_params *params; /* large */

static int setup(void **state)
{
	params = malloc(sizeof(*params));
	return params ? 0 : -1;
}

static int teardown(void **state)
{
	free(params);
	return 0;
}

static bool parse(const char *query)
{
	return rk_params_parse(params, rows, rk_slice_str(query));
}

static void reads_each_kind(void **state)
{
	const struct rk_param *v = params->values;

	if (!parse("text=a%20b+c&number=100&flag=true&when=2026-01-02T03:04:05.678Z&ref=ABCDEF&"
		   "repo=did:plc:abc&collection=computer.aesthetic.painting&"
		   "many=at%3A%2F%2Fdid%3Aweb%3Aa.test%2Fcomputer.aesthetic.mood%2F3jzfcijpj2z2a"))
		fail_msg("%s", params->error);
	assert_true(rk_slice_equal_str(v[TEXT].text, "a b c"));
	assert_int_equal(v[NUMBER].number, 100);
	assert_int_equal(v[FLAG].number, 1);
	assert_int_equal(v[WHEN].number, 1767323045678);
	assert_true(rk_slice_equal_str(v[REF].text, "ABCDEF"));
	assert_true(rk_slice_equal_str(v[REF].ref, "abcdef"));
	assert_true(v[REPO].account.is_did);
	assert_int_equal(v[COLLECTION].collection, RK_COLLECTION_PAINTING);
	assert_int_equal(params->item_count, 1);
	assert_int_equal(params->items[0].collection, RK_COLLECTION_MOOD);
	assert_true(rk_slice_equal_str(params->items[0].uri.rkey, "3jzfcijpj2z2a"));
}

static void absent_ones_have_their_default(void **state)
{
	assert_true(parse("ref=x"));
	assert_int_equal(params->values[NUMBER].number, 50);
	assert_false(params->values[NUMBER].given);
	assert_int_equal(params->values[COLLECTION].collection, -1);
	assert_int_equal(params->item_count, 0);
	assert_true(rk_params_parse(params, NULL, rk_slice_str("")));
	assert_true(rk_params_parse(params, NULL, rk_slice_str("&&")));
}

static void refs_of_other_letters_keep_their_case(void **state)
{
	assert_true(parse("ref=Xyz"));
	assert_true(rk_slice_equal_str(params->values[REF].ref, "Xyz"));
}

static void refuses_by_name(void **state)
{
	static const struct {
		const char *query, *error;
	} cases[] = {
		{"", "ref is required: 1 to 64 characters"},
		{"ref=", "ref must be 1 to 64 characters"},
		{"ref", "ref must be 1 to 64 characters"},
		{"ref=a&ref=a", "ref is given more than once"},
		{"ref=a&r%65f=a", "ref is given more than once"},
		{"ref=a&other=1",
			"other is not a parameter of this method: it takes text, number, flag, when, "
			"ref, repo, collection, many"},
		{"ref=a&Ref=a", "Ref is not a parameter"},
		{"ref=a&%ff=1", "a parameter's name is not UTF-8"},
		{"ref=a&a%00=1", "a parameter's name has a NUL"},
		{"ref=a&%3Cb%3E%22%0a=1", "<b>\"? is not a parameter"},
		{"ref=%", "ref has a percent sign without two hexadecimal digits"},
		{"ref=%4", "ref has a percent sign without two hexadecimal digits"},
		{"ref=%4g", "ref has a percent sign without two hexadecimal digits"},
		{"ref=%zz", "ref has a percent sign without two hexadecimal digits"},
		{"ref=%ff", "ref is not UTF-8"},
		{"ref=\xff", "ref is not UTF-8"},
		{"ref=%ed%a0%80", "ref is not UTF-8"},
		{"ref=%00", "ref has a NUL"},
		{"ref=a&text=", "text must be 1 to 10 characters"},
		{"ref=a&text=12345678901", "text must be 1 to 10 characters"},
		{"ref=a&number=0", "number must be an integer from 1 to 100"},
		{"ref=a&number=101", "number must be"},
		{"ref=a&number=-1", "number must be"},
		{"ref=a&number=", "number must be"},
		{"ref=a&number=5.0", "number must be"},
		{"ref=a&number=05", "number must be"},
		{"ref=a&number=+5", "number must be"},
		{"ref=a&number=1e1", "number must be"},
		{"ref=a&number=99999999999999999999", "number must be"},
		{"ref=a&flag=1", "flag must be true or false"},
		{"ref=a&flag=TRUE", "flag must be"},
		{"ref=a&when=2026-01-02", "when must be a datetime such as"},
		{"ref=a&when=2026-01-02T03:04:05+01:00", "when must be"}, /* '+' is a space */
		{"ref=a&repo=a", "repo must be a DID or a handle"},
		{"ref=a&repo=did:", "repo must be"},
		{"ref=a&collection=mood",
			"collection must be one of computer.aesthetic.mood, "
			"computer.aesthetic.painting"},
		{"ref=a&collection=app.bsky.feed.post", "collection must be"},
		{"ref=a&many=at://did:web:a.test", "many must be at://account/collection/rkey"},
		{"ref=a&many=at://did:web:a.test/computer.aesthetic.mood", "many must be"},
		{"ref=a&many=at://did:web:a.test/app.bsky.feed.post/3jzfcijpj2z2a", "many must be"},
		{"ref=a&many=https://a.test", "many must be"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (parse(cases[i].query))
			fail_msg("%s is accepted", cases[i].query);
		if (strncmp(params->error, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("%s\n  gives %s\n  not   %s", cases[i].query, params->error,
				cases[i].error);
	}
	assert_false(rk_params_parse(params, NULL, rk_slice_str("a=1")));
	assert_string_equal(params->error, "a is not a parameter of this method: it takes none");
}

static void an_offset_that_is_encoded_is_read(void **state)
{
	assert_true(parse("ref=a&when=2026-01-02T03:04:05%2B01:00"));
	assert_int_equal(params->values[WHEN].number, 1767319445000);
}

static void ref_64_ok_65_refused(void **state)
{
	char query[80];

	memset(query, 'a', sizeof(query));
	memcpy(query, "ref=", 4);
	assert_true(rk_params_parse(params, rows, rk_slice_make(query, 4 + 64)));
	assert_false(rk_params_parse(params, rows, rk_slice_make(query, 4 + 65)));
}

static void rkey_512_ok_513_refused(void **state)
{
	char query[600];

	memset(query, 'a', sizeof(query));
	memcpy(query, "rkey=", 5);
	assert_true(rk_params_parse(params, rkey_rows, rk_slice_make(query, 5 + 512)));
	assert_false(rk_params_parse(params, rkey_rows, rk_slice_make(query, 5 + 513)));
	assert_false(rk_params_parse(params, rkey_rows, rk_slice_str("rkey=..")));
	assert_false(rk_params_parse(params, rkey_rows, rk_slice_str("rkey=a/b")));
}

static void items_100_ok_101_refused(void **state)
{
	static const struct rk_param_row refs[] = {
		{.name = "refs", .kind = RK_PARAM_REF, .array = true, .least = 1, .most = 64}, {0}};
	char query[101 * 8 + 1] = "";

	for (int i = 0; i < 100; i++)
		snprintf(query + strlen(query), sizeof(query) - strlen(query), "refs=%02d&", i);
	assert_true(rk_params_parse(params, refs, rk_slice_str(query)));
	assert_int_equal(params->item_count, 100);
	assert_true(rk_slice_equal_str(params->items[99].text, "99"));
	strcat(query, "refs=xx");
	assert_false(rk_params_parse(params, refs, rk_slice_str(query)));
	assert_string_equal(params->error, "refs: more than 100 values in all");
}

/* The longest query there is fits the scratch memory, whatever is in it. */
static void longest_query(void **state)
{
	static const struct rk_param_row refs[] = {
		{.name = "refs", .kind = RK_PARAM_REF, .array = true, .least = 1, .most = 64}, {0}};
	char *query = malloc(RK_QUERY_MOST + 1);

	memset(query, 'a', RK_QUERY_MOST + 1);
	for (size_t i = 0; i + 70 < RK_QUERY_MOST; i += 70)
		memcpy(query + i, "&refs=", 6);
	assert_false(rk_params_parse(params, refs, rk_slice_make(query, RK_QUERY_MOST)));
	assert_false(rk_params_parse(params, refs, rk_slice_make(query, RK_QUERY_MOST + 1)));
	assert_string_equal(params->error, "the query is longer than 32768 bytes");
	free(query);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_each_kind),
		cmocka_unit_test(absent_ones_have_their_default),
		cmocka_unit_test(refs_of_other_letters_keep_their_case),
		cmocka_unit_test(refuses_by_name),
		cmocka_unit_test(an_offset_that_is_encoded_is_read),
		cmocka_unit_test(ref_64_ok_65_refused),
		cmocka_unit_test(rkey_512_ok_513_refused),
		cmocka_unit_test(items_100_ok_101_refused),
		cmocka_unit_test(longest_query),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
