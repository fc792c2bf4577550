/* Rules of net/url. */
#include "tests/unit/test.h"

#include "net/http.h"

static void origins_are_normal(void **state)
{
	static const struct {
		const char *url, *origin;
	} cases[] = {
		{"HTTP://Host:80/path?q#f", "http://host"},
		{"https://host:443", "https://host"},
		{"https://host:80/", "https://host:80"},
		{"ws://Host:2583/xrpc", "http://host:2583"},
		{"wss://host:443/", "https://host"},
		{"http://[::1]:3000/", "http://[::1]:3000"},
		{"http://host", "http://host"},
		{"ftp://host/", NULL},
		{"host", NULL},
		{"//host", NULL},
		{"http://", NULL},
		{"http://user@host/", NULL},
		{"http://user:secret@host/", NULL},
		{"http://[fe80::1%25eth0]/", NULL},
		{"http://ho st/", NULL},
		{"", NULL},
	};
	char out[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool ok = rk_http_origin(out, sizeof(out), cases[i].url);

		if (ok != (cases[i].origin != NULL))
			fail_msg("%s", cases[i].url);
		if (ok)
			assert_string_equal(out, cases[i].origin);
	}
	assert_true(rk_http_origin(out, sizeof("http://host"), "http://host/"));
	assert_false(rk_http_origin(out, sizeof("http://host") - 1, "http://host/"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(origins_are_normal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
