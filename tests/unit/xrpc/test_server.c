/* Rules of xrpc/server and xrpc/listen: addresses, and what is said of bad ones. */
#include "tests/unit/xrpc/client.h"

#include <errno.h>
#include <string.h>

static void addresses(void **state)
{
	static const char *const bad[] = {"", "127.0.0.1", ":3900", "127.0.0.1:", "127.0.0.1:65536",
		"::1:3900", "127.0.0.1:http", "999.0.0.1:0", "no such host:1"};
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0}), *other = NULL;
	struct rk_xrpc_options options = {.threads = 1, .source = ""};
	char error[256] = "";

	assert_int_equal(strncmp(rk_xrpc_address(xrpc), "127.0.0.1:", 10), 0);
	options.listen = rk_xrpc_address(xrpc);
	assert_int_equal(rk_xrpc_create(&other, ((struct kit *)*state)->store, &options, error),
		-EADDRINUSE);
	assert_non_null(strstr(error, options.listen));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		options.listen = bad[i];
		error[0] = '\0';
		if (rk_xrpc_create(&other, ((struct kit *)*state)->store, &options, error) !=
			-EINVAL)
			fail_msg("%s: %s", bad[i], error);
		assert_true(error[0]);
	}
	rk_xrpc_destroy(xrpc);
	rk_xrpc_destroy(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
