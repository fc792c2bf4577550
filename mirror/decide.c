/* The recovery table. Order matters: what forbids comes before what allows. */
#include "mirror/decide.h"

#include "base/buf.h"

const struct rk_recover_outcome_row rk_recover_outcome_rows[RK_RECOVER_OUTCOME_COUNT] = {
#define RK_OUTCOME_ROW(id, name, text) [RK_RECOVER_##id] = {name, text},
	RK_RECOVER_OUTCOMES(RK_OUTCOME_ROW)
#undef RK_OUTCOME_ROW
};

static void judge(struct rk_decision *out, enum rk_link link, uint32_t issues,
	enum rk_recover_outcome outcome)
{
	out->set_link = true;
	out->link = link;
	out->issues |= issues;
	out->outcome = outcome;
}

static void wait_until(struct rk_decision *out, int64_t due_ms, uint8_t pending)
{
	out->action = RK_ACTION_WAIT;
	out->due_ms = due_ms;
	out->pending = pending;
	out->outcome = RK_RECOVER_WAITING;
}

static bool linked(const struct rk_facts_document *document)
{
	return document->present && document->same_owner && !document->gone &&
		document->names == RK_NAMES_THIS;
}

static void decide_gone(struct rk_decision *out, const struct rk_facts_record *record,
	const struct rk_facts_document *document, const struct rk_terms *terms)
{
	bool wrote_nothing_yet = document->present && document->same_owner && !document->gone &&
		document->names == RK_NAMES_NOTHING;

	out->outcome = RK_RECOVER_UNCHANGED;
	if (record->back || record->tombstone)
		return;
	if (record->pending & RK_PENDING_VANISHED) {
		out->vanished = linked(document);
		return;
	}
	if (linked(document)) {
		if (terms->on_delete == RK_ON_DELETE_SOFT)
			out->action = RK_ACTION_MARK_GONE;
		else if (terms->on_delete == RK_ON_DELETE_UNLINK)
			out->action = RK_ACTION_UNLINK;
	} else if (wrote_nothing_yet && !record->heir && !record->moved_on) {
		/* A site that writes both had no time to set the key. */
		if (terms->on_delete == RK_ON_DELETE_SOFT)
			out->action = RK_ACTION_MARK_GONE;
	}
	if (out->action != RK_ACTION_NOTHING)
		out->outcome = RK_RECOVER_UPDATED;
}

static void decide_present(struct rk_decision *out, const struct rk_facts_record *record,
	const struct rk_facts_document *document)
{
	bool invalid = record->flags & RK_RECORD_INVALID;
	bool updated = record->pending & RK_PENDING_UPDATED;

	if (!document->same_owner) {
		judge(out, RK_LINK_CONFLICT, RK_ISSUE_BIT(CONFLICT), RK_RECOVER_CONFLICT);
		return;
	}
	if (document->gone) {
		judge(out, RK_LINK_NONE, RK_ISSUE_BIT(ORPHAN), RK_RECOVER_ORPHAN);
		return;
	}
	if (invalid) {
		judge(out, linked(document) ? RK_LINK_LINKED : RK_LINK_NONE, 0, RK_RECOVER_INVALID);
		return;
	}
	switch (document->names) {
	case RK_NAMES_THIS:
		judge(out, RK_LINK_LINKED, document->by_name ? RK_ISSUE_BIT(UNLINKED) : 0,
			updated ? RK_RECOVER_UPDATED : RK_RECOVER_UNCHANGED);
		if (updated)
			out->action = RK_ACTION_UPDATE;
		return;
	case RK_NAMES_NOTHING:
	case RK_NAMES_DEAD:
		judge(out, RK_LINK_LINKED, 0, RK_RECOVER_LINKED);
		out->action = RK_ACTION_SET_RKEY;
		out->fields = updated;
		return;
	case RK_NAMES_LIVE:
		judge(out, RK_LINK_NONE, RK_ISSUE_BIT(DUPLICATE), RK_RECOVER_DUPLICATE);
		return;
	case RK_NAMES_UNSURE:
		wait_until(out, 0, record->pending);
		return;
	}
}

