/* See delete.h. */
#include "mirror/delete.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/encode.h"
#include "mirror/account.h"
#include "mirror/inside.h"
#include "records/document.h"

enum { MARK_TRIES = 5 }; /* of a document that changes meanwhile */

#define ROW(id, name, text) [RK_DELETE_##id] = {name, text},
const struct rk_delete_outcome_row rk_delete_outcome_rows[RK_DELETE_OUTCOME_COUNT] = {
	RK_DELETE_OUTCOMES(ROW)};
#undef ROW

/* A record of the repo that was listed last. Texts are in the listing's arena. */
struct listed {
	const char *rkey;
	struct rk_slice ref; /* normal; empty: none */
	bool gone;           /* deleted since */
};

struct deleting {
	const struct rk_delete_options *options;
	const struct rk_delete_request *request;
	struct rk_delete_summary *summary;
	struct rk_mongo *mongo;
	struct rk_account_client *account;
	struct rk_snapshot *snapshot;
	struct rk_users users;

	struct rk_arena list_arena;
	struct listed *list;
	size_t count, room;
	struct rk_buf list_did; /* whose it is */
	int list_collection;    /* -1: nothing is listed */
};

/* One name in one collection. */
struct target {
	const char *name;
	int collection;
	struct rk_user user;  /* id empty: nobody of the site; did empty: without an account */
	struct rk_slice ref;  /* every record with it goes; empty: by key alone */
	struct rk_slice rkey; /* the record with it goes; empty: by ref alone */
	const struct rk_document *document;
	const char *reason;
	const char *rkeys[RK_SESSION_WRITES_MOST];
	size_t rkey_count;
	bool marked;
};

static bool is_stopping(const struct deleting *d)
{
	return d->request->stop && atomic_load(d->request->stop);
}

static int mongo_result(struct deleting *d, int r)
{
	if (r != -EIO)
		return r;
	snprintf(d->summary->error, sizeof(d->summary->error), "MongoDB: %.200s",
		rk_mongo_error(d->mongo));
	return -EHOSTUNREACH;
}

static void tell(struct deleting *d, const struct target *t, enum rk_delete_outcome outcome)
{
	struct rk_buf id = {0};
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
		rk_hex_encode(&id, rk_slice_make(t->document->id.bytes, 12));
	line.document = rk_buf_cstr(&id);
	d->summary->counts[outcome]++;
	d->request->line(d->request->context, &line);
	rk_buf_finish(&id);
}

/* The repo */

static void list_restart(void *context)
{
	struct deleting *d = context;

	rk_arena_reset(&d->list_arena);
	d->count = 0;
	d->list_collection = -1;
}

static struct rk_slice text_of(const json_t *value, const char *name)
{
	const json_t *text = name ? json_object_get(value, name) : NULL;

	return rk_slice_make(json_string_value(text), json_string_length(text));
}

static int list_add(void *context, const struct rk_session_record *record)
{
	struct deleting *d = context;
	uint8_t normal[RK_REF_MOST];
	struct rk_slice ref = {0};
	struct listed *one;

	for (int c = 0; c < RK_COLLECTION_COUNT && ref.len == 0; c++) {
		const struct rk_field *field = rk_collections[c].fields;

		while (field->role != RK_ROLE_REF)
			field++;
		ref = text_of(record->value, field->name);
		if (ref.len == 0)
			ref = text_of(record->value, field->older);
	}
	if (d->count == d->room) {
		size_t room = d->room ? d->room * 2 : 256;
		struct listed *list = reallocarray(d->list, room, sizeof(*list));

		if (!list)
			return -ENOMEM;
		d->list = list;
		d->room = room;
	}
	one = &d->list[d->count++];
	*one = (struct listed){.rkey = rk_arena_copy(&d->list_arena, record->rkey)};
	if (one->rkey && rk_ref_normalize(normal, ref)) {
		const char *copy = rk_arena_copy(&d->list_arena, rk_slice_make(normal, ref.len));

		if (!copy)
			return -ENOMEM;
		one->ref = rk_slice_make(copy, ref.len);
	}
	return one->rkey ? 0 : -ENOMEM;
}

/* What the owner's repo has of the collection, listed now or for the name before. Positive: the target
 * fails, its reason is set. */
