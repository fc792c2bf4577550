/* Rules of net/transfer: those that are there because of what libcurl does with odd answers, and how one that is
 * to end ends. */
#include "tests/unit/test.h"

#include <errno.h>

#include "net/http.h"
#include "tests/unit/net/server.h"

/* One connection an answer; every second one begins with a folded line, which has none before it. */
static void answer_in_turn(struct server_conn *conn, void *user)
{
	if (server_read_request(conn))
		server_send_str(conn,
			conn->number % 2 ? "HTTP/1.1 200 OK\r\n X-Folded: 1\r\n\r\n"
					 : "HTTP/1.1 200 OK\r\nRetry-After: 3\r\n\r\n");
}

static void a_folded_first_line_is_of_no_earlier_answer(void **state)
{
	struct rk_http *http = rk_http_create(&(struct rk_http_options){.allow_private = true});
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct server server;

	assert_non_null(http);
	server_start(&server, answer_in_turn, NULL);
	request.url = server.http;
	for (int i = 0; i < 8; i++) {
		struct rk_http_response out;

		assert_int_not_equal(rk_http_perform(http, &out, &request), -ENOMEM);
		rk_http_response_finish(&out);
	}
	assert_int_equal(atomic_load(&server.requests), 8);
	rk_http_destroy(http);
	server_stop(&server);
}

static void answer_without_status(struct server_conn *conn, void *user)
{
	if (server_read_request(conn))
		server_send_str(conn, "HTTP/200 OK\r\nName");
}

static void an_answer_without_status_is_none(void **state)
{
	struct rk_http *http = rk_http_create(&(struct rk_http_options){.allow_private = true});
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http_response out;
	struct server server;

	assert_non_null(http);
	server_start(&server, answer_without_status, NULL);
	request.url = server.http;
	assert_int_equal(rk_http_perform(http, &out, &request), -EIO);
	assert_int_equal(out.status, 0);
	assert_string_not_equal(out.error, "");
	rk_http_response_finish(&out);
	rk_http_destroy(http);
	server_stop(&server);
}

static int setup(void **state)
{
	return rk_http_global_init();
}

static void answer_late(struct server_conn *conn, void *user)
{
	if (server_read_request(conn) && server_pause(conn, 300))
		server_answer(conn, "200 OK", "", "late");
}

static void hang(struct server_conn *conn, void *user)
{
	server_hold(conn);
}

static void a_cancelled_request_has_its_grace(void **state)
{
	static const struct {
		server_handler *handler;
		long after_ms;
		int result;
	} cases[] = {
		{answer_late, 600 * 1000, 0},
		{hang, 200, -ECANCELED},
		{hang, 0, -ECANCELED},
	};
	atomic_bool cancel = true;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_http *http =
			rk_http_create(&(struct rk_http_options){.allow_private = true,
				.cancel = &cancel,
				.cancel_after_ms = cases[i].after_ms});
		struct rk_http_request request = RK_HTTP_REQUEST_INIT;
		struct rk_http_response out;
		struct server server;

		assert_non_null(http);
		server_start(&server, cases[i].handler, NULL);
		request.url = server.http;
		/* Each has its own. */
		for (int k = 0; k < 2; k++) {
			assert_int_equal(rk_http_perform(http, &out, &request), cases[i].result);
			rk_http_response_finish(&out);
		}
		rk_http_destroy(http);
		server_stop(&server);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_folded_first_line_is_of_no_earlier_answer),
		cmocka_unit_test(an_answer_without_status_is_none),
		cmocka_unit_test(a_cancelled_request_has_its_grace),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
