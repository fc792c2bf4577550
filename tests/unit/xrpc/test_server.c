/* Rules of the server on real sockets: HTTP/1.1 and nothing else, bounded in size, time and number. */
#include "tests/unit/xrpc/kit.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"

enum { DEADLINE_MS = 10000, THREADS = 2 };

#define STATUS "/xrpc/computer.aesthetic.refkey.getStatus"

/* h2o keeps recycled buffers for a thread, and its queue, beyond their end. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:h2o_mem_alloc_recycle\nleak:h2o_multithread_create_queue\nleak:h2o_buffer_reserve\n";
}

static struct rk_xrpc *server_start(struct kit *k, struct rk_xrpc_options options)
{
	struct rk_xrpc *xrpc;
	char error[256];

	options.listen = "127.0.0.1:0";
	options.threads = THREADS;
	options.source = "https://pds.test";
	options.status = k->service.status;
	options.status_context = k;
	if (rk_xrpc_create(&xrpc, k->store, &options, error) != 0)
		fail_msg("%s", error);
	return xrpc;
}

static int client(const struct rk_xrpc *xrpc)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_port = htons((uint16_t)atoi(strrchr(rk_xrpc_address(xrpc), ':') + 1));
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* What cannot be sent any more is not: the server may have hung up. */
static void send_all(int fd, const void *data, size_t len)
{
	while (len) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		data = (const char *)data + n;
		len -= (size_t)n;
	}
}

static void send_text(int fd, const char *text)
{
	send_all(fd, text, strlen(text));
}

/* Appends what comes within the deadline; 0 at the end, else bytes. */
static ssize_t receive_some(int fd, char *out, size_t *len, size_t most)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	ssize_t n;

	if (poll(&poll_fd, 1, DEADLINE_MS) <= 0)
		fail_msg("nothing came within the deadline");
	n = recv(fd, out + *len, most - 1 - *len, 0);
	if (n > 0)
		*len += (size_t)n;
	out[*len] = '\0';
	return n < 0 ? 0 : n;
}

/* All there is until the server closes. */
static void receive_end(int fd, char *out, size_t most)
{
	size_t len = 0;

	while (len + 1 < most && receive_some(fd, out, &len, most))
		;
}

/* One response with a Content-Length. */
static void receive_one(int fd, char *out, size_t most)
{
	size_t len = 0, body = 0;
	const char *head;

	do {
		if (!receive_some(fd, out, &len, most))
			fail_msg("closed after: %s", out);
		head = strstr(out, "\r\n\r\n");
		if (head && !body) {
			const char *length = strstr(out, "Content-Length: ");

			body = (size_t)(head - out) + 4 + (length ? (size_t)atoi(length + 16) : 0);
		}
	} while (!body || len < body);
}

static void exchange(const struct rk_xrpc *xrpc, const char *request, char *out, size_t most)
{
	int fd = client(xrpc);

	send_text(fd, request);
	receive_end(fd, out, most);
	close(fd);
}

