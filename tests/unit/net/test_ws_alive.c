/* Rules of net/ws on keeping a connection: pings, pongs, silence, interrupts. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include "base/clock.h"
#include "tests/unit/net/client.h"

/* Pings */

static void ping_client(struct server_conn *conn, void *user)
{
	uint8_t payload[125], opcode;
	size_t len;
	char text[200];

	if (!server_upgrade(conn, "", 0) ||
		!server_send_frame(conn, FIN | PING, "are you there", 13) ||
		!server_read_frame(conn, &opcode, payload, &len))
		return;
	snprintf(text, sizeof(text), "%d %.*s", opcode, (int)len, (const char *)payload);
	server_send_frame(conn, FIN | TEXT, text, strlen(text));
	server_hold(conn);
}

static void pings_from_the_server_are_answered(void **state)
{
	struct server server;
	struct rk_ws *ws;

	server_start(&server, ping_client, NULL);
	ws = open_plain(&server);
	expect(ws, RK_WS_TEXT, "10 are you there");
	rk_ws_close(ws);
	server_stop(&server);
}

static void upgrade_and_hold(struct server_conn *conn, void *user)
{
	if (server_upgrade(conn, "", 0))
		server_hold(conn);
}

static void talk_without_pong(struct server_conn *conn, void *user)
{
	if (!server_upgrade(conn, "", 0))
		return;
	while (server_send_frame(conn, FIN | BINARY, "x", 1) && server_pause(conn, 5))
		;
}

static void a_missing_pong_closes_within_the_bound(void **state)
{
	static const struct {
		server_handler *handler;
		int least;
	} cases[] = {
		{upgrade_and_hold, 90},
		{talk_without_pong, 0}, /* bytes give it more time, not for ever */
	};

	for (size_t i = 0; i < 2; i++) {
		struct rk_ws_options how = options();
		int64_t start = rk_clock_mono_ms();
		struct server server;
		struct rk_ws *ws;
		int rc = RK_WS_MESSAGE;

		how.ping_ms = 50;
		how.pong_ms = 50;
		server_start(&server, cases[i].handler, NULL);
		ws = open_with(&server, &how);
		rk_ws_ping(ws);
		while (rc == RK_WS_MESSAGE) {
			uint8_t *data;
			size_t len;

			rc = rk_ws_receive(ws, &data, &len, -1);
			free(data);
		}
		assert_int_equal(rc, RK_WS_CLOSED);
		assert_non_null(strstr(rk_ws_error(ws), "ping"));
		assert_true(rk_clock_mono_ms() - start >= cases[i].least / 2);
		rk_ws_close(ws);
		server_stop(&server);
	}
}

/* Answers every ping; user counts them. */
static void answer_pings(struct server_conn *conn, void *user)
{
	uint8_t payload[125], opcode;
	size_t len;

	if (!server_upgrade(conn, "", 0))
		return;
	while (server_read_frame(conn, &opcode, payload, &len)) {
		if (opcode != PING)
			continue;
		if (user)
			atomic_fetch_add((atomic_int *)user, 1);
		server_send_frame(conn, FIN | PONG, payload, len);
	}
}

static void silence_with_pongs_is_healthy(void **state)
{
	struct rk_ws_options how = options();
	atomic_int pings = 0;
	int64_t deadline = rk_clock_mono_ms() + WAIT_MS;
	struct server server;
	struct rk_ws *ws;

	how.ping_ms = 20;
	how.pong_ms = WAIT_MS;
	server_start(&server, answer_pings, &pings);
	ws = open_with(&server, &how);
	while (atomic_load(&pings) < 5 && rk_clock_mono_ms() < deadline) {
		uint8_t *data;
		size_t len;

		assert_int_equal(rk_ws_receive(ws, &data, &len, 30), RK_WS_IDLE);
	}
	assert_true(atomic_load(&pings) >= 5);
	rk_ws_close(ws);
	server_stop(&server);
}

