/*
 * What refkey asks a PDS, a relay or a DID directory, one blocking call each. One client per
 * thread.
 *
 * Every call tells apart what an answer means to the caller: it is there, it is absent, the account
 * is not active, ask again later, or the answer is wrong. Nothing here decides what follows from
 * it. Source: atproto.com/specs/xrpc, lexicons com.atproto.sync.*,
 * com.atproto.server.describeServer, com.atproto.identity.resolveHandle; atproto.com/specs/did.
 */
#ifndef RK_NET_PDS_H
#define RK_NET_PDS_H

#include "net/http.h"

enum rk_pds_result {
	RK_PDS_OK,
	/* The server knows that there is no such account, record, handle or DID. */
	RK_PDS_ABSENT,
	/* The account is not active: reply->account_status. */
	RK_PDS_INACTIVE,
	/* Could not be asked now: network, 408, 429, 5xx. */
	RK_PDS_RETRY,
	/* An answer that is none: malformed, too long, redirected, another refusal, or an address
	 * that may not be asked. */
	RK_PDS_WRONG,
	/* The login, or what it is good for, is refused (net/session.h alone). */
	RK_PDS_DENIED,
};

/* Text of a result, for logs and counters. */
const char *rk_pds_result_name(int result);

struct rk_pds_reply {
	long http_status;        /* 0: no answer came */
	int64_t retry_after_ms;  /* RK_PDS_RETRY: what the server asked for; -1: nothing */
	char account_status[16]; /* RK_PDS_INACTIVE: as #account names it, "deactivated" ... */
	char error[64];          /* name of the XRPC error; "" if there is none */
	char message[256];       /* for the log, whenever the result is not RK_PDS_OK */
};

struct rk_pds_options {
	struct rk_http_options http;
	long timeout_ms;      /* of a small answer; 0: 30 s */
	long idle_ms;         /* without a byte; 0: 15 s */
	long repo_timeout_ms; /* of a repo; 0: 20 min */
	const char *
		bypass_key; /* sent as x-ratelimit-bypass to one origin, nowhere else; NULL: none */
	const char *bypass_origin;
};

struct rk_pds;

/* NULL: no memory or a wrong trusted origin. Options' pointers must outlive the client. */
struct rk_pds *rk_pds_create(const struct rk_pds_options *options);
void rk_pds_destroy(struct rk_pds *pds); /* NULL is fine */

/*
 * The calls. origin is scheme://host[:port]. Result: enum rk_pds_result, with *reply filled in;
 * negative is our own trouble: -ENOMEM, -ECANCELED, -ENOSPC and what opening the spool file gave.
 * Texts from the server are checked for being JSON only: parse them before use.
 */

/* The DID the server calls itself by is appended to *did. */
int rk_pds_describe_server(struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_buf *did,
	const char *origin) __attribute__((warn_unused_result));

enum { RK_PDS_REV_SIZE = 32 };

struct rk_pds_repo {
	struct rk_slice did, head, rev; /* head and rev empty if not given */
	struct rk_slice status;         /* empty if not given */
	bool active;                    /* true if not given */
};
enum { RK_PDS_REPO_OLD = 1 };
/* Everything borrowed for the call. 0, or RK_PDS_REPO_OLD for an entry that says nothing new: a page
 * without any other ends the listing. Negative ends it at once and is returned by it. */
typedef int rk_pds_visit_repo(void *user, const struct rk_pds_repo *repo);

/* All repos of a host, page by page; entries without a DID are left out. Ends without a cursor,
 * with a page of nothing new or when cursors go round. A failure in mid-list: what was visited stays
 * visited. */
int rk_pds_list_repos(struct rk_pds *pds, struct rk_pds_reply *reply, const char *origin,
	rk_pds_visit_repo *visit, void *user) __attribute__((warn_unused_result));

/* The same for the repos that have records of a collection, which relays know; entries are DIDs and no
 * more. */
int rk_pds_list_repos_by_collection(struct rk_pds *pds, struct rk_pds_reply *reply,
	const char *origin, const char *collection, rk_pds_visit_repo *visit, void *user)
	__attribute__((warn_unused_result));

/* How a repo stands at its host. OK: the account is active; *rev gets the text of its rev, empty if it is
 * not given. INACTIVE, ABSENT: as for its repo. */
int rk_pds_repo_status(struct rk_pds *pds, struct rk_pds_reply *reply, char rev[RK_PDS_REV_SIZE],
	const char *origin, const char *did) __attribute__((warn_unused_result));

/* Where the bytes of a repo go. */
struct rk_pds_spool {
	const char *dir;
	size_t bytes_most;
	rk_http_watch *watch; /* may end it; NULL: nobody looks on */
	void *watch_context;
	int fd; /* set by the call, as is the next: the caller's to close; -1: there is none */
	size_t size;
};

/* The repo's CAR in an unlinked file, read from its start; there is one only with RK_PDS_OK. More than
 * bytes_most is RK_PDS_WRONG. One that comes at less than 16 KiB a second, twice idle_ms aside, is
 * RK_PDS_RETRY; -ECONNABORTED, ended by watch. */
int rk_pds_get_repo(struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_pds_spool *spool,
	const char *origin, const char *did) __attribute__((warn_unused_result));

/* The DID is appended to *did. ABSENT: the server finds none for the handle. */
int rk_pds_resolve_handle(struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_buf *did,
	const char *origin, const char *handle) __attribute__((warn_unused_result));

enum { RK_PDS_DID_DOCUMENT_MOST = 256 << 10 };

/* Whether a DID is one of the two kinds that ATProto has, so that its document can be asked for. */
bool rk_pds_did_is_known(const char *did);
/* The document's bytes are appended to *json. did:plc is asked at the directory, did:web at its
 * host, which has a port only if it is localhost; others are RK_PDS_WRONG. ABSENT: 404, or 410 of a
 * tombstone (reply->http_status). */
int rk_pds_did_document(struct rk_pds *pds, struct rk_pds_reply *reply, struct rk_buf *json,
	const char *directory, const char *did) __attribute__((warn_unused_result));

#endif
