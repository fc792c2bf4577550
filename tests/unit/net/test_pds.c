/* Rules of net/pds: what each answer means, paging, where DID documents are asked. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/net/pds_client.h"

static void hang(struct server_conn *conn, void *user)
{
	server_hold(conn);
}

static void answers_mean_what_they_say(void **state)
{
	static const struct {
		struct answer answer;
		int result;
		const char *account_status;
		int64_t retry_after_ms;
	} cases[] = {
		{{"200 OK", "", "car"}, RK_PDS_OK, "", -1},
		{{"400 Bad", "", "{\"error\":\"RepoNotFound\",\"message\":\"x\"}"}, RK_PDS_ABSENT,
			"", -1},
		{{"404 No", "", "{\"error\":\"RepoNotFound\"}"}, RK_PDS_ABSENT, "", -1},
		{{"400 Bad", "", "{\"error\":\"RecordNotFound\"}"}, RK_PDS_ABSENT, "", -1},
		{{"400 Bad", "", "{\"error\":\"RepoDeactivated\"}"}, RK_PDS_INACTIVE, "deactivated",
			-1},
		{{"400 Bad", "", "{\"error\":\"RepoTakendown\"}"}, RK_PDS_INACTIVE, "takendown",
			-1},
		{{"400 Bad", "", "{\"error\":\"RepoSuspended\"}"}, RK_PDS_INACTIVE, "suspended",
			-1},
		{{"400 Bad", "", "{\"error\":\"InvalidRequest\"}"}, RK_PDS_WRONG, "", -1},
		{{"404 No", "", "<html>nginx</html>"}, RK_PDS_WRONG, "", -1},
		{{"404 No", "", "{\"error\":\"MethodNotImplemented\"}"}, RK_PDS_WRONG, "", -1},
		{{"501 No", "", "{\"error\":\"MethodNotImplemented\"}"}, RK_PDS_WRONG, "", -1},
		{{"401 No", "", "{\"error\":\"AuthMissing\"}"}, RK_PDS_WRONG, "", -1},
		{{"302 Found", "Location: http://127.0.0.1:1/\r\n", ""}, RK_PDS_WRONG, "", -1},
		{{"204 None", "", ""}, RK_PDS_WRONG, "", -1},
		{{"429 Slow", "Retry-After: 3\r\n", "{\"error\":\"RateLimitExceeded\"}"},
			RK_PDS_RETRY, "", 3000},
		{{"429 Slow", "", "[1"}, RK_PDS_RETRY, "", -1},
		{{"500 Oops", "", "{\"error\":\"RepoNotFound\"}"}, RK_PDS_RETRY, "", -1},
		{{"502 Oops", "", "<html>"}, RK_PDS_RETRY, "", -1},
		{{"503 Later", "Retry-After: 1\r\n", ""}, RK_PDS_RETRY, "", 1000},
		{{"400 Bad", "", "[]"}, RK_PDS_WRONG, "", -1},
		{{"400 Bad", "", "{\"error\":5,\"message\":{}}"}, RK_PDS_WRONG, "", -1},
		{{"200 OK", "", "more than the bound"}, RK_PDS_WRONG, "", -1},
	};
	struct rk_pds *pds = client();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_pds_reply reply;
		struct rk_pds_spool spool = {.dir = "/tmp", .bytes_most = 16};
		struct server server;
		int rc;

		server_start(&server, answer_all, &cases[i].answer);
		rc = rk_pds_get_repo(pds, &reply, &spool, server.http, DID);
		if (rc != cases[i].result)
			fail_msg("%s %s is %s: %s", cases[i].answer.status, cases[i].answer.body,
				rk_pds_result_name(rc), reply.message);
		assert_string_equal(reply.account_status, cases[i].account_status);
		assert_int_equal(reply.retry_after_ms, cases[i].retry_after_ms);
		assert_int_equal(spool.fd >= 0, rc == RK_PDS_OK);
		assert_int_equal(reply.message[0] == '\0', rc == RK_PDS_OK);
		if (spool.fd >= 0)
			close(spool.fd);
		server_stop(&server);
	}
	rk_pds_destroy(pds);
}

static void an_exhausted_rate_limit_names_the_wait(void **state)
{
	static const struct answer answer = {"429 Slow", "RateLimit-Reset: 30\r\n", ""};
	struct rk_pds *pds = client();
	struct rk_pds_reply reply;
	struct rk_buf did = {0};
	struct server server;

	server_start(&server, answer_all, &answer);
	assert_int_equal(rk_pds_describe_server(pds, &reply, &did, server.http), RK_PDS_RETRY);
	assert_in_range(reply.retry_after_ms, 28000, 30000);
	assert_string_equal(reply.message, "HTTP 429 without an XRPC error");
	server_stop(&server);
	rk_pds_destroy(pds);
}

static void an_unreachable_server_is_for_later(void **state)
{
	struct rk_pds *pds = client();
	struct rk_pds_reply reply;
	struct rk_buf did = {0};
	struct server server;

	assert_int_equal(
		rk_pds_describe_server(pds, &reply, &did, "http://127.0.0.1:1"), RK_PDS_RETRY);
	assert_int_equal(reply.http_status, 0);
	assert_int_equal(reply.retry_after_ms, -1);
	assert_true(reply.message[0] != '\0');
	rk_pds_destroy(pds);
	pds = client_of(300);
	server_start(&server, hang, NULL);
	assert_int_equal(rk_pds_describe_server(pds, &reply, &did, server.http), RK_PDS_RETRY);
	assert_int_equal(did.len, 0);
	server_stop(&server);
	rk_pds_destroy(pds);
}

static void answer_at_length(struct server_conn *conn, void *user)
{
	static char body[100000];

	memset(body, ' ', sizeof(body) - 1);
	if (server_read_request(conn))
		server_answer(conn, user, "", body);
}

static void a_long_error_page_keeps_its_meaning(void **state)
{
	static const struct {
		const char *status;
		int result;
	} cases[] = {{"502 Bad", RK_PDS_RETRY}, {"404 No", RK_PDS_WRONG}, {"200 OK", RK_PDS_WRONG}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_pds *pds = client();
		struct rk_pds_reply reply;
		struct rk_buf did = {0};
		struct server server;

		server_start(&server, answer_at_length, cases[i].status);
		assert_int_equal(
			rk_pds_describe_server(pds, &reply, &did, server.http), cases[i].result);
		assert_int_equal(reply.http_status, strtol(cases[i].status, NULL, 10));
		rk_pds_destroy(pds);
		server_stop(&server);
	}
}

static void a_private_address_is_wrong(void **state)
{
	struct rk_pds *pds = rk_pds_create(&(struct rk_pds_options){0});
	struct rk_pds_reply reply;
	struct rk_buf json = {0};

	assert_int_equal(
		rk_pds_did_document(pds, &reply, &json, "http://127.0.0.1:1", DID), RK_PDS_WRONG);
	assert_int_equal(rk_pds_did_document(pds, &reply, &json, "http://x", "did:web:localhost"),
		RK_PDS_WRONG);
	rk_pds_destroy(pds);
}

static void a_did_must_be_in_the_answer(void **state)
{
	static const struct {
		const char *body;
		int result;
	} cases[] = {
		{"{\"did\":\"did:web:localhost\",\"availableUserDomains\":[]}", RK_PDS_OK},
		{"{\"did\":5}", RK_PDS_WRONG},
		{"{\"did\":\"\"}", RK_PDS_WRONG},
		{"{}", RK_PDS_WRONG},
		{"[]", RK_PDS_WRONG},
		{"{\"did\":\"x\"", RK_PDS_WRONG},
		{"", RK_PDS_WRONG},
	};
	struct rk_pds *pds = client();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer answer = {"200 OK", "", cases[i].body};
		struct rk_pds_reply reply;
		struct rk_buf did = {0};
		struct server server;

		server_start(&server, answer_all, &answer);
		assert_int_equal(
			rk_pds_describe_server(pds, &reply, &did, server.http), cases[i].result);
		assert_string_equal(rk_buf_cstr(&did), i == 0 ? "did:web:localhost" : "");
		rk_buf_finish(&did);
		server_stop(&server);
	}
	rk_pds_destroy(pds);
}

static void answer_handles(struct server_conn *conn, void *user)
{
	while (server_read_request(conn)) {
		if (strstr(conn->request,
			    "GET /xrpc/com.atproto.identity.resolveHandle?handle=a.test "))
			server_answer(conn, "200 OK", "", "{\"did\":\"" DID "\"}");
		else if (strstr(conn->request, "handle=named.test "))
			server_answer(conn, "400 Bad", "", "{\"error\":\"HandleNotFound\"}");
		else
			server_answer(conn, "400 Bad", "", "{\"error\":\"InvalidRequest\"}");
	}
}

static void handles_resolve_or_are_absent(void **state)
{
	struct rk_pds *pds = client();
	struct rk_pds_reply reply;
	struct rk_buf did = {0};
	struct server server;

	server_start(&server, answer_handles, NULL);
	assert_int_equal(
		rk_pds_resolve_handle(pds, &reply, &did, server.http, "a.test"), RK_PDS_OK);
	assert_string_equal(rk_buf_cstr(&did), DID);
	assert_int_equal(
		rk_pds_resolve_handle(pds, &reply, &did, server.http, "named.test"), RK_PDS_ABSENT);
	assert_int_equal(
		rk_pds_resolve_handle(pds, &reply, &did, server.http, "b.test"), RK_PDS_ABSENT);
	rk_buf_finish(&did);
	rk_pds_destroy(pds);
	server_stop(&server);
}

/* Listing */

