/* Rules of net/http against a server that misbehaves. Times are short: the bounds are what counts.
 */
#include "tests/unit/test.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/http.h"
#include "tests/unit/net/server.h"

/* What a machine that stands still does not reach, and a bound that does not hold does. */
enum { NEVER_MS = 10 * 60 * 1000, TIMES = 5 };

static struct rk_http *client(bool allow_private)
{
	struct rk_http *http =
		rk_http_create(&(struct rk_http_options){.allow_private = allow_private});

	assert_non_null(http);
	return http;
}

/* One GET of the server; out is the caller's to finish. */
static int get(struct rk_http *http, struct rk_http_response *out, const char *url)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;

	request.url = url;
	request.timeout_ms = request.idle_ms = NEVER_MS;
	return rk_http_perform(http, out, &request);
}

/* Answers every request with the text it is given. */
static void answer_raw(struct server_conn *conn, void *user)
{
	while (server_read_request(conn)) {
		if (!server_send_str(conn, user))
			break;
	}
}

/* Then closes. */
static void answer_raw_once(struct server_conn *conn, void *user)
{
	if (server_read_request(conn))
		server_send_str(conn, user);
}

static void hang(struct server_conn *conn, void *user)
{
	server_hold(conn);
}

static void answers_come_with_status_body_and_type(void **state)
{
	static const struct {
		const char *raw;
		long status;
		const char *body, *type;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: Text/HTML; "
		 "charset=x\r\n\r\nhi",
			200, "hi", "text/html"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
			200, "abcde", ""},
		{"HTTP/1.1 404 No\r\nContent-Length: 0\r\nContent-Type: a/b\r\n\r\n", 404, "",
			"a/b"},
		{"HTTP/1.1 100 Continue\r\nRetry-After: 9\r\n\r\nHTTP/1.1 200 "
		 "OK\r\nContent-Length: 1\r\n\r\nx",
			200, "x", ""},
		{"HTTP/1.1 204 None\r\n\r\n", 204, "", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_http_response out;
		struct rk_http *http = client(true);
		struct server server;

		server_start(&server, answer_raw, cases[i].raw);
		assert_int_equal(get(http, &out, server.http), 0);
		assert_int_equal(out.status, cases[i].status);
		assert_string_equal(rk_buf_cstr(&out.body), cases[i].body);
		assert_string_equal(out.content_type, cases[i].type);
		assert_int_equal(out.retry_after_ms, -1);
		rk_http_response_finish(&out);
		rk_http_destroy(http);
		server_stop(&server);
	}
}

static void connections_are_used_again(void **state)
{
	struct rk_http *http = client(true);
	struct rk_http_response out;
	struct server server;

	server_start(&server, answer_raw, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
	for (int i = 0; i < 5; i++) {
		assert_int_equal(get(http, &out, server.http), 0);
		rk_http_response_finish(&out);
	}
	assert_int_equal(atomic_load(&server.connections), 1);
	assert_int_equal(atomic_load(&server.requests), 5);
	rk_http_destroy(http);
	server_stop(&server);
}

static void check_request(struct server_conn *conn, void *user)
{
	bool ok;

	if (!server_read_request(conn))
		return;
	ok = strstr(conn->request, user) && !strstr(conn->request, "Expect:") &&
		!strcasestr(conn->request, "authorization:");
	server_answer(conn, ok ? "200 OK" : "500 No", "", conn->request);
}

static void requests_carry_method_headers_and_body(void **state)
{
	static const char *const headers[] = {"X-One: 1", "Content-Type: application/json", NULL};
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http *http = client(true);
	struct rk_http_response out;
	struct server server;

	server_start(&server, check_request, "POST / HTTP/1.1\r\n");
	request.method = "POST";
	request.url = server.http;
	request.headers = headers;
	request.body = (struct rk_slice)RK_SLICE_LIT("{}");
	assert_int_equal(rk_http_perform(http, &out, &request), 0);
	assert_int_equal(out.status, 200);
	assert_non_null(strstr(rk_buf_cstr(&out.body), "X-One: 1\r\n"));
	assert_non_null(strstr(rk_buf_cstr(&out.body), "Content-Type: application/json\r\n"));
	assert_non_null(strstr(rk_buf_cstr(&out.body), "User-Agent: refkey/"));
	rk_http_response_finish(&out);
	rk_http_destroy(http);
	server_stop(&server);
}

static void wrong_requests_are_refused(void **state)
{
	static const char *const urls[] = {"", "ftp://127.0.0.1/", "file:///etc/passwd", "http://",
		"127.0.0.1", "http://user:pass@127.0.0.1/", "http://user@127.0.0.1/",
		"gopher://127.0.0.1/", "http://127.0.0.1:99999/", "http://a b/",
		"http://127.0.0.1/\r\nX: y", "ws://127.0.0.1/"};
	static const char *const headers[] = {"X: 1\r\nY: 2", NULL};
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http *http = client(true);
	struct rk_http_response out;

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]) - 1; i++) {
		if (get(http, &out, urls[i]) != -EINVAL)
			fail_msg("asked %s", urls[i]);
		assert_true(out.error[0] != '\0');
	}
	request.url = "http://127.0.0.1:1/";
	request.headers = headers;
	assert_int_equal(rk_http_perform(http, &out, &request), -EINVAL);
	rk_http_destroy(http);
}

