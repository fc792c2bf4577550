/* Rules of net/ws_upgrade, with the example of RFC 6455, section 1.3. */
#include "tests/unit/test.h"

#include <errno.h>

#include "net/ws_upgrade.h"

#define KEY        "dGhlIHNhbXBsZSBub25jZQ=="
#define SWITCH     "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE    "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define ACCEPT     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void the_rfc_example_is_accepted(void **state)
{
	struct rk_buf out = {0};

	rk_ws_upgrade_accept(&out, KEY);
	assert_string_equal(rk_buf_cstr(&out), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	rk_buf_finish(&out);
}

static void answers_are_judged(void **state)
{
	static const struct {
		const char *header;
		bool ok;
	} cases[] = {
		{SWITCH UPGRADE CONNECTION ACCEPT "\r\n", true},
		{"HTTP/1.1 101\r\n" ACCEPT CONNECTION UPGRADE "\r\n", true},
		{SWITCH "UPGRADE:WebSocket \r\nconnection: keep-alive , upgrade\r\n" ACCEPT "\r\n",
			true},
		{SWITCH UPGRADE "Connection: keep-alive\r\n" CONNECTION ACCEPT
				"X:\r\nno colon\r\n\r\n",
			true},
		{SWITCH CONNECTION ACCEPT "\r\n", false},
		{SWITCH UPGRADE ACCEPT "\r\n", false},
		{SWITCH UPGRADE CONNECTION "\r\n", false},
		{SWITCH "Upgrade: websocket2\r\n" CONNECTION ACCEPT "\r\n", false},
		{SWITCH UPGRADE "Connection: Upgraded\r\n" ACCEPT "\r\n", false},
		{SWITCH UPGRADE CONNECTION
			"Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
			false},
		{SWITCH UPGRADE CONNECTION
			"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo\r\n\r\n",
			false},
		{SWITCH UPGRADE CONNECTION "Sec-WebSocket-Accept:\r\n\r\n", false},
		{SWITCH UPGRADE CONNECTION ACCEPT
			"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
			false},
		{SWITCH UPGRADE CONNECTION ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n", false},
		{"HTTP/1.0 101 X\r\n" UPGRADE CONNECTION ACCEPT "\r\n", false},
		{"HTTP/1.1 1019 X\r\n" UPGRADE CONNECTION ACCEPT "\r\n", false},
		{"HTTP/1.1 200 OK\r\n" UPGRADE CONNECTION ACCEPT "\r\n", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[256] = "";
		int rc = rk_ws_upgrade_check(rk_slice_str(cases[i].header), KEY, error);

		if (rc != (cases[i].ok ? 0 : -EPROTO))
			fail_msg("%d for %s: %s", rc, cases[i].header, error);
		assert_int_equal(error[0] == '\0', cases[i].ok);
	}
}

static void a_header_ends_with_its_empty_line(void **state)
{
	assert_int_equal(rk_ws_upgrade_header_len(rk_slice_str("")), 0);
	assert_int_equal(rk_ws_upgrade_header_len(rk_slice_str("a\r\nb\r\n")), 0);
	assert_int_equal(rk_ws_upgrade_header_len(rk_slice_str("a\r\n\r\nrest\r\n\r\n")), 5);
}

static void requests_are_whole(void **state)
{
	struct rk_buf out = {0};

	assert_true(rk_ws_upgrade_request(&out, "wss://Host:443/a%20b?c=d&e", "agent", KEY));
	assert_string_equal(rk_buf_cstr(&out),
		"GET /a%20b?c=d&e HTTP/1.1\r\nHost: host\r\nUser-Agent: agent\r\n" UPGRADE
			CONNECTION "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " KEY
		"\r\n\r\n");
	rk_buf_clear(&out);
	assert_true(rk_ws_upgrade_request(&out, "ws://[::1]:8080", "agent", KEY));
	assert_non_null(strstr(rk_buf_cstr(&out), "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n"));
	rk_buf_clear(&out);
	assert_false(rk_ws_upgrade_request(&out, "ftp://host/", "agent", KEY));
	assert_false(rk_ws_upgrade_request(&out, "ws://h\xc3\xb6st/", "agent", KEY));
	assert_false(rk_ws_upgrade_request(&out, "ws://host/\r\nX: y", "agent", KEY));
	rk_buf_finish(&out);
}

static void keys_are_fresh(void **state)
{
	char one[RK_WS_KEY_SIZE], two[RK_WS_KEY_SIZE];

	assert_int_equal(rk_ws_upgrade_key(one), 0);
	assert_int_equal(rk_ws_upgrade_key(two), 0);
	assert_int_equal(strlen(one), 24);
	assert_string_not_equal(one, two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rfc_example_is_accepted),
		cmocka_unit_test(answers_are_judged),
		cmocka_unit_test(a_header_ends_with_its_empty_line),
		cmocka_unit_test(requests_are_whole),
		cmocka_unit_test(keys_are_fresh),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
