/* Rules of xrpc/conn on real sockets: h2o gets no head that is not well-formed, and all else it gets as
 * it came. */
#include "tests/unit/xrpc/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"

#define GET  "GET " STATUS " HTTP/1.1\r\nHost: a\r\n"
#define POST "POST /xrpc/computer.aesthetic.refkey.forgetRepo HTTP/1.1\r\nHost: a\r\n"
/* What is smuggled: it must not be answered. */
#define NEXT "GET /xrpc/smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

static int count(const char *text, const char *part)
{
	int n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

/* One answer, in the form of all errors, and the end of the connection. */
static void assert_refused(const char *what, const char *out, int status, const char *name)
{
	char line[32], error[64];

	snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
	snprintf(error, sizeof(error), "\r\n\r\n{\"error\":\"%s\",\"message\":\"", name);
	if (strncmp(out, line, strlen(line)) != 0 || count(out, "\r\nDate: ") != 1 ||
		!strstr(out, error) || out[strlen(out) - 1] != '}' ||
		!strstr(out, "\r\ncontent-type: application/json; charset=utf-8\r\n") ||
		!strstr(out, "\r\naccess-control-allow-origin: *\r\n") ||
		!strstr(out, "\r\nConnection: close\r\n"))
		fail_msg("%s gives %s", what, out);
}

static void what_is_malformed_is_refused_and_ends_the_connection(void **state)
{
	static const char *const requests[] = {
		POST "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" NEXT,
		POST "Content-Length: 0\r\nContent-Length: 42\r\n\r\n" NEXT,
		POST "Content-Length: 42\r\ncontent-length: 0\r\n\r\n" NEXT,
		POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT,
		POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" NEXT,
		POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" NEXT,
		POST "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT,
		POST "Transfer-Encoding: gzip\r\n\r\n" NEXT,
		POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" NEXT,
		POST "Transfer-Encoding: identity\r\n\r\n" NEXT,
		POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" NEXT,
		POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" NEXT,
		POST "Content-Length: 1, 1\r\n\r\na" NEXT,
		POST "Content-Length: +1\r\n\r\na" NEXT,
		POST "Content-Length: -1\r\n\r\n" NEXT,
		POST "Content-Length:\r\n\r\n" NEXT,
		POST "Content-Length: 18446744073709551616\r\n\r\n" NEXT,
		POST "Transfer-Encoding: chunked\r\n\r\nx\r\n" NEXT,
		POST "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n" NEXT,
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT,
		"GET / HTTP/1.1\r\n\r\n" NEXT,
		GET "Host: b\r\n\r\n" NEXT,
		GET "a: b\r\n c: d\r\n\r\n" NEXT,
		"GET / HTTP/1.1\nHost: a\n\n" NEXT,
		"\x16\x03\x01\x02",
		"nonsense\r\n\r\n",
		"GET / HTTP/3.0\r\n\r\n",
		"GET /\r\n\r\n",
		"GET foo HTTP/1.1\r\nHost: a\r\n\r\n",
		"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
		GET "bad header\r\n\r\n",
		GET "a: \x01\r\n\r\n",
	};
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	int64_t refused = rk_metric_get(RK_METRIC_REQUESTS_REFUSED);
	const size_t all = sizeof(requests) / sizeof(requests[0]);
	char out[4096];

	for (size_t i = 0; i < all; i++) {
		exchange(xrpc, requests[i], out, sizeof(out));
		assert_refused(requests[i], out, 400, "InvalidRequest");
	}
	assert_int_equal(rk_metric_get(RK_METRIC_REQUESTS_REFUSED) - refused, all);
	/* Without a body, as HEAD has it. */
	exchange(xrpc, "HEAD / HTTP/1.1\r\n\r\n" NEXT, out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 400 ", 13), 0);
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	rk_xrpc_destroy(xrpc);
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS), 0);
}

/* A request with a header, or with a target, of so many bytes; on the heap. */
static char *large_make(size_t bytes, bool target)
{
	char *text = malloc(bytes + 256), *filling = malloc(bytes + 1);

	memset(filling, 'a', bytes);
	filling[bytes] = '\0';
	snprintf(text, bytes + 256,
		target ? "GET /%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		       : "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx: %s\r\n\r\n",
		filling);
	free(filling);
	return text;
}