static void an_asked_ping_tells_what_is_received(void **state)
{
	struct server server;
	struct rk_ws *ws;

	server_start(&server, answer_pings, NULL);
	ws = open_plain(&server);
	for (int i = 0; i < 5; i++) {
		int64_t since = rk_clock_mono_ms(), deadline = since + WAIT_MS;

		assert_false(rk_ws_ponged_since(ws, since));
		rk_ws_ping(ws);
		while (!rk_ws_ponged_since(ws, since) && rk_clock_mono_ms() < deadline) {
			uint8_t *data;
			size_t len;

			assert_int_equal(rk_ws_receive(ws, &data, &len, 5), RK_WS_IDLE);
		}
		assert_true(rk_ws_ponged_since(ws, since));
	}
	rk_ws_close(ws);
	server_stop(&server);
}

static void wrong_pongs(struct server_conn *conn, void *user)
{
	if (!server_upgrade(conn, "", 0))
		return;
	while (server_send_frame(conn, FIN | PONG, "01234567", 8) && server_pause(conn, 5))
		;
}

static void pongs_to_nothing_do_not_count(void **state)
{
	int64_t since = rk_clock_mono_ms() - 1;
	struct server server;
	struct rk_ws *ws;
	uint8_t *data;
	size_t len;

	server_start(&server, wrong_pongs, NULL);
	ws = open_plain(&server);
	rk_ws_ping(ws);
	assert_int_equal(rk_ws_receive(ws, &data, &len, 100), RK_WS_IDLE);
	assert_false(rk_ws_ponged_since(ws, since));
	rk_ws_close(ws);
	server_stop(&server);
}

static void flood_pings(struct server_conn *conn, void *user)
{
	static const char payload[125];

	if (!server_upgrade(conn, "", 0))
		return;
	for (int i = 0; i < 50000; i++) {
		if (!server_send_frame(conn, FIN | PING, payload, sizeof(payload)))
			return;
	}
	server_send_frame(conn, FIN | BINARY, "after", 5);
	server_hold(conn);
}

static void pings_whose_answers_are_not_read_do_no_harm(void **state)
{
	struct server server;
	struct rk_ws *ws;

	server_start(&server, flood_pings, NULL);
	ws = open_plain(&server);
	expect(ws, RK_WS_MESSAGE, "after");
	rk_ws_close(ws);
	server_stop(&server);
}

/* Interrupts */

struct interrupter {
	struct rk_ws *ws;
	atomic_bool go;
};

static void *interrupt_when_told(void *user)
{
	struct interrupter *i = user;

	while (!atomic_load(&i->go))
		sched_yield();
	rk_ws_interrupt(i->ws);
	return NULL;
}

static void another_thread_interrupts_an_idle_wait(void **state)
{
	struct interrupter interrupter = {0};
	struct server server;
	struct rk_ws *ws;
	pthread_t thread;
	uint8_t *data;
	size_t len;

	server_start(&server, upgrade_and_hold, NULL);
	ws = interrupter.ws = open_plain(&server);
	for (int round = 0; round < 20; round++) {
		atomic_store(&interrupter.go, round % 2 == 0); /* before the wait, or about then */
		assert_int_equal(
			pthread_create(&thread, NULL, interrupt_when_told, &interrupter), 0);
		atomic_store(&interrupter.go, true);
		assert_int_equal(rk_ws_receive(ws, &data, &len, -1), RK_WS_INTERRUPTED);
		pthread_join(thread, NULL);
		/* It was taken, once. */
		assert_int_equal(rk_ws_receive(ws, &data, &len, 0), RK_WS_IDLE);
	}
	rk_ws_close(ws);
	server_stop(&server);
}

static int setup(void **state)
{
	return rk_http_global_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pings_from_the_server_are_answered),
		cmocka_unit_test(a_missing_pong_closes_within_the_bound),
		cmocka_unit_test(silence_with_pongs_is_healthy),
		cmocka_unit_test(an_asked_ping_tells_what_is_received),
		cmocka_unit_test(pongs_to_nothing_do_not_count),
		cmocka_unit_test(pings_whose_answers_are_not_read_do_no_harm),
		cmocka_unit_test(another_thread_interrupts_an_idle_wait),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
