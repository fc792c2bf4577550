/*
 * An answer before it is HTTP: status, body and the few headers that vary. Errors are one table.
 */
#ifndef RK_XRPC_REPLY_H
#define RK_XRPC_REPLY_H

#include "base/buf.h"

/* X(id, status, name) */
#define RK_REPLY_ERRORS(X)                                                                         \
	X(INVALID_REQUEST, 400, "InvalidRequest")                                                  \
	X(RECORD_NOT_FOUND, 400, "RecordNotFound")                                                 \
	X(REPO_NOT_FOUND, 400, "RepoNotFound")                                                     \
	X(AUTH_MISSING, 401, "AuthMissing")                                                        \
	X(AUTH_INVALID, 401, "AuthInvalid")                                                        \
	X(NOT_FOUND, 404, "NotFound")                                                              \
	X(WRONG_VERB, 405, "MethodNotImplemented")                                                 \
	X(BODY_TOO_LARGE, 413, "PayloadTooLarge")                                                  \
	X(URI_TOO_LONG, 414, "UriTooLong")                                                         \
	X(EXPECTATION, 417, "InvalidRequest")                                                      \
	X(RATE_LIMIT, 429, "RateLimitExceeded")                                                    \
	X(HEAD_TOO_LARGE, 431, "HeadTooLarge")                                                     \
	X(INTERNAL, 500, "InternalServerError")                                                    \
	X(NO_SUCH_METHOD, 501, "MethodNotImplemented")                                             \
	X(NOT_READY, 503, "NotReady")

enum rk_reply_error {
#define RK_REPLY_ERROR_ID(id, status, name) RK_REPLY_ERROR_##id,
	RK_REPLY_ERRORS(RK_REPLY_ERROR_ID)
#undef RK_REPLY_ERROR_ID
		RK_REPLY_ERROR_COUNT
};

struct rk_reply {
	int status;
	const char *content_type; /* static */
	const char *allow;        /* static; of 405 */
	bool preflight;           /* an answer to OPTIONS, without a body */
	struct rk_buf body;       /* kept from request to request */
};

/* An empty 200 with JSON. */
void rk_reply_start(struct rk_reply *reply);
/* Makes an error of it, whatever it was: {"error", "message"}. The text must be UTF-8. */
void rk_reply_fail(struct rk_reply *reply, enum rk_reply_error error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The first error with this status, or INTERNAL; for errors that were not made here. */
enum rk_reply_error rk_reply_error_of(int status);
/* "Not Found" for 404. */
const char *rk_reply_reason(int status);

/* JSON by hand: "name": with a comma in front unless an object or array was just opened. The name is
 * ours and needs no escapes. */
void rk_json_key(struct rk_buf *out, const char *name);
void rk_json_str(struct rk_buf *out, const char *name, const char *value);
void rk_json_text(struct rk_buf *out, const char *name, struct rk_slice utf8);
void rk_json_number(struct rk_buf *out, const char *name, int64_t value);
void rk_json_bool(struct rk_buf *out, const char *name, bool value);
/* A comma between the items of an array, unless it was just opened. */
void rk_json_item(struct rk_buf *out);

#endif