struct pages {
	const char *const *bodies; /* by page, the last one again and again */
	int count;
	char last[512]; /* query of the latest request */
};

static void answer_pages(struct server_conn *conn, void *user)
{
	struct pages *pages = user;

	for (int page = 0; server_read_request(conn); page++) {
		snprintf(pages->last, sizeof(pages->last), "%.*s",
			(int)strcspn(conn->request, "\r"), conn->request);
		server_answer(conn, "200 OK", "",
			pages->bodies[page < pages->count ? page : pages->count - 1]);
	}
}

struct seen {
	char text[1024];
	int stop_at, count;
};

static int note(void *user, const struct rk_pds_repo *repo)
{
	struct seen *seen = user;
	size_t len = strlen(seen->text);

	snprintf(seen->text + len, sizeof(seen->text) - len, "%.*s,%.*s,%.*s,%d,%.*s;",
		RK_SLICE_ARG(repo->did), RK_SLICE_ARG(repo->head), RK_SLICE_ARG(repo->rev),
		repo->active, RK_SLICE_ARG(repo->status));
	return ++seen->count == seen->stop_at ? -EDOM : 0;
}

static void all_pages_are_visited(void **state)
{
	static const char *const normal[] = {
		("{\"cursor\":\"a b\",\"repos\":[{\"did\":\"d1\",\"head\":\"h1\",\"rev\":\"r1\"},"
		 "{\"did\":\"d2\",\"head\":\"h2\",\"rev\":\"r2\",\"active\":false,\"status\":"
		 "\"takendown\"}]}"),
		"{\"cursor\":\"c\",\"repos\":[{\"did\":\"d3\",\"active\":true},{\"head\":\"x\"},5]"
		"}",
		"{\"repos\":[{\"did\":\"d4\",\"head\":7}]}",
	};
	static const char *const empty_ends[] = {"{\"cursor\":\"1\",\"repos\":[{\"did\":\"d1\"}]}",
		"{\"cursor\":\"2\",\"repos\":[]}", "{\"repos\":[{\"did\":\"never\"}]}"};
	static const char *const same_cursor[] = {
		"{\"cursor\":\"1\",\"repos\":[{\"did\":\"d1\"}]}"};
	static const char *const malformed[] = {"{\"cursor\":\"1\",\"repos\":[{\"did\":\"d1\"}]}",
		"{\"cursor\":\"2\",\"repos\":{}}"};
	static const struct {
		const char *const *bodies;
		int count, stop_at, result;
		const char *seen, *last;
	} cases[] = {
		{normal, 3, 0, RK_PDS_OK, "d1,h1,r1,1,;d2,h2,r2,0,takendown;d3,,,1,;d4,,,1,;",
			"&cursor=c "},
		{normal, 3, 3, -EDOM, "d1,h1,r1,1,;d2,h2,r2,0,takendown;d3,,,1,;",
			"&cursor=a%20b "},
		{empty_ends, 3, 0, RK_PDS_OK, "d1,,,1,;", "&cursor=1 "},
		{same_cursor, 1, 0, RK_PDS_OK, "d1,,,1,;d1,,,1,;", "&cursor=1 "},
		{malformed, 2, 0, RK_PDS_WRONG, "d1,,,1,;", "&cursor=1 "},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pages pages = {.bodies = cases[i].bodies, .count = cases[i].count};
		struct seen seen = {.stop_at = cases[i].stop_at};
		struct rk_pds *pds = client();
		struct rk_pds_reply reply;
		struct server server;

		server_start(&server, answer_pages, &pages);
		assert_int_equal(
			rk_pds_list_repos(pds, &reply, server.http, note, &seen), cases[i].result);
		assert_string_equal(seen.text, cases[i].seen);
		rk_pds_destroy(pds);
		server_stop(&server);
		assert_non_null(
			strstr(pages.last, "GET /xrpc/com.atproto.sync.listRepos?limit=500"));
		assert_non_null(strstr(pages.last, cases[i].last));
	}
}

