/* What the index has of a user: facts for the comparison of the other two sides, what it has otherwise
 * than they, or all of it alone. Snapshots are short: never open while anything is waited for. */
#include <errno.h>

#include "audit/inside.h"
#include "base/clock.h"

enum { LIVE_WAIT_MS = 5000, LIVE_PAUSE_MS = 20 };

static int corrupt(int r)
{
	return rk_read_found(r);
}

static void oid_hex(char out[24], const struct rk_oid *id)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(id->bytes); i++) {
		out[2 * i] = digits[id->bytes[i] >> 4];
		out[2 * i + 1] = digits[id->bytes[i] & 15];
	}
}

/* Whether MongoDB is yet to be asked about it: about one that fails its lexicon it never is. */
static bool is_open(const struct rk_record *record)
{
	return record->link == RK_LINK_UNKNOWN && !(record->flags & RK_RECORD_INVALID);
}

struct issues {
	struct rk_audit_person *person;
	bool list; /* documents are made of them; else those that are there are marked */
	size_t rooms[RK_COLLECTION_COUNT];
	int error;
};

static bool issue_take(void *context, const struct rk_issue *issue, struct rk_slice position)
{
	struct issues *issues = context;
	struct rk_arena *arena = &issues->person->arena;
	struct rk_audit_collection *c;
	struct rk_oid id;
	size_t at;

	(void)position;
	if (issue->collection < 0 || issue->collection >= RK_COLLECTION_COUNT ||
		!rk_oid_parse(&id, issue->ref))
		return true;
	c = &issues->person->collections[issue->collection];
	if (!issues->list) {
		at = rk_audit_document_find(c, &id);
		if (at != RK_AUDIT_NONE)
			c->documents[at].vanished = true;
		return true;
	}
	if (c->document_count == issues->rooms[issue->collection]) {
		size_t room = c->document_count ? c->document_count * 2 : 16;
		struct rk_audit_document *list = rk_arena_calloc(arena, room, sizeof(*list));

		if (!list) {
			issues->error = -ENOMEM;
			return false;
		}
		if (c->document_count)
			memcpy(list, c->documents, c->document_count * sizeof(*list));
		c->documents = list;
		issues->rooms[issue->collection] = room;
	}
	c->documents[c->document_count++] = (struct rk_audit_document){
		.id = id,
		.vanished = issue->kind == RK_ISSUE_VANISHED,
		.kind = RK_AUDIT_DANGLING,
		.record = RK_AUDIT_NONE,
		.reason = issue->kind == RK_ISSUE_VANISHED ? "vanished" : "",
	};
	c->vanished += issue->kind == RK_ISSUE_VANISHED;
	c->counts[RK_AUDIT_DANGLING]++;
	return true;
}

/* Which absent documents were known once, and as whose. */
static int known_read(
	struct rk_snapshot *s, struct rk_audit_collection *c, uint8_t collection, rk_repo_id repo)
{
	for (size_t i = 0; i < c->record_count; i++) {
		struct rk_audit_record *record = &c->records[i];
		struct rk_owner_view owner = {0};
		char hex[24];
		int r;

		if (record->foreign || rk_audit_document_find(c, &record->target) != RK_AUDIT_NONE)
			continue;
		oid_hex(hex, &record->target);
		r = rk_read_owner(s, &owner, collection, rk_slice_make(hex, sizeof(hex)));
		if (r && r != RK_STORE_ABSENT)
			return r;
		record->known = owner.known;
		record->foreign = owner.known && owner.owner.repo && owner.owner.repo != repo;
	}
	return 0;
}

int rk_audit_index_facts(struct rk_audit_worker *w, struct rk_audit_person *person)
{
	struct issues issues = {.person = person};
	struct rk_repo repo = {0};
	int r = rk_snapshot_begin(w->snapshot);

	if (r)
		return r;
	person->index_rev = 0;
	if (person->user->did.len)
		r = rk_read_repo_by_did(w->snapshot, &repo, person->user->did);
	if (r == RK_STORE_ABSENT)
		r = 0;
	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		person->collections[i].forgotten = repo.flags & RK_REPO_TOMBSTONE;
		r = known_read(w->snapshot, &person->collections[i], (uint8_t)i, repo.id);
	}
	if (r == 0 && repo.id) {
		person->index_rev = repo.rev;
		r = rk_read_issues(w->snapshot, RK_ISSUE_VANISHED, repo.id, (struct rk_slice){0},
			issue_take, &issues);
	}
	rk_snapshot_end(w->snapshot);
	return corrupt(r);
}

/* Comparing */

struct comparing {
	struct rk_audit_worker *w;
	struct rk_audit_person *person;
	struct rk_repo repo; /* id 0: the index has none */
	uint8_t collection;
};

static int differ(const struct comparing *c, enum rk_audit_kind kind, struct rk_slice rkey,
	struct rk_slice ref, const char *reason)
{
	struct rk_audit_collection *collection = &c->person->collections[c->collection];
	struct rk_arena *arena = &c->person->arena;
	const char *rkey_copy = rk_arena_copy(arena, rkey), *ref_copy = rk_arena_copy(arena, ref);
	const struct rk_audit_finding finding = {
		.kind = kind,
		.ref = rk_slice_make(ref_copy, ref.len),
		.rkey = rk_slice_make(rkey_copy, rkey.len),
		.reason = reason,
	};