static int list(struct deleting *d, struct target *t)
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
	if (r == 0 || r == RK_PDS_ABSENT) {
		d->list_collection = t->collection;
		return 0;
	}
	list_restart(d);
	t->reason = rk_account_error(d->account);
	if (r < 0)
		snprintf(d->summary->error, sizeof(d->summary->error), "%.255s", t->reason);
	return r;
}

/* Whether the record is another document's than the one with this ref. */
static bool is_another(const struct listed *one, struct rk_slice ref)
{
	struct rk_oid oid;

	return rk_oid_parse(&oid, one->ref) && !rk_slice_equal(one->ref, ref);
}

static bool is_meant(const struct target *t, const struct listed *one)
{
	bool by_key = t->rkey.len && rk_slice_equal_str(t->rkey, one->rkey);

	if (one->gone)
		return false;
	if (t->ref.len == 0)
		return by_key;
	return rk_slice_equal(t->ref, one->ref) || (by_key && !is_another(one, t->ref));
}

/* Deletes what is meant. Positive: as for list. */
static int records_delete(struct deleting *d, struct target *t)
{
	struct rk_account_write writes[RK_SESSION_WRITES_MOST] = {0};
	struct rk_account_write *each[RK_SESSION_WRITES_MOST];
	struct listed *meant[RK_SESSION_WRITES_MOST];
	int r;

	for (size_t i = 0; i < d->count && t->rkey_count < RK_SESSION_WRITES_MOST; i++) {
		if (!is_meant(t, &d->list[i]))
			continue;
		each[t->rkey_count] = &writes[t->rkey_count];
		meant[t->rkey_count] = &d->list[i];
		writes[t->rkey_count].write = (struct rk_session_write){.action = RK_SESSION_DELETE,
			.collection = rk_collections[t->collection].nsid,
			.rkey = d->list[i].rkey};
		t->rkeys[t->rkey_count++] = d->list[i].rkey;
	}
	if (d->request->dry_run || t->rkey_count == 0)
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
static int mark_once(struct deleting *d, const struct target *t, const struct rk_document *document,
	struct rk_arena *arena, bool *matched)
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

/* Until the document is gone and names nothing. Positive: as for list. */
static int document_mark(struct deleting *d, struct target *t)
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
	return mongo_result(d, r);
}

/* A target whose repo is listed. 0, or what ends the run. */
static int carry_out(struct deleting *d, struct target *t)
{
	int r = records_delete(d, t);

	if (r == 0)
		r = document_mark(d, t);
	if (r < 0 || r == RK_ACCOUNT_PUT_OFF) {
		if (t->reason && !d->summary->error[0])
			snprintf(d->summary->error, sizeof(d->summary->error), "%.255s", t->reason);
		return r;
	}
	tell(d, t,
		r                                    ? RK_DELETE_FAILED
			: t->rkey_count || t->marked ? RK_DELETE_DELETED
						     : RK_DELETE_ALREADY);
	return 0;
}

/* Finding out what a name means */

/* The owner of a document: with an id at least. */
static struct rk_user owner_of(const struct deleting *d, const struct rk_document *document)
{
	struct rk_slice id = rk_slice_str(d->options->guest_user);
	const struct rk_user *user;

	if (document->user.presence == RK_PRESENCE_OTHER)
		return (struct rk_user){0};
	if (document->user.presence == RK_PRESENCE_STRING)
		id = document->user.text;
	user = rk_users_by_id(&d->users, id);
	return user ? *user : (struct rk_user){.id = id};
}

static struct rk_user user_of(const struct deleting *d, struct rk_slice did)
{
	const struct rk_user *user = rk_users_by_did(&d->users, did);

	return user ? *user : (struct rk_user){.did = did};
}

/* Where the index has the record that answers for the ref. ABSENT: nowhere. Texts are copied. */
static int index_find(struct deleting *d, struct rk_arena *arena, struct rk_slice *did,
	struct rk_slice *rkey, struct rk_slice ref, int collection)
{
	struct rk_record record;
	struct rk_repo repo;
	int r = rk_snapshot_begin(d->snapshot);