static void answers_with_the_headers_of_xrpc(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	char out[4096];

	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_non_null(strstr(out, "\r\ncontent-type: application/json; charset=utf-8\r\n"));
	assert_non_null(strstr(out, "\r\naccess-control-allow-origin: *\r\n"));
	assert_non_null(strstr(out, "\r\n\r\n{\"version\":"));
	exchange(xrpc, "HEAD " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_non_null(strstr(out, "\r\nContent-Length: "));
	assert_null(strstr(out, "\r\nContent-Length: 0"));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	exchange(xrpc, "OPTIONS " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 204 No Content\r\n", 25), 0);
	assert_non_null(strstr(out, "\r\naccess-control-allow-origin: *\r\n"));
	assert_non_null(strstr(out, "\r\naccess-control-allow-methods: GET, HEAD, POST, OPTIONS\r\n"));
	assert_non_null(strstr(out, "\r\naccess-control-allow-headers: authorization, *\r\n"));
	assert_non_null(strstr(out, "\r\naccess-control-max-age: 86400\r\n"));
	assert_string_equal(strstr(out, "\r\n\r\n"), "\r\n\r\n");
	exchange(xrpc, "GET /xrpc/a.b.c HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 501 Not Implemented\r\n", 30), 0);
	assert_non_null(strstr(out, "\r\naccess-control-allow-origin: *\r\n"));
	assert_non_null(strstr(out, "\r\n\r\n{\"error\":\"MethodNotImplemented\""));
	exchange(xrpc, "POST " STATUS " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", out,
		sizeof(out));
	assert_non_null(strstr(out, "\r\nallow: GET, HEAD\r\n"));
	exchange(xrpc, "GET /xrpc/computer.aesthetic.refkey.listIssues HTTP/1.1\r\nHost: a\r\n"
		"Authorization: Basic eDp5\r\nConnection: close\r\n\r\n", out, sizeof(out));
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
	assert_true(out[0] == '\0' || strncmp(out, "HTTP/1.1 400 Bad Request\r\n", 26) == 0);
	for (size_t i = 0; i < sizeof(upgrades) / sizeof(upgrades[0]); i++) {
		snprintf(request, sizeof(request),
			"GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\n"
			"Upgrade: %s\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", upgrades[i]);
		exchange(xrpc, request, out, sizeof(out));
		assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
		assert_non_null(strstr(out, "{\"version\":"));
	}
	rk_xrpc_destroy(xrpc);
}

static void malformed_requests_are_refused(void **state)
{
	static const char *const requests[] = {
		"\x16\x03\x01\x02", "nonsense\r\n\r\n", "GET / HTTP/3.0\r\n\r\n", "GET /\r\n\r\n",
		"GET / HTTP/1.1\r\nbad header\r\n\r\n", "GET / HTTP/1.1\r\na: \x01\r\n\r\n",
	};
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){.request_ms = 300});
	char out[4096];

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		exchange(xrpc, requests[i], out, sizeof(out));
		if (out[0] && strncmp(out, "HTTP/1.1 400 ", 13) != 0)
			fail_msg("%s gives %s", requests[i], out);
	}
	exchange(xrpc, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 400 ", 13), 0);
	assert_non_null(strstr(out, "\r\naccess-control-allow-origin: *\r\n"));
	assert_non_null(strstr(out, "{\"error\":\"InvalidRequest\""));
	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nConnection: close\r\n\r\n", out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 ", 13), 0);
	rk_xrpc_destroy(xrpc);
}

static void body_1m_ok_more_refused(void **state)
{
	static const char path[] = "POST /xrpc/computer.aesthetic.refkey.forgetRepo HTTP/1.1\r\nHost: a\r\n"
				   "Connection: close\r\n";
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	char *body = calloc(1, (1 << 20) + 1), out[4096], head[256];
	int fd;

	for (int over = 0; over < 2; over++) {
		fd = client(xrpc);
		snprintf(head, sizeof(head), "%sContent-Length: %d\r\n\r\n", path, (1 << 20) + over);
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

static void heads_are_bounded(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	int64_t refused = rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED), start = rk_clock_mono_ms();
	int fd = client(xrpc);
	char out[4096];

	/* Never whole: cut off by its size long before its time. */
	send_text(fd, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 70; i++) {
		char line[1024];

		memset(line, 'a', sizeof(line));
		memcpy(line, "a: ", 3);
		memcpy(line + sizeof(line) - 2, "\r\n", 2);
		send_all(fd, line, sizeof(line));
	}
	receive_end(fd, out, sizeof(out));
	close(fd);
	assert_string_equal(out, "");
	assert_true(rk_clock_mono_ms() - start < 5000);
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED) - refused, 1);
	/* 100 headers are read, 101 are not. */
	for (int over = 0; over < 2; over++) {
		char request[2048] = "GET " STATUS " HTTP/1.1\r\nConnection: close\r\n";

		for (int i = 0; i < 99 + over; i++)
			strcat(request, "a: b\r\n");
		strcat(request, "\r\n");
		exchange(xrpc, request, out, sizeof(out));
		assert_int_equal(strncmp(out, over ? "HTTP/1.1 400 " : "HTTP/1.1 200 ", 13), 0);
	}
	rk_xrpc_destroy(xrpc);
}

