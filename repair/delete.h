/*
 * Deleting single ones on both sides: the record on the PDS, with its owner's app password, and then the document
 * marked gone and its key removed, whatever REFKEY_ON_DELETE says. By a ref: the owner's records with it, duplicates
 * too, and the document. By a URI: that record, and its document unless another record stands for it.
 *
 * The repo is listed first, so that what is gone already is no failure and doing it again changes nothing. What
 * the firehose makes of it meanwhile ends the same: a mark that is there already is as good.
 */
#ifndef RK_REPAIR_DELETE_H
#define RK_REPAIR_DELETE_H

#include <stdatomic.h>

#include "mongo/users.h"
#include "store/store.h"

struct rk_delete_options {
	const char *mongo_uri, *database; /* secret */
	const char *guest_user;
	const char *pds;        /* origin */
	const char *bypass_key; /* secret; NULL: none */
};

/* X(id, name, text): what became of one. */
#define RK_DELETE_OUTCOMES(X)                                                                      \
	X(DELETED, "deleted", "deleted")                                                           \
	X(ALREADY, "already", "was gone already")                                                  \
	X(UNKNOWN, "unknown", "is not known, neither as a document nor as a record")               \
	X(FAILED, "failed", "could not be deleted")

enum rk_delete_outcome {
#define RK_OUTCOME_ID(id, name, text) RK_DELETE_##id,
	RK_DELETE_OUTCOMES(RK_OUTCOME_ID)
#undef RK_OUTCOME_ID
		RK_DELETE_OUTCOME_COUNT
};
struct rk_delete_outcome_row {
	const char *name, *text;
};
extern const struct rk_delete_outcome_row rk_delete_outcome_rows[RK_DELETE_OUTCOME_COUNT];

/* Texts are borrowed for the call. */
struct rk_delete_line {
	const char *name; /* as given */
	enum rk_delete_outcome outcome;
	const char *reason; /* "": none */
	struct rk_slice did;
	int collection;           /* -1: not known */
	const char *const *rkeys; /* of the records that went, or would */
	size_t rkey_count;
	const char *document; /* _id of the one that was, or would be, marked; "": none */
};

struct rk_delete_request {
	const char *const
		*names; /* refs and AT-URIs, of @handles of the site, too; ended by NULL */
	bool dry_run;
	int64_t max_wait_ms; /* the longest wait for a limit of the PDS; -1: any */
	/* From the calling thread; waiting may be NULL. */
	void (*line)(void *context, const struct rk_delete_line *line);
	void (*waiting)(void *context, int64_t ms);
	void *context;
	const atomic_bool *stop; /* set: end with what was done */
};

struct rk_delete_summary {
	uint64_t counts[RK_DELETE_OUTCOME_COUNT];
	bool stopped;
	char error[256];
};

/* 0 done (failures are in the counts); -EHOSTUNREACH: MongoDB or the PDS stayed unreachable; -EAGAIN: a limit
 * lasts too long; or negative. What
 * was done by then is done and counted. */
int rk_delete_run(struct rk_store *store, struct rk_delete_summary *out,
	const struct rk_delete_options *options, const struct rk_delete_request *request)
	__attribute__((warn_unused_result));

#endif
