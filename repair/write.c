/* Carrying steps out: documents first, so that no record goes that one still needs; then deletions, each
 * batch in the undo file before it is sent; marks last. See inside.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/encode.h"
#include "mongo/build.h"
#include "repair/inside.h"
#include "repair/undo_read.h"

enum {
	LOST_MOST_MS = 30 * 1000, /* MongoDB is away for so long: the run ends */
	PAUSE_MS = 500,
	ROUNDS_MOST = 5, /* of a document that never is as it was read */
	STALE_MS = 2000, /* what was seen so long ago is looked at again before it is acted upon */
};

static void settle(struct rk_repair_step *step, enum rk_repair_state state, const char *reason)
{
	step->state = state;
	snprintf(step->reason, sizeof(step->reason), "%s", reason);
}

/* Documents */

static unsigned changes_of(const struct rk_repair_run *run, const struct rk_repair_step *step)
{
	if (step->action == RK_REPAIR_LINK)
		return RK_BUILD_RKEY;
	return run->options->on_delete == RK_ON_DELETE_SOFT ? RK_BUILD_GONE | RK_BUILD_UNLINK
							    : RK_BUILD_UNLINK;
}

static bool is_done(const struct rk_repair_run *run, const struct rk_repair_step *step,
	const struct rk_document *document)
{
	struct rk_slice names = rk_document_rkey(document);

	if (step->action == RK_REPAIR_LINK)
		return !document->gone && rk_slice_equal(names, step->rkey);
	return names.len == 0 && document->gone == (run->options->on_delete == RK_ON_DELETE_SOFT);
}

/* As it was when the step was made. */
static bool is_as_it_was(const struct rk_repair_step *step, const struct rk_document *document)
{
	return !document->gone &&
		rk_slice_equal(rk_document_rkey(document),
			step->action == RK_REPAIR_LINK ? step->was : step->rkey);
}

/* One look and one bulk of documents of one collection. *open: how many are not settled. */
static int documents_try(struct rk_repair_run *run, const struct rk_user *user,
	struct rk_repair_step **steps, size_t count, size_t *open)
{
	const struct rk_collection *collection = &rk_collections[steps[0]->collection];
	struct rk_arena arena = {0};
	struct rk_documents documents = {0};
	struct rk_oid *ids = rk_arena_calloc(&arena, count, sizeof(*ids));
	struct rk_repair_step **sent =
		rk_arena_calloc(&arena, count, sizeof(struct rk_repair_step *));
	bson_t *filters = rk_arena_calloc(&arena, count, sizeof(*filters));
	bson_t *updates = rk_arena_calloc(&arena, count, sizeof(*updates));
	struct rk_statement_result *results = rk_arena_calloc(&arena, count, sizeof(*results));
	size_t built = 0, matched;
	int r = ids && sent && filters && updates && results ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < count; i++)
		ids[i] = steps[i]->id;
	if (r == 0)
		r = rk_mongo_by_id(run->mongo, &documents, &arena, collection, ids, count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct rk_repair_step *step = steps[i];
		const struct rk_document *document = rk_documents_find(&documents, &step->id);
		const struct rk_build build = {
			.collection = collection, .did = user->did, .rkey = step->rkey};

		if (step->state != RK_REPAIR_PLANNED)
			continue;
		if (document && is_done(run, step, document)) {
			settle(step, RK_REPAIR_DONE, "");
			continue;
		}
		if (!document || !is_as_it_was(step, document)) {
			settle(step, RK_REPAIR_FAILED, "the document changed meanwhile");
			continue;
		}
		rk_build_filter(&filters[built], document, collection);
		if (rk_build_update(&updates[built], document, &build, changes_of(run, step)))
			r = -ENOMEM;
		sent[built++] = step;
	}
	*open = built;
	if (r == 0 && built)
		r = rk_mongo_update(
			run->mongo, results, &matched, &arena, collection, filters, updates, built);
	for (size_t i = 0; r == 0 && i < built; i++) {
		if (results[i].result == RK_STATEMENT_BUSY)
			continue;
		if (results[i].result != RK_STATEMENT_DONE) {
			char reason[256];

			snprintf(reason, sizeof(reason), "MongoDB refused it: %.*s",
				RK_SLICE_ARG(results[i].text));
			settle(sent[i], RK_REPAIR_FAILED, reason);
		}
	}
	for (size_t i = 0; i < built; i++) {
		bson_destroy(&filters[i]);
		bson_destroy(&updates[i]);
	}
	rk_documents_finish(&documents);
	rk_arena_finish(&arena);
	return r;
}