static void slow_heads_and_idle_connections_end(void **state)
{
	struct rk_xrpc *xrpc = server_start(
		*state, (struct rk_xrpc_options){.request_ms = 400, .idle_ms = 1500});
	int64_t refused = rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED), start = rk_clock_mono_ms(), took;
	int slow = client(xrpc), idle = client(xrpc), used = client(xrpc);
	struct pollfd poll_slow = {.fd = slow, .events = POLLIN};
	char out[4096];

	send_text(used, "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
	receive_one(used, out, sizeof(out));
	/* A letter now and then does not help. */
	send_text(slow, "GET / HTTP/1.1\r\na: ");
	while (poll(&poll_slow, 1, 50) == 0)
		send_text(slow, "a");
	took = rk_clock_mono_ms() - start;
	assert_in_range(took, 300, 1400);
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED) - refused, 1);
	receive_end(idle, out, sizeof(out));
	assert_string_equal(out, "");
	receive_end(used, out, sizeof(out));
	assert_string_equal(out, "");
	assert_true(rk_clock_mono_ms() - start >= 1400);
	close(slow);
	close(idle);
	close(used);
	rk_xrpc_destroy(xrpc);
}

static void large_answer_make(struct kit *k)
{
	rk_repo_id repo = kit_repo(k, (struct kit_repo){.did = "did:plc:ann", .sync = RK_SYNC_SYNCHRONIZED});
	char *json = malloc(1 << 20), rkey[16];

	memset(json, 'a', 1 << 20);
	memcpy(json, "{\"a\":\"", 6);
	strcpy(json + (1 << 20) - 3, "\"}");
	for (int i = 0; i < 12; i++) {
		snprintf(rkey, sizeof(rkey), "3kaaaaaaaa%c22", 'a' + i);
		kit_record(k, (struct kit_record){.repo = repo, .collection = RK_COLLECTION_MOOD, .rkey = rkey,
			.when_ms = 1700000000000, .json = json});
	}
	free(json);
}

#define LIST "GET /xrpc/computer.aesthetic.refkey.listRecords?collection=computer.aesthetic.mood HTTP/1.1\r\n"

static void large_answers_end_early_and_are_not_waited_for(void **state)
{
	struct kit *k = *state;
	struct rk_xrpc *xrpc = server_start(k, (struct rk_xrpc_options){.request_ms = 400, .idle_ms = 400});
	char *out = malloc(8 << 20), small[4096];
	int fd;

	large_answer_make(k);
	exchange(xrpc, LIST "Host: a\r\nConnection: close\r\n\r\n", out, 8 << 20);
	assert_in_range(strlen(out), 4 << 20, 6 << 20);
	assert_non_null(strstr(out, "\"cursor\":\""));
	/* Nobody takes it: others are answered meanwhile, and it is cut off in the end. */
	fd = client(xrpc);
	send_text(fd, LIST "Host: a\r\n\r\n");
	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", small, sizeof(small));
	assert_int_equal(strncmp(small, "HTTP/1.1 200 OK\r\n", 17), 0);
	while (rk_metric_get(RK_METRIC_CONNECTIONS))
		usleep(1000);
	close(fd);
	free(out);
	rk_xrpc_destroy(xrpc);
}

static void no_more_connections_than_allowed(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){.connections_most = 4});
	int64_t refused = rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED);
	int fds[5];
	char out[4096];

	for (int i = 0; i < 4; i++) {
		fds[i] = client(xrpc);
		send_text(fds[i], "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
		receive_one(fds[i], out, sizeof(out));
	}
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS), 4);
	fds[4] = client(xrpc);
	receive_end(fds[4], out, sizeof(out));
	assert_string_equal(out, "");
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED) - refused, 1);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	while (rk_metric_get(RK_METRIC_CONNECTIONS))
		usleep(1000);
	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	rk_xrpc_destroy(xrpc);
}