static void go_round(struct server_conn *conn, void *user)
{
	char body[128];

	for (int page = 0; server_read_request(conn); page++) {
		snprintf(body, sizeof(body), "{\"cursor\":\"%d\",\"repos\":[{\"did\":\"d\"}]}",
			page % *(const int *)user);
		server_answer(conn, "200 OK", "", body);
	}
}

static void cursors_that_go_round_end(void **state)
{
	struct rk_pds *pds = client();
	struct rk_pds_reply reply;
	struct seen seen = {0};
	struct server server;

	server_start(&server, go_round, &(int){7});
	assert_int_equal(rk_pds_list_repos(pds, &reply, server.http, note, &seen), RK_PDS_OK);
	assert_in_range(seen.count, 7, 40);
	rk_pds_destroy(pds);
	server_stop(&server);
}

/* Nothing is new but the first. */
static int note_first(void *user, const struct rk_pds_repo *repo)
{
	int r = note(user, repo);

	return r < 0 || ((struct seen *)user)->count == 1 ? r : RK_PDS_REPO_OLD;
}

static void a_page_of_nothing_new_ends_the_list(void **state)
{
	struct rk_pds *pds = client();
	struct rk_pds_reply reply;
	struct seen seen = {.stop_at = 100};
	struct server server;

	server_start(&server, go_round, &(int){INT32_MAX});
	assert_int_equal(rk_pds_list_repos(pds, &reply, server.http, note_first, &seen), RK_PDS_OK);
	assert_int_equal(seen.count, 2);
	rk_pds_destroy(pds);
	server_stop(&server);
}