static int documents_bulk(struct rk_repair_run *run, const struct rk_user *user,
	struct rk_repair_step **steps, size_t count)
{
	int64_t since = rk_clock_mono_ms();
	size_t open = 1;

	for (int rounds = 0; open && rounds < ROUNDS_MOST;) {
		int r = documents_try(run, user, steps, count, &open);

		if (r == 0) {
			rounds++; /* the next look says whether it is so */
			continue;
		}
		if (r != -EIO)
			return r;
		if (rk_clock_mono_ms() - since > LOST_MOST_MS ||
			!rk_clock_pause_unless(PAUSE_MS, rk_repair_stopping, run))
			return rk_mongo_result(run->mongo, r, run->summary->error);
	}
	for (size_t i = 0; i < count; i++) {
		if (steps[i]->state == RK_REPAIR_PLANNED)
			settle(steps[i], RK_REPAIR_FAILED, "the document changes again and again");
	}
	return 0;
}

int rk_repair_documents(struct rk_repair_run *run, const struct rk_user *user,
	struct rk_repair_step **steps, size_t count)
{
	size_t most = run->options->mongo_batch;
	int r = 0;

	for (size_t from = 0, to; r == 0 && from < count; from = to) {
		for (to = from; to < count && to - from < most &&
			steps[to]->collection == steps[from]->collection;)
			to++;
		if (rk_repair_stopping(run))
			return -ECANCELED;
		r = documents_bulk(run, user, steps + from, to - from);
	}
	return r;
}

/* What the index is told: documents that have their record again are looked at, issues that are over go. */
struct telling {
	const struct rk_user *user;
	struct rk_repair_step **steps;
	size_t count;
};

static int tell(void *context, struct rk_write *w)
{
	const struct telling *telling = context;
	struct rk_repo repo;
	int r = rk_read_repo_by_did(rk_write_view(w), &repo, telling->user->did);

	for (size_t i = 0; r == 0 && i < telling->count; i++) {
		const struct rk_repair_step *step = telling->steps[i];
		char hex[RK_OID_LEN + 1];

		if (step->state != RK_REPAIR_DONE)
			continue;
		rk_oid_format(hex, &step->id);
		if (step->action == RK_REPAIR_LINK)
			r = rk_write_pending(
				w, repo.id, step->collection, step->rkey, 0, rk_clock_wall_ms());
		if (r == RK_STORE_ABSENT)
			r = 0;
		if (r == 0)
			r = rk_write_issue_clear(
				w, RK_ISSUE_VANISHED, repo.id, step->collection, rk_slice_str(hex));
		if (r == 0)
			r = rk_write_issue_clear(
				w, RK_ISSUE_DANGLING, repo.id, step->collection, rk_slice_str(hex));
	}
	return r < 0 ? r : 0;
}

static int documents_settle(struct rk_repair_run *run, const struct rk_user *user,
	struct rk_repair_steps *all, enum rk_repair_action action)
{
	struct rk_repair_step **steps = calloc(all->count + 1, sizeof(*steps));
	struct telling telling = {.user = user, .steps = steps};
	int r = steps ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < all->count; i++) {
		if (all->list[i].action == action)
			steps[telling.count++] = &all->list[i];
	}
	if (r == 0 && telling.count)
		r = rk_repair_documents(run, user, steps, telling.count);
	if (r == 0 && telling.count)
		r = rk_writer_call(run->writer, tell, &telling);
	free(steps);
	return r;
}

/* Deletions */

struct deletion {
	struct rk_account_write write;
	struct rk_repair_step *step;
	char rkey[RK_RKEY_MOST + 1];
	bool there, changed;
};

struct rk_repair_batch {
	struct deletion *list;
	size_t count;
	int collection;
	int64_t looked_ms; /* when both sides were */
};

