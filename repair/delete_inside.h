/* What deleting's files share: what a name means (delete.c), and doing it (delete_target.c). */
#ifndef RK_REPAIR_DELETE_INSIDE_H
#define RK_REPAIR_DELETE_INSIDE_H

#include "account/account.h"
#include "mongo/mongo.h"
#include "records/document.h"
#include "repair/delete.h"

/* A record of the repo that was listed last. Texts are in the listing's arena. */
struct rk_delete_listed {
	const char *rkey;
	struct rk_slice ref; /* normal; empty: none */
	bool gone;           /* deleted since */
};

struct rk_deleting {
	const struct rk_delete_options *options;
	const struct rk_delete_request *request;
	struct rk_delete_summary *summary;
	struct rk_mongo *mongo;
	struct rk_account_client *account;
	struct rk_snapshot *snapshot;
	struct rk_users users;

	struct rk_arena list_arena;
	struct rk_delete_listed *list;
	size_t count, room;
	struct rk_buf list_did; /* whose it is */
	int list_collection;    /* -1: nothing is listed */
};

/* One name in one collection. */
struct rk_delete_target {
	const char *name;
	int collection;
	struct rk_user user;  /* id empty: nobody of the site; did empty: without an account */
	struct rk_slice ref;  /* every record with it goes; empty: by key alone */
	struct rk_slice rkey; /* the record with it goes; empty: by ref alone */
	const struct rk_document *document;
	const char *reason;
	const char **rkeys; /* in the listing's arena */
	size_t rkey_count;
	bool marked;
};

int rk_delete_mongo_result(struct rk_deleting *d, int r);
void rk_delete_tell(
	struct rk_deleting *d, const struct rk_delete_target *t, enum rk_delete_outcome outcome);
/* Whether the record is another document's than the one with this ref. */
bool rk_delete_is_another(const struct rk_delete_listed *one, struct rk_slice ref);
/* What the owner's repo has of the collection, listed now or for the name before. Positive: the target
 * fails, its reason is set. */
int rk_delete_list(struct rk_deleting *d, struct rk_delete_target *t)
	__attribute__((warn_unused_result));
/* Deletes and marks a target whose repo is listed, and tells it. 0, or what ends the run. */
int rk_delete_carry_out(struct rk_deleting *d, struct rk_delete_target *t)
	__attribute__((warn_unused_result));

#endif
