/* The facts about an item, read from the index in one snapshot, and the decision that follows. */
#include "mirror/inside.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

enum { OTHERS_MOST = 64 };

struct rk_slice rk_document_did(
	const struct rk_mirror *mirror, const struct rk_document *document, bool *unknown)
{
	struct rk_slice owner = rk_document_owner(document, mirror->options.guest_user);
	const struct rk_user *user = rk_users_by_id(&mirror->users, owner);

	*unknown = !user && document->user.presence != RK_PRESENCE_OTHER;
	return user ? user->did : (struct rk_slice){0};
}

static bool is_guest(const struct rk_mirror *mirror, const struct rk_user *user)
{
	return rk_slice_equal_str(user->id, mirror->options.guest_user);
}

/* Why the item has its issues, but for its code; NULL: there is nothing to tell. */
static const char *reason_of(
	const struct rk_item *item, struct rk_slice *more, char hex[RK_OID_LEN + 1])
{
	const struct rk_document *document = item->document;
	uint32_t issues = item->decision.issues;

	*more = (struct rk_slice){0};
	if (issues & RK_ISSUE_BIT(DUPLICATE)) {
		*more = rk_document_rkey(document);
		return "the document names record";
	}
	if (issues & RK_ISSUE_BIT(ORPHAN)) {
		if (document)
			*more = rk_slice_str(rk_collections[item->collection].gone);
		return document ? "the document is marked" : "the document was removed";
	}
	if (issues & RK_ISSUE_BIT(CONFLICT) && !item->code_taken)
		return document ? "the document with this ref is somebody else's"
				: "the ref was somebody else's first";
	if (issues & RK_ISSUE_BIT(ABSENT))
		return "no document, and it may have been erased";
	if (issues & RK_ISSUE_BIT(SUSPECT))
		return "the ref's time is in the future";
	if (issues & RK_ISSUE_BIT(UNLINKED)) {
		rk_oid_format(hex, &document->id);
		*more = rk_slice_str(hex);
		return "the record has no ref, and is named by document";
	}
	return NULL;
}

static int explain_issues(struct rk_round *round, struct rk_item *item)
{
	bool code = item->code_taken && item->decision.issues & RK_ISSUE_BIT(CONFLICT);
	char hex[RK_OID_LEN + 1];
	struct rk_slice more;
	const char *text = reason_of(item, &more, hex);
	char message[256];
	char *copy;

	item->message = (struct rk_slice){0};
	if (!text && !code)
		return 0;
	snprintf(message, sizeof(message), "%s%s%s%s%.*s", code ? RK_CODE_TAKEN : "",
		code && text ? "; " : "", text ? text : "", more.len ? " " : "",
		(int)(more.len < 100 ? more.len : 100), more.len ? (const char *)more.data : "");
	copy = rk_arena_copy(&round->arena, rk_slice_str(message));
	item->message = rk_slice_str(copy);
	return copy ? 0 : -ENOMEM;
}

/* Another record with the ref. */
struct other {
	rk_repo_id repo;
	struct rk_slice rkey;
	uint64_t first;
	uint8_t link, flags;
};
struct others {
	struct other list[OTHERS_MOST];
	size_t count;
};

static bool other_add(void *context, const struct rk_record *record)
{
	struct others *others = context;

	others->list[others->count++] = (struct other){
		record->repo, record->rkey, record->first, record->link, record->flags};
	return others->count < OTHERS_MOST;
}

/* Whether the ref is claimed by an earlier record of somebody else who could have a document. */
static int rival_find(struct rk_round *round, const struct rk_item *item, uint64_t first,
	struct rk_facts_document *facts)
{
	struct rk_snapshot *s = round->mirror->snapshot;
	struct others others = {.count = 0};
	int r = rk_read_ref_all(s, item->collection, item->ref, other_add, &others);

