/*
 * See delete_inside.h. The record goes first, then the document is marked: stopped in between, the name still
 * stands for the document.
 */
#include <errno.h>
#include <stdio.h>

#include "base/list.h"
#include "mongo/build.h"
#include "publish/listing.h"
#include "repair/delete_inside.h"

enum { MARK_TRIES = 5 }; /* of a document that changes meanwhile */

int rk_delete_mongo_result(struct rk_deleting *d, int r)
{
	return rk_mongo_result(d->mongo, r, d->summary->error);
}

void rk_delete_tell(
	struct rk_deleting *d, const struct rk_delete_target *t, enum rk_delete_outcome outcome)
{
	char id[RK_OID_LEN + 1] = "";
	struct rk_delete_line line = {
		.name = t->name,
		.outcome = outcome,
		.reason = t->reason ? t->reason : "",
		.did = t->user.did,
		.collection = t->collection,
		.rkeys = t->rkeys,
		.rkey_count = t->rkey_count,
	};

	if (t->marked)
		rk_oid_format(id, &t->document->id);
	line.document = id;
	d->summary->counts[outcome]++;
	d->request->line(d->request->context, &line);
}

/* The repo */

static void list_restart(void *context)
{
	struct rk_deleting *d = context;

	rk_arena_reset(&d->list_arena);
	d->count = 0;
	d->list_collection = -1;
}

static int list_add(void *context, const struct rk_session_record *record)
{
	struct rk_deleting *d = context;
	uint8_t normal[RK_REF_MOST];
	struct rk_slice ref = {0};
	struct rk_delete_listed *one;

	for (int c = 0; c < RK_COLLECTION_COUNT && ref.len == 0; c++)
		ref = rk_listing_ref_of(record->value, &rk_collections[c]);
	if (rk_list_grow(&d->list, &d->room, d->count, sizeof(*d->list)) != 0)
		return -ENOMEM;
	one = &d->list[d->count++];
	*one = (struct rk_delete_listed){.rkey = rk_arena_copy(&d->list_arena, record->rkey)};
	if (one->rkey && rk_ref_normalize(normal, ref)) {
		const char *copy = rk_arena_copy(&d->list_arena, rk_slice_make(normal, ref.len));

		if (!copy)
			return -ENOMEM;
		one->ref = rk_slice_make(copy, ref.len);
	}
	return one->rkey ? 0 : -ENOMEM;
}

int rk_delete_list(struct rk_deleting *d, struct rk_delete_target *t)
{
	int r;

	if (d->list_collection == t->collection &&
		rk_slice_equal(rk_buf_slice(&d->list_did), t->user.did))
		return 0;
	list_restart(d);
	rk_buf_clear(&d->list_did);
	if (t->user.did.len == 0)
		return 0;
	rk_buf_add_slice(&d->list_did, t->user.did);
	r = rk_buf_failed(&d->list_did) ? -ENOMEM : rk_account_take(d->account, &t->user);
	if (r == 0)
		r = rk_account_list(
			d->account, rk_collections[t->collection].nsid, list_restart, list_add, d);
	if (r == RK_PDS_ABSENT)
		r = rk_account_absent(d->account, d->snapshot);
	if (r == 0) {
		d->list_collection = t->collection;
		return 0;
	}
	list_restart(d);
	t->reason = rk_account_error(d->account);
	if (r < 0)
		snprintf(d->summary->error, sizeof(d->summary->error), "%.255s", t->reason);
	return r;
}

bool rk_delete_is_another(const struct rk_delete_listed *one, struct rk_slice ref)
{
	struct rk_oid oid;

	return rk_oid_parse(&oid, one->ref) && !rk_slice_equal(one->ref, ref);
}

static bool is_meant(const struct rk_delete_target *t, const struct rk_delete_listed *one)
{
	bool by_key = t->rkey.len && rk_slice_equal_str(t->rkey, one->rkey);

	if (one->gone)
		return false;
	if (t->ref.len == 0)
		return by_key;
	return rk_slice_equal(t->ref, one->ref) || (by_key && !rk_delete_is_another(one, t->ref));
}

