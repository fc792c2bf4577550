/*
 * One request from target to answer, without HTTP's bytes: routing, authorization, parameters, a
 * snapshot around the method, and what methods share. A struct rk_call belongs to one thread and is
 * used for one request after the other. No h2o here, so that tests need no socket.
 */
#ifndef RK_XRPC_CALL_H
#define RK_XRPC_CALL_H

#include "xrpc/params.h"
#include "xrpc/reply.h"
#include "xrpc/xrpc.h"

/* What all threads share; does not change while they run. */
struct rk_service {
	struct rk_store *store;
	struct rk_slice source;   /* as the cursor's name has it */
	struct rk_slice hostname; /* empty: no did.json */
	void (*status)(void *context, struct rk_service_status *out);
	void *status_context;
};

/* A request as far as an answer depends on it. */
struct rk_http {
	struct rk_slice method; /* "GET" */
	struct rk_slice target; /* as on the request line */
	bool authorization;     /* there is an Authorization header */
};

struct rk_call {
	const struct rk_service *service;
	struct rk_snapshot *snapshot; /* begun while a method runs */
	struct rk_params params;
	struct rk_reply reply;
};

/* On the heap: a call is large. Negative: no memory, no reader. */
int rk_call_create(struct rk_call **out, const struct rk_service *service)
	__attribute__((warn_unused_result));
void rk_call_destroy(struct rk_call *call);

/* Answers: call->reply holds it until the next one. */
void rk_call_run(struct rk_call *call, const struct rk_http *http);
/* Answers with an error, in place of it. */
void rk_call_refuse(struct rk_call *call, enum rk_reply_error error, const char *message);

/* For methods. */

/* Something asked for is not there: while that cannot be known, the answer becomes NotReady (true). */
bool rk_call_doubt(struct rk_call *call);
/* It is all that was asked for: NotReady as above, else the error with the message. */
void rk_call_miss(struct rk_call *call, enum rk_reply_error error, const char *message);
void rk_call_not_ready(struct rk_call *call, const char *reasons);
/* A read failed: logged, answered with an internal error. */
void rk_call_broken(struct rk_call *call, int r);
/* The repo of a DID or of a verified handle: as rk_read_repo. */
int rk_call_repo(struct rk_call *call, struct rk_repo *out, const struct rk_at_identifier *account);
/* Appends the view of a record; false: answered with an error. repo may be NULL. */
bool rk_call_view(struct rk_call *call, const struct rk_record *record, const struct rk_repo *repo);

#endif
