/* Rules of xrpc/head: what is a head, whole or in pieces. */
#include "tests/unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xrpc/head.h"
#include "xrpc/params.h"

#define LINE "GET /xrpc/a HTTP/1.1\r\n"
#define HOST "Host: a\r\n"
#define GET  LINE HOST

static enum rk_head_verdict head_read(struct rk_head *out, const char *text, size_t len)
{
	*out = (struct rk_head){0};
	return rk_head_read(out, rk_slice_make(text, len), 0, RK_HEAD_MOST);
}

static void takes_what_is_well_formed(void **state)
{
	static const char *const heads[] = {
		GET "\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET http://a/b HTTP/1.1\r\nHost:\r\n\r\n",
		"GET HTTPS://a/b HTTP/1.1\r\nhOST: b\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		"M-SEARCH /?q=\xf0\x9f\x8c\x99 HTTP/1.9\r\nHost: a\r\n\r\n",
		GET "Content-Length: 3\r\n\r\n",
		GET "Transfer-Encoding: chunked\r\n\r\n",
		GET "x:\r\ny: \t \r\nz: a\tb\x80\xff\r\n!#$%&'*+-.^_`|~09azAZ: 1\r\n\r\n",
		GET "X-Host: a\r\nX-Content-Length: 1\r\nContent-Length-X: 2\r\n\r\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		size_t len = strlen(heads[i]);
		char *more = malloc(len + 5);
		struct rk_head head;

		if (head_read(&head, heads[i], len) != RK_HEAD_WHOLE)
			fail_msg("%s: %s", heads[i], head.why);
		assert_int_equal(head.len, len);
		/* What comes behind it is not looked at; what comes in pieces is the same. */
		memcpy(more, heads[i], len);
		memcpy(more + len, "\n\0\n\xff", 5);
		assert_int_equal(head_read(&head, more, len + 5), RK_HEAD_WHOLE);
		assert_int_equal(head.len, len);
		for (size_t at = 1; at < len; at++) {
			assert_int_equal(head_read(&head, heads[i], at), RK_HEAD_PARTIAL);
			assert_int_equal(
				rk_head_read(&head, rk_slice_make(heads[i], len), at, RK_HEAD_MOST),
				RK_HEAD_WHOLE);
			assert_int_equal(head.len, len);
		}
		free(more);
	}
}

#define BAD(text, part)                                                                            \
	{                                                                                          \
		text, sizeof(text) - 1, part                                                       \
	}

