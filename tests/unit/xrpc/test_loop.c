/* Rules of xrpc/loop on real sockets: bounded in size, time and number, and a stop that ends. */
#include "tests/unit/xrpc/client.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"

enum { NEVER_MS = 10 * 60 * 1000 }; /* longer than a machine stands still */

/* So many clients that send the text and as many bytes more, and then nothing: before the time of any
 * is over, some are cut off, and others are answered. */
static void input_is_bounded_together(struct kit *k, int clients, const char *text, size_t bytes)
{
	struct rk_xrpc *xrpc = server_start(
		k, (struct rk_xrpc_options){.request_ms = NEVER_MS, .idle_ms = NEVER_MS});
	int64_t refused = rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED), start = rk_clock_mono_ms();
	char *more = malloc(bytes), out[4096];
	int *fds = calloc((size_t)clients, sizeof(*fds));

	memset(more, 'a', bytes);
	for (int i = 0; i < clients; i++) {
		fds[i] = client(xrpc);
		send_text(fds[i], text);
		send_all(fds[i], more, bytes);
	}
	while (rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED) == refused) {
		if (rk_clock_mono_ms() - start > NEVER_MS / 2)
			fail_msg("none of them is cut off before its time");
		usleep(1000);
	}
	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
		sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	for (int i = 0; i < clients; i++)
		close(fds[i]);
	free(fds);
	free(more);
	rk_xrpc_destroy(xrpc);
}

static void heads_are_bounded_together(void **state)
{
	input_is_bounded_together(*state, 1200, "GET / HTTP/1.1\r\na: ", 60000);
}

static void bodies_are_bounded_together(void **state)
{
	input_is_bounded_together(*state, 90,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048576\r\n\r\n", 1000000);
}

static void slow_heads_end(void **state)
{
	struct rk_xrpc *xrpc = server_start(
		*state, (struct rk_xrpc_options){.request_ms = 400, .idle_ms = NEVER_MS});
	int64_t refused = rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED), start = rk_clock_mono_ms();
	int slow = client(xrpc);
	struct pollfd poll_slow = {.fd = slow, .events = POLLIN};

	/* A letter now and then does not help. */
	send_text(slow, "GET / HTTP/1.1\r\na: ");
	while (poll(&poll_slow, 1, 50) == 0)
		send_text(slow, "a");
	assert_in_range(rk_clock_mono_ms() - start, 300, NEVER_MS - 1);
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED) - refused, 1);
	close(slow);
	rk_xrpc_destroy(xrpc);
}

static void idle_connections_end(void **state)
{
	struct rk_xrpc *xrpc = server_start(
		*state, (struct rk_xrpc_options){.request_ms = NEVER_MS, .idle_ms = 1500});
	int64_t start = rk_clock_mono_ms();
	int idle = client(xrpc), used = client(xrpc);
	char out[4096];

	send_text(used, "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
	receive_one(used, out, sizeof(out));
	receive_end(idle, out, sizeof(out));
	assert_string_equal(out, "");
	receive_end(used, out, sizeof(out));
	assert_string_equal(out, "");
	assert_in_range(rk_clock_mono_ms() - start, 1400, NEVER_MS - 1);
	close(idle);
	close(used);
	rk_xrpc_destroy(xrpc);
}

static void large_answer_make(struct kit *k)
{
	rk_repo_id repo =
		kit_repo(k, (struct kit_repo){.did = "did:plc:ann", .sync = RK_SYNC_SYNCHRONIZED});
	char *json = malloc(1 << 20), rkey[16];

	memset(json, 'a', 1 << 20);
	memcpy(json, "{\"a\":\"", 6);
	strcpy(json + (1 << 20) - 3, "\"}");
	for (int i = 0; i < 12; i++) {
		snprintf(rkey, sizeof(rkey), "3kaaaaaaaa%c22", 'a' + i);
		kit_record(k,
			(struct kit_record){.repo = repo,
				.collection = RK_COLLECTION_MOOD,
				.rkey = rkey,
				.when_ms = 1700000000000,
				.json = json});
	}
	free(json);
}

#define LIST                                                                                       \
	"GET /xrpc/computer.aesthetic.refkey.listRecords?collection=computer.aesthetic.mood HTTP/1.1\r\n"

static void large_answers_end_early_and_are_not_waited_for(void **state)
{
	struct kit *k = *state;
	struct rk_xrpc *xrpc = server_start(
		k, (struct rk_xrpc_options){.request_ms = NEVER_MS, .idle_ms = NEVER_MS});
	char *out = malloc(8 << 20), small[4096];
	int fd;

	large_answer_make(k);
	exchange(xrpc, LIST "Host: a\r\nConnection: close\r\n\r\n", out, 8 << 20);
	assert_in_range(strlen(out), 4 << 20, 6 << 20);
	assert_non_null(strstr(out, "\"cursor\":\""));
	rk_xrpc_destroy(xrpc);
	/* Nobody takes it: others are answered meanwhile, and it is cut off in the end. */
	xrpc = server_start(k, (struct rk_xrpc_options){.request_ms = NEVER_MS, .idle_ms = 400});
	fd = client(xrpc);
	send_text(fd, LIST "Host: a\r\n\r\n");
	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", small,
		sizeof(small));
	assert_int_equal(strncmp(small, "HTTP/1.1 200 OK\r\n", 17), 0);
	while (rk_metric_get(RK_METRIC_CONNECTIONS))
		usleep(1000);
	close(fd);
	free(out);
	rk_xrpc_destroy(xrpc);
}

