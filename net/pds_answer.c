/* See pds_answer.h. */
#include "net/pds_answer.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "base/clock.h"

const char *rk_pds_result_name(int result)
{
	static const char *const names[] = {"ok", "absent", "inactive", "retry", "wrong", "denied"};

	if (result < 0)
		return "failed";
	return (size_t)result < sizeof(names) / sizeof(names[0]) ? names[result] : "unknown";
}

/* What an answer means */

static const struct {
	const char *error;
	enum rk_pds_result result;
	const char *account_status;
} named_errors[] = {
	{"RepoNotFound", RK_PDS_ABSENT, ""},
	{"RecordNotFound", RK_PDS_ABSENT, ""},
	{"HandleNotFound", RK_PDS_ABSENT, ""},
	{"AccountNotFound", RK_PDS_ABSENT, ""},
	{"RepoDeactivated", RK_PDS_INACTIVE, "deactivated"},
	{"RepoTakendown", RK_PDS_INACTIVE, "takendown"},
	{"RepoSuspended", RK_PDS_INACTIVE, "suspended"},
	{"MethodNotImplemented", RK_PDS_WRONG, ""},
	{"XRPCNotSupported", RK_PDS_WRONG, ""},
};

int rk_pds_wrong(struct rk_pds_reply *reply, const char *message)
{
	snprintf(reply->message, sizeof(reply->message), "%s", message);
	return RK_PDS_WRONG;
}

/* Statuses that say nothing about what was asked for. */
static bool is_passing(long status)
{
	return status == 408 || status == 429 || (status >= 500 && status != 501);
}

/* Our own trouble goes up as it is, the network's becomes a result. */
static int classify_failure(
	struct rk_pds_reply *reply, const struct rk_http_response *response, int rc)
{
	reply->http_status = response->status;
	snprintf(reply->message, sizeof(reply->message), "%s", response->error);
	switch (rc) {
	case -ENOMEM:
	case -ECANCELED:
	case -ECONNABORTED:
	case -ENOSPC:
		return rc;
	case -EFBIG: /* it may be the error page of a proxy */
		return is_passing(response->status) ? RK_PDS_RETRY : RK_PDS_WRONG;
	case -EACCES:
	case -EINVAL:
		return RK_PDS_WRONG;
	default:
		return RK_PDS_RETRY;
	}
}

/* {error, message}, if the body is that. */
static void take_xrpc_error(struct rk_pds_reply *reply, struct rk_slice body)
{
	json_t *root = json_loadb((const char *)body.data, body.len, 0, NULL);
	const char *error = json_string_value(json_object_get(root, "error"));
	const char *message = json_string_value(json_object_get(root, "message"));

	if (error && strlen(error) < sizeof(reply->error))
		snprintf(reply->error, sizeof(reply->error), "%s", error);
	if (*reply->error || message)
		snprintf(reply->message, sizeof(reply->message), "HTTP %ld %s: %s",
			reply->http_status, reply->error, message ? message : "");
	else
		snprintf(reply->message, sizeof(reply->message), "HTTP %ld without an XRPC error",
			reply->http_status);
	json_decref(root);
}

/* A wait the server names in either way it can. */
static int64_t asked_wait_ms(const struct rk_http_response *response)
{
	int64_t wait;

	if (response->retry_after_ms >= 0)
		return response->retry_after_ms;
	if (response->status != 429 || response->ratelimit_reset < 0)
		return -1;
	wait = response->ratelimit_reset * 1000 - rk_clock_wall_ms();
	return wait < 0 ? 0 : wait > RK_HTTP_RETRY_MOST_MS ? RK_HTTP_RETRY_MOST_MS : wait;
}

/* xrpc: a 404 counts as absent only with an XRPC error; a proxy in front of a PDS that is down, or
 * a host that is none, answers 404 too, and that must not look like a deleted account. */
static int classify(struct rk_pds_reply *reply, const struct rk_http_response *response, bool xrpc)
{
	long status = reply->http_status = response->status;

	if (status == 200)
		return RK_PDS_OK;
	take_xrpc_error(reply, rk_buf_slice(&response->body));
	if (is_passing(status)) {
		reply->retry_after_ms = asked_wait_ms(response);
		return RK_PDS_RETRY;
	}
	if (status < 400 || status == 501)
		return RK_PDS_WRONG;
	for (size_t i = 0; xrpc && i < sizeof(named_errors) / sizeof(named_errors[0]); i++) {
		if (strcmp(reply->error, named_errors[i].error) != 0)
			continue;
		snprintf(reply->account_status, sizeof(reply->account_status), "%s",
			named_errors[i].account_status);
		return named_errors[i].result;
	}
	/* What a proxy says of a path is nothing about an account. */
	if ((status == 404 || status == 410) && !xrpc)
		return RK_PDS_ABSENT;
	return RK_PDS_WRONG;
}

int rk_pds_answer(
	struct rk_pds_reply *reply, const struct rk_http_response *response, int rc, bool xrpc)
{
	return rc < 0 ? classify_failure(reply, response, rc) : classify(reply, response, xrpc);
}

void rk_pds_secret_hide(
	struct rk_pds_reply *reply, const struct rk_http_response *response, const char *secret)
{
	if (!secret || !*secret || response->body.len == 0 ||
		(!memmem(response->body.data, response->body.len, secret, strlen(secret)) &&
			!strstr(reply->message, secret) && !strstr(reply->error, secret)))
		return; /* in JSON it may be written otherwise */
	if (strstr(reply->error, secret))
		reply->error[0] = '\0';
	snprintf(reply->message, sizeof(reply->message),
		"HTTP %ld %s: what the PDS says is not shown, for it repeats a secret",
		reply->http_status, reply->error);
}
