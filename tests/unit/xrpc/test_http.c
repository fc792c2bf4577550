/* Rules of xrpc/http on real sockets: HTTP/1.1 and nothing else, errors in the form of all others. */
#include "tests/unit/xrpc/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/metrics.h"

static void answers_with_the_headers_of_xrpc(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	char out[4096];

	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
		sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_non_null(strstr(out, "\r\ncontent-type: application/json; charset=utf-8\r\n"));
	assert_non_null(strstr(out, "\r\naccess-control-allow-origin: *\r\n"));
	assert_non_null(strstr(out, "\r\n\r\n{\"version\":"));
	exchange(xrpc, "HEAD " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
		sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_non_null(strstr(out, "\r\nContent-Length: "));
	assert_null(strstr(out, "\r\nContent-Length: 0"));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	exchange(xrpc, "OPTIONS " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
		sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 204 No Content\r\n", 25), 0);
	assert_non_null(strstr(out, "\r\naccess-control-allow-origin: *\r\n"));
	assert_non_null(
		strstr(out, "\r\naccess-control-allow-methods: GET, HEAD, POST, OPTIONS\r\n"));
	assert_non_null(strstr(out,
		"\r\naccess-control-allow-headers: authorization, content-type, "
		"atproto-accept-labelers, atproto-proxy, *\r\n"));
	assert_non_null(strstr(out, "\r\naccess-control-max-age: 86400\r\n"));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	exchange(xrpc, "GET /xrpc/a.b.c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
		sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 501 Not Implemented\r\n", 30), 0);
	assert_non_null(strstr(out, "\r\naccess-control-allow-origin: *\r\n"));
	assert_non_null(strstr(out, "\r\n\r\n{\"error\":\"MethodNotImplemented\""));
	exchange(xrpc,
		"POST " STATUS
		" HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
		out, sizeof(out));
	assert_non_null(strstr(out, "\r\nallow: GET, HEAD\r\n"));
	exchange(xrpc,
		"GET /xrpc/computer.aesthetic.refkey.listIssues HTTP/1.1\r\nHost: a\r\n"
		"Authorization: Basic eDp5\r\nConnection: close\r\n\r\n",
		out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 401 Unauthorized\r\n", 27), 0);
	assert_non_null(strstr(out, "\r\nwww-authenticate: Basic realm=\"refkey\"\r\n"));
	assert_non_null(strstr(out, "AuthInvalid"));
	rk_xrpc_destroy(xrpc);
}

static void keeps_alive_and_answers_in_order(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	static char out[65536];
	int fd = client(xrpc), answers = 0;

	for (int i = 0; i < 3; i++) {
		send_text(fd, "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
		receive_one(fd, out, sizeof(out));
		assert_non_null(strstr(out, "\r\nConnection: keep-alive\r\n"));
	}
	/* Several at once, the last one last. */
	for (int i = 0; i < 9; i++)
		send_text(fd, "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
	send_text(fd, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	receive_end(fd, out, sizeof(out));
	for (const char *at = out; (at = strstr(at, "{\"version\":")); at++)
		answers++;
	assert_int_equal(answers, 9);
	assert_non_null(strstr(out, "refkey_xrpc_requests_total"));
	close(fd);
	rk_xrpc_destroy(xrpc);
}

static void http_2_is_refused_both_ways(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	static const char *const upgrades[] = {"h2c", "h2c-14", "h2c-16", "H2C", "h2", "websocket"};
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	char out[4096], request[512];
	int fd = client(xrpc);

	send_all(fd, preface, sizeof(preface) - 1);
	receive_end(fd, out, sizeof(out));
	close(fd);
	assert_int_equal(strncmp(out, "HTTP/1.1 400 Bad Request\r\n", 26), 0);
	/* In pieces: nothing may be answered that the whole is not. */
	fd = client(xrpc);
	for (size_t i = 0; i < sizeof(preface) - 1; i++)
		send_all(fd, preface + i, 1);
	receive_end(fd, out, sizeof(out));
	close(fd);
	assert_int_equal(strncmp(out, "HTTP/1.1 400 Bad Request\r\n", 26), 0);
	assert_non_null(strstr(out, "{\"error\":\"InvalidRequest\""));
	for (size_t i = 0; i < sizeof(upgrades) / sizeof(upgrades[0]); i++) {
		snprintf(request, sizeof(request),
			"GET " STATUS
			" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
			"Upgrade: %s\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
			upgrades[i]);
		exchange(xrpc, request, out, sizeof(out));
		assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
		assert_non_null(strstr(out, "{\"version\":"));
	}
	rk_xrpc_destroy(xrpc);
}

static void body_1m_ok_more_refused(void **state)
{
	static const char path[] =
		"POST /xrpc/computer.aesthetic.refkey.forgetRepo HTTP/1.1\r\nHost: a\r\n"
		"Connection: close\r\n";
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	char *body = calloc(1, (1 << 20) + 1), out[4096], head[256];
	int fd;

	for (int over = 0; over < 2; over++) {
		fd = client(xrpc);
		snprintf(
			head, sizeof(head), "%sContent-Length: %d\r\n\r\n", path, (1 << 20) + over);
		send_text(fd, head);
		send_all(fd, body, (size_t)((1 << 20) + over));
		receive_end(fd, out, sizeof(out));
		close(fd);
		if (over) {
			assert_int_equal(strncmp(out, "HTTP/1.1 413 ", 13), 0);
			assert_non_null(strstr(out, "{\"error\":\"PayloadTooLarge\""));
			assert_non_null(strstr(out, "\r\naccess-control-allow-origin: *\r\n"));
		} else {
			assert_int_equal(strncmp(out, "HTTP/1.1 401 ", 13), 0);
		}
	}
	/* Announced by nobody. */
	fd = client(xrpc);
	snprintf(head, sizeof(head), "%sTransfer-Encoding: chunked\r\n\r\n200000\r\n", path);
	send_text(fd, head);
	send_all(fd, body, (1 << 20) + 1);
	receive_end(fd, out, sizeof(out));
	close(fd);
	assert_int_equal(strncmp(out, "HTTP/1.1 413 ", 13), 0);
	free(body);
	rk_xrpc_destroy(xrpc);
}

static void a_refused_body_may_be_sent_to_its_end(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	size_t size = 20 << 20;
	char *body = calloc(1, size), out[4096];

	for (int i = 0; i < 8; i++) {
		int fd = client(xrpc);
		ssize_t n = 1;

		send_text(fd, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20971520\r\n\r\n");
		for (size_t sent = 0; sent < size && n > 0; sent += (size_t)n)
			n = send(fd, body + sent, size - sent, MSG_NOSIGNAL);
		assert_true(n > 0);
		receive_end(fd, out, sizeof(out));
		assert_int_equal(strncmp(out, "HTTP/1.1 413 ", 13), 0);
		close(fd);
	}
	free(body);
	rk_xrpc_destroy(xrpc);
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS), 0);
}

static void target_32k_ok_more_refused(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	static char out[4096], request[40000];

	for (int over = 0; over < 2; over++) {
		size_t len = (size_t)((32 << 10) + over);

		strcpy(request, "GET " STATUS "?");
		memset(request + strlen(request), '&', 4 + len - strlen(request));
		strcpy(request + 4 + len, " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		exchange(xrpc, request, out, sizeof(out));
		assert_int_equal(strncmp(out, over ? "HTTP/1.1 414 " : "HTTP/1.1 200 ", 13), 0);
		if (over)
			assert_non_null(strstr(out, "{\"error\":\"UriTooLong\""));
	}
	rk_xrpc_destroy(xrpc);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_with_the_headers_of_xrpc),
		TEST(keeps_alive_and_answers_in_order),
		TEST(http_2_is_refused_both_ways),
		TEST(body_1m_ok_more_refused),
		TEST(a_refused_body_may_be_sent_to_its_end),
		TEST(target_32k_ok_more_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