static void decide_absent(struct rk_decision *out, const struct rk_facts_record *record,
	const struct rk_facts_document *document, const struct rk_terms *terms)
{
	bool asked = record->pending & (RK_PENDING_RECOVER | RK_PENDING_RESTORE);
	bool restore = record->pending & RK_PENDING_RESTORE;
	bool first = (record->flags & RK_RECORD_FIRST) && !(record->pending & RK_PENDING_APPEARED);
	int64_t oid_ms = record->oid_sec * 1000;

	if (record->flags & RK_RECORD_INVALID) {
		judge(out, RK_LINK_NONE, 0, RK_RECOVER_INVALID);
		return;
	}
	if (!record->claimed) {
		judge(out, RK_LINK_NONE, 0, RK_RECOVER_UNCLAIMED);
		return;
	}
	if (document->known_there) {
		judge(out, RK_LINK_CONFLICT, RK_ISSUE_BIT(CONFLICT), RK_RECOVER_CONFLICT);
		return;
	}
	/* A record that dropped its ref had a document once, which must not get a double. */
	if (document->known ? !(restore && document->known_here)
			    : (record->flags & RK_RECORD_UNREF) && !restore) {
		judge(out, RK_LINK_NONE, RK_ISSUE_BIT(ORPHAN), RK_RECOVER_ORPHAN);
		return;
	}
	if (!asked &&
		(terms->recover == RK_RECOVER_OFF || (first && terms->recover != RK_RECOVER_ALL))) {
		judge(out, RK_LINK_NONE, RK_ISSUE_BIT(ABSENT), RK_RECOVER_ABSENT);
		return;
	}
	if (document->rival) {
		if (document->rival_judged)
			judge(out, RK_LINK_CONFLICT, RK_ISSUE_BIT(CONFLICT), RK_RECOVER_CONFLICT);
		else
			wait_until(out, 0, record->pending);
		return;
	}
	if (!record->derived && oid_ms > terms->now_ms + RK_AHEAD_MS) {
		judge(out, RK_LINK_NONE, RK_ISSUE_BIT(SUSPECT), RK_RECOVER_SUSPECT);
		return;
	}
	if (!record->derived && oid_ms + RK_YOUNG_MS > terms->now_ms) {
		wait_until(out, oid_ms + RK_YOUNG_MS + RK_YOUNG_SLACK_MS,
			record->pending | RK_PENDING_LOOKED);
		return;
	}
	/* What a first fetch found, or an operator asked for, is old: a taken _id is look enough. */
	if (!first && !asked && !(record->pending & RK_PENDING_LOOKED)) {
		wait_until(out, terms->now_ms + RK_SECOND_LOOK_MS,
			record->pending | RK_PENDING_LOOKED);
		return;
	}
	judge(out, RK_LINK_LINKED, 0, RK_RECOVER_INSERTED);
	out->action = RK_ACTION_INSERT;
}

/* With somebody else's code nothing is written but the key; what is worse of the record is told beside it. */
static void decide_code_taken(struct rk_decision *out, bool present)
{
	const uint32_t worse =
		RK_ISSUE_BIT(ORPHAN) | RK_ISSUE_BIT(DUPLICATE) | RK_ISSUE_BIT(INVALID);

	if (present && out->action == RK_ACTION_WAIT)
		return;
	out->issues |= RK_ISSUE_BIT(CONFLICT);
	out->fields = false;
	if (out->action == RK_ACTION_SET_RKEY || out->issues & worse)
		return;
	out->action = RK_ACTION_NOTHING;
	out->issues &= ~(RK_ISSUE_BIT(ABSENT) | RK_ISSUE_BIT(SUSPECT));
	out->due_ms = 0;
	out->pending = 0;
	judge(out, present ? RK_LINK_LINKED : RK_LINK_CONFLICT, 0, RK_RECOVER_CONFLICT);
}

void rk_decide(struct rk_decision *out, const struct rk_facts_record *record,
	const struct rk_facts_document *document, const struct rk_terms *terms)
{
	*out = (struct rk_decision){.action = RK_ACTION_NOTHING};
	if (record->pending & RK_PENDING_GONE) {
		decide_gone(out, record, document, terms);
		return;
	}
	if (record->flags & RK_RECORD_INVALID)
		out->issues |= RK_ISSUE_BIT(INVALID);
	if (record->tombstone)
		judge(out, RK_LINK_NONE, 0, RK_RECOVER_FORGOTTEN);
	else if (!record->active)
		wait_until(out, 0, record->pending);
	else if (document->present)
		decide_present(out, record, document);
	else
		decide_absent(out, record, document, terms);
	if (record->code_taken && record->active && !record->tombstone &&
		out->link != RK_LINK_CONFLICT)
		decide_code_taken(out, document->present);
}

int64_t rk_again_ms(uint32_t attempts)
{
	int64_t wait = RK_AGAIN_FIRST_MS;

	while (attempts-- > 0 && wait < RK_AGAIN_MOST_MS)
		wait *= 2;
	return wait < RK_AGAIN_MOST_MS ? wait : RK_AGAIN_MOST_MS;
}

enum rk_names rk_names_of(struct rk_slice named, struct rk_slice rkey, bool in_index,
	bool synchronized, int64_t now_ms)
{
	uint64_t tid;

	if (named.len == 0)
		return RK_NAMES_NOTHING;
	if (rk_slice_equal(named, rkey))
		return RK_NAMES_THIS;
	if (in_index)
		return RK_NAMES_LIVE;
	if (!synchronized)
		return RK_NAMES_UNSURE;
	if (rk_tid_parse(&tid, named)) {
		int64_t age_ms = now_ms - rk_tid_unix_us(tid) / 1000;
		if (age_ms >= -RK_ARRIVE_MS && age_ms < RK_ARRIVE_MS)
			return RK_NAMES_UNSURE;
	}
	return RK_NAMES_DEAD;
}
