/*
 * The sweep: reads every document and compares it with the index, so that what changed in MongoDB alone
 * shows: hard deletes, documents that are back, keys taken away, owners that changed.
 *
 * It asks the same table as the worker (rk_item_decide). Where the answer differs from what the index
 * holds, the record is marked and the worker looks again; only records that are never written, the
 * invalid ones, are settled here. Due work goes on between the chunks.
 */
#include "mirror/sweep.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"

enum { SAME_MOST = 64 };

/* Records with a document's ref, or its code. */
struct same {
	struct rk_sweep *sweep;
	rk_repo_id owner; /* of the document; 0: no repo */
	int error;
	size_t count;
};

/* Turns a record into an item whose fate is decided by the caller. */
static int item_add(struct rk_sweep *sweep, const struct rk_record *record)
{
	struct rk_repo repo;
	int r = rk_read_repo(sweep->mirror->snapshot, &repo, record->repo);

	return r ? r : rk_round_add(&sweep->round, record, repo.did, 0);
}

static bool same_ref_add(void *context, const struct rk_record *record)
{
	struct same *same = context;

	same->error = item_add(same->sweep, record);
	return same->error == 0 && ++same->count < SAME_MOST;
}

/* Whether the index says of the record what it would if it were looked at now. */
static int item_compare(struct rk_sweep *sweep, struct rk_item *item,
	const struct rk_document *document, bool by_name)
{
	struct rk_snapshot *s = sweep->mirror->snapshot;
	const struct rk_decision *decision = &item->decision;
	struct rk_owner_view owner = {0};
	struct rk_record record;
	bool write, differs;
	char hex[RK_OID_LEN + 1];
	int r;

	item->document = document;
	item->by_name = by_name;
	r = rk_item_decide(&sweep->round, item);
	if (r || item->state != RK_ITEM_OPEN)
		return r;
	item->state = RK_ITEM_STALE;
	rk_oid_format(hex, &document->id);
	r = rk_read_owner(s, &owner, item->collection, rk_slice_str(hex));
	if (r == 0 || r == RK_STORE_ABSENT)
		r = rk_read_record(s, &record, item->repo, item->collection, item->rkey);
	if (r)
		return r;
	if (decision->action == RK_ACTION_WAIT || !decision->set_link)
		return 0;
	write = decision->action != RK_ACTION_NOTHING;
	/* Refused by a rule of the server: rk_sweep_issues sees to it. */
	if (record.issues & RK_ISSUE_BIT(REJECTED) && write)
		return 0;
	differs = write || (uint8_t)decision->link != record.link ||
		(record.flags & RK_RECORD_WITHDRAWN && decision->link == RK_LINK_LINKED) ||
		((decision->issues ^ record.issues) & item->judged) || !owner.known ||
		owner.owner.repo != item->owner;
	if (differs)
		item->state = record.flags & RK_RECORD_INVALID ? RK_ITEM_SETTLED : RK_ITEM_AGAIN;
	sweep->marked += differs;
	return 0;
}

/* The record that a document names, and whether there is none where there should be one. */
static int named_compare(struct rk_sweep *sweep, const struct rk_document *document,
	uint8_t collection, bool *dangling)
{
	struct rk_snapshot *s = sweep->mirror->snapshot;
	struct rk_slice rkey = rk_document_rkey(document);
	bool unknown;
	struct rk_slice did = rk_document_did(sweep->mirror, document, &unknown);
	struct rk_record record;
	struct rk_oid target;
	struct rk_repo repo;
	int r;

	*dangling = false;
	if (rkey.len == 0 || rkey.len > RK_RKEY_MOST || did.len == 0)
		return 0;
	r = rk_read_repo_by_did(s, &repo, did);
	if (r == RK_STORE_ABSENT)
		sweep->unsure++;
	if (r)
		return r == RK_STORE_ABSENT ? 0 : r;
	r = rk_read_record(s, &record, repo.id, collection, rkey);
	if (r == RK_STORE_ABSENT) {
		sweep->unsure += repo.sync != RK_SYNC_SYNCHRONIZED;
		*dangling = !document->gone &&
			rk_names_of(rkey, (struct rk_slice){0}, false,
				repo.sync == RK_SYNC_SYNCHRONIZED,
				sweep->round.now_ms) == RK_NAMES_DEAD;
		return 0;
	}
	/* With a ref of its own it has been compared by that. */
	if (r || !rk_document_id(&target, record.ref, did, collection, rkey))
		return r;
	r = item_add(sweep, &record);
	return r ? r
		 : item_compare(sweep, &sweep->round.items[sweep->round.count - 1], document,
			   memcmp(&target, &document->id, sizeof(target)) != 0);
}