	if (r)
		return r;
	r = rk_read_ref(d->snapshot, &record, ref, collection);
	if (r == 0)
		r = rk_read_repo(d->snapshot, &repo, record.repo);
	if (r == 0) {
		*did = rk_slice_make(rk_arena_copy(arena, repo.did), repo.did.len);
		*rkey = rk_slice_make(rk_arena_copy(arena, record.rkey), record.rkey.len);
		r = did->data && rkey->data ? 0 : -ENOMEM;
	}
	rk_snapshot_end(d->snapshot);
	return r > 0 && r != RK_STORE_ABSENT ? -EUCLEAN : r;
}

/* A ref in one collection. *known grows where there is something. */
static int by_ref(struct deleting *d, struct rk_arena *arena, const char *name, struct rk_slice ref,
	int collection, bool *known)
{
	struct target t = {.name = name, .collection = collection, .ref = ref};
	struct rk_slice did = {0}, rkey = {0};
	struct rk_documents documents = {0};
	struct rk_oid oid;
	int found, r = 0;

	if (rk_oid_parse(&oid, ref))
		r = mongo_result(d,
			rk_mongo_by_id(
				d->mongo, &documents, arena, &rk_collections[collection], &oid, 1));
	found = r ? r : index_find(d, arena, &did, &rkey, ref, collection);
	if (found < 0)
		r = found;
	if (r == 0 && documents.count > 0) {
		t.document = &documents.list[0];
		t.user = owner_of(d, t.document);
		t.rkey = rk_document_rkey(t.document);
		/* Of a record without the ref, whose document this is by the record's place. */
		if (t.rkey.len == 0 && found == 0 && rk_slice_equal(did, t.user.did))
			t.rkey = rkey;
	} else if (r == 0 && found == 0) {
		t.user = user_of(d, did);
		t.rkey = rkey;
	}
	if (r == 0 && (t.document || t.rkey.len)) {
		*known = true;
		r = list(d, &t);
		if (r > 0 && r != RK_ACCOUNT_PUT_OFF) {
			tell(d, &t, RK_DELETE_FAILED);
			r = 0;
		} else if (r == 0) {
			r = carry_out(d, &t);
		}
	}
	rk_documents_finish(&documents);
	return r;
}

static bool is_of(
	const struct deleting *d, const struct rk_document *document, const struct target *t)
{
	const struct rk_user owner = owner_of(d, document);

	return owner.id.len > 0 && rk_slice_equal(owner.id, t->user.id);
}

/* The document that the record is to take with it: the owner's that names it, or, by its ref, the owner's that names
 * nothing, unless another record has the ref, too. */
static int document_find(struct deleting *d, struct rk_arena *arena, struct target *t,
	struct rk_documents *documents)
{
	const struct rk_collection *row = &rk_collections[t->collection];
	const struct listed *record = NULL;
	struct rk_oid oid;
	size_t same = 0;
	int r = rk_mongo_by_rkey(d->mongo, documents, arena, row, &t->rkey, 1);

	for (size_t i = 0; i < d->count && !record; i++) {
		if (!d->list[i].gone && rk_slice_equal_str(t->rkey, d->list[i].rkey))
			record = &d->list[i];
	}
	for (size_t i = 0; r == 0 && i < documents->count && !t->document; i++) {
		uint8_t hex[24];

		rk_oid_hex(hex, &documents->list[i].id);
		if (is_of(d, &documents->list[i], t) &&
			!(record && is_another(record, rk_slice_make(hex, sizeof(hex)))))
			t->document = &documents->list[i];
	}
	if (r || t->document || !record)
		return mongo_result(d, r);
	for (size_t i = 0; record->ref.len && i < d->count; i++)
		same += !d->list[i].gone && rk_slice_equal(record->ref, d->list[i].ref);
	if (same > 1)
		return 0;
	rk_document_id(&oid, record->ref, t->user.did, (uint8_t)t->collection, t->rkey);
	documents->count = 0;
	r = rk_mongo_by_id(d->mongo, documents, arena, row, &oid, 1);
	if (r == 0 && documents->count && is_of(d, &documents->list[0], t) &&
		rk_document_rkey(&documents->list[0]).len == 0)
		t->document = &documents->list[0];
	return mongo_result(d, r);
}

