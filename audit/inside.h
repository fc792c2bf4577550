/*
 * What the audit's files share. All documents are read first (select.c), then the caller's thread tells
 * what the working threads found, in order (audit.c); each of those takes one user after the other
 * (user.c), with a MongoDB client, a PDS client and a snapshot of its own.
 */
#ifndef RK_AUDIT_INSIDE_H
#define RK_AUDIT_INSIDE_H

#include <pthread.h>

#include "audit/audit.h"
#include "audit/compare.h"
#include "mongo/mongo.h"
#include "net/pds.h"

/* A document as it was first read. */
struct rk_audit_entry {
	struct rk_slice owner; /* users._id; empty: nobody's */
	uint8_t collection;
	struct rk_audit_document document; /* texts in the run's arenas */
};

/* Somebody to be audited: a range of the entries. */
struct rk_audit_subject {
	const struct rk_user *user;
	size_t from, count;
	struct rk_audit_person *person; /* once done, until it is told */
	bool done;
};

struct rk_audit_run {
	struct rk_store *store;
	const struct rk_audit_options *options;
	const struct rk_audit_request *request;
	struct rk_audit_summary *summary;
	struct rk_users users;
	struct rk_user *others; /* owners that users does not have, and nobody */
	struct rk_arena arenas[RK_COLLECTION_COUNT];
	struct rk_audit_entry *entries;
	size_t entry_count;
	struct rk_audit_subject *subjects;
	size_t subject_count;
	atomic_bool cancel; /* ends requests under way */

	pthread_mutex_t lock;
	pthread_cond_t finished, told; /* a subject is done; one was told */
	size_t next, tell, told_all;   /* subjects; told_all: so many were told to the end */
	size_t working;
	bool large;            /* a large repo is in hand */
	int64_t not_before_ms; /* monotonic: the PDS wants no request before */
	int64_t waiting_ms;    /* to be told */
	int failure;           /* the first that ends the run */
	char error[256];
};

bool rk_audit_stopping(struct rk_audit_run *run);
/* Ends the run with a result; the first one counts. */
void rk_audit_fail(struct rk_audit_run *run, int result, const char *error);

/* Users, documents and who is to be audited. 0, -ENOENT (run->error), -EHOSTUNREACH, negative. */
int rk_audit_select(struct rk_audit_run *run) __attribute__((warn_unused_result));
/* The same from the index alone. */
int rk_audit_select_indexed(struct rk_audit_run *run) __attribute__((warn_unused_result));

/* Of one working thread. */
struct rk_audit_worker {
	struct rk_audit_run *run;
	struct rk_mongo *mongo; /* NULL: of the index alone */
	struct rk_pds *pds;
	struct rk_snapshot *snapshot;
	unsigned failures; /* of the PDS, in a row */
	int64_t failing_ms;
};
/* Of a working thread: until no user is left, or the run ends. */
void *rk_audit_work(void *run);

/* The user's repo as it is on the PDS, into person->collections[].records. 0; or a result of net/pds.h
 * with *reply; or negative. */
int rk_audit_repo_read(struct rk_audit_worker *w, struct rk_pds_reply *reply,
	struct rk_audit_person *person) __attribute__((warn_unused_result));

/* What the index has of the user: revs; which absent documents were known; which vanished. */
int rk_audit_index_facts(struct rk_audit_worker *w, struct rk_audit_person *person)
	__attribute__((warn_unused_result));
/* What it has otherwise than the PDS and the comparison: appended to the findings. *ahead: it has a later
 * copy than the one that was read, which is to be read again, and nothing is told; unless the copy has
 * the rev that the one read before had, and so is all that the PDS has. */
int rk_audit_index_compare(struct rk_audit_worker *w, struct rk_audit_person *person,
	uint64_t rev_before, bool *ahead) __attribute__((warn_unused_result));
/* All that it has, in place of both sides. */
int rk_audit_index_only(struct rk_audit_worker *w, struct rk_audit_person *person)
	__attribute__((warn_unused_result));

#endif
