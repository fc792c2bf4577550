/*
 * Who is who in MongoDB: users' _ids, DIDs and @handles, as last read. Read whole because a DID's user
 * and a user's DID are both asked for with every record; passwords beside the DIDs are never read.
 *
 * Filling (rk_users_add, rk_users_seal) is apart from reading it from the server (mongo/mongo.h).
 */
#ifndef RK_MONGO_USERS_H
#define RK_MONGO_USERS_H

#include "base/arena.h"
#include "base/slice.h"

struct rk_user {
	struct rk_slice id;     /* users._id */
	struct rk_slice did;    /* empty: no ATProto account */
	struct rk_slice handle; /* without "@"; empty: none */
};

enum { RK_USERS_ERROR = 256 };

/* A zeroed struct is an empty table. */
struct rk_users {
	struct rk_arena arena;
	struct rk_user *list; /* by id, once sealed */
	uint32_t *by_did;     /* places in list of those with a DID, by DID */
	size_t count, with_did, room;
	int64_t loaded_ms; /* monotonic; 0: never */
};

void rk_users_finish(struct rk_users *users); /* leaves an empty table */
/* Slices are copied. 0 or -ENOMEM. */
int rk_users_add(struct rk_users *users, const struct rk_user *user)
	__attribute__((warn_unused_result));
/* Sorts. Ids are taken to be distinct; of several users with one DID the first id counts. */
int rk_users_seal(struct rk_users *users) __attribute__((warn_unused_result));

/* NULL: no such user. Borrowed until the table is finished. */
struct rk_user *rk_users_by_id(const struct rk_users *users, struct rk_slice id);
const struct rk_user *rk_users_by_did(const struct rk_users *users, struct rk_slice did);
/* As --user takes them: @handle (any case), a DID, or an _id. NULL: nobody's, or a handle or DID that several
 * have; error says which. */
const struct rk_user *rk_users_by_name(
	const struct rk_users *users, struct rk_slice name, char error[RK_USERS_ERROR]);
/* All that names, ended by NULL, stand for, ended by NULL, to be freed; *out is NULL where there are none.
 * 0, -ENOMEM, or -ENOENT with error as of rk_users_by_name. */
int rk_users_by_names(const struct rk_users *users, const struct rk_user ***out,
	const char *const *names, char error[RK_USERS_ERROR]) __attribute__((warn_unused_result));

/* For how long users are good for at least that took so long to be read: reading them takes one part in
 * twenty of the time at most; but one reading that was slow is no reason not to see who is new for long. */
int64_t rk_users_good_ms(int64_t took_ms);

#endif