/* DID documents */

static void answer_documents(struct server_conn *conn, void *user)
{
	static char large[RK_PDS_DID_DOCUMENT_MOST + 2];

	while (server_read_request(conn)) {
		if (strstr(conn->request, "GET /" DID " ")) {
			server_answer(conn, "200 OK", "", "{\"id\":1}");
		} else if (strstr(conn->request, "GET /.well-known/did.json ")) {
			server_answer(conn, "200 OK", "", "{\"id\":2}");
		} else if (strstr(conn->request, "GET /did:plc:222222222222222222222222 ")) {
			server_answer(conn, "410 Gone", "", "{\"message\":\"tombstone\"}");
		} else if (strstr(conn->request, "GET /did:plc:333333333333333333333333 ")) {
			memset(large, ' ', sizeof(large) - 1);
			server_answer(conn, "200 OK", "", large);
		} else if (strstr(conn->request, "GET /did:plc:444444444444444444444444 ")) {
			memset(large, ' ', sizeof(large) - 1);
			large[sizeof(large) - 2] = '\0';
			server_answer(conn, "200 OK", "", large);
		} else {
			server_answer(conn, "404 No", "", "<html>");
		}
	}
}

static void documents_come_from_where_the_did_says(void **state)
{
	struct server server;
	char local[64];
	const struct {
		const char *did;
		int result;
		long status;
		size_t len;
	} cases[] = {
		{DID, RK_PDS_OK, 200, 8},
		{local, RK_PDS_OK, 200, 8},
		{"did:plc:222222222222222222222222", RK_PDS_ABSENT, 410, 0},
		{"did:plc:333333333333333333333333", RK_PDS_WRONG, 200, 0},
		{"did:plc:444444444444444444444444", RK_PDS_OK, 200, RK_PDS_DID_DOCUMENT_MOST},
		{"did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", RK_PDS_ABSENT, 404, 0},
		{"did:plc:short", RK_PDS_WRONG, 0, 0},
		{"did:plc:ewvi7nxzyoun6zhxrhs64oi1", RK_PDS_WRONG, 0, 0},
		{"did:plc:ewvi7nxzyoun6zhxrhs64oizz", RK_PDS_WRONG, 0, 0},
		{"did:plc:../../../../../../../../", RK_PDS_WRONG, 0, 0},
		{"did:web:", RK_PDS_WRONG, 0, 0},
		{"did:web:host%3A8080", RK_PDS_WRONG, 0, 0},
		{"did:web:host:path", RK_PDS_WRONG, 0, 0},
		{"did:web:host/path", RK_PDS_WRONG, 0, 0},
		{"did:web:user@host", RK_PDS_WRONG, 0, 0},
		{"did:web:localhost%3A", RK_PDS_WRONG, 0, 0},
		{"did:web:localhost%3A80x", RK_PDS_WRONG, 0, 0},
		{"did:key:zQ3sh", RK_PDS_WRONG, 0, 0},
		{"", RK_PDS_WRONG, 0, 0},
	};
	struct rk_pds *pds = client();

	server_start(&server, answer_documents, NULL);
	snprintf(local, sizeof(local), "did:web:localhost%%3A%d", server.port);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_pds_reply reply;
		struct rk_buf json = {0};
		int rc = rk_pds_did_document(pds, &reply, &json, server.http, cases[i].did);

		if (rc != cases[i].result)
			fail_msg("%s is %s: %s", cases[i].did, rk_pds_result_name(rc),
				reply.message);
		assert_int_equal(reply.http_status, cases[i].status);
		assert_int_equal(json.len, cases[i].len);
		rk_buf_finish(&json);
		/* The server takes one connection at a time: the next host must not find it taken.
		 */
		rk_pds_destroy(pds);
		pds = client();
	}
	rk_pds_destroy(pds);
	server_stop(&server);
}

