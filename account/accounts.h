/*
 * Users of the site who have documents and no ATProto account, and accounts for them: made at the PDS,
 * stored in users.atproto {did, password}, the password being an app password. Nothing is published.
 *
 * May be stopped anywhere, killed too: names and passwords follow from the user (accounts_name.h), so
 * that the next run finds an account that was made and not stored. Before an account is made and behind
 * every step the caller is told, and makes it durable.
 */
#ifndef RK_ACCOUNT_ACCOUNTS_H
#define RK_ACCOUNT_ACCOUNTS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/slice.h"

struct rk_accounts_options {
	const char *mongo_uri, *database; /* secret */
	const char *guest_user;
	/* Of creating alone. */
	const char *pds;            /* origin */
	const char *bypass_key;     /* secret; NULL: none */
	const char *admin_password; /* of the PDS; secret */
	bool allow_private;
};

/* X(id, name, text): what became of a user. */
#define RK_ACCOUNTS_OUTCOMES(X)                                                                    \
	X(LISTED, "listed", "has no ATProto account")                                              \
	X(CREATED, "created", "account made and stored")                                           \
	X(ADOPTED, "adopted", "account of an earlier run, now stored")                             \
	X(FAILED, "failed", "could not be done")

enum rk_accounts_outcome {
#define RK_OUTCOME_ID(id, name, text) RK_ACCOUNTS_##id,
	RK_ACCOUNTS_OUTCOMES(RK_OUTCOME_ID)
#undef RK_OUTCOME_ID
		RK_ACCOUNTS_OUTCOME_COUNT
};
struct rk_accounts_outcome_row {
	const char *name, *text;
};
extern const struct rk_accounts_outcome_row rk_accounts_outcome_rows[RK_ACCOUNTS_OUTCOME_COUNT];

struct rk_accounts_person {
	struct rk_slice id, handle; /* handle empty: none */
	const char *email;          /* "": none */
	uint64_t count;             /* living documents */
	bool known;                 /* is in users */
};

/* Texts are borrowed for the call. */
struct rk_accounts_line {
	uint64_t n, total;
	const struct rk_accounts_person *person;
	enum rk_accounts_outcome outcome;
	char name[254];   /* the account's handle; "": none */
	char did[2049];   /* "": none */
	char reason[256]; /* "": none */
};

/* Of an account: it is about to be asked for; it is there; users has it. */
enum rk_accounts_step { RK_ACCOUNTS_BEGUN, RK_ACCOUNTS_MADE, RK_ACCOUNTS_STORED };

struct rk_accounts_request {
	const char *const *users; /* as rk_recover_request */
	const char *const *skip;
	uint64_t limit; /* users; 0: all */
	bool create, dry_run;
	int64_t max_wait_ms; /* the longest wait for a limit; -1: any */
	/* All from the calling thread. */
	void (*begin)(void *context, uint64_t users, uint64_t documents);
	void (*line)(void *context, const struct rk_accounts_line *line);
	void (*waiting)(void *context, int64_t ms);
	/* Makes it durable; false: it could not, and no further account is made. */
	bool (*note)(
		void *context, enum rk_accounts_step step, const struct rk_accounts_line *line);
	void *context;
	const atomic_bool *stop; /* set: end cleanly with what was done */
};

struct rk_accounts_summary {
	uint64_t users, documents; /* found */
	uint64_t counts[RK_ACCOUNTS_OUTCOME_COUNT];
	uint64_t put_off; /* left for another run: a limit lasts longer than max_wait_ms */
	bool stopped, limited;
	bool nobody; /* MongoDB has no users at all */
	char error[256];
};

/* 0 done (failures are in the counts); -EHOSTUNREACH: MongoDB or the PDS stayed unreachable; -ENOENT: a
 * user is not known; -EACCES: the PDS refuses the admin password, or makes no accounts; -EIO: a note
 * could not be made; or negative. error says what. What was done by then is done and counted. */
int rk_accounts_run(struct rk_accounts_summary *out, const struct rk_accounts_options *options,
	const struct rk_accounts_request *request) __attribute__((warn_unused_result));

#endif
