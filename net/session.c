/* See session.h: the login, and one call. What is done with a repo: session_repo.c. */
#include "net/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/encode.h"
#include "net/pds_answer.h"
#include "net/session_inside.h"

enum {
	TIMEOUT_MS = 60 * 1000,
	IDLE_MS = 30 * 1000,
	HEADERS_MOST = 4,
};

/* RFC 7617. */
static void admin_header(struct rk_buf *header, const char *password)
{
	struct rk_buf pair = {0};

	rk_buf_printf(&pair, "admin:%s", password);
	rk_buf_add_str(header, "Authorization: Basic ");
	rk_base64_encode(header, rk_buf_slice(&pair));
	for (size_t i = pair.len; i % 3 != 0; i++)
		rk_buf_add_byte(header, '=');
	rk_buf_wipe(&pair);
}

struct rk_session *rk_session_create(const struct rk_session_options *options)
{
	struct rk_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->options = *options;
	if (options->timeout_ms <= 0)
		session->options.timeout_ms = TIMEOUT_MS;
	if (options->idle_ms <= 0)
		session->options.idle_ms = IDLE_MS;
	session->http = rk_http_create(&options->http);
	if (options->bypass_key)
		rk_buf_printf(&session->bypass, "x-ratelimit-bypass: %s", options->bypass_key);
	if (options->admin_password)
		admin_header(&session->admin, options->admin_password);
	if (!session->http || rk_buf_failed(&session->bypass) || rk_buf_failed(&session->admin)) {
		rk_session_destroy(session);
		return NULL;
	}
	return session;
}

static void forget(struct rk_session *session)
{
	rk_buf_wipe(&session->did);
	rk_buf_wipe(&session->access);
	rk_buf_wipe(&session->refresh);
}

void rk_session_destroy(struct rk_session *session)
{
	if (!session)
		return;
	forget(session);
	rk_buf_wipe(&session->bypass);
	rk_buf_wipe(&session->admin);
	rk_http_destroy(session->http);
	free(session);
}

void rk_session_login_finish(struct rk_session_login *login)
{
	rk_buf_wipe(&login->did);
	rk_buf_wipe(&login->access);
	rk_buf_wipe(&login->refresh);
}

void rk_session_leave(struct rk_session *session, struct rk_session_login *out)
{
	*out = (struct rk_session_login){
		session->did, session->access, session->refresh, session->pace};
	session->did = session->access = session->refresh = (struct rk_buf){0};
	rk_pace_change_account(&session->pace);
}

void rk_session_resume(struct rk_session *session, struct rk_session_login *login)
{
	forget(session);
	session->did = login->did;
	session->access = login->access;
	session->refresh = login->refresh;
	session->pace = login->pace;
	*login = (struct rk_session_login){0};
}

struct rk_pace *rk_session_pace(struct rk_session *session)
{
	return &session->pace;
}

/* Refused as a login: 401, 403, and what the reference PDS says with a 400. */
static bool is_denied(const struct rk_pds_reply *reply)
{
	static const char *const names[] = {"AuthenticationRequired", "AuthMissing", "InvalidToken",
		"ExpiredToken", "AccountTakedown", "AccountDeactivated", "AuthFactorTokenRequired"};

	if (reply->http_status == 401 || reply->http_status == 403)
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(reply->error, names[i]) == 0)
			return true;
	}
	return false;
}

static void secrets_hide(const struct rk_session *session, struct rk_pds_reply *reply,
	const struct rk_http_response *response, const struct rk_session_request *call)
{
	const char *token = call->header ? strrchr(rk_buf_cstr(call->header), ' ') : NULL;

	rk_pds_secret_hide(reply, response, token ? token + 1 : NULL);
	rk_pds_secret_hide(reply, response, session->options.bypass_key);
	rk_pds_secret_hide(reply, response, call->secret);
}

