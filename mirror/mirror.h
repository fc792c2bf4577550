/*
 * The MongoDB side: keeps documents as the contract's recovery table says, from the pending work that
 * the index holds, and tells the index what it saw (link, owner, issues). One thread of its own,
 * because the driver blocks; MongoDB may be away for days, the work stays in the index.
 */
#ifndef RK_MIRROR_MIRROR_H
#define RK_MIRROR_MIRROR_H

#include <stdatomic.h>

#include "store/writer.h"

enum rk_recover_mode { RK_RECOVER_OFF, RK_RECOVER_NEW, RK_RECOVER_ALL };
enum rk_on_delete { RK_ON_DELETE_SOFT, RK_ON_DELETE_UNLINK, RK_ON_DELETE_KEEP };

struct rk_mirror_options {
	const char *uri; /* a secret: never logged whole */
	const char *database;
	unsigned batch; /* statements in one bulk command */
	enum rk_recover_mode recover;
	enum rk_on_delete on_delete;
	const char *guest_user; /* users._id that owns documents without a user */
	unsigned sweep_seconds; /* how often all documents are read and links re-evaluated */
	bool on_request_only;   /* no work of its own: only what rk_mirror_recover asks */
};

struct rk_mirror;

/* Strings in options must outlive the mirror. Returns with the thread running; MongoDB need not be
 * there. Negative: no memory, or a URI the driver refuses (-EINVAL). */
int rk_mirror_create(struct rk_mirror **out, struct rk_store *store, struct rk_writer *writer,
	const struct rk_mirror_options *options) __attribute__((warn_unused_result));
void rk_mirror_destroy(struct rk_mirror *mirror);
/* New pending work may be in the index. Any thread, cheap. */
void rk_mirror_wake(struct rk_mirror *mirror);
/* The repos that were awaited are in: what a sweep could not tell before, it can now. Any thread, cheap. */
void rk_mirror_filled(struct rk_mirror *mirror);
/* Returns once whatever the mirror had in hand when it was called is over: what it begins later sees the
 * index as it is now. Any thread but the mirror's. */
void rk_mirror_settle(struct rk_mirror *mirror);
bool rk_mirror_connected(const struct rk_mirror *mirror);

/* refkey recover: the same work on request, also for records that a first backfill found. Runs on the
 * mirror's thread between its own batches; the call returns when it is done. */
struct rk_recover_request {
	const char *const *users; /* @handle, DID or users._id; ended by NULL; NULL: all */
	const char *const *skip;  /* likewise */
	uint64_t limit;           /* records written at most; 0: no limit */
	uint64_t batch_size;      /* 0: the setting */
	uint64_t delay_ms;        /* between bulks */
	bool dry_run, restore;
	/* Called now and then from the mirror's thread with the counts so far. May be NULL. */
	void (*progress)(void *context, uint64_t done, uint64_t total);
	/* Each record that something was, or would be, done for. May be NULL. */
	void (*line)(void *context, const char *uri, const char *ref, const char *action);
	void *context;
	const atomic_bool *stop; /* set: end cleanly with what was done; NULL */
};

/* X(id, name, text): what became of a record. */
#define RK_RECOVER_OUTCOMES(X)                                                                     \
	X(LINKED, "linked", "atproto.rkey set")                                                    \
	X(INSERTED, "inserted", "document inserted")                                               \
	X(UPDATED, "updated", "fields updated")                                                    \
	X(UNCHANGED, "unchanged", "already linked")                                                \
	X(WAITING, "waiting", "too young, or its account is not active: looked at again later")    \
	X(DUPLICATE, "duplicate", "another record of the document is live")                        \
	X(CONFLICT, "conflict", "the document, or the code, is somebody else's")                   \
	X(ORPHAN, "orphan", "the document is deleted, or was removed")                             \
	X(ABSENT, "absent", "no document; not inserted")                                           \
	X(UNCLAIMED, "unclaimed", "no user has the DID")                                           \
	X(INVALID, "invalid", "the record fails its lexicon")                                      \
	X(SUSPECT, "suspect", "the ref's time is in the future")                                   \
	X(REJECTED, "rejected", "refused by MongoDB")                                              \
	X(FORGOTTEN, "forgotten", "of a forgotten user")                                           \
	X(FAILED, "failed", "could not be done")

enum rk_recover_outcome {
#define RK_OUTCOME_ID(id, name, text) RK_RECOVER_##id,
	RK_RECOVER_OUTCOMES(RK_OUTCOME_ID)
#undef RK_OUTCOME_ID
		RK_RECOVER_OUTCOME_COUNT
};
struct rk_recover_outcome_row {
	const char *name, *text;
};
extern const struct rk_recover_outcome_row rk_recover_outcome_rows[RK_RECOVER_OUTCOME_COUNT];

struct rk_recover_summary {
	uint64_t records; /* looked at */
	uint64_t counts[RK_RECOVER_OUTCOME_COUNT];
	bool stopped, limited;
	char error[256];
};
/* 0 done (failures are in the counts), -EHOSTUNREACH MongoDB stayed unreachable (30 s), -ENOENT a
 * user is not known (error says which), or negative. */
int rk_mirror_recover(struct rk_mirror *mirror, struct rk_recover_summary *out,
	const struct rk_recover_request *request) __attribute__((warn_unused_result));

#endif
