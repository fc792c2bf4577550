/* See call.h: the way of a request, and what methods share. */
#include "xrpc/call.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/log.h"
#include "base/metrics.h"
#include "xrpc/methods.h"
#include "xrpc/view.h"

/* Replies that needed more memory than this give it back. */
enum { BODY_KEPT = 1 << 20, BODY_MOST = 64 << 20 };

int rk_call_create(struct rk_call **out, const struct rk_service *service)
{
	struct rk_call *call = calloc(1, sizeof(*call));
	int r;

	if (!call)
		return -ENOMEM;
	call->service = service;
	rk_buf_init(&call->reply.body, BODY_MOST);
	r = service->store ? rk_snapshot_create(&call->snapshot, service->store) : 0;
	if (r) {
		free(call);
		return r;
	}
	*out = call;
	return 0;
}

void rk_call_destroy(struct rk_call *call)
{
	if (!call)
		return;
	rk_snapshot_destroy(call->snapshot);
	rk_buf_finish(&call->reply.body);
	free(call);
}

void rk_call_not_ready(struct rk_call *call, const char *reasons)
{
	rk_reply_fail(&call->reply, RK_REPLY_ERROR_NOT_READY, "not ready: %s",
		reasons[0] ? reasons : "the index is not complete yet");
}

bool rk_call_doubt(struct rk_call *call)
{
	struct rk_service_status status = {0};

	call->service->status(call->service->status_context, &status);
	if (status.was_ready)
		return false;
	rk_call_not_ready(call, status.reasons);
	return true;
}

void rk_call_miss(struct rk_call *call, enum rk_reply_error error, const char *message)
{
	if (!rk_call_doubt(call))
		rk_reply_fail(&call->reply, error, "%s", message);
}

void rk_call_broken(struct rk_call *call, int r)
{
	rk_log(RK_LOG_ERROR, "xrpc", "reading the index failed", RK_LOG_INT("result", r),
		RK_LOG_STR("reason",
			r < 0 ? strerror(-r) : "a value that cannot be: run refkey check"));
	rk_reply_fail(&call->reply, RK_REPLY_ERROR_INTERNAL, "the index could not be read");
}

int rk_call_repo(struct rk_call *call, struct rk_repo *out, const struct rk_at_identifier *account)
{
	return account->is_did ? rk_read_repo_by_did(call->snapshot, out, account->text)
			       : rk_read_repo_by_handle(call->snapshot, out, account->text);
}

bool rk_call_view(struct rk_call *call, const struct rk_record *record, const struct rk_repo *repo)
{
	struct rk_record others[RK_VIEW_DUPLICATES_MOST];
	struct rk_repo found;
	uint64_t count;
	size_t given;
	int r = 0;

	if (!repo) {
		repo = &found;
		r = rk_read_repo(call->snapshot, &found, record->repo);
	}
	if (r == 0)
		r = rk_read_duplicates(
			call->snapshot, others, RK_VIEW_DUPLICATES_MOST, &count, record);
	if (r) {
		rk_call_broken(call, r);
		return false;
	}
	given = count < RK_VIEW_DUPLICATES_MOST ? (size_t)count : RK_VIEW_DUPLICATES_MOST;
	rk_view_add(&call->reply.body, record, repo, others, given, count);
	return true;
}

static bool is(struct rk_slice a, const char *b)
{
	return rk_slice_equal_str(a, b);
}

static bool is_get(const struct rk_http *http)
{
	return is(http->method, "GET") || is(http->method, "HEAD");
}

static void wrong_verb(struct rk_call *call, const char *allow)
{
	rk_reply_fail(&call->reply, RK_REPLY_ERROR_WRONG_VERB, "this answers to %s only", allow);
	call->reply.allow = allow;
}