	for (size_t i = 0; r == 0 && i < others.count; i++) {
		const struct other *other = &others.list[i];
		struct rk_repo repo;

		if (other->repo == item->repo || other->first > first ||
			(other->flags & RK_RECORD_INVALID))
			continue;
		r = rk_read_repo(s, &repo, other->repo);
		if (r || !rk_repo_is_active(&repo) || (repo.flags & RK_REPO_TOMBSTONE) ||
			!rk_users_by_did(&round->mirror->users, repo.did))
			continue;
		facts->rival = true;
		facts->rival_judged = other->link != RK_LINK_UNKNOWN;
	}
	return r;
}

static int facts_present(struct rk_round *round, struct rk_item *item, const struct rk_repo *repo,
	struct rk_facts_document *facts)
{
	struct rk_snapshot *s = round->mirror->snapshot;
	const struct rk_document *document = item->document;
	struct rk_slice named = rk_document_rkey(document);
	bool unknown, in_index = false;
	struct rk_slice did = rk_document_did(round->mirror, document, &unknown);
	struct rk_record record;
	struct rk_repo owner;
	int r = 0;

	facts->present = true;
	facts->gone = document->gone;
	facts->by_name = item->by_name;
	facts->same_owner = did.len > 0 && rk_slice_equal(did, item->did);
	item->set_owner = true;
	item->owner_of = document->id;
	item->owner = 0;
	if (facts->same_owner) {
		item->owner = item->repo;
	} else if (did.len > 0) {
		r = rk_read_repo_by_did(s, &owner, did);
		if (r == 0)
			item->owner = owner.id;
		else if (r != RK_STORE_ABSENT)
			return r;
	}
	if (!facts->same_owner)
		return 0;
	if (named.len > 0 && named.len <= RK_RKEY_MOST && !rk_slice_equal(named, item->rkey)) {
		r = rk_read_record(s, &record, item->repo, item->collection, named);
		if (r && r != RK_STORE_ABSENT)
			return r;
		in_index = r == 0;
	}
	facts->names = rk_names_of(
		named, item->rkey, in_index, repo->sync == RK_SYNC_SYNCHRONIZED, round->now_ms);
	return 0;
}

static int facts_absent(struct rk_round *round, struct rk_item *item, uint64_t first,
	struct rk_facts_document *facts)
{
	struct rk_owner_view owner = {0};
	char hex[RK_OID_LEN + 1];
	int r;

	rk_oid_format(hex, &item->target);
	r = rk_read_owner(round->mirror->snapshot, &owner, item->collection, rk_slice_str(hex));
	if (r && r != RK_STORE_ABSENT)
		return r;
	facts->known = r == 0 && owner.known;
	facts->known_here = facts->known && owner.owner.repo == item->repo;
	facts->known_there = facts->known && owner.owner.repo != 0 && !facts->known_here;
	item->set_owner = false;
	return item->derived || item->flags & RK_PENDING_GONE
		? 0
		: rival_find(round, item, first, facts);
}

/* What has become of a record that went, and who else has its ref. */
static int facts_gone(struct rk_round *round, struct rk_item *item, struct rk_facts_record *facts)
{
	struct rk_snapshot *s = round->mirror->snapshot;
	struct others others = {.count = 0};
	struct rk_record record;
	struct rk_oid target;
	int r = rk_read_record(s, &record, item->repo, item->collection, item->rkey);

	if (r && r != RK_STORE_ABSENT)
		return r;
	if (r == 0) {
		rk_document_id(&target, record.ref, item->did, item->collection, item->rkey);
		facts->back = memcmp(&target, &item->target, sizeof(target)) == 0;
		facts->moved_on = !facts->back;
		/* Found by its name, it is the document of what the record is now. */
		if (item->document && memcmp(&target, &item->document->id, sizeof(target)) == 0)
			facts->back = true;
	}
	item->others = NULL;
	r = rk_read_ref_all(s, item->collection, item->ref, other_add, &others);
	for (size_t i = 0; r == 0 && i < others.count; i++) {
		struct rk_other *other = rk_arena_alloc(&round->arena, sizeof(*other));
		char *rkey = rk_arena_copy(&round->arena, others.list[i].rkey);

		if (!other || !rkey)
			return -ENOMEM;
		*other = (struct rk_other){item->others, others.list[i].repo,
			rk_slice_make(rkey, others.list[i].rkey.len)};
		item->others = other;
		if (other->repo == item->repo && !rk_slice_equal(other->rkey, item->rkey))
			facts->heir = true;
	}
	return r;
}