int rk_session_perform(struct rk_session *session, struct rk_pds_reply *reply, json_t **root,
	const struct rk_session_request *call)
{
	struct rk_http_request request = RK_HTTP_REQUEST_INIT;
	struct rk_http_response response = {0};
	const char *headers[HEADERS_MOST + 1] = {0};
	struct rk_buf url = {0}, type = {0};
	size_t count = 0;
	int rc;

	*root = NULL;
	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	rk_buf_printf(&url, "%s/xrpc/%s", session->options.origin, call->method);
	rk_buf_printf(&type, "Content-Type: %s", call->type ? call->type : "application/json");
	if (rk_buf_failed(&url) || rk_buf_failed(&type)) {
		rk_buf_finish(&url);
		rk_buf_finish(&type);
		return -ENOMEM;
	}
	if (call->header)
		headers[count++] = rk_buf_cstr(call->header);
	if (session->bypass.len)
		headers[count++] = rk_buf_cstr(&session->bypass);
	if (call->body.data)
		headers[count++] = rk_buf_cstr(&type);
	request.method = call->post ? "POST" : "GET";
	request.url = rk_buf_cstr(&url);
	request.headers = headers;
	request.body = call->body;
	request.body_most = call->most;
	request.timeout_ms = session->options.timeout_ms;
	request.idle_ms = session->options.idle_ms;
	rk_pace_spend(&session->pace, call->counts, call->count, rk_clock_wall_ms());
	rc = rk_http_perform(session->http, &response, &request);
	if (call->paces || response.status == 429) {
		const struct rk_pace_said said = {
			.remaining = call->paces ? response.ratelimit_remaining : -1,
			.reset_sec = response.ratelimit_reset,
			.window_sec = response.ratelimit_window,
			.counts = call->counts,
			.refused = response.status == 429,
			.retry_ms = response.retry_after_ms,
		};

		rk_pace_said(&session->pace, &said, rk_clock_wall_ms());
	}
	rc = rk_pds_answer(reply, &response, rc, true);
	if (rc == RK_PDS_WRONG && is_denied(reply))
		rc = RK_PDS_DENIED;
	if (rc != RK_PDS_OK)
		secrets_hide(session, reply, &response, call);
	if (rc == RK_PDS_OK) {
		*root = json_loadb((const char *)response.body.data, response.body.len,
			JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
		if (!json_is_object(*root)) {
			json_decref(*root);
			*root = NULL;
			rc = rk_pds_wrong(reply, "the answer is not a JSON object");
		}
	}
	if (response.body.data)
		explicit_bzero(response.body.data, response.body.cap);
	rk_http_response_finish(&response);
	rk_buf_finish(&url);
	rk_buf_finish(&type);
	return rc;
}

/* Tokens are what a header may hold: JWTs, or any word of visible ASCII. */
static bool token_take(struct rk_buf *header, const json_t *root, const char *name)
{
	const char *token = json_string_value(json_object_get(root, name));

	rk_buf_wipe(header);
	if (!token || !*token)
		return false;
	for (const char *c = token; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return false;
	}
	rk_buf_printf(header, "Authorization: Bearer %s", token);
	return true;
}

/* {accessJwt, refreshJwt, did} of both calls. */
static int tokens_take(
	struct rk_session *session, struct rk_pds_reply *reply, const json_t *root, const char *did)
{
	const char *theirs = json_string_value(json_object_get(root, "did"));
	bool access = token_take(&session->access, root, "accessJwt");
	bool refresh = token_take(&session->refresh, root, "refreshJwt");

	if (!theirs || strcmp(theirs, did) != 0) {
		forget(session);
		return rk_pds_wrong(reply, "the login is another account's");
	}
	if (!access || !refresh) {
		forget(session);
		return rk_pds_wrong(reply, "the answer has no tokens");
	}
	return rk_buf_failed(&session->access) || rk_buf_failed(&session->refresh) ? -ENOMEM
										   : RK_PDS_OK;
}

int rk_session_open(struct rk_session *session, struct rk_pds_reply *reply, const char *did,
	const char *password)
{
	struct rk_buf body = {0};
	struct rk_session_request call = {.method = "com.atproto.server.createSession",
		.post = true,
		.most = RK_SESSION_ANSWER_MOST};
	json_t *root;
	int rc;

	if (!rk_slice_equal_str(rk_buf_slice(&session->did), did))
		rk_pace_change_account(&session->pace);
	forget(session);
	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	if (!rk_utf8_valid(rk_slice_str(password)))
		return rk_pds_wrong(reply, "the password is not UTF-8");
	rk_buf_add_str(&session->did, did);
	rk_buf_add_str(&body, "{\"identifier\":");
	rk_buf_add_json(&body, rk_slice_str(did));
	rk_buf_add_str(&body, ",\"password\":");
	rk_buf_add_json(&body, rk_slice_str(password));
	rk_buf_add_str(&body, "}");
	if (rk_buf_failed(&body) || rk_buf_failed(&session->did)) {
		rk_buf_wipe(&body);
		return -ENOMEM;
	}
	call.body = rk_buf_slice(&body);
	call.secret = password;
	rc = rk_session_perform(session, reply, &root, &call);
	rk_buf_wipe(&body);
	if (rc == RK_PDS_OK)
		rc = tokens_take(session, reply, root, did);
	json_decref(root);
	return rc;
}

static int renew(struct rk_session *session, struct rk_pds_reply *reply)
{
	const struct rk_session_request call = {.method = "com.atproto.server.refreshSession",
		.post = true,
		.header = &session->refresh,
		.most = RK_SESSION_ANSWER_MOST};
	json_t *root;
	int rc = rk_session_perform(session, reply, &root, &call);

	if (rc == RK_PDS_OK)
		rc = tokens_take(session, reply, root, rk_buf_cstr(&session->did));
	/* Of another call than what was asked for. */
	if (rc == RK_PDS_WRONG)
		reply->http_status = 0;
	json_decref(root);
	return rc;
}

int rk_session_perform_open(struct rk_session *session, struct rk_pds_reply *reply, json_t **root,
	const struct rk_session_request *call)
{
	int rc;

	*root = NULL;
	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	if (session->access.len == 0) {
		rk_pds_wrong(reply, "not logged in");
		return RK_PDS_DENIED;
	}
	rc = rk_session_perform(session, reply, root, call);
	if (rc != RK_PDS_DENIED || strcmp(reply->error, "ExpiredToken") != 0)
		return rc;
	rc = renew(session, reply);
	return rc == RK_PDS_OK ? rk_session_perform(session, reply, root, call) : rc;
}

int rk_session_ask(struct rk_session *session, struct rk_pds_reply *reply, json_t **answer,
	const struct rk_session_call *asked)
{
	struct rk_buf *const headers[] = {[RK_SESSION_AS_NOBODY] = NULL,
		[RK_SESSION_AS_USER] = &session->access,
		[RK_SESSION_AS_ADMIN] = &session->admin};
	const struct rk_session_request call = {.method = asked->method,
		.header = headers[asked->as],
		.body = asked->body,
		.secret = asked->secret,
		.post = asked->body.len > 0,
		.paces = asked->paces,
		.most = RK_SESSION_ANSWER_MOST};

	*answer = NULL;
	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	if (call.header && call.header->len == 0) {
		rk_pds_wrong(reply, "not logged in");
		return RK_PDS_DENIED;
	}
	return rk_session_perform(session, reply, answer, &call);
}