static int handle_find(struct deleting *d, struct rk_arena *arena, struct rk_slice *did)
{
	struct rk_repo repo;
	int r = rk_snapshot_begin(d->snapshot);

	if (r)
		return r;
	r = rk_read_repo_by_handle(d->snapshot, &repo, *did);
	if (r == 0) {
		*did = rk_slice_make(rk_arena_copy(arena, repo.did), repo.did.len);
		r = did->data ? 0 : -ENOMEM;
	}
	rk_snapshot_end(d->snapshot);
	return r;
}

static int by_uri(
	struct deleting *d, struct rk_arena *arena, const char *name, const struct rk_at_uri *uri)
{
	struct target t = {
		.name = name, .collection = rk_collection_find(uri->collection), .rkey = uri->rkey};
	struct rk_slice did = uri->authority.text;
	struct rk_documents documents = {0};
	int r = 0;

	if (t.collection < 0 || t.rkey.len == 0)
		t.reason = "it names no record of a collection that refkey keeps";
	else if (!uri->authority.is_did)
		r = handle_find(d, arena, &did);
	if (r < 0)
		return r;
	if (r > 0)
		t.reason = "its handle is not known: name the DID";
	if (!t.reason) {
		t.user = user_of(d, did);
		r = list(d, &t);
	}
	if (r == 0 && !t.reason)
		r = document_find(d, arena, &t, &documents);
	if (r > 0 && r != RK_ACCOUNT_PUT_OFF)
		r = 0;
	if (r == 0 && t.reason)
		tell(d, &t, RK_DELETE_FAILED);
	else if (r == 0)
		r = carry_out(d, &t);
	rk_documents_finish(&documents);
	return r;
}

static int name_run(struct deleting *d, const char *name)
{
	struct target unknown = {.name = name, .collection = -1};
	struct rk_arena arena = {0};
	struct rk_at_uri uri;
	uint8_t normal[RK_REF_MOST];
	bool known = false;
	int r = 0;

	if (strncmp(name, "at://", 5) == 0) {
		if (rk_at_uri_parse(&uri, rk_slice_str(name))) {
			r = by_uri(d, &arena, name, &uri);
		} else {
			unknown.reason = "it is no AT-URI";
			tell(d, &unknown, RK_DELETE_FAILED);
		}
	} else if (rk_ref_normalize(normal, rk_slice_str(name))) {
		for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++)
			r = by_ref(d, &arena, name, rk_slice_make(normal, strlen(name)), i, &known);
		if (r == 0 && !known)
			tell(d, &unknown, RK_DELETE_UNKNOWN);
	} else {
		unknown.reason = "it is neither a ref nor an AT-URI";
		tell(d, &unknown, RK_DELETE_FAILED);
	}
	rk_arena_finish(&arena);
	return r;
}

int rk_delete_run(struct rk_store *store, struct rk_delete_summary *out,
	const struct rk_delete_options *options, const struct rk_delete_request *request)
{
	struct deleting d = {
		.options = options, .request = request, .summary = out, .list_collection = -1};
	const struct rk_account_options account = {
		.pds = options->pds,
		.bypass_key = options->bypass_key,
		.max_wait_ms = request->max_wait_ms,
		.cancel = request->stop,
		.waiting = request->waiting,
		.context = request->context,
	};
	int r;

	*out = (struct rk_delete_summary){0};
	r = rk_mongo_create(&d.mongo, options->mongo_uri, options->database, out->error);
	if (r == 0)
		r = rk_snapshot_create(&d.snapshot, store);
	d.account = r == 0 ? rk_account_create(d.mongo, &account) : NULL;
	if (r == 0 && !d.account)
		r = -ENOMEM;
	if (r == 0)
		r = mongo_result(&d, rk_mongo_users(d.mongo, &d.users, true));
	for (const char *const *name = request->names; r == 0 && *name && !is_stopping(&d); name++)
		r = name_run(&d, *name);
	out->stopped = is_stopping(&d);
	if (r == -ECANCELED && out->stopped)
		r = 0;
	if (r == RK_ACCOUNT_PUT_OFF) {
		snprintf(out->error, sizeof(out->error), "%.255s", rk_account_error(d.account));
		r = -EAGAIN;
	}
	rk_account_destroy(d.account);
	rk_snapshot_destroy(d.snapshot);
	rk_mongo_destroy(d.mongo);
	rk_users_finish(&d.users);
	rk_arena_finish(&d.list_arena);
	rk_buf_finish(&d.list_did);
	free(d.list);
	return r;
}