/* What writing it takes, copied. */
int rk_round_prepare(struct rk_round *round, struct rk_item *item, const struct rk_record *record)
{
	const struct rk_user *user = rk_users_by_did(&round->mirror->users, item->did);
	/* Collections with a bucket for guests have documents without a user; others name the guest. */
	bool nameless = user && is_guest(round->mirror, user) &&
		rk_collections[item->collection].bucket_guest;
	const struct {
		struct rk_slice from, *to;
	} parts[] = {
		{user && !nameless ? user->id : (struct rk_slice){0}, &item->user},
		{record->json, &item->json},
		{record->slug, &item->slug},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		char *copy = rk_arena_copy(&round->arena, parts[i].from);

		if (!copy)
			return -ENOMEM;
		*parts[i].to = rk_slice_make(copy, parts[i].from.len);
	}
	return 0;
}

int rk_item_decide(struct rk_round *round, struct rk_item *item)
{
	struct rk_mirror *mirror = round->mirror;
	const struct rk_terms terms = {
		round->now_ms, mirror->options.recover, mirror->options.on_delete};
	const struct rk_user *user = rk_users_by_did(&mirror->users, item->did);
	struct rk_facts_document document = {0};
	struct rk_facts_record facts = {.pending = item->flags, .derived = item->derived};
	struct rk_record record = {0};
	struct rk_repo repo;
	int r = rk_read_repo(mirror->snapshot, &repo, item->repo);

	if (r == 0 && !(item->flags & RK_PENDING_GONE)) {
		r = rk_read_record(
			mirror->snapshot, &record, item->repo, item->collection, item->rkey);
		if (r == 0 && !rk_cid_equal(&record.cid, &item->cid)) {
			item->state = RK_ITEM_STALE;
			return 0;
		}
	} else if (r == 0) {
		r = facts_gone(round, item, &facts);
	}
	if (r == RK_STORE_ABSENT) {
		item->state = RK_ITEM_DROPPED;
		return 0;
	}
	if (r == 0)
		r = item->document ? facts_present(round, item, &repo, &document)
				   : facts_absent(round, item, record.first, &document);
	if (r)
		return rk_read_found(r);
	facts.flags = record.flags;
	facts.tombstone = repo.flags & RK_REPO_TOMBSTONE;
	facts.active = rk_repo_is_active(&repo);
	facts.claimed = user != NULL;
	facts.code_taken = item->code_taken;
	facts.oid_sec = item->derived ? 0 : rk_oid_unix_sec(&item->target);
	item->claimed = user != NULL;
	item->flip = !(item->flags & RK_PENDING_GONE) && !facts.tombstone &&
		item->claimed == ((repo.flags & RK_REPO_UNCLAIMED) != 0);
	rk_decide(&item->decision, &facts, &document, &terms);
	/* A refusal stands until it is overcome by a write: seeing the link again is none. */
	item->judged = RK_JUDGED;
	if (item->decision.action == RK_ACTION_NOTHING && item->decision.link == RK_LINK_LINKED)
		item->judged &= ~RK_ISSUE_BIT(REJECTED);
	r = explain_issues(round, item);
	switch (item->decision.action) {
	case RK_ACTION_INSERT:
	case RK_ACTION_SET_RKEY:
	case RK_ACTION_UPDATE:
		return r ? r : rk_round_prepare(round, item, &record);
	default:
		return r;
	}
}

int rk_round_decide(struct rk_round *round)
{
	struct rk_snapshot *s = round->mirror->snapshot;
	int r = rk_snapshot_begin(s);

	if (r)
		return r;
	round->now_ms = rk_clock_wall_ms();
	for (size_t i = 0; r == 0 && i < round->count; i++) {
		if (round->items[i].state == RK_ITEM_OPEN)
			r = rk_item_decide(round, &round->items[i]);
	}
	rk_snapshot_end(s);
	return r;
}
