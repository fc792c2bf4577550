/*
 * Erasing a user: the records of our collections on the PDS, the documents, the entries of undo files, what
 * the index holds; then a look at every side whether it is so. First of all comes the tombstone in the
 * index, on disk before anything goes: from then on nothing is taken in, published or written for the
 * account (store/write.h), and what is deleted has no other effect. Each step may be done again, so that
 * a run that was stopped or killed anywhere is continued by the next.
 */
#ifndef RK_REPAIR_FORGET_H
#define RK_REPAIR_FORGET_H

#include "mirror/mirror.h"
#include "mongo/users.h"

struct rk_forget_options {
	const char *mongo_uri, *database; /* secret */
	const char *guest_user;
	const char *pds;        /* origin */
	const char *bypass_key; /* secret; NULL: none */
	const char *data_dir;
};

/* X(id, name, text): where something of a user may be, in the order in which it goes. */
#define RK_FORGET_SIDES(X)                                                                         \
	X(PDS, "pds", "PDS")                                                                       \
	X(MONGO, "mongo", "MongoDB")                                                               \
	X(UNDO, "undo", "Undo files")                                                              \
	X(INDEX, "index", "Index")

enum rk_forget_side {
#define RK_SIDE_ID(id, name, text) RK_FORGET_##id,
	RK_FORGET_SIDES(RK_SIDE_ID)
#undef RK_SIDE_ID
		RK_FORGET_SIDE_COUNT
};
struct rk_forget_side_row {
	const char *name, *text;
};
extern const struct rk_forget_side_row rk_forget_side_rows[RK_FORGET_SIDE_COUNT];

struct rk_forget_counts {
	uint64_t of[RK_FORGET_SIDE_COUNT][RK_COLLECTION_COUNT];
	bool unread[RK_FORGET_SIDE_COUNT]; /* nobody knows how many */
};
uint64_t rk_forget_sum(const struct rk_forget_counts *counts, enum rk_forget_side side);

struct rk_forget_request {
	const char *name;    /* @handle, DID or users._id */
	bool yes;            /* else it only says what there is */
	int64_t max_wait_ms; /* the longest wait for a limit of the PDS; -1: any */
	/* All from the calling thread; NULL is fine. Borrowed for the call. found: without yes also where the PDS
	 * could not be read, of which the result tells. */
	void (*found)(void *context, const struct rk_user *user, bool forgotten,
		const struct rk_forget_counts *counts);
	/* So much went; of the index: and it is compacted. */
	void (*cleaned)(void *context, enum rk_forget_side side, uint64_t count);
	/* So many of all that was found, on all sides, are gone. */
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void (*waiting)(void *context, int64_t ms);
	void *context;
	const atomic_bool *stop; /* set: end before the next step */
};

struct rk_forget_summary {
	uint64_t removed[RK_FORGET_SIDE_COUNT];
	bool clean; /* nothing was left when it looked again; without yes: it is forgotten, and nothing is left */
	bool stopped; /* by request */
	int stuck;    /* enum rk_forget_side: it could not be cleaned, error says why; -1: none */
	char error[256];
};

/* 0: done (summary: clean), or a side is stuck; -ENOENT, -EPERM: no such user, or one that cannot be
 * forgotten (error says which); -EHOSTUNREACH: MongoDB or the PDS stayed unreachable; or negative. mirror:
 * NULL where none is running. */
int rk_forget_run(struct rk_store *store, struct rk_writer *writer, struct rk_mirror *mirror,
	struct rk_forget_summary *out, const struct rk_forget_options *options,
	const struct rk_forget_request *request) __attribute__((warn_unused_result));

#endif