static void look_restart(void *context)
{
	struct rk_repair_batch *batch = context;

	for (size_t i = 0; i < batch->count; i++)
		batch->list[i].there = batch->list[i].changed = false;
}

static int look_visit(void *context, const struct rk_session_record *record)
{
	struct rk_repair_batch *batch = context;

	for (size_t i = 0; i < batch->count; i++) {
		struct deletion *one = &batch->list[i];
		json_t *was;

		if (!rk_slice_equal_str(record->rkey, one->rkey))
			continue;
		was = json_loadb((const char *)one->step->json.data, one->step->json.len,
			JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
		one->there = true;
		one->changed = !was || !json_equal(was, record->value);
		json_decref(was);
	}
	return 0;
}

static void undo_line(
	struct rk_buf *out, const struct rk_user *user, const struct rk_repair_step *step)
{
	struct rk_buf cid = {0};
	char ref[RK_OID_LEN + 1];

	rk_oid_format(ref, &step->id);
	rk_cid_format(&cid, &step->cid);
	rk_buf_add_str(out, "{\"did\":");
	rk_buf_add_json(out, user->did);
	rk_buf_printf(
		out, ",\"collection\":\"%s\",\"rkey\":", rk_collections[step->collection].nsid);
	rk_buf_add_json(out, step->rkey);
	rk_buf_printf(out,
		",\"cid\":\"%s\",\"ref\":\"%s\",\"kind\":\"%s\",\"record\":", rk_buf_cstr(&cid),
		ref, rk_repair_kind_names[step->kind]);
	rk_buf_add_slice(out, step->json);
	rk_buf_add_str(out, "}\n");
	rk_buf_finish(&cid);
}

/* Whether the undo file will give back the very record. */
static bool can_be_undone(struct rk_buf *scratch, const struct rk_repair_step *step)
{
	json_t *record = json_loadb((const char *)step->json.data, step->json.len,
		JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	bool can = record && rk_undo_encode(scratch, record, &step->cid);

	json_decref(record);
	return can;
}

static int undo_write(
	struct rk_repair_run *run, const struct rk_user *user, const struct rk_repair_batch *batch)
{
	struct rk_buf lines = {0};
	int r;

	for (size_t i = 0; i < batch->count; i++) {
		if (batch->list[i].write.state == RK_ACCOUNT_OPEN)
			undo_line(&lines, user, batch->list[i].step);
	}
	r = rk_buf_failed(&lines) ? -ENOMEM : 0;
	if (r == 0 && lines.len)
		r = rk_undo_append(&run->undo, run->options->audit.data_dir, rk_buf_slice(&lines));
	if (r) {
		snprintf(run->summary->error, sizeof(run->summary->error),
			"the undo file cannot be written, so nothing more is deleted: %s",
			strerror(-r));
		r = -EIO; /* not one of those that say something of the request, or of a service */
	}
	if (run->undo.path[0])
		snprintf(run->summary->undo, sizeof(run->summary->undo), "%s", run->undo.path);
	rk_buf_finish(&lines);
	return r;
}

/* Why a record is not to go, as its document is now; NULL: it is. */
static const char *kept_by(const struct rk_repair_step *step, const struct rk_document *document)
{
	if (!document || document->gone)
		return NULL;
	if (step->kind == RK_REPAIR_ORPHANS)
		return "its document is there again";
	return rk_slice_equal(rk_document_rkey(document), step->rkey)
		? "its document names it by now"
		: NULL;
}

/* Leaves the records that their documents still do without. */
static int batch_documents(struct rk_repair_run *run, struct rk_repair_batch *batch)
{
	struct rk_documents documents = {0};
	struct rk_arena arena = {0};
	struct rk_oid *ids = rk_arena_calloc(&arena, batch->count, sizeof(*ids));
	int r = ids ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < batch->count; i++)
		ids[i] = batch->list[i].step->id;
	if (r == 0)
		r = rk_mongo_by_id(run->mongo, &documents, &arena,
			&rk_collections[batch->collection], ids, batch->count);
	for (size_t i = 0; r == 0 && i < batch->count; i++) {
		struct deletion *one = &batch->list[i];
		const char *why = kept_by(one->step, rk_documents_find(&documents, &one->step->id));

		if (why && one->write.state == RK_ACCOUNT_OPEN)
			rk_account_settle(&one->write, RK_ACCOUNT_FAILED, why);
	}
	rk_documents_finish(&documents);
	rk_arena_finish(&arena);
	return rk_mongo_result(run->mongo, r, run->summary->error);
}

/* Leaves open what both sides still want gone. */
static int batch_look(struct rk_repair_run *run, struct rk_repair_batch *batch)
{
	int r = rk_account_list(run->account, rk_collections[batch->collection].nsid, look_restart,
		look_visit, batch);

	for (size_t i = 0; r == 0 && i < batch->count; i++) {
		struct deletion *one = &batch->list[i];

		if (one->write.state != RK_ACCOUNT_OPEN)
			continue;
		if (!one->there)
			rk_account_settle(&one->write, RK_ACCOUNT_DONE, "");
		else if (one->changed)
			rk_account_settle(
				&one->write, RK_ACCOUNT_FAILED, "the record changed meanwhile");
	}
	if (r == 0)
		r = batch_documents(run, batch);
	batch->looked_ms = rk_clock_mono_ms();
	return r;
}

/* A limit may keep a batch back for hours, and either side changes meanwhile. */
int rk_repair_last_look(void *context, struct rk_account_write **writes, size_t count)
{
	struct rk_repair_run *run = context;
	struct rk_repair_batch *batch = run->batch;

	(void)writes;
	(void)count;
	if (!batch || rk_clock_mono_ms() - batch->looked_ms < STALE_MS)
		return 0;
	return batch_look(run, batch);
}

/* Records that are as they were, in one request; they are in the undo file before. */
static int batch_delete(
	struct rk_repair_run *run, const struct rk_user *user, struct rk_repair_batch *batch)
{
	struct rk_account_write *writes[RK_SESSION_WRITES_MOST];
	struct rk_buf scratch = {0};
	int r = batch_look(run, batch);

	for (size_t i = 0; r == 0 && i < batch->count; i++) {
		struct deletion *one = &batch->list[i];

		writes[i] = &one->write;
		if (one->write.state == RK_ACCOUNT_OPEN && !can_be_undone(&scratch, one->step))
			rk_account_settle(&one->write, RK_ACCOUNT_FAILED,
				"it could not be put back as it is, so it is left");
	}
	rk_buf_finish(&scratch);
	if (r == 0)
		r = undo_write(run, user, batch);
	run->batch = batch;
	if (r == 0)
		r = rk_account_write(run->account, writes, batch->count, NULL, NULL);
	run->batch = NULL;
	for (size_t i = 0; i < batch->count; i++) {
		const struct deletion *one = &batch->list[i];

		if (one->write.state == RK_ACCOUNT_DONE)
			settle(one->step, RK_REPAIR_DONE, "");
		else if (one->write.state == RK_ACCOUNT_FAILED)
			settle(one->step, RK_REPAIR_FAILED, one->write.reason);
		else if (r > 0 && r != RK_ACCOUNT_PUT_OFF)
			settle(one->step, RK_REPAIR_FAILED, rk_account_error(run->account));
	}
	return r;
}

/* A duplicate whose document could not be made to name the one that is kept stays. */
static bool is_held(const struct rk_repair_steps *all, const struct rk_repair_step *step)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct rk_repair_step *link = &all->list[i];

		if (link->action == RK_REPAIR_LINK && link->state != RK_REPAIR_DONE &&
			link->collection == step->collection && step->has_id &&
			memcmp(&link->id, &step->id, sizeof(link->id)) == 0)
			return true;
	}
	return false;
}