static void a_relay_lists_by_collection(void **state)
{
	static const char *const bodies[] = {"{\"cursor\":\"1\",\"repos\":[{\"did\":\"d1\"}]}",
		"{\"repos\":[{\"did\":\"d2\"},{}]}"};
	struct pages pages = {.bodies = bodies, .count = 2};
	struct seen seen = {0};
	struct rk_pds *pds = client();
	struct rk_pds_reply reply;
	struct server server;

	server_start(&server, answer_pages, &pages);
	assert_int_equal(
		rk_pds_list_repos_by_collection(pds, &reply, server.http, "a.b.c&d", note, &seen),
		RK_PDS_OK);
	assert_string_equal(seen.text, "d1,,,1,;d2,,,1,;");
	rk_pds_destroy(pds);
	server_stop(&server);
	assert_non_null(strstr(pages.last,
		"GET /xrpc/com.atproto.sync.listReposByCollection?collection=a.b.c%26d&limit=500"
		"&cursor=1 "));
}

static void a_repo_s_status_is_of_that_repo(void **state)
{
#define OF "{\"did\":\"" DID "\","
	static const struct {
		struct answer answer;
		int result;
		const char *rev, *account_status;
	} cases[] = {
		{{"200 OK", "", OF "\"active\":true,\"rev\":\"3kabc\"}"}, RK_PDS_OK, "3kabc", ""},
		{{"200 OK", "", OF "\"active\":true}"}, RK_PDS_OK, "", ""},
		{{"200 OK", "",
			 OF "\"active\":true,\"rev\":\"0123456789012345678901234567890123\"}"},
			RK_PDS_OK, "", ""},
		{{"200 OK", "", OF "\"active\":false,\"status\":\"takendown\"}"}, RK_PDS_INACTIVE,
			"", "takendown"},
		{{"200 OK", "", OF "\"active\":false}"}, RK_PDS_INACTIVE, "", ""},
		{{"200 OK", "", OF "\"active\":1}"}, RK_PDS_WRONG, "", ""},
		{{"200 OK", "", "{\"did\":\"did:plc:other\",\"active\":true}"}, RK_PDS_WRONG, "",
			""},
		{{"200 OK", "", "{\"active\":true}"}, RK_PDS_WRONG, "", ""},
		{{"400 Bad", "", "{\"error\":\"RepoNotFound\"}"}, RK_PDS_ABSENT, "", ""},
		{{"503 Later", "", ""}, RK_PDS_RETRY, "", ""},
	};
	struct rk_pds *pds = client();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char rev[RK_PDS_REV_SIZE];
		struct rk_pds_reply reply;
		struct server server;

		server_start(&server, answer_all, &cases[i].answer);
		assert_int_equal(
			rk_pds_repo_status(pds, &reply, rev, server.http, DID), cases[i].result);
		assert_string_equal(rev, cases[i].rev);
		assert_string_equal(reply.account_status, cases[i].account_status);
		server_stop(&server);
	}
	rk_pds_destroy(pds);
}

