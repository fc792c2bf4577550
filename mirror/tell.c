/* Telling the index what came of a round, in one transaction of the writer's. */
#include "mirror/inside.h"

#include <errno.h>

#include "base/clock.h"

/* An issue of the document that the item was about. */
static struct rk_issue document_issue(const struct rk_item *item, enum rk_issue_kind kind,
	char hex[RK_OID_LEN + 1], int64_t now_ms)
{
	rk_oid_format(hex, item->document ? &item->document->id : &item->target);
	return (struct rk_issue){
		.kind = (uint8_t)kind,
		.repo = item->repo,
		.collection = item->collection,
		.ref = rk_slice_str(hex),
		.at_ms = now_ms,
	};
}

static int document_issue_clear(struct rk_write *w, const struct rk_issue *issue)
{
	return rk_write_issue_clear(
		w, (enum rk_issue_kind)issue->kind, issue->repo, issue->collection, issue->ref);
}

/* Absent is an answer here: the record, or its issue, went meanwhile. */
static int mark(struct rk_write *w, rk_repo_id repo, uint8_t collection, struct rk_slice rkey,
	uint8_t flags, int64_t due_ms)
{
	int r = rk_write_pending(w, repo, collection, rkey, flags, due_ms);

	return r == RK_STORE_ABSENT ? 0 : r;
}

static int tell_gone(struct rk_write *w, const struct rk_round *round, const struct rk_item *item)
{
	char hex[RK_OID_LEN + 1];
	struct rk_issue issue = document_issue(item, RK_ISSUE_DANGLING, hex, round->now_ms);
	int r = document_issue_clear(w, &issue);

	issue.kind = RK_ISSUE_VANISHED;
	if (r == 0 && item->decision.vanished) {
		issue.message =
			rk_slice_str("missing in a copy of the repo that may be an old one");
		r = rk_write_issue(w, &issue);
	} else if (r == 0 && item->decision.action != RK_ACTION_NOTHING) {
		r = document_issue_clear(w, &issue);
	}
	issue.kind = RK_ISSUE_REJECTED;
	if (r == 0 && item->refused) {
		issue.message = item->message;
		r = rk_write_issue(w, &issue);
	} else if (r == 0) {
		r = document_issue_clear(w, &issue);
	}
	/* Who else has the ref may be what the document is to name now. */
	for (const struct rk_other *other = item->others; r == 0 && other; other = other->next)
		r = mark(w, other->repo, item->collection, other->rkey, 0, round->now_ms);
	return r;
}

static int tell_linked(struct rk_write *w, const struct rk_round *round, const struct rk_item *item)
{
	static const enum rk_issue_kind over[] = {RK_ISSUE_VANISHED, RK_ISSUE_DANGLING};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(over) / sizeof(over[0]); i++) {
		char hex[RK_OID_LEN + 1];
		struct rk_issue issue = document_issue(item, over[i], hex, round->now_ms);

		r = document_issue_clear(w, &issue);
	}
	return r;
}

static int tell_claim(struct rk_write *w, const struct rk_round *round, const struct rk_item *item)
{
	struct rk_issue issue = {
		.kind = RK_ISSUE_UNCLAIMED,
		.repo = item->repo,
		.collection = -1,
		.at_ms = round->now_ms,
		.message = rk_slice_str("no user has this DID"),
	};
	struct rk_repo repo;
	int r = rk_read_repo(rk_write_view(w), &repo, item->repo);

	if (r)
		return rk_read_ended(r);
	if (item->claimed)
		repo.flags &= (uint8_t)~RK_REPO_UNCLAIMED;
	else
		repo.flags |= RK_REPO_UNCLAIMED;
	r = rk_write_repo(w, &repo);
	if (r)
		return r;
	return item->claimed ? document_issue_clear(w, &issue) : rk_write_issue(w, &issue);
}

