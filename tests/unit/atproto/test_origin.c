/* Rules of atproto/origin: one spelling for one origin, nothing but an origin accepted. */
#include "tests/unit/test.h"

#include "atproto/origin.h"

static void one_spelling(void **state)
{
	static const struct {
		const char *url, *origin;
	} cases[] = {
		{"https://pds.example", "https://pds.example"},
		{"HTTPS://PDS.Example/", "https://pds.example"},
		{"https://pds.example:443", "https://pds.example"},
		{"https://pds.example:80", "https://pds.example:80"},
		{"http://pds.example:80/", "http://pds.example"},
		{"http://pds.example:443", "http://pds.example:443"},
		{"http://pds:3000", "http://pds:3000"},
		{"http://refkey_pds-1:3000", "http://refkey_pds-1:3000"},
		{"http://127.0.0.1:1", "http://127.0.0.1:1"},
		{"http://[::1]", "http://[::1]"},
		{"http://[2001:DB8:0:0::1]:65535/", "http://[2001:db8::1]:65535"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char origin[RK_ORIGIN_MOST];

		if (!rk_origin_parse(origin, rk_slice_str(cases[i].url)))
			fail_msg("%s", cases[i].url);
		assert_string_equal(origin, cases[i].origin);
	}
}

static void only_origins(void **state)
{
	static const char *const bad[] = {
		"",
		"https",
		"https:/",
		"https://",
		"https:///",
		"http://:80",
		"pds.example",
		"ftp://a.example",
		"ws://a.example",
		"wss://a.example",
		"https:a.example",
		"https://a.example//",
		"https://a.example/x",
		"https://a.example?x",
		"https://a.example/?x",
		"https://a.example#x",
		"https://user@a.example",
		"https://user:pw@a.example",
		"https://a.example:",
		"https://a.example:/",
		"https://a.example:0",
		"https://a.example:65536",
		"https://a.example:08",
		"https://a.example:1a",
		"https://a.example:-1",
		"https://a.example:443:443",
		"https://a..example",
		"https://.a.example",
		"https://a.example.",
		"https://-a.example",
		"https://a-.example",
		"https://_a.example",
		"https://a b.example",
		"https://a%20b",
		"https://b\xc3\xbc.example",
		"https://a.example ",
		" https://a.example",
		"https://a.example\n",
		"http://::1",
		"http://[::1",
		"http://[]",
		"http://[::1]x",
		"http://[::1]:",
		"http://[fe80::1%25eth0]",
		"http://[127.0.0.1]",
		"http://[12345::]",
		"https://a.example\\@b.example",
	};
	char origin[RK_ORIGIN_MOST];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (rk_origin_parse(origin, rk_slice_str(bad[i])))
			fail_msg("%s", bad[i]);
	}
	assert_false(rk_origin_parse(origin, (struct rk_slice)RK_SLICE_LIT("https://a.example\0")));
	assert_false(rk_origin_parse(origin, (struct rk_slice)RK_SLICE_LIT("http://[::1\0]")));
}

static void host_253_ok_254_refused(void **state)
{
	char host[254];

	for (size_t i = 0; i < sizeof(host); i++)
		host[i] = i % 2 ? '.' : 'a';
	assert_true(rk_host_valid(rk_slice_make(host, 253)));
	host[252] = host[251] = 'b';
	host[253] = 'b';
	assert_true(rk_host_valid(rk_slice_make(host, 253)));
	assert_false(rk_host_valid(rk_slice_make(host, 254)));
	memset(host, 'a', sizeof(host));
	assert_true(rk_host_valid(rk_slice_make(host, 63)));
	assert_false(rk_host_valid(rk_slice_make(host, 64)));
}

static void ports_in_pairs(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{"0", true},
		{"00", false},
		{"1", true},
		{"01", false},
		{"65535", true},
		{"65536", false},
		{"99999", false},
		{"100000", false},
		{"", false},
		{"+1", false},
		{" 1", false},
	};
	uint16_t port;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(rk_port_parse(&port, rk_slice_str(cases[i].text)), cases[i].valid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_spelling),
		cmocka_unit_test(only_origins),
		cmocka_unit_test(host_253_ok_254_refused),
		cmocka_unit_test(ports_in_pairs),
	};
	return cmocka_run_group_tests_name("atproto/origin", tests, NULL, NULL);
}
