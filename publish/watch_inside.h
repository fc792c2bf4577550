/* What the dual write's two halves share: what a look finds (watch_look.c), a turn does (watch.c). */
#ifndef RK_PUBLISH_WATCH_INSIDE_H
#define RK_PUBLISH_WATCH_INSIDE_H

#include "mongo/changes.h"
#include "mongo/publish.h"
#include "publish/later.h"
#include "publish/watch.h"

/* Kinds of keys of `later`. */
enum {
	RK_WATCH_OF_DOCUMENT = 'd',
	RK_WATCH_OF_USER = 'u',  /* over the account of whom the PDS fails */
	RK_WATCH_NOT_YET = 'n',  /* no failure */
	RK_WATCH_NOT_OURS = 'o', /* an orphan that is not to be touched */
};

struct rk_watch_candidate {
	struct rk_oid id;
	const struct rk_user *user;
	int64_t when_ms;
	bool gone;
	char *rkey; /* gone: in the arena */
};

struct rk_watching {
	struct rk_store *store;
	struct rk_writer *writer;
	const struct rk_publish_options *options;
	const struct rk_watch_request *request;
	const struct rk_collection *collection;
	struct rk_watch_summary *summary;
	struct rk_snapshot *snapshot;
	struct rk_mongo *mongo;           /* NULL: not connected */
	struct rk_mongo_changes *changes; /* NULL: not asked for, or the server tells of none */
	bool changes_asked;               /* of this connection */
	struct rk_users users;
	int64_t users_took_ms;
	const struct rk_user *guest;
	struct rk_arena names;
	struct rk_slice *only, *skip; /* _ids of those who were named; NULL: nobody was */
	size_t only_count, skip_count;
	bool accountless; /* the last look saw owners without an account */
	struct rk_later later;
	struct rk_logins *logins;

	/* Of a look. */
	struct rk_arena arena;
	struct rk_watch_candidate *list; /* once judged, those that are due */
	size_t count, room;
	uint64_t waiting, failing;
	int64_t took_ms;

	/* Of a turn. */
	bool *told; /* by place in list */
	uint64_t done;
};

static inline uint64_t rk_watch_document_key(char kind, const struct rk_oid *id)
{
	return rk_later_key(kind, rk_slice_make(id->bytes, sizeof(id->bytes)));
}

static inline uint64_t rk_watch_user_key(const struct rk_user *user)
{
	return rk_later_key(RK_WATCH_OF_USER, user->id);
}

void rk_watch_figures_set(struct rk_watching *w, uint64_t waiting, uint64_t failing);
/* Documents to be published by id, then those to be withdrawn by user. */
int rk_watch_order(const void *a, const void *b);
/* Fills list with what is due, in that order. 0, -EIO (MongoDB), -ENOENT (a user, the first time), … */
int rk_watch_look(struct rk_watching *w) __attribute__((warn_unused_result));

#endif
