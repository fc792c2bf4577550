/*
 * A user's account at the PDS, in the hands of who may write to it: the app password is read from
 * MongoDB and used only to log in, once, when something is to be written. Requests keep to the PDS's
 * limits and are repeated with back-off; of every write it is known afterwards whether it is done.
 *
 * One account after the other, one thread. Everything that writes to a PDS goes through this.
 *
 * Results: 0; RK_PDS_ABSENT, INACTIVE, DENIED, WRONG (net/pds.h) of the account; RK_ACCOUNT_PUT_OFF;
 * negative: -ECANCELED, -EHOSTUNREACH (the PDS or MongoDB stayed unreachable), -ENOMEM, or what a visit
 * gave. rk_account_error has the text of all but 0.
 */
#ifndef RK_ACCOUNT_ACCOUNT_H
#define RK_ACCOUNT_ACCOUNT_H

#include <stdatomic.h>

#include "account/logins.h"
#include "atproto/cid.h"
#include "mongo/mongo.h"
#include "net/session.h"
#include "store/store.h"

/* A limit lasts longer than max_wait_ms. */
enum { RK_ACCOUNT_PUT_OFF = 100 };

struct rk_account_write;

/* Settles writes of which something is known by now, and may give others another key. 0, or a result as above. */
typedef int rk_account_look(void *context, struct rk_account_write **writes, size_t count);

struct rk_account_options {
	const char *pds;           /* origin */
	const char *bypass_key;    /* secret; NULL: none */
	int64_t max_wait_ms;       /* the longest wait for a limit; -1: any */
	unsigned failures_most;    /* in a row, and the PDS is taken for unreachable; 0: 12 */
	const atomic_bool *cancel; /* set: requests under way end; NULL: stop ends them, too */
	struct rk_logins *logins;  /* kept between users, and shared; NULL: each user logs in */
	const atomic_bool *
		stop; /* set: begin nothing more, and what is under way has a second; NULL: nothing sets it */
	/* It begins to wait for a limit, for a second or more; NULL is fine. */
	void (*waiting)(void *context, int64_t ms);
	/* Right before each request that writes, however long it was kept back: settles what is not to be written
	 * any more. NULL is fine. */
	rk_account_look *last_look;
	void *context;
};

struct rk_account_client;

/* Options' pointers and mongo, of this thread, must outlive it. NULL: no memory or a wrong origin. */
struct rk_account_client *rk_account_create(
	struct rk_mongo *mongo, const struct rk_account_options *options);
void rk_account_destroy(struct rk_account_client *account); /* NULL is fine */
const char *rk_account_error(const struct rk_account_client *account);

/* From now on it is this user's, who has a DID. Does not log in. */
int rk_account_take(struct rk_account_client *account, const struct rk_user *user)
	__attribute__((warn_unused_result));

/* All records of a collection, each once. restart: what was visited is void, it begins again; it is
 * called at the beginning too. */
int rk_account_list(struct rk_account_client *account, const char *collection,
	void (*restart)(void *context), rk_session_visit *visit, void *context)
	__attribute__((warn_unused_result));

/* Whether RK_PDS_ABSENT may be taken for "nothing is there": not where the index follows other PDSs, and never this
 * one. 0; RK_PDS_WRONG; or negative. */
int rk_account_absent(struct rk_account_client *account, struct rk_snapshot *snapshot)
	__attribute__((warn_unused_result));

enum rk_account_state {
	RK_ACCOUNT_OPEN,   /* not tried, or not known: for another run */
	RK_ACCOUNT_DONE,   /* the repo is as it was to be */
	RK_ACCOUNT_FAILED, /* it is not, and reason says why */
};

struct rk_account_write {
	struct rk_session_write write; /* texts must live until it is settled */
	enum rk_account_state state;
	char reason[256];
	bool of_account; /* FAILED: it is the account that may not, and others of it would not either */
	void *context; /* the caller's own */
};
void rk_account_settle(
	struct rk_account_write *write, enum rk_account_state state, const char *reason);

/* Writes in batches as large as the PDS takes; those that are settled already are passed over. look: after
 * an answer that left open what became of some; NULL: rk_account_look_up. With a result that is not 0, what is open was not tried or is not known. */
int rk_account_write(struct rk_account_client *account, struct rk_account_write **writes,
	size_t count, rk_account_look *look, void *context) __attribute__((warn_unused_result));

/* The next request is to write only if this is the repo's commit. If it is not, look is asked as after an
 * answer that left open what became of the writes, and what is open then is written whatever the commit is;
 * where it cannot be asked, nothing is. -ENOMEM. */
int rk_account_expect(struct rk_account_client *account, const struct rk_cid *commit)
	__attribute__((warn_unused_result));

/* Whether there is something to log in with, for a dry run: 0, RK_PDS_DENIED or negative. */
int rk_account_can_login(struct rk_account_client *account) __attribute__((warn_unused_result));
bool rk_account_is_open(const struct rk_account_client *account); /* logged in */
/* Logs in, if that was not done yet. Also what the calls below do first. */
int rk_account_login(struct rk_account_client *account) __attribute__((warn_unused_result));

/* Uploads a blob, for a record that is written soon. RK_PDS_WRONG: it is refused, or not kept as what it
 * is. */
int rk_account_upload(struct rk_account_client *account, struct rk_session_blob *out,
	struct rk_slice bytes, const char *mime) __attribute__((warn_unused_result));

/* Lists the collections of the writes: a deletion is done where there is no record, another action where
 * there is this very record; a creation has failed where there is another. */
int rk_account_look_up(struct rk_account_client *account, struct rk_account_write **writes,
	size_t count) __attribute__((warn_unused_result));

#endif