static void heads_are_bounded_however_they_come(void **state)
{
	static const struct {
		size_t bytes;
		bool target;
		int status;
		const char *name;
	} cases[] = {
		{60000, false, 200, NULL},
		{65536, false, 431, "HeadTooLarge"},
		{300000, false, 431, "HeadTooLarge"},
		{5 << 20, false, 431, "HeadTooLarge"},
		{33000, true, 414, "UriTooLong"},
		{300000, true, 414, "UriTooLong"},
	};
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	char out[4096], lines[2048] = GET "Connection: close\r\n";

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = large_make(cases[i].bytes, cases[i].target);
		size_t len = strlen(text);

		for (size_t step = len; step; step = step == len ? 1000 : 0) {
			int fd = client(xrpc);

			for (size_t at = 0; at < len; at += step)
				send_all(fd, text + at, len - at < step ? len - at : step);
			receive_end(fd, out, sizeof(out));
			close(fd);
			if (cases[i].name)
				assert_refused("a large head", out, cases[i].status, cases[i].name);
			else
				assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
		}
		free(text);
	}
	for (int i = 0; i < 99; i++)
		strcat(lines, "a: b\r\n");
	strcat(lines, "\r\n");
	exchange(xrpc, lines, out, sizeof(out));
	assert_refused("101 header lines", out, 431, "HeadTooLarge");
	/* Never whole: ended by its size, not by its time, which has no answer. */
	{
		char *text = large_make(100000, false);
		int fd = client(xrpc);

		send_all(fd, text, 70000);
		receive_end(fd, out, sizeof(out));
		assert_refused("a head without end", out, 431, "HeadTooLarge");
		close(fd);
		free(text);
	}
	rk_xrpc_destroy(xrpc);
}

/* Requests of every kind behind one another. */
static const char pipeline[] =
	"\r\n\r\n" GET "\r\n" POST "Content-Length: 11\r\n\r\nGET / HTTP/" GET "\r\n" POST
	"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nb;x=y\r\n\r\n\r\nGET / H\r\n0\r\nt: "
	"r\r\n\r\n"
	"HEAD " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n"
	"OPTIONS " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n" POST "Content-Length: 0\r\n\r\n\r\n"
	"GET /xrpc/nope HTTP/1.1\r\nHost: a\r\n"
	"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" GET "Connection: close\r\n\r\n";
static const char *const pipeline_status[] = {
	"200", "401", "200", "401", "200", "204", "401", "501", "200"};

static void assert_pipeline(const char *out)
{
	const char *at = out;

	for (size_t i = 0; i < sizeof(pipeline_status) / sizeof(pipeline_status[0]); i++) {
		at = strstr(at, "HTTP/1.1 ");
		if (!at || strncmp(at + 9, pipeline_status[i], 3) != 0)
			fail_msg("answer %zu is not %s in %s", i, pipeline_status[i], out);
		at++;
	}
	assert_null(strstr(at, "HTTP/1.1 "));
}

static void requests_behind_one_another_are_told_apart(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	const size_t len = sizeof(pipeline) - 1;
	char out[16384];

	exchange(xrpc, pipeline, out, sizeof(out));
	assert_pipeline(out);
	/* Cut at every place: some of it comes with what is in front, some later. */
	for (size_t at = 1; at < len; at++) {
		int fd = client(xrpc);

		send_all(fd, pipeline, at);
		usleep(1000);
		send_all(fd, pipeline + at, len - at);
		receive_end(fd, out, sizeof(out));
		assert_pipeline(out);
		close(fd);
	}
	rk_xrpc_destroy(xrpc);
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS), 0);
}

static void what_is_malformed_behind_others_is_refused_in_its_turn(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	char out[8192];

	exchange(xrpc,
		GET "\r\n" POST "Content-Length: 2\r\n\r\n{}" GET "Content-Length: 0\r\n"
		    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT,
		out, sizeof(out));
	assert_int_equal(count(out, "\r\nDate: "), 3);
	assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
	assert_non_null(strstr(out, "HTTP/1.1 401 "));
	assert_refused("the third", strstr(out, "HTTP/1.1 400 "), 400, "InvalidRequest");
	rk_xrpc_destroy(xrpc);
}

