/*
 * One account's session with its PDS, by app password: logging in, reading its own records, writing
 * in batches. Blocking, one thread. What the PDS says of its limits is kept in a pace (net/pace.h),
 * which the caller asks before each request.
 *
 * Results are those of net/pds.h; RK_PDS_DENIED: the login is refused, or was taken back. Source:
 * lexicons com.atproto.server.{createSession,refreshSession}, com.atproto.repo.{applyWrites,
 * listRecords,uploadBlob}. Neither passwords nor tokens are in any message, whatever the PDS says.
 */
#ifndef RK_NET_SESSION_H
#define RK_NET_SESSION_H

#include <jansson.h>

#include "net/pace.h"
#include "net/pds.h"

/* Of one applyWrites, by the reference PDS. */
enum { RK_SESSION_WRITES_MOST = 200, RK_SESSION_BYTES_MOST = 900 * 1000 };

struct rk_session_options {
	struct rk_http_options http;
	const char *origin;         /* of the PDS */
	const char *bypass_key;     /* sent as x-ratelimit-bypass; NULL: none */
	const char *admin_password; /* of the PDS; NULL: none */
	long timeout_ms;            /* of one answer; 0: 60 s */
	long idle_ms;               /* without a byte; 0: 30 s */
};

struct rk_session;

/* NULL: no memory or a wrong trusted origin. Options' pointers must outlive it. */
struct rk_session *rk_session_create(const struct rk_session_options *options);
void rk_session_destroy(struct rk_session *session); /* NULL is fine */
struct rk_pace *rk_session_pace(struct rk_session *session);

/* Logs in; one account after the other may use a session, each with a pace of its own. */
int rk_session_open(struct rk_session *session, struct rk_pds_reply *reply, const char *did,
	const char *password) __attribute__((warn_unused_result));

/* A login apart from its session, for another one to go on with. Zeroed: none. */
struct rk_session_login {
	struct rk_buf did;
	struct rk_buf access, refresh; /* secret: header lines */
	struct rk_pace pace;
};
void rk_session_login_finish(struct rk_session_login *login);
/* Moves the login out of a session, which then has none, and into one. */
void rk_session_leave(struct rk_session *session, struct rk_session_login *out);
void rk_session_resume(struct rk_session *session, struct rk_session_login *login);

enum rk_session_as { RK_SESSION_AS_NOBODY, RK_SESSION_AS_USER, RK_SESSION_AS_ADMIN };
struct rk_session_call {
	const char *method; /* with its query */
	enum rk_session_as as;
	struct rk_slice body; /* JSON: a procedure; empty: a query */
	const char *secret;   /* in the body; NULL: none */
	bool paces;           /* the answer's limits are the pace's */
};
/* Any other call that answers with an object. *answer: the caller's to json_decref, NULL unless the
 * result is RK_PDS_OK. */
int rk_session_ask(struct rk_session *session, struct rk_pds_reply *reply, json_t **answer,
	const struct rk_session_call *call) __attribute__((warn_unused_result));

enum rk_session_action {
	RK_SESSION_CREATE,
	RK_SESSION_UPDATE,
	RK_SESSION_DELETE,
	RK_SESSION_ACTION_COUNT
};
/* What an action counts, of net/pace.h. */
unsigned rk_session_points(enum rk_session_action action);

struct rk_session_write {
	enum rk_session_action action;
	const char *collection, *rkey;
	struct rk_slice record; /* JSON, with its $type; empty for a deletion */
};
/* applyWrites of all, or of none. After RK_PDS_RETRY it is not known which: look. The reference PDS
 * answers so, with a 500, also where a create's key is taken or the record of a deletion is absent. A
 * token that is too old is renewed on the way. *told: the yes names a result for each write; without (the
 * lexicon allows it, and it may be no JSON), look. swap: only if this is the CID of the repo's commit, else RK_PDS_WRONG with
 * RK_SESSION_SWAPPED for its error; NULL: whatever it is. */
#define RK_SESSION_SWAPPED "InvalidSwap"
int rk_session_apply_writes(struct rk_session *session, struct rk_pds_reply *reply, bool *told,
	const struct rk_session_write *writes, size_t count, const char *swap)
	__attribute__((warn_unused_result));

struct rk_session_blob {
	char ref[128]; /* CID */
	char mime[64]; /* what the PDS takes it for */
	uint64_t size;
};
/* uploadBlob. The blob is kept for a record that is written soon; the same bytes may be uploaded again.
 * What the answer says of them is for the caller to compare. */
int rk_session_upload_blob(struct rk_session *session, struct rk_pds_reply *reply,
	struct rk_session_blob *out, struct rk_slice bytes, const char *mime)
	__attribute__((warn_unused_result));

struct rk_session_record {
	struct rk_slice rkey, cid; /* as said; cid may be empty */
	const void *value;         /* json_t */
};
/* Everything borrowed for the call. Non-zero ends the listing and is returned by it: negative. */
typedef int rk_session_visit(void *context, const struct rk_session_record *record);
/* All records of a repo's collection, page by page; needs no login. Waits where the pace says so, unless
 * that is longer than wait_most_ms: then RK_PDS_RETRY with the time. RK_PDS_WRONG: what is listed is not all
 * of that repo and collection, or does not end: a cursor comes again, or there are 10,000 pages. */
int rk_session_list(struct rk_session *session, struct rk_pds_reply *reply, const char *did,
	const char *collection, int64_t wait_most_ms, rk_session_visit *visit, void *context)
	__attribute__((warn_unused_result));

#endif
