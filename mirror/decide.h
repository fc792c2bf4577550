/*
 * What to do with one record (or one that is gone) and the document it may have: the contract's
 * recovery table as one pure function. The worker, `refkey recover`, its dry run and the sweep all
 * ask here, so that they cannot differ.
 *
 * Everything is a fact that the caller has read; nothing here knows MongoDB or the index.
 */
#ifndef RK_MIRROR_DECIDE_H
#define RK_MIRROR_DECIDE_H

#include "mirror/mirror.h"

/* Which record the document's atproto.rkey names, in the repo of the document's owner. */
enum rk_names {
	RK_NAMES_NOTHING,
	RK_NAMES_THIS,
	RK_NAMES_LIVE,   /* another record, which is in the index */
	RK_NAMES_DEAD,   /* another one, which is not there */
	RK_NAMES_UNSURE, /* not in the index, but may only not have arrived yet */
};

struct rk_facts_record {
	uint8_t pending; /* enum rk_pending_flag of the entry */
	uint8_t flags;   /* enum rk_record_flag; what is gone has none */
	bool tombstone;  /* the repo is forgotten */
	bool active;     /* the account is */
	bool claimed;    /* a user of MongoDB has the repo's DID */
	bool code_taken; /* its code is of somebody else's document */
	bool derived;    /* it has no ref that is an ObjectId: its document's _id is derived */
	int64_t oid_sec; /* otherwise the ObjectId's own time, Unix seconds */
	/* Of what is gone only: */
	bool back;     /* the record is there again with the same ref */
	bool moved_on; /* the record is there with another ref */
	bool heir;     /* another live record of the repo has the ref */
};

/* The document that the ref (or derived _id) names, or else one that names the record. */
struct rk_facts_document {
	bool present;
	bool same_owner; /* its owner's DID is the repo's */
	bool gone;       /* marked deleted or nuked */
	bool by_name;    /* found by its atproto.rkey, not by its _id */
	enum rk_names names;
	/* Where it is absent, from the index: */
	bool known;        /* it was seen before … */
	bool known_here;   /* … as this repo's */
	bool known_there;  /* … as another repo's */
	bool rival;        /* an earlier live record of another claimed repo has the ref … */
	bool rival_judged; /* … and has been looked at */
};

struct rk_terms {
	int64_t now_ms; /* Unix time */
	enum rk_recover_mode recover;
	enum rk_on_delete on_delete;
};

enum rk_action {
	RK_ACTION_NOTHING,
	RK_ACTION_SET_RKEY, /* and the fields it owns, if `fields` */
	RK_ACTION_INSERT,
	RK_ACTION_UPDATE,    /* the fields the record owns */
	RK_ACTION_MARK_GONE, /* and take atproto.rkey away */
	RK_ACTION_UNLINK,    /* take atproto.rkey away */
	RK_ACTION_WAIT,      /* look again at due_ms, with `pending` flags */
};

struct rk_decision {
	enum rk_action action;
	bool fields;
	int64_t due_ms;  /* WAIT: Unix ms; 0: soon, later with every attempt */
	uint8_t pending; /* WAIT: flags to put back */
	/* What the index gets to know, once the action has been acknowledged. */
	bool set_link;
	enum rk_link link;
	uint32_t issues; /* bit per kind, among RK_JUDGED */
	bool vanished;   /* issue of the document */
	enum rk_recover_outcome outcome;
};

/* How the message begins of a conflict that is one over the code. */
#define RK_CODE_TAKEN "the code is somebody else's"

/* The kinds of issue that a decision says something about. */
#define RK_ISSUE_BIT(kind) (UINT32_C(1) << RK_ISSUE_##kind)
#define RK_JUDGED                                                                                  \
	(RK_ISSUE_BIT(DUPLICATE) | RK_ISSUE_BIT(ORPHAN) | RK_ISSUE_BIT(ABSENT) |                   \
		RK_ISSUE_BIT(UNLINKED) | RK_ISSUE_BIT(INVALID) | RK_ISSUE_BIT(CONFLICT) |          \
		RK_ISSUE_BIT(SUSPECT) | RK_ISSUE_BIT(REJECTED))

enum {
	RK_YOUNG_MS = 60 * 1000, /* a site may still be writing the document of such a ref */
	RK_YOUNG_SLACK_MS = 500, /* ObjectIds count whole seconds */
	RK_SECOND_LOOK_MS = 1000,
	RK_AHEAD_MS = 5 * 60 * 1000, /* a ref's time may be so far in the future */
	RK_ARRIVE_MS = 5000,         /* a record may take so long to reach the index */
	RK_AGAIN_FIRST_MS = 500,
	RK_AGAIN_MOST_MS = 10 * 60 * 1000,
};

void rk_decide(struct rk_decision *out, const struct rk_facts_record *record,
	const struct rk_facts_document *document, const struct rk_terms *terms);

/* How long to wait after so many attempts: doubling, bounded. */
int64_t rk_again_ms(uint32_t attempts);

/* What a document's atproto.rkey names: the record itself, or another one, given whether that is in
 * the index and its repo synchronized. A key that was made just now may still be on its way. */
enum rk_names rk_names_of(struct rk_slice named, struct rk_slice rkey, bool in_index,
	bool synchronized, int64_t now_ms);

#endif
