/* What the sweep's rounds (sweep.c), its list (sweep_list.c) and its survey of the hosts behind a relay (survey.c) share. */
#ifndef RK_INDEXER_SWEEP_H
#define RK_INDEXER_SWEEP_H

#include "indexer/inside.h"
#include "indexer/state.h"
#include "net/backoff.h"

enum {
	RK_SWEEP_BATCH = 500, /* repos in one transaction */
	/* Repos that never came in and are listed for all that, of either kind: so many, and so many for each
	 * that did. */
	RK_UNPROVEN_MOST = 4096,
	RK_UNPROVEN_EACH = 4,
};

/* A repo that differs. */
struct rk_sweep_entry {
	char *did; /* owned */
	uint64_t rev;
	rk_repo_id repo; /* 0: not known yet */
	enum rk_account account;
	bool doubted; /* its host calls it absent or not active: to be asked once more, with care */
};

struct rk_sweep {
	struct rk_fetcher fetcher;
	int64_t started_ms;             /* wall clock */
	int64_t before_ms;              /* … of the last one that went through; 0: none */
	struct rk_sweep_entry *entries; /* that differ */
	size_t count, room;
	size_t fresh;    /* of them not known yet */
	uint8_t *listed; /* bit per repo id: met in this listing */
	size_t listed_bytes;
	uint64_t repos;
	uint64_t proven;      /* repos that came in once */
	uint64_t unproven[2]; /* those that never did; of accounts that are active, and of others */
	uint64_t proven_before; /* in the sweep before */
	unsigned in_vain; /* sweeps that left some, and none had come in since the one before */
	uint64_t refused; /* listed, and not taken for there are too many of those */
	struct rk_strangers strangers;
	bool survey_overdue; /* some hosts have more repos than could be asked for in time */
	char unlisted
		[256]; /* why the source could not be listed, as said in the log; "": it could */
	struct rk_backoff refusals; /* of a source that answers, and not with a list */
};

/* Counts who came in once, and who never did. 0 or negative. */
int rk_sweep_count(struct rk_sweep *s) __attribute__((warn_unused_result));
/* Asks the source for its list. An enum rk_pds_result, or negative. */
int rk_sweep_list(struct rk_sweep *s, struct rk_pds_reply *reply)
	__attribute__((warn_unused_result));
/* Whether it was met in this listing; another listing begins. */
bool rk_sweep_listed(const struct rk_sweep *s, rk_repo_id id);
void rk_sweep_listed_clear(struct rk_sweep *s);
/* New repos are taken at once: there is nothing the stream could have to say about them first. 0 or negative. */
int rk_sweep_take_new(struct rk_sweep *s) __attribute__((warn_unused_result));
void rk_sweep_entries_free(struct rk_sweep *s);
/* The source, or a repo's host, said how it stands. 0, negative, or RK_PDS_REPO_OLD, if it was said in
 * this listing before, which counts, or of no DID. */
int rk_sweep_visit(void *sweep, const struct rk_pds_repo *listed);
int rk_sweep_doubt(struct rk_sweep *s, const struct rk_repo *repo);
/* Asks the host of every known repo, many at once. 0 or negative; what hosts are asked that fail, are slow or
 * have very many repos is left to the next time. */
int rk_survey(struct rk_sweep *s);

#endif
