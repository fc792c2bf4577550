/*
 * Repair: what an audit finds and a rule settles. Steps follow from both sides as they are at that moment,
 * one user after the other, so that a run that was stopped or killed anywhere is continued by the next.
 *
 * duplicates: of several records of a document, the one that it names is kept, else the oldest, which
 *   it is then made to name; the others are deleted on the PDS.
 * orphans: records whose document is marked deleted or nuked, or was removed, are deleted on the PDS.
 * unlinked: a document that names no record, or one that is not there, is made to name its oldest one.
 * vanished: a document whose record was missing from a copy of the repo that the index did not believe,
 *   and is missing from the PDS now, is treated as if the record had been deleted (on_delete).
 *
 * After MongoDB was lost, all records are orphans: so where documents were removed (not marked) of more than
 * RK_REPAIR_ORPHANS_MOST records and more than one in RK_REPAIR_ORPHANS_SHARE, of a repo or of all that are looked
 * at, nothing is done but by a plan.
 *
 * What is deleted stands in an undo file first (repair/undo.h), on disk.
 */
#ifndef RK_REPAIR_REPAIR_H
#define RK_REPAIR_REPAIR_H

#include <jansson.h>

#include "audit/audit.h"
#include "mirror/mirror.h"
#include "store/writer.h"

enum { RK_REPAIR_ORPHANS_MOST = 20, RK_REPAIR_ORPHANS_SHARE = 10 };

/* X(id, name) */
#define RK_REPAIR_KINDS(X)                                                                         \
	X(DUPLICATES, "duplicates")                                                                \
	X(ORPHANS, "orphans")                                                                      \
	X(UNLINKED, "unlinked")                                                                    \
	X(VANISHED, "vanished")

enum rk_repair_kind {
#define RK_REPAIR_ID(id, name) RK_REPAIR_##id,
	RK_REPAIR_KINDS(RK_REPAIR_ID)
#undef RK_REPAIR_ID
		RK_REPAIR_KIND_COUNT
};
extern const char *const rk_repair_kind_names[RK_REPAIR_KIND_COUNT];
#define RK_REPAIR_BIT(kind) (1u << RK_REPAIR_##kind)
#define RK_REPAIR_ALL       ((1u << RK_REPAIR_KIND_COUNT) - 1)

enum rk_repair_action {
	RK_REPAIR_LINK,   /* atproto.rkey is set in the document */
	RK_REPAIR_DELETE, /* the record is deleted on the PDS */
	RK_REPAIR_MARK, /* the document is marked gone and atproto.rkey removed, as on_delete says */
	RK_REPAIR_CREATE, /* the record is put back (undo) */
	RK_REPAIR_ACTION_COUNT
};
extern const char *const rk_repair_action_names[RK_REPAIR_ACTION_COUNT];
extern const char *const rk_repair_on_delete_names[]; /* by enum rk_on_delete */

enum rk_repair_state {
	RK_REPAIR_PLANNED,
	RK_REPAIR_DONE,
	RK_REPAIR_FAILED,
	RK_REPAIR_THERE, /* what is to be put back was there already (undo) */
	RK_REPAIR_STATE_COUNT
};
extern const char *const rk_repair_state_names[RK_REPAIR_STATE_COUNT];

struct rk_repair_step {
	enum rk_repair_kind kind; /* RK_REPAIR_KIND_COUNT: not known (undo) */
	enum rk_repair_action action;
	uint8_t collection;
	bool has_id;
	struct rk_oid id;     /* of the document; of a deletion: if there is one */
	struct rk_slice rkey; /* of the record; of a mark: the key that the document names */
	struct rk_slice was;  /* of a link: the key that the document names now; empty: none */
	struct rk_cid cid;    /* of a deletion, or undone */
	struct rk_slice json; /* of a deletion: the record */
	enum rk_repair_state state;
	char reason[256]; /* of a failure */
};

/* As it stands in a plan: action, kind, collection, rkey, ref, cid, was. */
json_t *rk_repair_step_json(const struct rk_repair_step *step);

struct rk_repair_options {
	struct rk_audit_options audit;
	unsigned mongo_batch; /* statements in one bulk command */
	enum rk_on_delete on_delete;
};

struct rk_repair_request {
	unsigned kinds;           /* bits of enum rk_repair_kind; of a plan: those that it has */
	const char *const *users; /* as rk_audit_request; not with a plan */
	const char *const *skip;
	const json_t *plan;  /* carried out as it is; NULL: none */
	uint64_t limit;      /* steps at most; 0: no limit */
	uint64_t batch_size; /* deletions in one request, 200 at most; 0: 200 */
	uint64_t delay_ms;   /* between those */
	int64_t max_wait_ms; /* the longest wait for a limit of the PDS; -1: any */
	bool yes;            /* else nothing is written */
	/* All from the calling thread; borrowed for the call. */
	void (*step)(void *context, const struct rk_user *user, const struct rk_repair_step *step);
	/* The steps of a user are told: what they were taken from. */
	void (*user)(void *context, const struct rk_audit_person *person, const char *documents);
	void (*unread)(void *context, const struct rk_audit_person *person);
	void (*progress)(void *context, uint64_t done, uint64_t total);
	void (*waiting)(void *context, int64_t ms);
	void *context;
	const atomic_bool *stop; /* set: end cleanly with what was done */
};

struct rk_repair_summary {
	uint64_t counts[RK_REPAIR_ACTION_COUNT][RK_REPAIR_STATE_COUNT];
	uint64_t unread;  /* users whose repo could not be read */
	uint64_t put_off; /* steps left for another run: a limit of the PDS lasts too long */
	bool begun;       /* somebody was looked at */
	bool refused;     /* for refusal nothing was done */
	bool stopped, limited;
	char undo[4096];   /* the file; "": nothing was deleted */
	size_t torn;       /* of an undo file that is read: struct rk_undo_file */
	char refusal[512]; /* why orphans are, or would be, left to a plan; "": they are not */
	char error[512];
};

/* 0 done (failures are in the counts); -ESTALE: a side has moved since the plan was made, and nothing was
 * written; -EPERM: too many orphans (refusal; steps were told as planned); -EHOSTUNREACH: MongoDB or the PDS stayed unreachable; -ENOENT: a user is not known; -EINVAL:
 * the plan is none (error says why); or negative, of the undo file too. */
int rk_repair_run(struct rk_store *store, struct rk_writer *writer, struct rk_repair_summary *out,
	const struct rk_repair_options *options, const struct rk_repair_request *request)
	__attribute__((warn_unused_result));

/* Puts back what an undo file holds, each record under its own key. Before that all of it is looked at:
 * -EINVAL, with nothing done, where a line is not what was deleted (undo_read.h), its DID is no user's, or
 * its record's document is somebody else's. What is there already is done; a key that another record has by now is a
 * failure, and so is a user who was forgotten. kinds, users, skip, plan and limit of the request do not
 * matter. */
int rk_repair_undo(struct rk_store *store, struct rk_repair_summary *out,
	const struct rk_repair_options *options, const struct rk_repair_request *request,
	const char *path) __attribute__((warn_unused_result));

#endif
