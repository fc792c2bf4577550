/* What a session's files share: one call, as session.c makes it. */
#ifndef RK_NET_SESSION_INSIDE_H
#define RK_NET_SESSION_INSIDE_H

#include "net/session.h"

enum { RK_SESSION_ANSWER_MOST = 1 << 20 };

struct rk_session {
	struct rk_session_options options;
	struct rk_http *http;
	struct rk_pace pace;
	struct rk_buf did, access, refresh, bypass, admin; /* all but did: whole header lines */
};

struct rk_session_request {
	const char *method;    /* with its query */
	struct rk_buf *header; /* Authorization; NULL: none */
	struct rk_slice body;
	const char *secret; /* in the body: never in a message; NULL: none */
	const char *type;   /* of the body; NULL: JSON */
	bool post;
	enum rk_pace_kind counts;
	unsigned count;
	bool paces; /* the answer's limits are those of more than this method */
	size_t most;
};

/* One call. *root: the caller's, NULL unless the result is RK_PDS_OK. */
int rk_session_perform(struct rk_session *session, struct rk_pds_reply *reply, json_t **root,
	const struct rk_session_request *call) __attribute__((warn_unused_result));
/* A call as the account; a token that is too old is renewed on the way. */
int rk_session_perform_open(struct rk_session *session, struct rk_pds_reply *reply, json_t **root,
	const struct rk_session_request *call) __attribute__((warn_unused_result));

#endif