/* The entry is put back, or, where there was none, made. */
static int tell_again(struct rk_write *w, const struct rk_round *round, const struct rk_item *item,
	uint8_t flags, int64_t due_ms)
{
	const struct rk_link_result result = {
		.pending_key = item->key,
		.generation = item->generation,
		.again = true,
		.due_ms = due_ms,
		.flags = flags,
	};

	if (item->key.len == 0)
		return mark(w, item->repo, item->collection, item->rkey, flags, due_ms);
	return rk_write_link(w, &result);
}

static int tell_settled(
	struct rk_write *w, const struct rk_round *round, const struct rk_item *item)
{
	const struct rk_decision *decision = &item->decision;
	struct rk_link_result result = {
		.pending_key = item->key,
		.generation = item->generation,
		.due_ms = round->now_ms,
		.repo = item->repo,
		.collection = item->collection,
		.rkey = item->rkey,
		.cid = item->cid,
		.set_link = decision->set_link,
		.link = decision->link,
		.code_taken = item->code_taken,
		.issues = decision->issues & item->judged,
		.judged = item->judged,
		.message = item->message,
		.set_owner = item->set_owner,
		.owner = {item->owner},
	};
	bool gone = item->flags & RK_PENDING_GONE;
	char hex[RK_OID_LEN + 1];
	int r;

	rk_oid_format(hex, &item->owner_of);
	result.owner_ref = rk_slice_str(hex);
	if (decision->action == RK_ACTION_WAIT) {
		int64_t wait = decision->due_ms ? decision->due_ms
						: round->now_ms + rk_again_ms(item->attempts);
		return tell_again(w, round, item, decision->pending, wait);
	}
	r = rk_write_link(w, &result);
	if (r == 0 && item->flip)
		r = tell_claim(w, round, item);
	if (r == 0 && gone)
		r = tell_gone(w, round, item);
	else if (r == 0 && decision->link == RK_LINK_LINKED)
		r = tell_linked(w, round, item);
	return r;
}

static int tell_item(struct rk_write *w, const struct rk_round *round, const struct rk_item *item)
{
	const struct rk_link_result taken_off = {
		.pending_key = item->key,
		.generation = item->generation,
	};

	switch (item->state) {
	case RK_ITEM_SETTLED:
		return tell_settled(w, round, item);
	case RK_ITEM_DROPPED:
		return item->key.len ? rk_write_link(w, &taken_off) : 0;
	case RK_ITEM_AGAIN:
		return tell_again(
			w, round, item, item->flags, round->now_ms + rk_again_ms(item->attempts));
	default:
		return 0;
	}
}

static int run(struct rk_writer_job *job, struct rk_write *w)
{
	const struct rk_round *round =
		(const struct rk_round *)((char *)job - offsetof(struct rk_round, job));
	int r = 0;

	for (size_t i = 0; r == 0 && i < round->count; i++)
		r = tell_item(w, round, &round->items[i]);
	return rk_read_found(r);
}

static void done(struct rk_writer_job *job, bool ok)
{
	struct rk_round *round = (struct rk_round *)((char *)job - offsetof(struct rk_round, job));
	struct rk_mirror *mirror = round->mirror;

	pthread_mutex_lock(&mirror->lock);
	round->told = true;
	round->told_ok = ok;
	pthread_cond_broadcast(&mirror->work);
	pthread_mutex_unlock(&mirror->lock);
}

void rk_round_tell(struct rk_round *round)
{
	round->told = round->dry_run || round->count == 0;
	round->told_ok = round->told;
	round->job = (struct rk_writer_job){.run = run, .done = done};
	if (!round->told)
		rk_writer_submit(round->mirror->writer, &round->job);
}

int rk_round_told(struct rk_round *round)
{
	struct rk_mirror *mirror = round->mirror;
	bool ok;

	pthread_mutex_lock(&mirror->lock);
	while (!round->told)
		pthread_cond_wait(&mirror->work, &mirror->lock);
	ok = round->told_ok;
	pthread_mutex_unlock(&mirror->lock);
	return ok ? 0 : -ECANCELED;
}
