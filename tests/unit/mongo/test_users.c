/* Rules of mongo/users: found by id, DID and name; one DID has one user, the same on every run; and for how long
 * what was read is good. */
#include "tests/unit/test.h"

#include "mongo/users.h"

static void add(struct rk_users *users, const char *id, const char *did, const char *handle)
{
	const struct rk_user user = {rk_slice_str(id), rk_slice_str(did), rk_slice_str(handle)};

	assert_int_equal(rk_users_add(users, &user), 0);
}

static const char *id_of(const struct rk_user *user)
{
	static char text[32];

	if (!user)
		return "";
	memcpy(text, user->id.data, user->id.len);
	text[user->id.len] = 0;
	return text;
}

static void found_by_each_name(void **state)
{
	static const struct {
		const char *name, *id;
	} cases[] = {
		{"auth0|1", "auth0|1"},
		{"@Jeffrey", "auth0|1"},
		{"@jeffrey", "auth0|1"},
		{"did:plc:one", "auth0|1"},
		{"jeffrey", ""},
		{"@", ""},
		{"", ""},
		{"@jeff", ""},
		{"did:plc:on", ""},
		{"did:plc:two", ""},
		{"auth0|3", "auth0|3"},
		{"@none", "auth0|3"},
		{"did:", ""},
		{"@twice", ""},
		{"@TWICE", ""},
		{"auth0|5", "auth0|5"},
	};
	struct rk_users users = {0};
	char error[RK_USERS_ERROR];

	add(&users, "auth0|3", "", "none");
	add(&users, "auth0|4", "did:plc:two", "");
	add(&users, "auth0|1", "did:plc:one", "Jeffrey");
	add(&users, "auth0|2", "did:plc:two", "two");
	add(&users, "auth0|6", "", "Twice");
	add(&users, "auth0|5", "", "twice");
	assert_int_equal(rk_users_seal(&users), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(
			id_of(rk_users_by_name(&users, rk_slice_str(cases[i].name), error)),
			cases[i].id);
	assert_null(rk_users_by_name(&users, rk_slice_str("@jeff"), error));
	assert_string_equal(error, "no such user: @jeff");
	assert_null(rk_users_by_name(&users, rk_slice_str("@twice"), error));
	assert_string_equal(
		error, "@twice is the handle of auth0|5 and of auth0|6: name one by _id");
	assert_null(rk_users_by_name(&users, rk_slice_str("did:plc:two"), error));
	assert_string_equal(
		error, "did:plc:two is the account of auth0|2 and of auth0|4: name one by _id");
	/* The index has an account once: there the first counts. */
	assert_string_equal(id_of(rk_users_by_did(&users, rk_slice_str("did:plc:two"))), "auth0|2");
	assert_null(rk_users_by_did(&users, (struct rk_slice){0}));
	rk_users_finish(&users);
	rk_users_finish(&users);
}

static void many_and_none(void **state)
{
	struct rk_users users = {0};

	assert_int_equal(rk_users_seal(&users), 0);
	assert_null(rk_users_by_id(&users, rk_slice_str("a")));
	assert_null(rk_users_by_did(&users, rk_slice_str("did:a")));
	for (char a = 'a'; a <= 'z'; a++) {
		for (char b = 'z'; b >= 'a'; b--) {
			const char id[] = {b, a, 0}, did[] = {'d', 'i', 'd', ':', a, b, 0};
			add(&users, id, did, "");
		}
	}
	assert_int_equal(rk_users_seal(&users), 0);
	assert_string_equal(id_of(rk_users_by_did(&users, rk_slice_str("did:qz"))), "zq");
	assert_string_equal(id_of(rk_users_by_id(&users, rk_slice_str("zz"))), "zz");
	assert_null(rk_users_by_did(&users, rk_slice_str("did:qzz")));
	rk_users_finish(&users);
}

static void slow_reading_is_rarer_to_a_bound(void **state)
{
	static const struct {
		int64_t took_ms, good_ms;
	} cases[] = {
		{0, 0},
		{50, 1000},
		{2999, 59980},
		{3000, 60000},
		{3001, 60000},
		{20000, 60000},
		{INT64_MAX, 60000},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(rk_users_good_ms(cases[i].took_ms), cases[i].good_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(found_by_each_name),
		cmocka_unit_test(many_and_none),
		cmocka_unit_test(slow_reading_is_rarer_to_a_bound),
	};
	return cmocka_run_group_tests_name("mongo/users", tests, NULL, NULL);
}