static void no_more_connections_than_allowed(void **state)
{
	struct rk_xrpc *xrpc =
		server_start(*state, (struct rk_xrpc_options){.connections_most = 4});
	int64_t refused = rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED);
	int fds[5];
	char out[4096];

	for (int i = 0; i < 4; i++) {
		fds[i] = client(xrpc);
		send_text(fds[i],
			"POST " STATUS " HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
			"Expect: 100-continue\r\n\r\n");
		/* Its head is read. */
		assert_true(recv(fds[i], out, sizeof(out), 0) > 0);
	}
	fds[4] = client(xrpc);
	receive_end(fds[4], out, sizeof(out));
	assert_string_equal(out, "");
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS_REFUSED) - refused, 1);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	while (rk_metric_get(RK_METRIC_CONNECTIONS))
		usleep(1000);
	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
		sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	rk_xrpc_destroy(xrpc);
}

static void idle_connections_make_room(void **state)
{
	struct rk_xrpc *xrpc = server_start(
		*state, (struct rk_xrpc_options){.connections_most = 40, .threads = 1});
	int fds[40], went = 0;
	char out[4096];

	/* Asked before, begun, nothing at all. */
	for (int i = 0; i < 40; i++) {
		fds[i] = client(xrpc);
		if (i % 3 == 0) {
			send_text(fds[i], "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
			receive_one(fds[i], out, sizeof(out));
		} else if (i % 3 == 1) {
			send_text(fds[i], "GET " STATUS " HT");
		}
	}
	while (rk_metric_get(RK_METRIC_CONNECTIONS) < 40)
		usleep(1000);
	for (int i = 0; i < 40; i++) {
		exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
			out, sizeof(out));
		assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	}
	/* Some of them went, about the oldest ones; the newest is still there. */
	for (int i = 0; i < 40; i++)
		went += recv(fds[i], out, sizeof(out), MSG_DONTWAIT) == 0;
	assert_in_range(went, 1, 39);
	send_text(fds[39], "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
	receive_one(fds[39], out, sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
	for (int i = 0; i < 40; i++)
		close(fds[i]);
	while (rk_metric_get(RK_METRIC_CONNECTIONS))
		usleep(1000);
	rk_xrpc_destroy(xrpc);
}

/* How long a stop takes beside connections of which none waits for an answer. */
static int64_t idle_stop_ms(struct kit *k)
{
	struct rk_xrpc *xrpc = server_start(k, (struct rk_xrpc_options){0});
	int fresh = client(xrpc), used = client(xrpc);
	int64_t start;
	char out[4096];

	send_text(used, "GET " STATUS " HTTP/1.1\r\nHost: a\r\n\r\n");
	receive_one(used, out, sizeof(out));
	start = rk_clock_mono_ms();
	rk_xrpc_destroy(xrpc);
	start = rk_clock_mono_ms() - start;
	receive_end(fresh, out, sizeof(out));
	receive_end(used, out, sizeof(out));
	assert_string_equal(out, "");
	close(fresh);
	close(used);
	assert_int_equal(rk_metric_get(RK_METRIC_CONNECTIONS), 0);
	return start;
}

/* One that waits takes five seconds each time; the machine may stand still so long, but hardly each time. */
static void stops_at_once_with_idle_connections(void **state)
{
	int64_t least = idle_stop_ms(*state);

	for (int i = 0; i < 4 && least >= 2000; i++) {
		int64_t ms = idle_stop_ms(*state);

		least = ms < least ? ms : least;
	}
	assert_true(least < 2000);
}

/* With one thread, what was sent before is read once something later is answered. */
static void heads_read(const struct rk_xrpc *xrpc)
{
	char out[4096];

	exchange(xrpc, "GET " STATUS " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", out,
		sizeof(out));
	assert_int_equal(strncmp(out, "HTTP/1.1 200 OK\r\n", 17), 0);
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
	int taking, begun, idle;

	large_answer_make(k);
	xrpc = server_start(k, (struct rk_xrpc_options){.threads = 1});
	taking = client(xrpc);
	begun = client(xrpc);
	idle = client(xrpc);
	send_text(taking, LIST "Host: a\r\n\r\n");
	send_text(begun, "GET " STATUS " HTTP/1.1\r\n");
	heads_read(xrpc);
	pthread_create(&thread, NULL, destroy_thread, xrpc);
	/* One that asks for nothing goes once the stop has begun. */
	receive_end(idle, out, 8 << 20);
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
	close(idle);
	free(out);
}

static void a_stop_waits_5s_at_most(void **state)
{
	struct rk_xrpc *xrpc = server_start(
		*state, (struct rk_xrpc_options){.request_ms = NEVER_MS, .threads = 1});
	int fd = client(xrpc);
	int64_t start;

	send_text(fd, "GET " STATUS " HTTP/1.1\r\n");
	heads_read(xrpc);
	start = rk_clock_mono_ms();
	rk_xrpc_destroy(xrpc);
	assert_in_range(rk_clock_mono_ms() - start, 4500, NEVER_MS - 1);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(heads_are_bounded_together),
		TEST(bodies_are_bounded_together),
		TEST(slow_heads_end),
		TEST(idle_connections_end),
		TEST(large_answers_end_early_and_are_not_waited_for),
		TEST(no_more_connections_than_allowed),
		TEST(idle_connections_make_room),
		TEST(stops_at_once_with_idle_connections),
		TEST(a_stop_lets_answers_finish),
		TEST(a_stop_waits_5s_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
