/* Rules of account/accounts_name: handles that a PDS takes, the same on every run; passwords that nobody
 * keeps. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "account/accounts_name.h"

#define USER   "auth0|63e4c5d5a9f2e1b4c0d7f111"
#define SUFFIX "-xxxx" /* stands for a hyphen and four letters */

static const char *name(const char *handle, const char *domain, unsigned attempt)
{
	static char out[RK_HANDLE_MOST + 1];

	return rk_accounts_name(out, rk_slice_str(handle), rk_slice_str(USER), domain, attempt)
		? out
		: NULL;
}

static void handles_are_made_valid(void **state)
{
	static const struct {
		const char *handle, *first, *second;
	} cases[] = {
		{"jeffrey", "jeffrey", "jeffrey" SUFFIX},
		{"Jeffrey", "jeffrey", "jeffrey" SUFFIX},
		{"a_b.c", "a-b-c", "a-b-c" SUFFIX},
		{"a__b", "a--b", "a--b" SUFFIX},
		{"_a_b_c_", "a-b-c", "a-b-c" SUFFIX},
		{"abc", "abc", "abc" SUFFIX},
		{"ab", NULL, "ab" SUFFIX},
		{"a", NULL, "a" SUFFIX},
		{"", NULL, "user" SUFFIX},
		{"---", NULL, "user" SUFFIX},
		{"\xf0\x9f\x8c\xb1", NULL, "user" SUFFIX},
		{"cr\xc3\xa8me", "cr-me", "cr-me" SUFFIX},
		{"eighteen-letters-x", "eighteen-letters-x", "eighteen-lett" SUFFIX},
		{"eighteen-letters-xy", "eighteen-letters-x", "eighteen-lett" SUFFIX},
		{"eighteen-letter--xy", "eighteen-letter--x", "eighteen-lett" SUFFIX},
		{"seventeen-letter-_x", "seventeen-letter", "seventeen-let" SUFFIX},
		{"twelve-chars_x", "twelve-chars-x", "twelve-chars" SUFFIX},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *first = name(cases[i].handle, "", 0), *second;
		char expected[64];

		/* Without a domain it is no handle; so one is put behind each. */
		assert_null(first);
		first = name(cases[i].handle, ".pds.example", 0);
		if (cases[i].first) {
			snprintf(expected, sizeof(expected), "%s.pds.example", cases[i].first);
			assert_non_null(first);
			assert_string_equal(first, expected);
		} else {
			assert_null(first);
		}
		second = name(cases[i].handle, ".pds.example", 1);
		assert_non_null(second);
		snprintf(expected, sizeof(expected), "%.*s", (int)(strlen(cases[i].second) - 4),
			cases[i].second);
		assert_memory_equal(second, expected, strlen(expected));
		assert_string_equal(second + strlen(cases[i].second), ".pds.example");
	}
}

static void further_names_differ_and_stay(void **state)
{
	char seen[RK_ACCOUNTS_NAMES][RK_HANDLE_MOST + 1];
	char other[RK_HANDLE_MOST + 1];

	for (unsigned i = 0; i < RK_ACCOUNTS_NAMES; i++) {
		snprintf(seen[i], sizeof(seen[i]), "%s", name("jeffrey", ".pds.example", i));
		assert_string_equal(name("jeffrey", ".pds.example", i), seen[i]);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(seen[i], seen[k]);
	}
	assert_null(name("jeffrey", ".pds.example", RK_ACCOUNTS_NAMES));
	assert_true(rk_accounts_name(
		other, rk_slice_str("jeffrey"), rk_slice_str("auth0|other"), ".pds.example", 1));
	assert_string_not_equal(other, seen[1]);
}

static void domains_that_make_no_handle_are_refused(void **state)
{
	char domain[300];

	assert_null(name("jeffrey", ".", 0));
	assert_null(name("jeffrey", ".pds_example", 0));
	assert_null(name("jeffrey", "\"}", 0));
	memset(domain, 'a', sizeof(domain));
	for (size_t i = 0; i < sizeof(domain); i += 50)
		domain[i] = '.';
	/* 253 in all, and 254. */
	domain[246] = '\0';
	assert_non_null(name("jeffrey", domain, 0));
	domain[246] = 'a';
	domain[247] = '\0';
	assert_null(name("jeffrey", domain, 0));
}

static void password(char out[RK_ACCOUNTS_PASSWORD_SIZE], const char *admin, const char *user,
	const char *account)
{
	rk_accounts_password(out, admin, rk_slice_str(user), account);
	assert_int_equal(strlen(out), RK_ACCOUNTS_PASSWORD_SIZE - 1);
}

static void passwords_follow_from_all_of_their_parts(void **state)
{
	char one[RK_ACCOUNTS_PASSWORD_SIZE], two[RK_ACCOUNTS_PASSWORD_SIZE];
	char longest[100] = {0};

	password(one, "admin", "auth0|1", "a.test");
	/* HMAC-SHA-256 by another program: the key "admin", the text "refkey account" NUL "a.test" NUL
	 * "auth0|1". */
	assert_string_equal(one, "xm26p5dfhdedonebf2gtywabphwonp5g");
	password(two, "admin", "auth0|1", "a.test");
	assert_string_equal(one, two);
	password(two, "Admin", "auth0|1", "a.test");
	assert_string_not_equal(one, two);
	password(two, "admin", "auth0|2", "a.test");
	assert_string_not_equal(one, two);
	password(two, "admin", "auth0|1", "b.test");
	assert_string_not_equal(one, two);
	memset(longest, 'k', 99);
	password(two, longest, "auth0|1", "a.test");
	assert_string_equal(two, "kxvhp6lbevgblbnhvmqx67sgleop4dnm");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handles_are_made_valid),
		cmocka_unit_test(further_names_differ_and_stay),
		cmocka_unit_test(domains_that_make_no_handle_are_refused),
		cmocka_unit_test(passwords_follow_from_all_of_their_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