static void stops_at_once_with_idle_connections(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0});
	int fresh = client(xrpc), used = client(xrpc);
	int64_t start;
	char out[4096];

	send_text(used, "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
	receive_one(used, out, sizeof(out));
	start = rk_clock_mono_ms();
	rk_xrpc_destroy(xrpc);
	assert_true(rk_clock_mono_ms() - start < 2000);
	receive_end(fresh, out, sizeof(out));
	receive_end(used, out, sizeof(out));
	assert_string_equal(out, "");
	close(fresh);
	close(used);
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS), 0);
}

static void *destroy_thread(void *xrpc)
{
	rk_xrpc_destroy(xrpc);
	return NULL;
}

static void a_stop_lets_answers_finish(void **state)
{
	struct kit *k = *state;
	struct rk_xrpc *xrpc;
	char *out = malloc(8 << 20);
	pthread_t thread;
	int taking, begun;

	large_answer_make(k);
	xrpc = server_start(k, (struct rk_xrpc_options){0});
	taking = client(xrpc);
	begun = client(xrpc);
	send_text(taking, LIST "Host: a\r\n\r\n");
	send_text(begun, "GET " STATUS " HTTP/1.1\r\n");
	while (rk_metric_get(RK_METRIC_CONNECTIONS) < 2)
		usleep(1000);
	usleep(100000);
	pthread_create(&thread, NULL, destroy_thread, xrpc);
	usleep(100000);
	send_text(begun, "Host: a\r\n\r\n");
	receive_end(begun, out, 8 << 20);
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	assert_non_null(strstr(out, "\r\nConnection: close\r\n"));
	/* The server closes once it has its answer. */
	receive_end(taking, out, 8 << 20);
	assert_in_range(strlen(out), 4 << 20, 6 << 20);
	pthread_join(thread, NULL);
	close(taking);
	close(begun);
	free(out);
}

static void a_stop_waits_5s_at_most(void **state)
{
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){.request_ms = 60000});
	int fd = client(xrpc);
	int64_t start;

	send_text(fd, "GET " STATUS " HTTP/1.1\r\n");
	while (rk_metric_get(RK_METRIC_CONNECTIONS) < 1)
		usleep(1000);
	usleep(50000);
	start = rk_clock_mono_ms();
	rk_xrpc_destroy(xrpc);
	assert_in_range(rk_clock_mono_ms() - start, 4500, 6500);
	close(fd);
}

static void addresses(void **state)
{
	static const char *const bad[] = {"", "127.0.0.1", ":3900", "127.0.0.1:", "127.0.0.1:65536", "::1:3900",
		"127.0.0.1:http", "999.0.0.1:0", "no such host:1"};
	struct rk_xrpc *xrpc = server_start(*state, (struct rk_xrpc_options){0}), *other = NULL;
	struct rk_xrpc_options options = {.threads = 1, .source = ""};
	char error[256] = "";

	assert_int_equal(strncmp(rk_xrpc_address(xrpc), "127.0.0.1:", 10), 0);
	options.listen = rk_xrpc_address(xrpc);
	assert_int_equal(rk_xrpc_create(&other, ((struct kit *)*state)->store, &options, error), -EADDRINUSE);
	assert_non_null(strstr(error, options.listen));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		options.listen = bad[i];
		error[0] = '\0';
		if (rk_xrpc_create(&other, ((struct kit *)*state)->store, &options, error) != -EINVAL)
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
		TEST(answers_with_the_headers_of_xrpc),
		TEST(keeps_alive_and_answers_in_order),
		TEST(http_2_is_refused_both_ways),
		TEST(malformed_requests_are_refused),
		TEST(body_1m_ok_more_refused),
		TEST(target_32k_ok_more_refused),
		TEST(heads_are_bounded),
		TEST(slow_heads_and_idle_connections_end),
		TEST(large_answers_end_early_and_are_not_waited_for),
		TEST(no_more_connections_than_allowed),
		TEST(stops_at_once_with_idle_connections),
		TEST(a_stop_lets_answers_finish),
		TEST(a_stop_waits_5s_at_most),
		TEST(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