	if (!rkey_copy || !ref_copy)
		return -ENOMEM;
	collection->counts[kind]++;
	return rk_audit_finding_add(collection, arena, &finding);
}

/* Whether the index knows that its word on the record's document is not the last: it has yet to look, or
 * a running serve has not read of the user yet, who is in MongoDB now. */
static int open_look(const struct comparing *c, const struct rk_record *ours, bool *open)
{
	uint8_t flags;
	int r;

	*open = c->w->run->options->live && c->repo.flags & RK_REPO_UNCLAIMED;
	if (*open)
		return 0;
	r = rk_read_pending_flags(c->w->snapshot, &flags, c->repo.id, c->collection, ours->rkey);
	*open = r == 0;
	return r == RK_STORE_ABSENT ? 0 : r;
}

/* One record that both have. */
static int same_compare(
	const struct comparing *c, struct rk_audit_record *theirs, const struct rk_record *ours)
{
	struct rk_audit_collection *collection = &c->person->collections[c->collection];
	const struct rk_audit_document *document =
		theirs->document == RK_AUDIT_NONE ? NULL : &collection->documents[theirs->document];
	bool linked = document && !document->gone && rk_slice_equal(document->rkey, theirs->rkey);
	bool open = false;
	const char *reason;
	int r = 0;

	if (!rk_cid_equal(&theirs->cid, &ours->cid))
		return differ(c, RK_AUDIT_INDEX_DIFFERS, ours->rkey, ours->ref, "another version");
	if (ours->link == RK_LINK_LINKED && !linked)
		reason = "linked in the index alone";
	else if (linked && (ours->link == RK_LINK_NONE || ours->link == RK_LINK_CONFLICT))
		reason = c->repo.flags & RK_REPO_UNCLAIMED ? "the index knows no user with the DID"
							   : "not linked in the index";
	else
		return 0;
	r = open_look(c, ours, &open);
	if (r || open) {
		collection->index.unknown++;
		return r;
	}
	theirs->differs = true;
	return differ(c, RK_AUDIT_INDEX_DIFFERS, ours->rkey, ours->ref, reason);
}

static int collection_compare(const struct comparing *c)
{
	struct rk_snapshot *s = c->w->snapshot;
	struct rk_audit_collection *collection = &c->person->collections[c->collection];
	struct rk_record ours = {0};
	size_t at = 0;
	int r = c->repo.id
		? rk_read_record_after(s, &ours, c->repo.id, c->collection, (struct rk_slice){0})
		: RK_STORE_ABSENT;

	/* Both in order of their keys. */
	while (r == 0 || (r == RK_STORE_ABSENT && at < collection->record_count)) {
		struct rk_audit_record *theirs =
			at < collection->record_count ? &collection->records[at] : NULL;
		int order = 1, found = 0;

		if (theirs)
			order = r ? -1 : rk_slice_compare(theirs->rkey, ours.rkey);
		if (order < 0 && !theirs->unshown && !collection->forgotten)
			found = differ(c, RK_AUDIT_INDEX_MISSING, theirs->rkey, theirs->ref, "");
		else if (order > 0)
			found = differ(c, RK_AUDIT_INDEX_EXTRA, ours.rkey, ours.ref, "");
		else if (order == 0)
			found = same_compare(c, theirs, &ours);
		if (found)
			return found;
		at += order <= 0;
		if (order < 0)
			continue;
		collection->index.records++;
		collection->index.linked += ours.link == RK_LINK_LINKED;
		collection->index.unknown += is_open(&ours);
		r = rk_read_record_after(s, &ours, c->repo.id, c->collection, ours.rkey);
	}
	return r == RK_STORE_ABSENT ? 0 : r;
}

static bool is_stopping(void *run)
{
	return rk_audit_stopping(run);
}

/* Whether the index has yet to take in what was read. Of an account that is gone nothing was, and nothing is
 * to be left; of one that is forgotten nothing is taken in any more. */
static bool is_behind(const struct rk_repo *repo, const struct rk_audit_person *person)
{
	bool records = false;

	if (repo->flags & RK_REPO_TOMBSTONE)
		return false;
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		records |= repo->counts[i] > 0;
	return person->rev ? repo->rev < person->rev : records;
}

/* The repo in the index, once it has come as far as the copy that was read. Its snapshot stays open. */
static int repo_await(
	struct rk_audit_worker *w, const struct rk_audit_person *person, struct rk_repo *repo)
{
	int64_t until = rk_clock_mono_ms() + (w->run->options->live ? LIVE_WAIT_MS : 0);

	for (;;) {
		int r = rk_snapshot_begin(w->snapshot);

		if (r)
			return r;
		*repo = (struct rk_repo){0};
		r = rk_read_repo_by_did(w->snapshot, repo, person->user->did);
		if (r < 0 || r == RK_STORE_CORRUPT) {
			rk_snapshot_end(w->snapshot);
			return corrupt(r);
		}
		if (!is_behind(repo, person) || rk_clock_mono_ms() >= until)
			return 0;
		rk_snapshot_end(w->snapshot);
		if (!rk_clock_pause_unless(LIVE_PAUSE_MS, is_stopping, w->run))
			return -ECANCELED;
	}
}

