/*
 * MongoDB to ATProto: records for the living documents that name none, written with each user's own
 * app password. Several users at once; `atproto.rkey` is set only after the PDS said yes, and what is on
 * the PDS already, by its ref, is linked, not written again. Existing records are never changed.
 *
 * May be stopped anywhere, killed too: a record's key follows from its document (records/key.h), and
 * before anything is written to a repo all of its records are listed; or the index says what it has, and the
 * PDS is to write only if the repo is still at the commit that the index is at (known.c).
 */
#ifndef RK_PUBLISH_PUBLISH_H
#define RK_PUBLISH_PUBLISH_H

#include <stdatomic.h>

#include "account/logins.h"
#include "mongo/users.h"
#include "records/collections.h"
#include "store/store.h"

struct rk_publish_options {
	const char *mongo_uri, *database; /* secret */
	unsigned mongo_batch;             /* statements in one bulk command */
	const char *guest_user;
	/* REFKEY_THREADS: users at once are four times as many, 8 to 64; with images twice that, 64 at most. */
	unsigned threads;
	const char *pds;        /* origin */
	const char *bypass_key; /* secret; NULL: none */
	const char *data_dir;   /* images lie there while they are looked at */
	const char *images; /* origin that has the images in place of their own; NULL: their own */
};

/* X(id, name, text): what became of a document. */
#define RK_PUBLISH_OUTCOMES(X)                                                                     \
	X(CREATED, "created", "record written")                                                    \
	X(LINKED, "linked", "the record was there already")                                        \
	X(SKIPPED, "skipped", "no ATProto account, or no longer to be published")                  \
	X(FAILED, "failed", "could not be done")

enum rk_publish_outcome {
#define RK_OUTCOME_ID(id, name, text) RK_PUBLISH_##id,
	RK_PUBLISH_OUTCOMES(RK_OUTCOME_ID)
#undef RK_OUTCOME_ID
		RK_PUBLISH_OUTCOME_COUNT
};
struct rk_publish_outcome_row {
	const char *name, *text;
};
extern const struct rk_publish_outcome_row rk_publish_outcome_rows[RK_PUBLISH_OUTCOME_COUNT];

/* One document. Texts are borrowed for the call. */
struct rk_publish_line {
	uint64_t n, total;
	const struct rk_user *user;
	const char *ref;  /* its _id, for people where it is no ObjectId */
	const char *rkey; /* "": none */
	const char *words;
	enum rk_publish_outcome outcome;
	const char *reason; /* "": none */
	bool of_account;    /* FAILED: it is the user's account, not the document */
};

/* Documents of one user who has no ATProto account (or was forgotten). */
struct rk_publish_without {
	struct rk_slice id, handle; /* handle empty: none */
	const char *email;          /* "": none */
	const char *reason;
	uint64_t count;
};

/* A document to be published. */
struct rk_publish_candidate {
	const struct rk_user *user;
	int64_t when_ms; /* 0: none */
	struct rk_oid id;
};

/* Some documents, which somebody has found to be published (watch.h). */
struct rk_publish_some {
	const struct rk_publish_candidate *list; /* of users of `users` */
	size_t count;
	const struct rk_users *users; /* with handles */
	struct rk_logins *logins;
};

struct rk_publish_request {
	enum rk_collection_id collection;
	const char *const *users; /* as rk_recover_request */
	const char *const *skip;
	uint64_t limit;      /* records written or linked at most; 0: no limit */
	uint64_t batch_size; /* records in one applyWrites; 0: as many as it takes */
	uint64_t delay_ms;   /* between batches, and then one user at a time; 0: none */
	int64_t max_wait_ms; /* the longest wait for a limit; -1: any */
	bool dry_run, guests;
	bool skip_blobs; /* no image is fetched: records without thumbnails */
	/* Only these; a user over whom the PDS fails is then given up soon, so that others need not wait.
	 * NULL: all there are. */
	const struct rk_publish_some *some;
	/* All from the calling thread; NULL is fine. */
	void (*begin)(void *context, uint64_t found);
	/* All are selected: so many are told of already, of so many. */
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void (*line)(void *context, const struct rk_publish_line *line);
	void (*without)(void *context, const struct rk_publish_without *without);
	void (*waiting)(void *context, const struct rk_user *user, int64_t ms);
	void *context;
	const atomic_bool *stop; /* set: end cleanly with what was done */
};

struct rk_publish_summary {
	uint64_t found;
	uint64_t counts[RK_PUBLISH_OUTCOME_COUNT];
	uint64_t put_off; /* left for another run: a limit lasts longer than max_wait_ms */
	bool stopped, limited;
	bool nobody; /* MongoDB has no users at all */
	char error[256];
};

/* 0 done (failures are in the counts); -EHOSTUNREACH: MongoDB or the PDS stayed unreachable; -ENOENT: a
 * user is not known (error says which); or negative. What was done by then is done and counted. */
int rk_publish_run(struct rk_store *store, struct rk_publish_summary *out,
	const struct rk_publish_options *options, const struct rk_publish_request *request)
	__attribute__((warn_unused_result));

#endif