static void redirects_are_not_followed(void **state)
{
	struct rk_http *http = client(true);
	struct rk_http_response out;
	struct server server;

	server_start(&server, answer_raw,
		"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(get(http, &out, server.http), 0);
	assert_int_equal(out.status, 302);
	rk_http_response_finish(&out);
	assert_int_equal(atomic_load(&server.requests), 1);
	rk_http_destroy(http);
	server_stop(&server);
}

static void private_addresses_are_refused_unless_trusted(void **state)
{
	struct rk_http_options options = {0};
	struct rk_http *http = client(false);
	struct rk_http_response out;
	struct server server;
	char other[80], named[80];

	server_start(&server, answer_raw, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	snprintf(other, sizeof(other), "http://127.0.0.2:%d/", server.port);
	snprintf(named, sizeof(named), "http://localhost:%d/", server.port);
	assert_int_equal(get(http, &out, server.http), -EACCES);
	assert_int_equal(get(http, &out, "http://[::ffff:127.0.0.1]/"), -EACCES);
	assert_int_equal(get(http, &out, "http://0x7f000001/"), -EACCES);
	assert_int_equal(get(http, &out, named), -EACCES);
	rk_http_destroy(http);
	assert_int_equal(atomic_load(&server.connections), 0);

	options.trusted[0] = server.http;
	http = rk_http_create(&options);
	assert_int_equal(get(http, &out, server.http), 0);
	assert_int_equal(get(http, &out, other), -EACCES);
	assert_int_equal(get(http, &out, named), -EACCES);
	assert_int_equal(get(http, &out, "http://127.0.0.1:1/"), -EACCES);
	assert_non_null(strstr(out.error, "REFKEY_ALLOW_PRIVATE"));
	rk_http_destroy(http);
	options.trusted[1] = named; /* a second one, for itself */
	http = rk_http_create(&options);
	assert_int_equal(get(http, &out, other), -EACCES);
	assert_int_equal(get(http, &out, named), 0);
	rk_http_destroy(http);
	server_stop(&server);

	options.trusted[0] = "nonsense";
	assert_null(rk_http_create(&options));
}

static void nobody_listening_is_said(void **state)
{
	struct rk_http *http = client(true);
	struct rk_http_response out;

	assert_int_equal(get(http, &out, "http://127.0.0.1:1/"), -ECONNREFUSED);
	assert_true(out.error[0] != '\0');
	rk_http_destroy(http);
}

/* Bounds of size */

static void bodies_are_bounded(void **state)
{
	static const struct {
		const char *raw;
		size_t most;
		int result;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", 5, 0},
		{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n123456", 5, -EFBIG},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n", 5,
			0},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
		 "chunked\r\n\r\n5\r\n12345\r\n1\r\n6\r\n0\r\n\r\n",
			5, -EFBIG},
		{"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, 0},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", 0, -EFBIG},
		{"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n1", 5, -EFBIG},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_http_request request = RK_HTTP_REQUEST_INIT;
		struct rk_http *http = client(true);
		struct rk_http_response out;
		struct server server;

		server_start(&server, answer_raw, cases[i].raw);
		request.url = server.http;
		request.body_most = cases[i].most;
		assert_int_equal(rk_http_perform(http, &out, &request), cases[i].result);
		assert_true(cases[i].result == 0 ? out.error[0] == '\0' : out.body.len == 0);
		rk_http_response_finish(&out);
		rk_http_destroy(http);
		server_stop(&server);
	}
}

static void endless_header(struct server_conn *conn, void *user)
{
	static const char line[] = "X-Filler: 0123456789012345678901234567890123456789\r\n";

	if (!server_read_request(conn) || !server_send_str(conn, "HTTP/1.1 200 OK\r\n"))
		return;
	while (server_send(conn, line, sizeof(line) - 1))
		;
}

static void headers_are_bounded(void **state)
{
	struct rk_http *http = client(true);
	struct rk_http_response out;
	struct server server;

	server_start(&server, endless_header, NULL);
	assert_int_equal(get(http, &out, server.http), -EFBIG);
	rk_http_destroy(http);
	server_stop(&server);
}

static void cut_off_answers_are_failures(void **state)
{
	static const char *const raws[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1234",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n123",
		"HTTP/1.1 2",
		"no http at all\r\n\r\n",
		"",
	};

	for (size_t i = 0; i < sizeof(raws) / sizeof(raws[0]); i++) {
		struct rk_http *http = client(true);
		struct rk_http_response out;
		struct server server;

		server_start(&server, answer_raw_once, raws[i]);
		assert_int_equal(get(http, &out, server.http), -EIO);
		assert_int_equal(out.body.len, 0);
		rk_http_destroy(http);
		server_stop(&server);
	}
}

/* Bounds of time */

static void drip_header(struct server_conn *conn, void *user)
{
	if (!server_read_request(conn) || !server_send_str(conn, "HTTP/1.1 200 OK\r\n"))
		return;
	while (server_send_str(conn, "X: y\r\n") && server_pause(conn, 10))
		;
}

static void drip_body(struct server_conn *conn, void *user)
{
	if (!server_read_request(conn) ||
		!server_send_str(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"))
		return;
	while (server_send_str(conn, "x") && server_pause(conn, 10))
		;
}

static void stall_in_body(struct server_conn *conn, void *user)
{
	if (server_read_request(conn) &&
		server_send_str(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nxx"))
		server_hold(conn);
}

/* How long it takes until the server is given up. */
static int64_t time_out(server_handler *handler, struct rk_http_request request)
{
	struct rk_http *http = client(true);
	struct rk_http_response out;
	struct server server;
	int64_t start;

	server_start(&server, handler, NULL);
	request.url = server.http;
	start = rk_clock_mono_ms();
	assert_int_equal(rk_http_perform(http, &out, &request), -ETIMEDOUT);
	start = rk_clock_mono_ms() - start;
	rk_http_destroy(http);
	server_stop(&server);
	return start;
}

/* A server that stands still as long as it may be idle is given up sooner than its bytes, but hardly each time. */
static void times_out_after(server_handler *handler, struct rk_http_request request, int64_t least)
{
	int64_t ms = time_out(handler, request);

	for (int i = 1; i < TIMES && ms < least; i++)
		ms = time_out(handler, request);
	assert_in_range(ms, least, NEVER_MS - 1);
}

static void slow_answers_end_in_time(void **state)
{
	static const struct {
		server_handler *handler;
		long timeout_ms, idle_ms, rate_least, least;
	} cases[] = {
		{hang, 150, 0, 0, 150},
		{hang, NEVER_MS, 100, 0, 100},
		{drip_header, 200, NEVER_MS, 0, 200},
		{drip_body, 200, NEVER_MS, 0, 200},
		{stall_in_body, NEVER_MS, 100, 0, 100},
		{drip_header, NEVER_MS, 100, 1 << 20, 200},
		{drip_body, NEVER_MS, 100, 1 << 20, 200},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_http_request request = RK_HTTP_REQUEST_INIT;

		request.timeout_ms = cases[i].timeout_ms;
		request.idle_ms = cases[i].idle_ms;
		request.rate_least = cases[i].rate_least;
		times_out_after(cases[i].handler, request, cases[i].least);
	}
}

static void bytes_keep_a_slow_answer_going(void **state)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;

	/* Each pause is within idle_ms, all of them are not: only the whole time ends it. */
	request.timeout_ms = 600;
	request.idle_ms = 200;
	request.rate_least = 1;
	times_out_after(drip_body, request, 600);
}

struct canceller {
	struct server *server;
	atomic_bool cancel;
};

static void *cancel_when_asked(void *user)
{
	struct canceller *c = user;

	while (atomic_load(&c->server->connections) == 0)
		sched_yield();
	atomic_store(&c->cancel, true);
	return NULL;
}

static void another_thread_cancels_soon(void **state)
{
	struct canceller canceller = {0};
	struct rk_http_options options = {.allow_private = true, .cancel = &canceller.cancel};
	struct rk_http *http = rk_http_create(&options);
	struct rk_http_response out;
	struct server server;
	pthread_t thread;

	server_start(&server, hang, NULL);
	canceller.server = &server;
	assert_int_equal(pthread_create(&thread, NULL, cancel_when_asked, &canceller), 0);
	assert_int_equal(get(http, &out, server.http), -ECANCELED);
	pthread_join(thread, NULL);
	assert_int_equal(get(http, &out, server.http), -ECANCELED);
	rk_http_destroy(http);
	server_stop(&server);
}

/* Waits the server asks for */

static void retry_after_and_rate_limits_are_read(void **state)
{
	static const struct {
		const char *headers;
		int64_t retry_least, retry_most, remaining;
	} cases[] = {
		{"Retry-After: 7\r\n", 7000, 7000, -1},
		{"retry-after: 0\r\n", 0, 0, -1},
		{"Retry-After: 99999999999999999999\r\n", RK_HTTP_RETRY_MOST_MS,
			RK_HTTP_RETRY_MOST_MS, -1},
		{"Retry-After: Thu, 01 Jan 1998 00:00:00 GMT\r\n", 0, 0, -1},
		{"Retry-After: Thu, 01 Jan 2099 00:00:00 GMT\r\n", RK_HTTP_RETRY_MOST_MS,
			RK_HTTP_RETRY_MOST_MS, -1},
		{"Retry-After: soon\r\n", -1, -1, -1},
		{"Retry-After:\r\n", -1, -1, -1},
		{"RateLimit-Limit: 3000\r\nRateLimit-Remaining: 12\r\n", -1, -1, 12},
		{"RateLimit-Remaining: many\r\n", -1, -1, -1},
	};
	struct rk_http *http = client(true);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_http_response out;
		struct server server;
		char raw[256];

		snprintf(raw, sizeof(raw), "HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n%s\r\n",
			cases[i].headers);
		server_start(&server, answer_raw, raw);
		assert_int_equal(get(http, &out, server.http), 0);
		assert_int_equal(out.status, 429);
		assert_true(out.retry_after_ms >= cases[i].retry_least &&
			out.retry_after_ms <= cases[i].retry_most);
		assert_int_equal(out.ratelimit_remaining, cases[i].remaining);
		rk_http_response_finish(&out);
		server_stop(&server);
	}
	rk_http_destroy(http);
}

static void ratelimit_reset_is_unix_time_either_way(void **state)
{
	static const char *const values[] = {"2000000000", "60"};
	struct rk_http *http = client(true);

	for (size_t i = 0; i < 2; i++) {
		int64_t now = rk_clock_wall_ms() / 1000;
		struct rk_http_response out;
		struct server server;
		char raw[256];

		snprintf(raw, sizeof(raw),
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRateLimit-Reset: %s\r\n\r\n",
			values[i]);
		server_start(&server, answer_raw, raw);
		assert_int_equal(get(http, &out, server.http), 0);
		if (i == 0)
			assert_int_equal(out.ratelimit_reset, 2000000000);
		else
			assert_in_range(out.ratelimit_reset, now + 59, now + 70);
		rk_http_response_finish(&out);
		server_stop(&server);
	}
	rk_http_destroy(http);
}

/* Bodies into a file */

static void bodies_go_to_the_fd_if_2xx(void **state)
{
	static const struct {
		const char *raw;
		const char *file, *kept;
	} cases[] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "abc", ""},
		{"HTTP/1.1 400 No\r\nContent-Length: 3\r\n\r\nwhy", "", "why"},
	};

	for (size_t i = 0; i < 2; i++) {
		struct rk_http_request request = RK_HTTP_REQUEST_INIT;
		struct rk_http *http = client(true);
		struct rk_http_response out;
		struct server server;
		char got[16] = "";

		server_start(&server, answer_raw, cases[i].raw);
		request.url = server.http;
		request.body_fd = memfd_create("body", MFD_CLOEXEC);
		assert_int_equal(rk_http_perform(http, &out, &request), 0);
		assert_string_equal(rk_buf_cstr(&out.body), cases[i].kept);
		assert_true(pread(request.body_fd, got, sizeof(got) - 1, 0) >= 0);
		assert_string_equal(got, cases[i].file);
		close(request.body_fd);
		rk_http_response_finish(&out);
		rk_http_destroy(http);
		server_stop(&server);
	}
}

static void a_full_file_is_enospc(void **state)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http *http = client(true);
	struct rk_http_response out;
	struct server server;
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	server_start(&server, answer_raw, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
	request.url = server.http;
	request.body_fd = fileno(full);
	assert_int_equal(rk_http_perform(http, &out, &request), -ENOSPC);
	fclose(full);
	rk_http_destroy(http);
	server_stop(&server);
}

static int setup(void **state)
{
	return rk_http_global_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_come_with_status_body_and_type),
		cmocka_unit_test(connections_are_used_again),
		cmocka_unit_test(requests_carry_method_headers_and_body),
		cmocka_unit_test(wrong_requests_are_refused),
		cmocka_unit_test(redirects_are_not_followed),
		cmocka_unit_test(private_addresses_are_refused_unless_trusted),
		cmocka_unit_test(nobody_listening_is_said),
		cmocka_unit_test(bodies_are_bounded),
		cmocka_unit_test(headers_are_bounded),
		cmocka_unit_test(cut_off_answers_are_failures),
		cmocka_unit_test(slow_answers_end_in_time),
		cmocka_unit_test(bytes_keep_a_slow_answer_going),
		cmocka_unit_test(another_thread_cancels_soon),
		cmocka_unit_test(retry_after_and_rate_limits_are_read),
		cmocka_unit_test(ratelimit_reset_is_unix_time_either_way),
		cmocka_unit_test(bodies_go_to_the_fd_if_2xx),
		cmocka_unit_test(a_full_file_is_enospc),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