static void repeat_the_key(struct server_conn *conn, void *user)
{
	bool ok = true;

	while (ok && server_read_request(conn)) {
		bool sent = strstr(conn->request, "x-ratelimit-bypass: the-key\r\n");

		ok = server_answer(conn, "400 Bad", "",
			sent ? "{\"error\":\"the-key\",\"message\":\"the-key\"}"
			     : "{\"error\":\"None\",\"message\":\"no key\"}");
	}
}

static void the_bypass_key_is_for_one_origin_and_no_log(void **state)
{
	static const char *const methods[] = {"getRepo", "resolveHandle", "listRepos"};
	struct server own, other;
	struct rk_pds_options options = {.http.allow_private = true, .bypass_key = "the-key"};
	struct rk_pds *pds;

	server_start(&own, repeat_the_key, NULL);
	server_start(&other, repeat_the_key, NULL);
	options.bypass_origin = own.http;
	pds = rk_pds_create(&options);
	assert_non_null(pds);
	for (size_t i = 0; i < 2 * sizeof(methods) / sizeof(methods[0]); i++) {
		const char *origin = i % 2 ? other.http : own.http, *method = methods[i / 2];
		struct rk_pds_spool spool = {.dir = "/tmp", .bytes_most = 16};
		struct rk_pds_reply reply;
		struct rk_buf did = {0};
		int r;

		if (strcmp(method, "getRepo") == 0)
			r = rk_pds_get_repo(pds, &reply, &spool, origin, DID);
		else if (strcmp(method, "resolveHandle") == 0)
			r = rk_pds_resolve_handle(pds, &reply, &did, origin, "a.test");
		else
			r = rk_pds_list_repos(pds, &reply, origin, NULL, NULL);
		assert_int_equal(r, RK_PDS_WRONG);
		assert_string_equal(reply.error, i % 2 ? "None" : "");
		assert_null(strstr(reply.message, "the-key"));
		assert_int_equal(strstr(reply.message, "repeats a secret") != NULL, i % 2 == 0);
	}
	rk_pds_destroy(pds);
	server_stop(&own);
	server_stop(&other);
}

static int setup(void **state)
{
	return rk_http_global_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_mean_what_they_say),
		cmocka_unit_test(an_exhausted_rate_limit_names_the_wait),
		cmocka_unit_test(an_unreachable_server_is_for_later),
		cmocka_unit_test(a_long_error_page_keeps_its_meaning),
		cmocka_unit_test(a_private_address_is_wrong),
		cmocka_unit_test(a_did_must_be_in_the_answer),
		cmocka_unit_test(handles_resolve_or_are_absent),
		cmocka_unit_test(all_pages_are_visited),
		cmocka_unit_test(cursors_that_go_round_end),
		cmocka_unit_test(a_page_of_nothing_new_ends_the_list),
		cmocka_unit_test(documents_come_from_where_the_did_says),
		cmocka_unit_test(a_relay_lists_by_collection),
		cmocka_unit_test(a_repo_s_status_is_of_that_repo),
		cmocka_unit_test(the_bypass_key_is_for_one_origin_and_no_log),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