/* Deletes what is meant. Positive: as for rk_delete_list. */
static int records_delete(struct rk_deleting *d, struct rk_delete_target *t)
{
	struct rk_arena *arena = &d->list_arena;
	struct rk_account_write *writes, **each;
	struct rk_delete_listed **meant;
	size_t count = 0;
	int r;

	for (size_t i = 0; i < d->count; i++)
		count += is_meant(t, &d->list[i]);
	if (count == 0)
		return 0;
	writes = rk_arena_calloc(arena, count, sizeof(*writes));
	each = rk_arena_calloc(arena, count, sizeof(*each));
	meant = rk_arena_calloc(arena, count, sizeof(*meant));
	t->rkeys = rk_arena_calloc(arena, count, sizeof(*t->rkeys));
	if (!writes || !each || !meant || !t->rkeys)
		return -ENOMEM;
	for (size_t i = 0; i < d->count; i++) {
		if (!is_meant(t, &d->list[i]))
			continue;
		each[t->rkey_count] = &writes[t->rkey_count];
		meant[t->rkey_count] = &d->list[i];
		writes[t->rkey_count].write = (struct rk_session_write){.action = RK_SESSION_DELETE,
			.collection = rk_collections[t->collection].nsid,
			.rkey = d->list[i].rkey};
		t->rkeys[t->rkey_count++] = d->list[i].rkey;
	}
	if (d->request->dry_run)
		return 0;
	if (t->user.id.len == 0) {
		t->reason =
			"the account is of no user of the site, so that its password is not known";
		t->rkey_count = 0;
		return RK_PDS_DENIED;
	}
	r = rk_account_write(d->account, each, t->rkey_count, NULL, NULL);
	if (r)
		t->reason = rk_account_error(d->account);
	for (size_t i = 0; i < t->rkey_count; i++) {
		meant[i]->gone = writes[i].state == RK_ACCOUNT_DONE;
		if (r == 0 && writes[i].state != RK_ACCOUNT_DONE) {
			char *copy = rk_arena_copy(&d->list_arena, rk_slice_str(writes[i].reason));

			t->reason = copy ? copy : "out of memory";
			r = RK_PDS_WRONG;
		}
	}
	if (r)
		t->rkey_count = 0;
	return r;
}

/* The document */

/* Marks it as it was read. *matched: it was still so. */
static int mark_once(struct rk_deleting *d, const struct rk_delete_target *t,
	const struct rk_document *document, struct rk_arena *arena, bool *matched)
{
	const struct rk_collection *row = &rk_collections[t->collection];
	const struct rk_build build = {.collection = row, .did = t->user.did};
	struct rk_statement_result result;
	bson_t filter, update;
	size_t count = 0;
	int r = 0;

	if (document->gone) {
		bson_oid_t oid;

		bson_oid_init_from_data(&oid, document->id.bytes);
		bson_init(&filter);
		BSON_APPEND_OID(&filter, "_id", &oid);
		bson_append_utf8(&filter, "atproto.rkey", -1,
			(const char *)document->rkey.text.data, (int)document->rkey.text.len);
	} else {
		rk_build_filter(&filter, document, row);
	}
	if (rk_build_update(&update, document, &build, RK_BUILD_GONE | RK_BUILD_UNLINK))
		r = -ENOMEM;
	if (r == 0)
		r = rk_mongo_update(d->mongo, &result, &count, arena, row, &filter, &update, 1);
	if (r == 0 && result.result == RK_STATEMENT_REFUSED)
		r = -EPERM;
	*matched = r == 0 && result.result == RK_STATEMENT_DONE && count == 1;
	bson_destroy(&filter);
	bson_destroy(&update);
	return r;
}

static bool is_marked(const struct rk_document *document)
{
	return document->gone && rk_document_rkey(document).len == 0;
}

/* Until the document is gone and names nothing. Positive: as for rk_delete_list. */
static int document_mark(struct rk_deleting *d, struct rk_delete_target *t)
{
	const struct rk_collection *row = &rk_collections[t->collection];
	struct rk_documents documents = {0};
	const struct rk_document *now = t->document;
	struct rk_arena arena = {0};
	bool done = !now || is_marked(now);
	int r = 0;

	t->marked = !done;
	for (int i = 0; r == 0 && !done && !d->request->dry_run && i < MARK_TRIES; i++) {
		r = mark_once(d, t, now, &arena, &done);
		if (r || done)
			break;
		/* The mirror may have been first, or somebody changed it. */
		documents.count = 0;
		r = rk_mongo_by_id(d->mongo, &documents, &arena, row, &t->document->id, 1);
		now = documents.count ? &documents.list[0] : NULL;
		done = r == 0 && (!now || is_marked(now));
	}
	if (r == -EPERM || (r == 0 && !done && !d->request->dry_run)) {
		t->marked = false;
		t->reason = r ? "the record is gone, but MongoDB refused the document's mark"
			      : "the record is gone, but the document keeps changing";
		r = RK_PDS_WRONG;
	}
	rk_documents_finish(&documents);
	rk_arena_finish(&arena);
	return rk_delete_mongo_result(d, r);
}

int rk_delete_carry_out(struct rk_deleting *d, struct rk_delete_target *t)
{
	int r = records_delete(d, t);

	if (r == 0)
		r = document_mark(d, t);
	if (r < 0 || r == RK_ACCOUNT_PUT_OFF) {
		if (t->reason && !d->summary->error[0])
			snprintf(d->summary->error, sizeof(d->summary->error), "%.255s", t->reason);
		return r;
	}
	rk_delete_tell(d, t,
		r                                    ? RK_DELETE_FAILED
			: t->rkey_count || t->marked ? RK_DELETE_DELETED
						     : RK_DELETE_ALREADY);
	return 0;
}
