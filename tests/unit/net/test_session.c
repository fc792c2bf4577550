/* Rules of net/session: logging in, batches, what each refusal means, limits, listing. */
#include "tests/unit/test.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"
#include "net/session.h"
#include "tests/unit/net/server.h"

#define DID         "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
#define OTHER       "did:plc:z72i7hdynmk6r22z27h6tvur"
#define PASSWORD    "hunter2-hunter2"
#define MOOD        "computer.aesthetic.mood"
#define RECORD(key) "{\"uri\":\"at://" DID "/" MOOD "/" key "\",\"value\":{\"ref\":\"r\"}}"
#define TOKENS      "{\"did\":\"" DID "\",\"accessJwt\":\"acc-1\",\"refreshJwt\":\"ref-1\"}"

enum {
	NEVER_MS = 10 * 60 * 1000, /* what a machine that stands still does not reach */
	HANG_MS = 3000,            /* what it hardly reaches while one logs in */
};

/* A PDS in a few lines: what it answers to each call, and what it saw. */
struct fake {
	const char *login, *login_status, *write_status, *write_extra, *write_body;
	bool expired, hang;
	int logins, writes, renewals, lists, uploads;
	bool saw_bypass, saw_token, saw_admin, saw_image;
	const char *const *pages;
	bool endless; /* the same record again and again, by ever other cursors */
	const char *standing, *standing_status; /* of the repo; set: it cannot be listed */
};

static void serve(struct server_conn *conn, void *user)
{
	struct fake *fake = user;
	bool ok = true;

	while (ok && server_read_request(conn)) {
		const char *head = conn->request;

		fake->saw_bypass |= strstr(head, "x-ratelimit-bypass: the-key\r\n") != NULL;
		if (strstr(head, "POST /xrpc/com.atproto.server.createSession ")) {
			fake->logins++;
			ok = server_answer(conn, fake->login_status ? fake->login_status : "200 OK",
				"", fake->login ? fake->login : TOKENS);
		} else if (strstr(head, "POST /xrpc/com.atproto.server.refreshSession ")) {
			fake->renewals++;
			ok = strstr(head, "Authorization: Bearer ref-1\r\n")
				? server_answer(conn, "200 OK", "",
					  "{\"did\":\"" DID
					  "\",\"accessJwt\":\"acc-2\",\"refreshJwt\":\"ref-2\"}")
				: server_answer(conn, "401 No", "", "{\"error\":\"InvalidToken\"}");
		} else if (strstr(head, "POST /xrpc/com.atproto.repo.applyWrites ")) {
			fake->writes++;
			if (fake->hang)
				server_hold(conn);
			else if (fake->expired && strstr(head, "Authorization: Bearer acc-1\r\n"))
				ok = server_answer(
					conn, "400 Bad", "", "{\"error\":\"ExpiredToken\"}");
			else {
				fake->saw_token |=
					strstr(head, "Authorization: Bearer acc-") != NULL;
				ok = server_answer(conn,
					fake->write_status ? fake->write_status : "200 OK",
					fake->write_extra ? fake->write_extra : "",
					fake->write_body ? fake->write_body : "{}");
			}
		} else if (strstr(head, " /xrpc/com.example.ask?n=1 ")) {
			/* Says as whom, and how, it was asked. */
			fake->saw_admin |=
				strstr(head, "Authorization: Basic YWRtaW46aHVudGVyMg==\r\n") !=
				NULL;
			fake->saw_token |= strstr(head, "Authorization: Bearer acc-1\r\n") != NULL;
			ok = server_answer(conn, "200 OK", "",
				!strstr(head, "Authorization:")    ? "{\"as\":\"nobody\"}"
					: strncmp(head, "POST", 4) ? "{\"as\":\"query\"}"
								   : "{\"as\":\"procedure\"}");
		} else if (strstr(head, "POST /xrpc/com.atproto.repo.uploadBlob ")) {
			fake->uploads++;
			if (fake->expired && strstr(head, "Authorization: Bearer acc-1\r\n")) {
				ok = server_answer(
					conn, "400 Bad", "", "{\"error\":\"ExpiredToken\"}");
				continue;
			}
			fake->saw_image |= strstr(head, "Content-Type: image/png\r\n") &&
				strstr(head, "Content-Length: 3\r\n");
			ok = server_answer(conn, fake->write_status ? fake->write_status : "200 OK",
				fake->write_extra ? fake->write_extra : "", fake->write_body);
		} else if (fake->standing &&
			strstr(head, "GET /xrpc/com.atproto.repo.listRecords?")) {
			fake->lists++;
			ok = server_answer(conn, "400 Bad", "", "{\"error\":\"InvalidRequest\"}");
		} else if (strstr(head, "GET /xrpc/com.atproto.sync.getRepoStatus?did=")) {
			ok = server_answer(conn, fake->standing_status, "", fake->standing);
		} else if (strstr(head, "GET /xrpc/com.atproto.repo.listRecords?")) {
			char page[256];

			snprintf(page, sizeof(page),
				"{\"cursor\":\"%d\",\"records\":[" RECORD("a") "]}", fake->lists);
			ok = server_answer(conn, "200 OK", "",
				fake->endless ? page : fake->pages[fake->lists]);
			fake->lists++;
		} else {
			fail_msg("unexpected request: %s", head);
		}
	}
}

