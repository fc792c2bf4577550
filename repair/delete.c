/* See delete.h. What a name means; what is then done is delete_target.c's. */
#include "repair/delete.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "repair/delete_inside.h"

#define ROW(id, name, text) [RK_DELETE_##id] = {name, text},
const struct rk_delete_outcome_row rk_delete_outcome_rows[RK_DELETE_OUTCOME_COUNT] = {
	RK_DELETE_OUTCOMES(ROW)};
#undef ROW

static bool is_stopping(const struct rk_deleting *d)
{
	return d->request->stop && atomic_load(d->request->stop);
}

/* The owner of a document: with an id at least. */
static struct rk_user owner_of(const struct rk_deleting *d, const struct rk_document *document)
{
	struct rk_slice id = rk_document_owner(document, d->options->guest_user);
	const struct rk_user *user = rk_users_by_id(&d->users, id);

	return user ? *user : (struct rk_user){.id = id};
}

static struct rk_user user_of(const struct rk_deleting *d, struct rk_slice did)
{
	const struct rk_user *user = rk_users_by_did(&d->users, did);

	return user ? *user : (struct rk_user){.did = did};
}

/* Where the index has the record that answers for the ref. ABSENT: nowhere. Texts are copied. */
static int index_find(struct rk_deleting *d, struct rk_arena *arena, struct rk_slice *did,
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
static int by_ref(struct rk_deleting *d, struct rk_arena *arena, const char *name,
	struct rk_slice ref, int collection, bool *known)
{
	struct rk_delete_target t = {.name = name, .collection = collection, .ref = ref};
	struct rk_slice did = {0}, rkey = {0};
	struct rk_documents documents = {0};
	struct rk_oid oid;
	int found, r = 0;

	if (rk_oid_parse(&oid, ref))
		r = rk_delete_mongo_result(d,
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
		r = rk_delete_list(d, &t);
		if (r > 0 && r != RK_ACCOUNT_PUT_OFF) {
			rk_delete_tell(d, &t, RK_DELETE_FAILED);
			r = 0;
		} else if (r == 0) {
			r = rk_delete_carry_out(d, &t);
		}
	}
	rk_documents_finish(&documents);
	return r;
}

static bool is_of(const struct rk_deleting *d, const struct rk_document *document,
	const struct rk_delete_target *t)
{
	const struct rk_user owner = owner_of(d, document);

	return owner.id.len > 0 && rk_slice_equal(owner.id, t->user.id);
}

/* The document that the record is to take with it: the owner's that names it, or, by its ref, the owner's that names
 * nothing, unless another record has the ref, too. */
static int document_find(struct rk_deleting *d, struct rk_arena *arena, struct rk_delete_target *t,
	struct rk_documents *documents)
{
	const struct rk_collection *row = &rk_collections[t->collection];
	const struct rk_delete_listed *record = NULL;
	struct rk_oid oid;
	size_t same = 0;
	int r = rk_mongo_by_rkey(d->mongo, documents, arena, row, &t->rkey, 1);

	for (size_t i = 0; i < d->count && !record; i++) {
		if (!d->list[i].gone && rk_slice_equal_str(t->rkey, d->list[i].rkey))
			record = &d->list[i];
	}
	for (size_t i = 0; r == 0 && i < documents->count && !t->document; i++) {
		char hex[RK_OID_LEN + 1];

		rk_oid_format(hex, &documents->list[i].id);
		if (is_of(d, &documents->list[i], t) &&
			!(record && rk_delete_is_another(record, rk_slice_str(hex))))
			t->document = &documents->list[i];
	}
	if (r || t->document || !record)
		return rk_delete_mongo_result(d, r);
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
	return rk_delete_mongo_result(d, r);
}

static int handle_find(struct rk_deleting *d, struct rk_arena *arena, struct rk_slice *did)
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

static int by_uri(struct rk_deleting *d, struct rk_arena *arena, const char *name,
	const struct rk_at_uri *uri)
{
	struct rk_delete_target t = {
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
		t.reason = "its handle is not known, or not verified: name the DID";
	if (!t.reason) {
		t.user = user_of(d, did);
		r = rk_delete_list(d, &t);
	}
	if (r == 0 && !t.reason)
		r = document_find(d, arena, &t, &documents);
	if (r > 0 && r != RK_ACCOUNT_PUT_OFF)
		r = 0;
	if (r == 0 && t.reason)
		rk_delete_tell(d, &t, RK_DELETE_FAILED);
	else if (r == 0)
		r = rk_delete_carry_out(d, &t);
	rk_documents_finish(&documents);
	return r;
}

/* From @handle/…, of the site, to at://did:…/…. NULL: why it cannot be is in reason. */
static const char *site_uri(
	struct rk_deleting *d, struct rk_arena *arena, const char *handle, const char **reason)
{
	size_t len = strcspn(handle, "/");
	char error[RK_USERS_ERROR];
	const struct rk_user *user = rk_users_by_name(&d->users, rk_slice_make(handle, len), error);
	struct rk_buf uri = {0};
	const char *copy;

	if (!user || !user->did.len) {
		copy = user ? NULL : rk_arena_copy(arena, rk_slice_str(error));
		*reason = copy ? copy : user ? "its user has no ATProto account" : "out of memory";
		return NULL;
	}
	rk_buf_printf(&uri, "at://%.*s%s", RK_SLICE_ARG(user->did), handle + len);
	copy = rk_arena_copy(arena, rk_buf_slice(&uri));
	rk_buf_finish(&uri);
	*reason = "out of memory";
	return copy;
}

static int name_run(struct rk_deleting *d, const char *name)
{
	struct rk_delete_target unknown = {.name = name, .collection = -1};
	struct rk_arena arena = {0};
	struct rk_at_uri uri;
	uint8_t normal[RK_REF_MOST];
	bool known = false;
	int r = 0;

	if (strncmp(name, "at://", 5) == 0) {
		const char *text = name;

		if (name[5] == '@')
			text = site_uri(d, &arena, name + 5, &unknown.reason);
		if (text && rk_at_uri_parse(&uri, rk_slice_str(text))) {
			r = by_uri(d, &arena, name, &uri);
		} else {
			if (text)
				unknown.reason =
					"it is no AT-URI of a DID, a handle or an @handle of the site";
			rk_delete_tell(d, &unknown, RK_DELETE_FAILED);
		}
	} else if (rk_ref_normalize(normal, rk_slice_str(name))) {
		for (int i = 0; r == 0 && i < RK_COLLECTION_COUNT; i++)
			r = by_ref(d, &arena, name, rk_slice_make(normal, strlen(name)), i, &known);
		if (r == 0 && !known)
			rk_delete_tell(d, &unknown, RK_DELETE_UNKNOWN);
	} else {
		unknown.reason = "it is neither a ref nor an AT-URI";
		rk_delete_tell(d, &unknown, RK_DELETE_FAILED);
	}
	rk_arena_finish(&arena);
	return r;
}

int rk_delete_run(struct rk_store *store, struct rk_delete_summary *out,
	const struct rk_delete_options *options, const struct rk_delete_request *request)
{
	struct rk_deleting d = {
		.options = options, .request = request, .summary = out, .list_collection = -1};
	const struct rk_account_options account = {
		.pds = options->pds,
		.bypass_key = options->bypass_key,
		.max_wait_ms = request->max_wait_ms,
		.stop = request->stop,
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
		r = rk_delete_mongo_result(&d, rk_mongo_users(d.mongo, &d.users, true));
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