int rk_audit_index_compare(
	struct rk_audit_worker *w, struct rk_audit_person *person, uint64_t rev_before, bool *ahead)
{
	struct comparing c = {.w = w, .person = person};
	int r;

	*ahead = false;
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		person->collections[i].index = (struct rk_audit_index){0};
	if (person->user->did.len == 0)
		return 0;
	r = repo_await(w, person, &c.repo);
	if (r)
		return r;
	person->index_rev = c.repo.rev;
	*ahead = person->rev && c.repo.rev > person->rev && person->rev != rev_before;
	for (int i = 0; r == 0 && !*ahead && i < RK_COLLECTION_COUNT; i++) {
		c.collection = (uint8_t)i;
		r = collection_compare(&c);
	}
	rk_snapshot_end(w->snapshot);
	return corrupt(r);
}

/* The index alone */

static enum rk_audit_kind kind_of(
	const struct rk_record *record, const struct rk_repo *repo, const char **reason)
{
	static const struct {
		enum rk_issue_kind issue;
		enum rk_audit_kind kind;
	} kinds[] = {
		{RK_ISSUE_ORPHAN, RK_AUDIT_ORPHANED},
		{RK_ISSUE_INVALID, RK_AUDIT_INVALID},
		{RK_ISSUE_DUPLICATE, RK_AUDIT_DUPLICATE},
		{RK_ISSUE_CONFLICT, RK_AUDIT_CONFLICT},
		{RK_ISSUE_ABSENT, RK_AUDIT_ABSENT},
		{RK_ISSUE_SUSPECT, RK_AUDIT_ABSENT},
		{RK_ISSUE_REJECTED, RK_AUDIT_ABSENT},
	};

	*reason = "";
	if (record->flags & RK_RECORD_INVALID)
		return RK_AUDIT_INVALID;
	if (record->link == RK_LINK_CONFLICT)
		return RK_AUDIT_CONFLICT;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!(record->issues & UINT32_C(1) << kinds[i].issue))
			continue;
		if (kinds[i].kind == RK_AUDIT_ABSENT)
			*reason = rk_issue_names[kinds[i].issue];
		return kinds[i].kind;
	}
	if (record->link == RK_LINK_NONE && repo->flags & RK_REPO_UNCLAIMED) {
		*reason = "no user has the DID";
		return RK_AUDIT_ABSENT;
	}
	return RK_AUDIT_FINE;
}

static int indexed_take(struct rk_audit_person *person, int at, const struct rk_repo *repo,
	const struct rk_record *record)
{
	struct rk_audit_collection *c = &person->collections[at];
	struct rk_audit_finding finding;
	const char *ref, *rkey;

	c->record_count++;
	c->index.records++;
	c->index.linked += record->link == RK_LINK_LINKED;
	c->index.unknown += is_open(record);
	c->matched += record->link == RK_LINK_LINKED;
	finding.kind = kind_of(record, repo, &finding.reason);
	if (finding.kind == RK_AUDIT_FINE)
		return 0;
	ref = rk_arena_copy(&person->arena, record->ref);
	rkey = rk_arena_copy(&person->arena, record->rkey);
	if (!ref || !rkey)
		return -ENOMEM;
	finding.ref = rk_slice_make(ref, record->ref.len);
	finding.rkey = rk_slice_make(rkey, record->rkey.len);
	c->counts[finding.kind]++;
	return rk_audit_finding_add(c, &person->arena, &finding);
}

static int indexed_read(struct rk_snapshot *s, struct rk_audit_person *person)
{
	struct issues issues = {.person = person, .list = true};
	struct rk_repo repo;
	int r = person->user->did.len ? rk_read_repo_by_did(s, &repo, person->user->did)
				      : RK_STORE_ABSENT;

	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	person->index_rev = repo.rev;
	r = rk_read_issues(
		s, RK_ISSUE_DANGLING, repo.id, (struct rk_slice){0}, issue_take, &issues);
	if (r == 0)
		r = rk_read_issues(
			s, RK_ISSUE_VANISHED, repo.id, (struct rk_slice){0}, issue_take, &issues);
	if (r == 0)
		r = issues.error;
	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++) {
		struct rk_record record = {0};

		r = rk_audit_findings(&person->collections[i], &person->arena);
		while (r == 0) {
			r = rk_read_record_after(s, &record, repo.id, (uint8_t)i, record.rkey);
			if (r == 0)
				r = indexed_take(person, i, &repo, &record);
		}
		r = r == RK_STORE_ABSENT ? 0 : r;
	}
	return r;
}

int rk_audit_index_only(struct rk_audit_worker *w, struct rk_audit_person *person)
{
	int r = rk_snapshot_begin(w->snapshot);

	if (r)
		return r;
	r = indexed_read(w->snapshot, person);
	rk_snapshot_end(w->snapshot);
	return corrupt(r);
}
