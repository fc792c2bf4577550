/*
 * Lexicons as com.atproto.lexicon.schema records in a user's repo: those that are not there are created,
 * those that differ updated. Done again it writes nothing. Source: atproto.com/specs/lexicon ("Lexicon
 * Publication and Resolution").
 */
#ifndef RK_PUBLISH_LEXICONS_H
#define RK_PUBLISH_LEXICONS_H

#include <jansson.h>
#include <stdatomic.h>

#include "base/slice.h"

/* X(id, name, text): what became of a lexicon. */
#define RK_LEXICONS_OUTCOMES(X)                                                                    \
	X(UNCHANGED, "unchanged", "is there as it is here")                                        \
	X(CREATED, "created", "written")                                                           \
	X(UPDATED, "updated", "written over another version")                                      \
	X(FAILED, "failed", "could not be written")

enum rk_lexicons_outcome {
#define RK_OUTCOME_ID(id, name, text) RK_LEXICONS_##id,
	RK_LEXICONS_OUTCOMES(RK_OUTCOME_ID)
#undef RK_OUTCOME_ID
		RK_LEXICONS_OUTCOME_COUNT
};
extern const char *const rk_lexicons_outcome_names[RK_LEXICONS_OUTCOME_COUNT];

enum { RK_LEXICONS_MOST = 200 };

struct rk_lexicons_request {
	const char *mongo_uri, *database; /* secret */
	const char *pds;                  /* origin */
	const char *bypass_key;           /* secret; NULL: none */
	const char *user;                 /* as --user takes it */
	const json_t *const *lexicons;    /* each with an id; RK_LEXICONS_MOST at most */
	size_t count;
	bool dry_run;
	/* reason: "" unless it failed. */
	void (*line)(void *context, const char *id, enum rk_lexicons_outcome outcome,
		const char *reason);
	void (*waiting)(void *context, int64_t ms); /* for a limit of the PDS */
	void *context;
	const atomic_bool *stop;
};

struct rk_lexicons_summary {
	char did[2049]; /* of the user */
	uint64_t counts[RK_LEXICONS_OUTCOME_COUNT];
	char error[256];
};

/* 0 done (failures are in the counts); -ENOENT: no such user, or without an account; -EHOSTUNREACH: MongoDB
 * or the PDS stayed unreachable; -EACCES: the account cannot be read or written; -ECANCELED: stopped; or
 * negative. error says what. */
int rk_lexicons_publish(struct rk_lexicons_summary *out, const struct rk_lexicons_request *request)
	__attribute__((warn_unused_result));

#endif
