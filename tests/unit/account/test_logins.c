/* Rules of account/logins: a login is given to one at a time, and the longest unused makes room. */
#include "tests/unit/test.h"

#include <stdio.h>

#include "account/logins.h"

static struct rk_session_login login_of(unsigned account, const char *token)
{
	struct rk_session_login login = {0};

	rk_buf_printf(&login.did, "did:plc:%u", account);
	rk_buf_add_str(&login.access, token);
	return login;
}

static void keep(struct rk_logins *logins, unsigned account, const char *token)
{
	struct rk_session_login login = login_of(account, token);

	rk_logins_keep(logins, &login);
	assert_null(login.access.data);
}

/* Its token, or NULL. */
static const char *take(struct rk_logins *logins, unsigned account)
{
	static char token[32];
	struct rk_session_login login;
	char did[32];

	snprintf(did, sizeof(did), "did:plc:%u", account);
	if (!rk_logins_take(logins, &login, rk_slice_str(did)))
		return NULL;
	assert_true(rk_slice_equal_str(rk_buf_slice(&login.did), did));
	snprintf(token, sizeof(token), "%s", rk_buf_cstr(&login.access));
	rk_session_login_finish(&login);
	return token;
}

static void each_is_given_once(void **state)
{
	struct rk_logins *logins = rk_logins_create();

	assert_null(take(logins, 1));
	for (unsigned i = 0; i < 3; i++)
		keep(logins, i, "a");
	keep(logins, 1, "b");
	assert_string_equal(take(logins, 1), "b");
	assert_null(take(logins, 1));
	assert_string_equal(take(logins, 0), "a");
	assert_string_equal(take(logins, 2), "a");
	rk_logins_destroy(logins);
}

static void the_longest_unused_makes_room(void **state)
{
	struct rk_logins *logins = rk_logins_create();

	for (unsigned i = 0; i < RK_LOGINS_MOST; i++)
		keep(logins, i, "a");
	assert_string_equal(take(logins, 0), "a");
	keep(logins, 0, "used");
	keep(logins, RK_LOGINS_MOST, "new");
	assert_null(take(logins, 1));
	assert_string_equal(take(logins, 0), "used");
	assert_string_equal(take(logins, RK_LOGINS_MOST), "new");
	rk_logins_destroy(logins);
	rk_logins_destroy(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_given_once),
		cmocka_unit_test(the_longest_unused_makes_room),
	};

	return cmocka_run_group_tests_name("account/logins", tests, NULL, NULL);
}