static void a_body_may_wait_for_100_continue(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	char out[8192] = "";
	int fd = client(xrpc);
	size_t len = 0;

	send_text(fd, POST "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
	while (!strstr(out, "\r\n\r\n")) {
		ssize_t n = recv(fd, out + len, sizeof(out) - 1 - len, 0);

		assert_true(n > 0);
		len += (size_t)n;
		out[len] = '\0';
	}
	assert_string_equal(out, "HTTP/1.1 100 Continue\r\n\r\n");
	send_text(fd, "{}" GET "Connection: close\r\n\r\n");
	receive_end(fd, out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 401 ", 13), 0);
	assert_non_null(strstr(out, "HTTP/1.1 200 "));
	close(fd);
	exchange(xrpc, POST "Content-Length: 2\r\nExpect: more\r\n\r\n{}", out, sizeof(out));
	assert_refused("another expectation", out, 417, "InvalidRequest");
	rk_xrpc_destroy(xrpc);
}

static void half_closed_clients_get_their_answer(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	static const char *const partial[] = {
		"", "GET / HT", GET, POST "Content-Length: 9\r\n\r\n{"};
	char out[8192];
	int fd = client(xrpc);

	send_text(fd, GET "\r\n" GET "\r\n");
	shutdown(fd, SHUT_WR);
	receive_end(fd, out, sizeof(out));
	assert_int_equal(count(out, "HTTP/1.1 200 "), 2);
	close(fd);
	for (size_t i = 0; i < sizeof(partial) / sizeof(partial[0]); i++) {
		fd = client(xrpc);
		send_text(fd, partial[i]);
		shutdown(fd, SHUT_WR);
		receive_end(fd, out, sizeof(out));
		assert_string_equal(out, "");
		close(fd);
	}
	rk_xrpc_destroy(xrpc);
}

static void only_far_clients_are_limited(void **state)
{
	static const char far[] =
		GET "X-Forwarded-For: 8.8.8.8, 10.0.0.1\r\nConnection: close\r\n\r\n";
	struct rk_xrpc *xrpc = server_start(
		*state, (struct rk_xrpc_options){.rate_limit = 3, .rate_window_s = 600});
	char out[4096];

	for (int i = 0; i < 10; i++) {
		exchange(xrpc, GET "Connection: close\r\n\r\n", out, sizeof(out));
		assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
		assert_null(strstr(out, "ratelimit"));
	}
	for (int i = 2; i >= 0; i--) {
		char remaining[64];

		exchange(xrpc, far, out, sizeof(out));
		assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
		snprintf(remaining, sizeof(remaining), "\r\nratelimit-remaining: %d\r\n", i);
		assert_non_null(strstr(out, remaining));
		assert_null(strstr(out, "\r\nretry-after"));
	}
	for (int i = 0; i < 2; i++) {
		const char *reset, *after;

		exchange(xrpc, far, out, sizeof(out));
		assert_refused("the fourth", out, 429, "RateLimitExceeded");
		assert_non_null(strstr(out, "\r\nratelimit-limit: 3\r\n"));
		assert_non_null(strstr(out, "\r\nratelimit-remaining: 0\r\n"));
		assert_non_null(strstr(out, "\r\nratelimit-policy: 3;w=600\r\n"));
		assert_non_null(
			strstr(out, "\r\naccess-control-expose-headers: ratelimit-limit, "));
		reset = strstr(out, "\r\nratelimit-reset: ");
		after = strstr(out, "\r\nretry-after: ");
		assert_true(reset && after);
		assert_in_range(atoll(reset + 19) - rk_clock_wall_ms() / 1000, 500, 601);
		assert_in_range(atoi(after + 15), 500, 601);
	}
	/* Neither others, nor what those say who are not the proxy's last. */
	exchange(xrpc, GET "X-Forwarded-For: 8.8.8.8, 9.9.9.9\r\nConnection: close\r\n\r\n", out,
		sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
	exchange(xrpc,
		GET "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\nConnection: "
		    "close\r\n\r\n",
		out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 429 ", 13), 0);
	rk_xrpc_destroy(xrpc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_malformed_is_refused_and_ends_the_connection),
		TEST(heads_are_bounded_however_they_come),
		TEST(requests_behind_one_another_are_told_apart),
		TEST(what_is_malformed_behind_others_is_refused_in_its_turn),
		TEST(a_body_may_wait_for_100_continue),
		TEST(half_closed_clients_get_their_answer),
		TEST(only_far_clients_are_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