/* A session with a fake PDS. */
struct talk {
	struct fake fake;
	struct server server;
	struct rk_session *session;
	struct rk_pds_reply reply;
	bool told; /* of the last applyWrites */
};

static void talk_begin(struct talk *t, const char *bypass, const char *admin)
{
	struct rk_session_options options = {.http.allow_private = true,
		.bypass_key = bypass,
		.admin_password = admin,
		.timeout_ms = NEVER_MS,
		.idle_ms = t->fake.hang ? HANG_MS : NEVER_MS};

	server_start(&t->server, serve, &t->fake);
	options.origin = t->server.http;
	t->session = rk_session_create(&options);
	assert_non_null(t->session);
}

static void talk_end(struct talk *t)
{
	rk_session_destroy(t->session);
	server_stop(&t->server);
}

static int write_two(struct talk *t)
{
	const struct rk_session_write writes[] = {
		{RK_SESSION_CREATE, MOOD, "3kaaaaaaaaa22", RK_SLICE_LIT("{\"mood\":\"calm\"}")},
		{RK_SESSION_DELETE, MOOD, "3kaaaaaaaaa23", {0}},
	};

	return rk_session_apply_writes(t->session, &t->reply, &t->told, writes, 2, NULL);
}

static void logs_in_once_and_writes(void **state)
{
	struct talk t = {.fake = {0}};

	talk_begin(&t, "the-key", NULL);
	assert_int_equal(write_two(&t), RK_PDS_DENIED);
	assert_int_equal(rk_session_open(t.session, &t.reply, DID, PASSWORD), RK_PDS_OK);
	assert_int_equal(write_two(&t), RK_PDS_OK);
	assert_int_equal(write_two(&t), RK_PDS_OK);
	talk_end(&t);
	assert_int_equal(t.fake.logins, 1);
	assert_int_equal(t.fake.writes, 2);
	assert_true(t.fake.saw_token);
	assert_true(t.fake.saw_bypass);
}

static void logins_mean_what_they_say(void **state)
{
	static const struct {
		const char *status, *body;
		int result;
	} cases[] = {
		{"200 OK", TOKENS, RK_PDS_OK},
		{"200 OK",
			"{\"did\":\"did:plc:z72i7hdynmk6r22z27h6tvur\",\"accessJwt\":\"a\",\"refreshJwt\":\"r\"}",
			RK_PDS_WRONG},
		{"200 OK", "{\"did\":\"" DID "\",\"accessJwt\":\"a\"}", RK_PDS_WRONG},
		{"200 OK",
			"{\"did\":\"" DID "\",\"accessJwt\":\"a\\r\\nX: y\",\"refreshJwt\":\"r\"}",
			RK_PDS_WRONG},
		{"200 OK", "[]", RK_PDS_WRONG},
		{"200 OK", "<html>", RK_PDS_WRONG},
		{"401 No",
			"{\"error\":\"AuthenticationRequired\",\"message\":\"Invalid identifier or password\"}",
			RK_PDS_DENIED},
		{"401 No", "{\"error\":\"AccountTakedown\"}", RK_PDS_DENIED},
		{"400 Bad", "{\"error\":\"InvalidRequest\",\"message\":\"" PASSWORD "?\"}",
			RK_PDS_WRONG},
		{"401 No", "{\"error\":\"" PASSWORD "\"}", RK_PDS_DENIED},
		{"400 Bad", "{\"error\":\"InvalidRequest\",\"message\":\"h\\u0075nter2-hunter2?\"}",
			RK_PDS_WRONG},
		{"500 Oops", "{\"error\":\"Oops\",\"message\":\"" PASSWORD "\"}", RK_PDS_RETRY},
		{"400 Bad", "{\"error\":\"InvalidRequest\"}", RK_PDS_WRONG},
		{"429 Slow", "{\"error\":\"RateLimitExceeded\"}", RK_PDS_RETRY},
		{"500 Oops", "{}", RK_PDS_RETRY},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talk t = {.fake = {.login_status = cases[i].status, .login = cases[i].body}};
		int rc;

		talk_begin(&t, NULL, NULL);
		rc = rk_session_open(t.session, &t.reply, DID, PASSWORD);
		if (rc != cases[i].result)
			fail_msg("%s %s is %s: %s", cases[i].status, cases[i].body,
				rk_pds_result_name(rc), t.reply.message);
		assert_null(strstr(t.reply.message, "hunter2"));
		assert_null(strstr(t.reply.error, "hunter2"));
		/* Nothing is left of a login that failed. */
		assert_int_equal(write_two(&t), rc == RK_PDS_OK ? RK_PDS_OK : RK_PDS_DENIED);
		talk_end(&t);
	}
}