static bool same_code_add(void *context, const struct rk_record *record)
{
	struct same *same = context;
	struct rk_round *round = &same->sweep->round;
	struct rk_repo repo;

	if (record->repo == same->owner)
		return true;
	same->error = rk_read_repo(same->sweep->mirror->snapshot, &repo, record->repo);
	if (same->error || !rk_repo_is_active(&repo))
		return same->error == 0;
	same->error = rk_round_add(round, record, repo.did, 0);
	if (same->error)
		return false;
	round->items[round->count - 1].state = RK_ITEM_AGAIN;
	same->sweep->marked++;
	return ++same->count < SAME_MOST;
}

/* Others' records that may answer for the document's code are looked at. */
static int codes_compare(
	struct rk_sweep *sweep, const struct rk_document *document, uint8_t collection)
{
	struct same same = {.sweep = sweep};
	struct rk_snapshot *s = sweep->mirror->snapshot;
	struct rk_repo repo;
	bool unknown;
	struct rk_slice did = rk_document_did(sweep->mirror, document, &unknown);
	int r = did.len ? rk_read_repo_by_did(s, &repo, did) : RK_STORE_ABSENT;

	if (r && r != RK_STORE_ABSENT)
		return r;
	same.owner = r == 0 ? repo.id : 0;
	r = rk_read_code_all(s, collection, document->code, same_code_add, &same);
	return r ? r : same.error;
}

static int document_compare(struct rk_sweep *sweep, const struct rk_document *document,
	uint8_t collection, bool *dangling)
{
	struct same same = {.sweep = sweep};
	size_t from = sweep->round.count;
	char hex[RK_OID_LEN + 1];
	int r;

	rk_oid_format(hex, &document->id);
	r = rk_read_ref_all(
		sweep->mirror->snapshot, collection, rk_slice_str(hex), same_ref_add, &same);
	if (r == 0)
		r = same.error;
	for (size_t i = from; r == 0 && i < from + same.count; i++)
		r = item_compare(sweep, &sweep->round.items[i], document, false);
	if (r == 0)
		r = codes_compare(sweep, document, collection);
	return r ? r : named_compare(sweep, document, collection, dangling);
}

/* Documents of one chunk against one snapshot; those that dangle get their place in candidates. */
static int chunk_compare(struct rk_sweep *sweep, const struct rk_documents *chunk,
	uint8_t collection, struct rk_oid *candidates, size_t *count)
{
	struct rk_snapshot *s = sweep->mirror->snapshot;
	int r = rk_snapshot_begin(s);

	*count = 0;
	if (r)
		return r;
	sweep->round.now_ms = rk_clock_wall_ms();
	for (size_t i = 0; r == 0 && i < chunk->count; i++) {
		bool dangling;

		r = document_compare(sweep, &chunk->list[i], collection, &dangling);
		if (r == 0 && dangling)
			candidates[(*count)++] = chunk->list[i].id;
	}
	rk_snapshot_end(s);
	return rk_read_found(r);
}

struct dangling {
	const struct rk_documents *documents;
	uint8_t collection;
	rk_repo_id *repos;
	int64_t now_ms;
};

static int dangling_write(void *context, struct rk_write *w)
{
	const struct dangling *dangling = context;
	int r = 0;

	for (size_t i = 0; r == 0 && i < dangling->documents->count; i++) {
		char hex[RK_OID_LEN + 1];
		const struct rk_issue issue = {
			.kind = RK_ISSUE_DANGLING,
			.repo = dangling->repos[i],
			.collection = dangling->collection,
			.ref = rk_slice_make(hex, RK_OID_LEN),
			.at_ms = dangling->now_ms,
			.message = rk_slice_str("the document names a record that is not there"),
		};

		rk_oid_format(hex, &dangling->documents->list[i].id);
		if (dangling->repos[i])
			r = rk_write_issue(w, &issue);
	}
	return r;
}

/* Documents that seem to dangle are read again: the record may have gone after they were read. */
static int dangling_confirm(
	struct rk_sweep *sweep, uint8_t collection, const struct rk_oid *ids, size_t count)
{
	struct rk_mirror *mirror = sweep->mirror;
	struct rk_documents documents = {0};
	struct dangling found = {&documents, collection, NULL, rk_clock_wall_ms()};
	struct rk_arena arena = {0};
	size_t confirmed = 0;
	int r;