static int deletions_settle(
	struct rk_repair_run *run, const struct rk_user *user, struct rk_repair_steps *all)
{
	size_t most = run->request->batch_size && run->request->batch_size < RK_SESSION_WRITES_MOST
		? (size_t)run->request->batch_size
		: RK_SESSION_WRITES_MOST;
	struct deletion *list = calloc(most, sizeof(*list));
	int r = list ? rk_account_take(run->account, user) : -ENOMEM;

	for (size_t at = 0; r == 0 && at < all->count;) {
		struct rk_repair_batch batch = {.list = list, .collection = -1};

		memset(list, 0, most * sizeof(*list));
		for (; at < all->count && batch.count < most; at++) {
			struct rk_repair_step *step = &all->list[at];
			struct deletion *one = &list[batch.count];

			if (step->action != RK_REPAIR_DELETE || step->state != RK_REPAIR_PLANNED)
				continue;
			if (is_held(all, step)) {
				settle(step, RK_REPAIR_FAILED, "its document could not be linked");
				continue;
			}
			if (batch.collection >= 0 && step->collection != batch.collection)
				break;
			if (step->rkey.len >= sizeof(one->rkey)) {
				settle(step, RK_REPAIR_FAILED, "the key is too long");
				continue;
			}
			batch.collection = step->collection;
			memcpy(one->rkey, step->rkey.data, step->rkey.len);
			one->step = step;
			one->write.write = (struct rk_session_write){.action = RK_SESSION_DELETE,
				.collection = rk_collections[batch.collection].nsid,
				.rkey = one->rkey};
			batch.count++;
		}
		if (batch.count == 0)
			break;
		if (rk_repair_stopping(run) ||
			(run->request->delay_ms && run->batches++ > 0 &&
				!rk_clock_pause_unless(
					(int64_t)run->request->delay_ms, rk_repair_stopping, run)))
			r = -ECANCELED;
		else
			r = batch_delete(run, user, &batch);
	}
	free(list);
	return r;
}