static void writes_mean_what_they_say(void **state)
{
	static const struct {
		const char *status, *extra, *body;
		int result;
		int64_t wait_ms; /* at least, for the next request */
		bool told;
	} cases[] = {
		{"200 OK", "", "{\"results\":[{},{}]}", RK_PDS_OK, 0, true},
		{"200 OK", "", "{\"results\":[{}]}", RK_PDS_OK, 0},
		{"200 OK", "", "{\"results\":2}", RK_PDS_OK, 0},
		{"200 OK", "", "{}", RK_PDS_OK, 0},
		{"500 Oops", "", "{\"results\":[{},{}]}", RK_PDS_RETRY, 0},
		{"400 Bad", "", "{\"error\":\"InvalidRequest\"}", RK_PDS_WRONG, 0},
		{"401 No", "", "{\"error\":\"InvalidToken\"}", RK_PDS_DENIED, 0},
		{"400 Bad", "", "{\"error\":\"RepoDeactivated\"}", RK_PDS_INACTIVE, 0},
		{"400 Bad", "", "{\"error\":\"RepoNotFound\"}", RK_PDS_ABSENT, 0},
		{"429 Slow", "Retry-After: 9\r\n", "{}", RK_PDS_RETRY, 8500},
		{"429 Slow", "", "{}", RK_PDS_RETRY, 500},
		{"500 Oops", "", "{\"error\":\"InternalServerError\"}", RK_PDS_RETRY, 0},
		{"502 Oops", "", "<html>", RK_PDS_RETRY, 0},
		{"200 OK", "", "cut of", RK_PDS_OK, 0},
		{"200 OK", "", "", RK_PDS_OK, 0},
		{"202 Taken", "", "{\"results\":[{},{}]}", RK_PDS_OK, 0},
		{"302 There", "", "{}", RK_PDS_WRONG, 0},
		{"400 Bad", "", "{\"error\":\"Bad\",\"message\":\"Bearer acc-1\"}", RK_PDS_WRONG,
			0},
		{"400 Bad", "", "{\"error\":\"Bad\",\"message\":\"it is the-key\"}", RK_PDS_WRONG,
			0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talk t = {.fake = {.write_status = cases[i].status,
					 .write_extra = cases[i].extra,
					 .write_body = cases[i].body}};
		int64_t wait;
		int rc;

		talk_begin(&t, "the-key", NULL);
		assert_int_equal(rk_session_open(t.session, &t.reply, DID, PASSWORD), RK_PDS_OK);
		rc = write_two(&t);
		if (rc != cases[i].result)
			fail_msg("%s %s is %s: %s", cases[i].status, cases[i].body,
				rk_pds_result_name(rc), t.reply.message);
		assert_int_equal(t.told, cases[i].told);
		assert_null(strstr(t.reply.message, "acc-1"));
		assert_null(strstr(t.reply.message, "the-key"));
		wait = rk_pace_wait_ms(rk_session_pace(t.session), rk_clock_wall_ms());
		assert_true(wait >= cases[i].wait_ms && (wait > 0) == (cases[i].wait_ms > 0));
		talk_end(&t);
	}
}

static void silence_is_to_be_looked_at_again(void **state)
{
	struct talk t = {.fake = {.hang = true}};

	talk_begin(&t, NULL, NULL);
	assert_int_equal(rk_session_open(t.session, &t.reply, DID, PASSWORD), RK_PDS_OK);
	assert_int_equal(write_two(&t), RK_PDS_RETRY);
	assert_int_equal(t.reply.http_status, 0);
	talk_end(&t);
	assert_int_equal(t.fake.writes, 1);
}

#define BLOB(ref, mime, size)                                                                      \
	"{\"blob\":{\"$type\":\"blob\",\"ref\":{\"$link\":" ref "},\"mimeType\":" mime             \
	",\"size\":" size "}}"
#define LONG_REF                                                                                            \
	"\"bafkreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""

static void uploads_mean_what_they_say(void **state)
{
	static const struct {
		const char *status, *extra, *body;
		int result;
		int64_t wait_ms; /* at least, for the next upload */
	} cases[] = {
		{"200 OK", "", BLOB("\"bafkreig\"", "\"image/png\"", "3"), RK_PDS_OK, 0},
		{"200 OK",
			"RateLimit-Remaining: 0\r\nRateLimit-Reset: 9999999999\r\n"
			"RateLimit-Policy: 1000;w=86400\r\n",
			BLOB("\"bafkreig\"", "\"image/png\"", "3"), RK_PDS_OK, 86000000},
		{"200 OK", "", BLOB("\"bafkreig\"", "\"image/png\"", "1e300"), RK_PDS_WRONG, 0},
		{"200 OK", "", BLOB("\"bafkreig\"", "\"image/png\"", "-3"), RK_PDS_WRONG, 0},
		{"200 OK", "", BLOB("\"bafkreig\"", "\"image/png\"", "\"3\""), RK_PDS_WRONG, 0},
		{"200 OK", "", BLOB("\"bafkreig\"", "5", "3"), RK_PDS_WRONG, 0},
		{"200 OK", "", BLOB("\"\"", "\"image/png\"", "3"), RK_PDS_WRONG, 0},
		{"200 OK", "", BLOB("\"baf\\u0000\"", "\"image/png\"", "3"), RK_PDS_WRONG, 0},
		{"200 OK", "", BLOB(LONG_REF, "\"image/png\"", "3"), RK_PDS_WRONG, 0},
		{"200 OK", "", "{\"blob\":[]}", RK_PDS_WRONG, 0},
		{"200 OK", "", "{}", RK_PDS_WRONG, 0},
		{"400 Bad", "", "{\"error\":\"BlobTooLarge\"}", RK_PDS_WRONG, 0},
		{"429 Slow", "Retry-After: 9\r\n", "{}", RK_PDS_RETRY, 8500},
		{"500 Oops", "", "{\"error\":\"InternalServerError\"}", RK_PDS_RETRY, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talk t = {.fake = {.expired = i % 2 == 0,
					 .write_status = cases[i].status,
					 .write_extra = cases[i].extra,
					 .write_body = cases[i].body}};
		struct rk_session_blob blob;
		int64_t wait;
		int rc;

		talk_begin(&t, NULL, NULL);
		rc = rk_session_upload_blob(
			t.session, &t.reply, &blob, rk_slice_str("png"), "image/png");
		assert_int_equal(rc, RK_PDS_DENIED);
		assert_int_equal(t.fake.uploads, 0);
		assert_int_equal(rk_session_open(t.session, &t.reply, DID, PASSWORD), RK_PDS_OK);
		rc = rk_session_upload_blob(
			t.session, &t.reply, &blob, rk_slice_str("png"), "image/png");
		if (rc != cases[i].result)
			fail_msg("%s %s is %s: %s", cases[i].status, cases[i].body,
				rk_pds_result_name(rc), t.reply.message);
		if (rc == RK_PDS_OK) {
			assert_string_equal(blob.ref, "bafkreig");
			assert_string_equal(blob.mime, "image/png");
			assert_int_equal(blob.size, 3);
		}
		wait = rk_pace_upload_wait_ms(rk_session_pace(t.session), rk_clock_wall_ms());
		assert_true(wait >= cases[i].wait_ms && (wait > 0) == (cases[i].wait_ms > 0));
		talk_end(&t);
		assert_true(t.fake.saw_image);
		assert_int_equal(t.fake.uploads, t.fake.expired ? 2 : 1);
		assert_int_equal(t.fake.renewals, t.fake.expired ? 1 : 0);
	}
}

static void what_is_left_is_kept_to(void **state)
{
	struct talk t = {
		.fake = {.write_extra = "RateLimit-Limit: 5000\r\nRateLimit-Remaining: 7\r\n"
					"RateLimit-Reset: 9999999999\r\n"
					"RateLimit-Policy: 5000;w=3600\r\n"}};
	int64_t wait;

	talk_begin(&t, NULL, NULL);
	assert_int_equal(rk_session_open(t.session, &t.reply, DID, PASSWORD), RK_PDS_OK);
	assert_int_equal(write_two(&t), RK_PDS_OK);
	assert_int_equal(rk_pace_writes(rk_session_pace(t.session), &wait, 200, RK_PACE_CREATE,
				 rk_clock_wall_ms()),
		2);
	/* The same account logged in again has none more; the next one has limits of its own. */
	assert_int_equal(rk_session_open(t.session, &t.reply, DID, PASSWORD), RK_PDS_OK);
	assert_int_equal(rk_pace_writes(rk_session_pace(t.session), &wait, 200, RK_PACE_CREATE,
				 rk_clock_wall_ms()),
		2);
	assert_int_equal(rk_session_open(t.session, &t.reply, OTHER, PASSWORD), RK_PDS_WRONG);
	assert_int_equal(rk_pace_writes(rk_session_pace(t.session), &wait, 200, RK_PACE_CREATE,
				 rk_clock_wall_ms()),
		200);
	talk_end(&t);
}

static void an_old_token_is_renewed_once(void **state)
{
	struct talk t = {.fake = {.expired = true}};

	talk_begin(&t, NULL, NULL);
	assert_int_equal(rk_session_open(t.session, &t.reply, DID, PASSWORD), RK_PDS_OK);
	assert_int_equal(write_two(&t), RK_PDS_OK);
	assert_int_equal(write_two(&t), RK_PDS_OK);
	talk_end(&t);
	assert_int_equal(t.fake.renewals, 1);
	assert_int_equal(t.fake.writes, 3);
	assert_int_equal(t.fake.logins, 1);
}

static void asks_as_whom_it_is_told(void **state)
{
	struct talk t = {.fake = {0}};
	struct rk_session_call call = {.method = "com.example.ask?n=1"};
	json_t *answer;

	talk_begin(&t, NULL, "hunter2");
	assert_int_equal(rk_session_ask(t.session, &t.reply, &answer, &call), RK_PDS_OK);
	assert_string_equal(json_string_value(json_object_get(answer, "as")), "nobody");
	json_decref(answer);
	call.as = RK_SESSION_AS_USER;
	assert_int_equal(rk_session_ask(t.session, &t.reply, &answer, &call), RK_PDS_DENIED);
	assert_null(answer);
	assert_int_equal(rk_session_open(t.session, &t.reply, DID, PASSWORD), RK_PDS_OK);
	assert_int_equal(rk_session_ask(t.session, &t.reply, &answer, &call), RK_PDS_OK);
	assert_string_equal(json_string_value(json_object_get(answer, "as")), "query");
	json_decref(answer);
	assert_true(t.fake.saw_token && !t.fake.saw_admin);
	call = (struct rk_session_call){
		.method = call.method, .as = RK_SESSION_AS_ADMIN, .body = RK_SLICE_LIT("{}")};
	assert_int_equal(rk_session_ask(t.session, &t.reply, &answer, &call), RK_PDS_OK);
	assert_string_equal(json_string_value(json_object_get(answer, "as")), "procedure");
	json_decref(answer);
	assert_true(t.fake.saw_admin);
	talk_end(&t);
}

struct listed {
	int count;
	char rkeys[8][16];
	int stop;
};

static int list_one(void *context, const struct rk_session_record *record)
{
	struct listed *listed = context;

	snprintf(listed->rkeys[listed->count++ % 8], 16, "%.*s", RK_SLICE_ARG(record->rkey));
	return listed->stop;
}

static void lists_all_pages(void **state)
{
	static const char *const pages[] = {
		"{\"cursor\":\"b\",\"records\":[" RECORD("a") "," RECORD("b") "]}",
		"{\"cursor\":\"c\",\"records\":[" RECORD("c") "]}",
		"{\"records\":[]}",
	};
	static const char *const still[] = {
		"{\"cursor\":\"b\",\"records\":[" RECORD("a") "]}",
		"{\"cursor\":\"b\",\"records\":[" RECORD("b") "]}",
	};
	static const char *const round[] = {
		"{\"cursor\":\"a\",\"records\":[" RECORD("a") "]}",
		"{\"cursor\":\"b\",\"records\":[" RECORD("b") "]}",
		"{\"cursor\":\"c\",\"records\":[" RECORD("c") "]}",
		"{\"cursor\":\"a\",\"records\":[" RECORD("a") "]}",
		"{\"cursor\":\"b\",\"records\":[" RECORD("b") "]}",
		"{\"cursor\":\"c\",\"records\":[" RECORD("c") "]}",
		"{\"cursor\":\"a\",\"records\":[" RECORD("a") "]}",
	};
	static const char *const wrong[] = {"{\"cursor\":\"b\"}"};
	static const char *const none[] = {"{\"records\":[" RECORD("a") ",{\"uri\":5}]}"};
	static const char *const stranger[] = {"{\"records\":[" RECORD(
		"a") ",{\"uri\":\"at://did:plc:other/" MOOD "/b\",\"value\":{}}]}"};
	static const char *const elsewhere[] = {
		"{\"records\":[{\"uri\":\"at://" DID "/com.example.mood/a\",\"value\":{}}]}"};
	static const char *const keyless[] = {
		"{\"records\":[{\"uri\":\"at://" DID "/" MOOD "\",\"value\":{}}]}"};
	static const struct {
		const char *const *pages;
		int stop, result, count, lists;
	} cases[] = {
		{pages, 0, RK_PDS_OK, 3, 3},
		{still, 0, RK_PDS_WRONG, 2, 2},
		{round, 0, RK_PDS_WRONG, 6, 6},
		{NULL, 0, RK_PDS_WRONG, 10000, 10000},
		{wrong, 0, RK_PDS_WRONG, 0, 1},
		{none, 0, RK_PDS_WRONG, 1, 1},
		{stranger, 0, RK_PDS_WRONG, 1, 1},
		{elsewhere, 0, RK_PDS_WRONG, 0, 1},
		{keyless, 0, RK_PDS_WRONG, 0, 1},
		{pages, -ENOMEM, -ENOMEM, 1, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talk t = {.fake = {.pages = cases[i].pages, .endless = !cases[i].pages}};
		struct listed listed = {.stop = cases[i].stop};

		talk_begin(&t, NULL, NULL);
		assert_int_equal(
			rk_session_list(t.session, &t.reply, DID, MOOD, 1000, list_one, &listed),
			cases[i].result);
		assert_int_equal(listed.count, cases[i].count);
		talk_end(&t);
		assert_int_equal(t.fake.lists, cases[i].lists);
	}
}

/* The reference PDS says InvalidRequest of each of them. */
static void a_repo_that_cannot_be_listed_says_how_it_stands(void **state)
{
	static const struct {
		const char *status, *body;
		int result;
		const char *message;
	} cases[] = {
		{"200 OK", "{\"did\":\"" DID "\",\"active\":false,\"status\":\"deactivated\"}",
			RK_PDS_INACTIVE, "the account is deactivated"},
		{"200 OK", "{\"did\":\"" DID "\",\"active\":false}", RK_PDS_INACTIVE,
			"the account is not active"},
		{"200 OK", "{\"did\":\"" DID "\",\"active\":false,\"status\":\"sixteen-and-more\"}",
			RK_PDS_INACTIVE, "the account is not active"},
		{"400 Bad", "{\"error\":\"RepoNotFound\"}", RK_PDS_ABSENT, "RepoNotFound"},
		{"200 OK", "{\"did\":\"" DID "\",\"active\":true}", RK_PDS_WRONG, "InvalidRequest"},
		{"500 Oops", "{}", RK_PDS_WRONG, "InvalidRequest"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talk t = {
			.fake = {.standing = cases[i].body, .standing_status = cases[i].status}};
		struct listed listed = {0};

		talk_begin(&t, NULL, NULL);
		assert_int_equal(
			rk_session_list(t.session, &t.reply, DID, MOOD, 1000, list_one, &listed),
			cases[i].result);
		assert_non_null(strstr(t.reply.message, cases[i].message));
		talk_end(&t);
		assert_int_equal(t.fake.lists, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(logs_in_once_and_writes),
		cmocka_unit_test(logins_mean_what_they_say),
		cmocka_unit_test(writes_mean_what_they_say),
		cmocka_unit_test(silence_is_to_be_looked_at_again),
		cmocka_unit_test(uploads_mean_what_they_say),
		cmocka_unit_test(what_is_left_is_kept_to),
		cmocka_unit_test(an_old_token_is_renewed_once),
		cmocka_unit_test(asks_as_whom_it_is_told),
		cmocka_unit_test(lists_all_pages),
		cmocka_unit_test(a_repo_that_cannot_be_listed_says_how_it_stands),
	};

	assert_int_equal(rk_http_global_init(), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