	if (count == 0)
		return 0;
	r = rk_mongo_by_id(
		mirror->mongo, &documents, &arena, &rk_collections[collection], ids, count);
	if (r == 0) {
		found.repos = rk_arena_calloc(&arena, documents.count + 1, sizeof(*found.repos));
		r = found.repos ? rk_snapshot_begin(mirror->snapshot) : -ENOMEM;
	}
	if (r)
		goto out;
	for (size_t i = 0; r == 0 && i < documents.count; i++) {
		const struct rk_document *document = &documents.list[i];
		bool dangling, unknown;
		struct rk_repo repo;

		r = named_compare(sweep, document, collection, &dangling);
		if (r || !dangling || rk_seen_find(&sweep->vanished[collection], &document->id))
			continue;
		r = rk_read_repo_by_did(
			mirror->snapshot, &repo, rk_document_did(mirror, document, &unknown));
		if (r == 0)
			r = rk_seen_add(&sweep->dangling[collection], document);
		found.repos[i] = r == 0 ? repo.id : 0;
		confirmed += r == 0;
	}
	rk_snapshot_end(mirror->snapshot);
	r = rk_read_found(r);
	if (r == 0 && confirmed > 0)
		r = rk_writer_call(mirror->writer, dangling_write, &found);
out:
	rk_documents_finish(&documents);
	rk_arena_finish(&arena);
	return r;
}

static int chunk_take(struct rk_sweep *sweep, const struct rk_documents *chunk, uint8_t collection,
	struct rk_arena *arena)
{
	struct rk_oid *candidates = rk_arena_calloc(arena, chunk->count + 1, sizeof(*candidates));
	size_t count;
	int r = candidates ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < chunk->count; i++)
		r = rk_seen_add(&sweep->seen[collection], &chunk->list[i]);
	sweep->documents += chunk->count;
	if (r == 0)
		r = chunk_compare(sweep, chunk, collection, candidates, &count);
	if (r == 0)
		r = dangling_confirm(sweep, collection, candidates, count);
	return r ? r : rk_sweep_tell(sweep);
}

static int collection_sweep(struct rk_sweep *sweep, uint8_t collection)
{
	struct rk_mirror *mirror = sweep->mirror;
	struct rk_documents chunk = {0};
	struct rk_mongo_scan *scan = NULL;
	struct rk_arena arena = {0};
	bool more = true;
	int r = rk_mongo_scan_begin(mirror->mongo, &scan, &rk_collections[collection]);

	while (r == 0 && more) {
		size_t done;

		if (rk_mirror_stopping(mirror)) {
			r = -ECANCELED;
			break;
		}
		chunk.count = 0;
		rk_arena_reset(&arena);
		r = rk_mongo_scan_next(scan, &chunk, &arena, &more);
		if (r == 0)
			r = chunk_take(sweep, &chunk, collection, &arena);
		if (r == 0)
			r = rk_mirror_step(mirror, &done);
	}
	rk_mongo_scan_end(scan);
	rk_documents_finish(&chunk);
	rk_arena_finish(&arena);
	rk_seen_seal(&sweep->seen[collection]);
	rk_seen_seal(&sweep->dangling[collection]);
	return r;
}

int rk_sweep(struct rk_mirror *mirror)
{
	int64_t started_ms = rk_clock_mono_ms();
	struct rk_sweep sweep = {.mirror = mirror};
	int r;

	rk_round_init(&sweep.round, mirror);
	r = rk_claims_refresh(mirror);
	if (r == 0)
		r = rk_sweep_vanished(&sweep);
	for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++)
		r = collection_sweep(&sweep, (uint8_t)i);
	if (r == 0)
		r = rk_sweep_records(&sweep);
	if (r == 0)
		r = rk_sweep_issues(&sweep);
	mirror->unsure = sweep.unsure > 0;
	if (r == 0)
		rk_log(RK_LOG_DEBUG, "mirror", "documents compared with the index",
			RK_LOG_INT("documents", sweep.documents),
			RK_LOG_INT("marked", sweep.marked),
			RK_LOG_INT("ms", rk_clock_mono_ms() - started_ms));
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		rk_seen_finish(&sweep.seen[i]);
		rk_seen_finish(&sweep.dangling[i]);
		rk_seen_finish(&sweep.vanished[i]);
	}
	rk_round_finish(&sweep.round);
	return r;
}
