/* Rules of net/pds on whole repos: spooled, watched, bounded. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/unit/net/pds_client.h"

static void drip(struct server_conn *conn, void *user)
{
	bool more = server_read_request(conn) && server_send_str(conn, "HTTP/1.1 200 OK\r\n\r\n");

	while (more)
		more = server_send_str(conn, "x") && server_pause(conn, 10);
}

static void a_repo_that_trickles_is_given_up(void **state)
{
	static const char *const trickles = "less than 16384 bytes a second came";
	struct rk_pds_spool spool = {.dir = "/tmp", .bytes_most = 100000};
	struct rk_pds *pds = client_of(300);
	struct rk_pds_reply reply;
	struct server server;

	server_start(&server, drip, NULL);
	/* Nothing comes while the machine stands still, but hardly each time. */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(
			rk_pds_get_repo(pds, &reply, &spool, server.http, DID), RK_PDS_RETRY);
		assert_int_equal(spool.fd, -1);
		if (strcmp(reply.message, trickles) == 0)
			break;
	}
	assert_string_equal(reply.message, trickles);
	rk_pds_destroy(pds);
	server_stop(&server);
}

static void repos_are_read_from_the_start(void **state)
{
	static const struct answer answer = {"200 OK", "", "car bytes"};
	struct rk_pds_spool spool = {.dir = "/tmp", .bytes_most = 9};
	struct rk_pds *pds = client();
	struct rk_pds_reply reply;
	struct server server;
	char got[16] = "", origin[80];

	server_start(&server, answer_all, &answer);
	snprintf(origin, sizeof(origin), "%s/", server.http);
	assert_int_equal(rk_pds_get_repo(pds, &reply, &spool, origin, DID), RK_PDS_OK);
	assert_int_equal(spool.size, 9);
	assert_int_equal(read(spool.fd, got, sizeof(got) - 1), 9);
	assert_string_equal(got, "car bytes");
	close(spool.fd);
	spool.bytes_most = 8;
	assert_int_equal(rk_pds_get_repo(pds, &reply, &spool, origin, DID), RK_PDS_WRONG);
	assert_int_equal(spool.fd, -1);
	spool.dir = "/nowhere";
	assert_int_equal(rk_pds_get_repo(pds, &reply, &spool, origin, DID), -ENOENT);
	rk_pds_destroy(pds);
	server_stop(&server);
}

/* Until it has seen as much as it wants. */
struct watched {
	char got[32];
	size_t len, enough;
};

static bool watch(void *context, struct rk_slice piece, size_t before)
{
	struct watched *watched = context;

	assert_int_equal(before, watched->len);
	assert_true(watched->len + piece.len < sizeof(watched->got));
	memcpy(watched->got + watched->len, piece.data, piece.len);
	watched->len += piece.len;
	return watched->len < watched->enough;
}

static void who_watches_a_repo_may_end_it(void **state)
{
	static const struct answer answer = {"200 OK", "", "car bytes"};
	static const struct answer refusal = {"400 Bad", "", "{\"error\":\"RepoNotFound\"}"};
	struct watched watched = {.enough = 10};
	struct rk_pds_spool spool = {
		.dir = "/tmp", .bytes_most = 9, .watch = watch, .watch_context = &watched};
	struct rk_pds *pds = client();
	struct rk_pds_reply reply;
	struct server server;

	server_start(&server, answer_all, &answer);
	assert_int_equal(rk_pds_get_repo(pds, &reply, &spool, server.http, DID), RK_PDS_OK);
	assert_string_equal(watched.got, "car bytes");
	close(spool.fd);
	watched = (struct watched){.enough = 1};
	assert_int_equal(rk_pds_get_repo(pds, &reply, &spool, server.http, DID), -ECONNABORTED);
	assert_int_equal(spool.fd, -1);
	server_stop(&server);
	/* What is no repo is not watched. */
	server_start(&server, answer_all, &refusal);
	watched = (struct watched){.enough = 1};
	assert_int_equal(rk_pds_get_repo(pds, &reply, &spool, server.http, DID), RK_PDS_ABSENT);
	assert_int_equal(watched.len, 0);
	rk_pds_destroy(pds);
	server_stop(&server);
}

static int setup(void **state)
{
	return rk_http_global_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repos_are_read_from_the_start),
		cmocka_unit_test(who_watches_a_repo_may_end_it),
		cmocka_unit_test(a_repo_that_trickles_is_given_up),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