static void refuses_what_can_be_read_in_two_ways(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *why;
	} heads[] = {
		BAD(GET "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "Content-Length"),
		BAD(GET "content-length: 1\r\nCONTENT-LENGTH: 2\r\n\r\n", "Content-Length"),
		BAD(GET "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "both"),
		BAD(GET "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", "both"),
		BAD(GET "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "once"),
		BAD("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"),
		BAD(GET HOST "\r\n", "Host"),
		BAD(LINE "\r\n", "Host is missing"),
		BAD(LINE "HostX: a\r\n\r\n", "Host is missing"),
		BAD(GET "a: b\r\n c\r\n\r\n", "folded"),
		BAD(LINE "\tHost: a\r\n\r\n", "folded"),
		BAD(GET "a : b\r\n\r\n", "colon"),
		BAD(GET ": b\r\n\r\n", "colon"),
		BAD(GET "a\r\n\r\n", "colon"),
		BAD(GET "a\x80: b\r\n\r\n", "colon"),
		BAD(GET "a\0: b\r\n\r\n", "colon"),
		BAD(GET "a: b\0c\r\n\r\n", "control"),
		BAD(GET "a: b\rc\r\n\r\n", "control"),
		BAD(GET "a: b\x7f\r\n\r\n", "control"),
		BAD(GET "a: b\r\r\n\r\n", "control"),
		BAD("GET / HTTP/1.1\n", "CR LF"),
		BAD(GET "a: b\n", "CR LF"),
		BAD(GET "\n", "CR LF"),
		BAD(GET "a: b\r\n\n", "CR LF"),
		BAD("\n", "CR LF"),
		BAD("\x16\x03\x01\x02", "method"),
		BAD("(", "method"),
		BAD(" / HTTP/1.1\r\n", "method"),
		BAD("\0", "method"),
		BAD("AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHHI", "method"),
		BAD("GET\r\n\r\n", "method"),
		BAD("\rGET / HTTP/1.1\r\n\r\n", "method"),
		BAD("GET /\r\n\r\n", "HTTP/1.1"),
		BAD("GET  / HTTP/1.1\r\n\r\n", "target"),
		BAD("GET a HTTP/1.1\r\n\r\n", "target"),
		BAD("CONNECT a:443 HTTP/1.1\r\n\r\n", "target"),
		BAD("GET ** HTTP/1.1\r\n\r\n", "target"),
		BAD("GET ftp://a/ HTTP/1.1\r\n\r\n", "target"),
		BAD("GET http:// HTTP/1.1\r\n\r\n", "target"),
		BAD("GET /a\tb HTTP/1.1\r\n\r\n", "target"),
		BAD("GET /\0 HTTP/1.1\r\n\r\n", "target"),
		BAD("GET /a b HTTP/1.1\r\n\r\n", "version"),
		BAD("GET / HTTP/1.1 \r\n\r\n", "version"),
		BAD("GET / HTTP/2.0\r\n\r\n", "version"),
		BAD("GET / HTTP/1.10\r\n\r\n", "version"),
		BAD("GET / http/1.1\r\n\r\n", "version"),
		BAD("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "version"),
		/* Without an end. */
		BAD("PRI * HTTP/2.0\r\n", "version"),
		BAD("GET foo HTTP/1.1\r\nHost: a", "target"),
	};
	struct rk_head head;

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		if (head_read(&head, heads[i].text, heads[i].len) != RK_HEAD_REFUSED)
			fail_msg("%s is not refused", heads[i].text);
		assert_int_equal(head.error, RK_REPLY_ERROR_INVALID_REQUEST);
		if (!strstr(head.why, heads[i].why))
			fail_msg("%s: %s", heads[i].text, head.why);
	}
}

/* Eight bytes are looked at together: each place, each neighbour. */
static void every_byte_is_judged_at_every_place(void **state)
{
	struct rk_head head;

	(void)state;
	for (size_t len = 1; len < 20; len++) {
		for (size_t at = 0; at < len; at++) {
			for (int byte = 0; byte < 256; byte++) {
				char text[128] = GET "a:", target[128] = "GET /";
				bool ok = byte >= ' ' && byte != 0x7f;
				size_t used = strlen(text);

				memset(text + used, 0x80, len);
				text[used + at] = (char)byte;
				memcpy(text + used + len, "\r\n\r\n", 4);
				assert_int_equal(
					head_read(&head, text, used + len + 4) == RK_HEAD_WHOLE,
					ok || byte == '\t');
				memset(target + 5, 'a', len);
				target[5 + at] = (char)byte;
				strcpy(target + 5 + len, " HTTP/1.1\r\n" HOST "\r\n");
				assert_int_equal(
					head_read(&head, target,
						5 + len + strlen(" HTTP/1.1\r\n" HOST "\r\n")) ==
						RK_HEAD_WHOLE,
					ok && byte != ' ');
			}
		}
	}
}

static void lines_100_ok_101_refused(void **state)
{
	char text[4096];
	struct rk_head head;

	(void)state;
	for (int over = 0; over < 2; over++) {
		strcpy(text, GET);
		for (int i = 0; i < 99 + over; i++)
			strcat(text, "a: b\r\n");
		strcat(text, "\r\n");
		assert_int_equal(head_read(&head, text, strlen(text)),
			over ? RK_HEAD_REFUSED : RK_HEAD_WHOLE);
	}
	assert_int_equal(head.error, RK_REPLY_ERROR_HEAD_TOO_LARGE);
}

static void bytes_64k_ok_more_refused(void **state)
{
	size_t room = RK_HEAD_MOST + 2;
	char *text = malloc(room);
	struct rk_head head;

	(void)state;
	memset(text, 'a', room);
	memcpy(text, GET "a: ", sizeof(GET "a: ") - 1);
	/* In pieces, and never whole. */
	assert_int_equal(head_read(&head, text, RK_HEAD_MOST), RK_HEAD_PARTIAL);
	assert_int_equal(head_read(&head, text, RK_HEAD_MOST + 1), RK_HEAD_REFUSED);
	assert_int_equal(head.error, RK_REPLY_ERROR_HEAD_TOO_LARGE);
	assert_int_equal(rk_head_read(&head, rk_slice_make(text, 101), 0, 100), RK_HEAD_REFUSED);
	assert_int_equal(head.error, RK_REPLY_ERROR_HEAD_TOO_LARGE);
	/* Whole, at once. */
	memcpy(text + RK_HEAD_MOST - 4, "\r\n\r\n", 4);
	assert_int_equal(head_read(&head, text, RK_HEAD_MOST), RK_HEAD_WHOLE);
	assert_int_equal(head.len, RK_HEAD_MOST);
	memcpy(text + RK_HEAD_MOST - 4, "a\r\n\r\n", 5);
	assert_int_equal(head_read(&head, text, RK_HEAD_MOST + 1), RK_HEAD_REFUSED);
	assert_int_equal(head.error, RK_REPLY_ERROR_HEAD_TOO_LARGE);
	/* The first line alone: it is the target that is too long. */
	memset(text, 'a', room);
	memcpy(text, "GET /", 5);
	assert_int_equal(head_read(&head, text, RK_HEAD_MOST + 1), RK_HEAD_REFUSED);
	assert_int_equal(head.error, RK_REPLY_ERROR_URI_TOO_LONG);
	free(text);
}

static void empty_lines_in_front_are_taken_off(void **state)
{
	struct rk_head head;

	(void)state;
	assert_int_equal(rk_head_skip(rk_slice_str("\r\n\r\nGET / ")), 4);
	assert_int_equal(rk_head_skip(rk_slice_str("\r\n\r")), 2);
	assert_int_equal(rk_head_skip(rk_slice_str("\n\r\n")), 0);
	assert_int_equal(rk_head_skip(rk_slice_str("GET /\r\n")), 0);
	assert_int_equal(head_read(&head, "\r", 1), RK_HEAD_PARTIAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_well_formed),
		cmocka_unit_test(refuses_what_can_be_read_in_two_ways),
		cmocka_unit_test(every_byte_is_judged_at_every_place),
		cmocka_unit_test(lines_100_ok_101_refused),
		cmocka_unit_test(bytes_64k_ok_more_refused),
		cmocka_unit_test(empty_lines_in_front_are_taken_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