/* Marks */

static void records_restart(void *context)
{
	(void)context; /* what was seen to be there is settled */
}

static int record_back(void *context, const struct rk_session_record *record)
{
	struct rk_repair_step **steps = context;

	for (; *steps; steps++) {
		if (rk_slice_equal(record->rkey, (*steps)->rkey))
			settle(*steps, RK_REPAIR_FAILED, "its record is there again");
	}
	return 0;
}

/* Deletions may have been kept back for hours since the repo was read, and what vanished may be there again. */
static int marks_look(struct rk_repair_run *run, struct rk_repair_steps *all)
{
	struct rk_repair_step **steps = calloc(all->count + 1, sizeof(*steps));
	struct rk_snapshot *snapshot = NULL;
	int r = steps ? rk_snapshot_create(&snapshot, run->store) : -ENOMEM;

	for (int collection = 0; r == 0 && collection < RK_COLLECTION_COUNT; collection++) {
		size_t count = 0;

		for (size_t i = 0; i < all->count; i++) {
			if (all->list[i].action == RK_REPAIR_MARK &&
				all->list[i].collection == collection)
				steps[count++] = &all->list[i];
		}
		steps[count] = NULL;
		if (count)
			r = rk_account_list(run->account, rk_collections[collection].nsid,
				records_restart, record_back, steps);
		if (r == RK_PDS_ABSENT)
			r = rk_account_absent(run->account, snapshot);
	}
	rk_snapshot_destroy(snapshot);
	free(steps);
	return r;
}

int rk_repair_carry_out(struct rk_repair_run *run, const struct rk_audit_person *person,
	struct rk_repair_steps *steps)
{
	const struct rk_user *user = person->user;
	int r = documents_settle(run, user, steps, RK_REPAIR_LINK);

	if (r == 0)
		r = deletions_settle(run, user, steps);
	if (r == 0)
		r = marks_look(run, steps);
	if (r == RK_ACCOUNT_PUT_OFF) {
		for (size_t i = 0; i < steps->count; i++)
			run->summary->put_off += steps->list[i].state == RK_REPAIR_PLANNED;
		return 0;
	}
	/* Of this account alone: what is open failed, and the others go on. */
	for (size_t i = 0; r > 0 && i < steps->count; i++) {
		if (steps->list[i].state == RK_REPAIR_PLANNED)
			settle(&steps->list[i], RK_REPAIR_FAILED, rk_account_error(run->account));
	}
	if (r < 0 && !run->summary->error[0] && r == -EHOSTUNREACH)
		snprintf(run->summary->error, sizeof(run->summary->error), "%s",
			rk_account_error(run->account));
	return r < 0 ? r : documents_settle(run, user, steps, RK_REPAIR_MARK);
}