static void method_run(struct rk_call *call, const struct rk_http *http,
	const struct rk_method *method, struct rk_slice query)
{
	int r;

	if (method->row.post ? !is(http->method, "POST") : !is_get(http)) {
		wrong_verb(call, method->row.post ? "POST" : "GET, HEAD");
		return;
	}
	/* Admin methods are not there yet: nobody is let in. */
	if (method->row.admin || !method->run) {
		if (http->authorization)
			rk_reply_fail(&call->reply, RK_REPLY_ERROR_AUTH_INVALID,
				"this authorization is not accepted");
		else
			rk_reply_fail(&call->reply, RK_REPLY_ERROR_AUTH_MISSING,
				"this method is the administrator's: Authorization: Basic is needed");
		return;
	}
	if (!rk_params_parse(&call->params, method->params, query)) {
		rk_reply_fail(
			&call->reply, RK_REPLY_ERROR_INVALID_REQUEST, "%s", call->params.error);
		return;
	}
	r = rk_snapshot_begin(call->snapshot);
	if (r) {
		rk_call_broken(call, r);
		return;
	}
	method->run(call);
	rk_snapshot_end(call->snapshot);
}

/* The path and query of a target in origin form (/path?query) or absolute form (http://host/path). */
static void target_split(struct rk_slice *path, struct rk_slice *query, struct rk_slice target)
{
	static const char *const schemes[] = {"http://", "https://"};
	const uint8_t *mark;

	for (size_t i = 0; i < 2; i++) {
		size_t from = strlen(schemes[i]);

		if (target.len >= from &&
			strncasecmp((const char *)target.data, schemes[i], from) == 0) {
			while (from < target.len && target.data[from] != '/' &&
				target.data[from] != '?')
				from++;
			target = rk_slice_sub(target, from, target.len - from);
		}
	}
	mark = target.len ? memchr(target.data, '?', target.len) : NULL;
	*path = target;
	*query = (struct rk_slice){0};
	if (mark) {
		path->len = (size_t)(mark - target.data);
		*query = rk_slice_sub(target, path->len + 1, target.len - path->len - 1);
	}
	/* Only the absolute form may go without one. */
	if (path->len == 0)
		*path = rk_slice_str("/");
}

static void route(struct rk_call *call, const struct rk_http *http)
{
	static const struct rk_slice xrpc = RK_SLICE_LIT("/xrpc/");
	const struct rk_method *method = NULL;
	const struct rk_page *page;
	struct rk_slice path, query;
	bool in_xrpc;

	if (http->target.len > RK_QUERY_MOST) {
		rk_reply_fail(&call->reply, RK_REPLY_ERROR_URI_TOO_LONG,
			"the target is longer than %d bytes", RK_QUERY_MOST);
		return;
	}
	if (is(http->method, "OPTIONS")) {
		call->reply.status = 204;
		call->reply.preflight = true;
		return;
	}
	target_split(&path, &query, http->target);
	in_xrpc = rk_slice_starts(path, xrpc);
	if (in_xrpc)
		method = rk_method_find(rk_slice_sub(path, xrpc.len, path.len - xrpc.len));
	if (method) {
		method_run(call, http, method, query);
		return;
	}
	page = rk_page_find(path);
	if (page && is_get(http))
		page->run(call);
	else if (page)
		wrong_verb(call, "GET, HEAD");
	else if (in_xrpc)
		rk_reply_fail(&call->reply, RK_REPLY_ERROR_NO_SUCH_METHOD,
			"there is no such method here");
	else
		rk_reply_fail(
			&call->reply, RK_REPLY_ERROR_NOT_FOUND, "there is nothing at this path");
}

static void call_count(const struct rk_call *call)
{
	rk_metric_add(RK_METRIC_REQUESTS, 1);
	if (call->reply.status >= 400)
		rk_metric_add(RK_METRIC_REQUESTS_REFUSED, 1);
}

void rk_call_refuse(struct rk_call *call, enum rk_reply_error error, const char *message)
{
	rk_reply_fail(&call->reply, error, "%s", message);
	call_count(call);
}

void rk_call_run(struct rk_call *call, const struct rk_http *http)
{
	struct rk_reply *reply = &call->reply;

	if (reply->body.cap > BODY_KEPT)
		rk_buf_finish(&reply->body);
	rk_reply_start(reply);
	route(call, http);
	if (rk_buf_failed(&reply->body))
		rk_reply_fail(
			reply, RK_REPLY_ERROR_INTERNAL, "the answer does not fit into memory");
	call_count(call);
}
