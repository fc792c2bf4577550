/* What repair's files share; all of it is the caller's thread's. */
#ifndef RK_REPAIR_INSIDE_H
#define RK_REPAIR_INSIDE_H

#include "account/account.h"
#include "repair/repair.h"
#include "repair/undo.h"

struct rk_repair_steps {
	struct rk_repair_step *list; /* texts are the person's */
	size_t count, room;
};

enum { RK_REPAIR_PRINT_SIZE = 2 * RK_SHA256_BYTES + 1 };

struct rk_repair_run {
	struct rk_store *store;
	struct rk_writer *writer;
	const struct rk_repair_options *options;
	const struct rk_repair_request *request;
	struct rk_repair_summary *summary;
	struct rk_mongo *mongo;
	struct rk_account_client *account;
	struct rk_undo undo;
	bool checking; /* a plan against both sides; nothing is written */
	bool yes;
	uint64_t left; /* of the limit */
	uint64_t seen; /* users of the plan that are as they were */
	bool too_many; /* orphans whose documents were removed; summary->refusal says so */
	uint64_t records, removed; /* so many are there, and so many of them such orphans */
	uint64_t records_before;   /* records, of the pass before */
	uint64_t users_before;     /* users, of the pass before; 0: it is the first */
	uint64_t batches;
	struct rk_repair_batch *batch; /* the deletions that are being sent */
};

bool rk_repair_stopping(void *run);
/* For the account: of the batch, what one of the sides wants to stay by now is settled. */
int rk_repair_last_look(void *run, struct rk_account_write **writes, size_t count);
/* Clients of both sides. 0, -EINVAL or -ENOMEM; rk_repair_close follows in any case. */
int rk_repair_open(struct rk_repair_run *run) __attribute__((warn_unused_result));
void rk_repair_close(struct rk_repair_run *run);
/* Counts the step, and hands it to the request. */
void rk_repair_tell(
	struct rk_repair_run *run, const struct rk_user *user, const struct rk_repair_step *step);

/* What is to be done for a person, by the request's kinds. 0 or -ENOMEM. */
int rk_repair_plan(struct rk_repair_steps *out, const struct rk_repair_run *run,
	const struct rk_audit_person *person) __attribute__((warn_unused_result));
/* Tells whether a person's documents are as they were. */
void rk_repair_print(char out[RK_REPAIR_PRINT_SIZE], const struct rk_audit_person *person);
/* The plan's part for a user, NULL. */
const json_t *rk_repair_plan_find(const json_t *plan, const struct rk_user *user);
/* Leaves the steps of the plan's part; false: a side has moved. */
bool rk_repair_plan_apply(
	struct rk_repair_steps *steps, const json_t *part, const struct rk_audit_person *person);
/* 0; -EINVAL: it is none, or none for these options (error, 512 bytes, says why). */
int rk_repair_plan_check(const json_t *plan, const struct rk_repair_options *options, char *error)
	__attribute__((warn_unused_result));

/* Carries the steps out; every one is DONE or FAILED, or PLANNED if the run ends before. */
int rk_repair_carry_out(struct rk_repair_run *run, const struct rk_audit_person *person,
	struct rk_repair_steps *steps) __attribute__((warn_unused_result));
/* Documents of steps that link or mark, in bulks. */
int rk_repair_documents(struct rk_repair_run *run, const struct rk_user *user,
	struct rk_repair_step **steps, size_t count) __attribute__((warn_unused_result));

#endif
