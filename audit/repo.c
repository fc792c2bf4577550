/* A user's repo as the PDS gives it: one CAR, whose blocks and tree are checked, and its records read.
 * Who signed it is the indexer's matter. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atproto/verify.h"
#include "audit/inside.h"
#include "base/clock.h"
#include "records/document.h"
#include "records/record.h"

enum {
	REPO_MOST = 1 << 30,   /* bytes of a CAR */
	REPO_USUAL = 32 << 20, /* … of any thread at any time; one at a time may have more */
	LARGE_LOOK_MS = 50,
};

static bool is_stopping(void *run)
{
	return rk_audit_stopping(run);
}

static int wrong(struct rk_pds_reply *reply, const char *message)
{
	snprintf(reply->message, sizeof(reply->message), "%s", message);
	return RK_PDS_WRONG;
}

struct reading {
	struct rk_audit_person *person;
	bool with_json;
	struct rk_verified verified;
	size_t rooms[RK_COLLECTION_COUNT];
	struct rk_arena scratch; /* of one record */
	int error;
};

static struct rk_audit_record *record_next(struct reading *reading, int at)
{
	struct rk_audit_collection *c = &reading->person->collections[at];
	size_t *room = &reading->rooms[at];

	if (c->record_count == *room) {
		size_t more = *room ? *room * 2 : 16;
		struct rk_audit_record *list =
			rk_arena_calloc(&reading->person->arena, more, sizeof(*list));

		if (!list)
			return NULL;
		if (*room)
			memcpy(list, c->records, *room * sizeof(*list));
		c->records = list;
		*room = more;
	}
	return &c->records[c->record_count++];
}

static bool keep(struct rk_arena *arena, struct rk_slice *out, struct rk_slice text)
{
	const char *copy = rk_arena_copy(arena, text);

	*out = rk_slice_make(copy, text.len);
	return copy != NULL;
}

static bool take(void *context, struct rk_slice key, const struct rk_cid *cid)
{
	struct reading *reading = context;
	struct rk_arena *arena = &reading->person->arena;
	const uint8_t *slash = memchr(key.data, '/', key.len);
	size_t len = slash ? (size_t)(slash - key.data) : key.len;
	int at = rk_collection_find(rk_slice_sub(key, 0, len));
	struct rk_record_read read = {0};
	struct rk_audit_record *record;
	struct rk_rkey parsed;
	struct rk_slice block;
	int r;

	if (!slash || at < 0)
		return true;
	record = record_next(reading, at);
	if (!record || !keep(arena, &record->rkey, rk_slice_sub(key, len + 1, key.len - len - 1))) {
		reading->error = -ENOMEM;
		return false;
	}
	record->cid = *cid;
	rk_arena_reset(&reading->scratch);
	r = rk_blocks_find(&reading->verified.blocks, cid, &block)
		? rk_record_read(
			  &read, &reading->scratch, (enum rk_collection_id)at, record->rkey, block)
		: -EINVAL;
	if (r == -EINVAL)
		read.facts.invalid = "the record cannot be read";
	record->unshown = r == -EINVAL || !rk_rkey_parse(&parsed, record->rkey);
	record->invalid =
		record->unshown && r == 0 ? "its key is no record key" : read.facts.invalid;
	if ((r && r != -EINVAL) || !keep(arena, &record->ref, read.facts.ref) ||
		!keep(arena, &record->code, read.facts.code) ||
		!keep(arena, &record->slug, read.facts.slug) ||
		(reading->with_json && !keep(arena, &record->json, read.json))) {
		reading->error = -ENOMEM;
		return false;
	}
	record->derived = rk_document_id(&record->target, record->ref, reading->person->user->did,
		(uint8_t)at, record->rkey);
	return true;
}

static int car_read(struct reading *reading, struct rk_pds_reply *reply, struct rk_slice car)
{
	const struct rk_did did = {.text = reading->person->user->did};
	const struct rk_verify_options options = {.now_ms = rk_clock_wall_ms()};
	int r = rk_verify_repo(&reading->verified, car, did, &options, take, reading);

	if (reading->error)
		r = reading->error;
	else if (r > 0)
		r = wrong(reply, rk_verdict_rows[r].help);
	reading->person->rev = reading->verified.commit.rev;
	rk_blocks_finish(&reading->verified.blocks);
	rk_arena_finish(&reading->scratch);
	return r;
}

/* Where the repo is; false: nobody says. */
static bool host_find(struct rk_audit_worker *w, struct rk_buf *host, struct rk_slice did)
{
	struct rk_identity identity;

	if (!w->run->options->relay) {
		rk_buf_add_str(host, w->run->options->pds);
	} else if (rk_snapshot_begin(w->snapshot) == 0) {
		if (rk_read_identity(w->snapshot, &identity, did) == RK_STORE_OK)
			rk_buf_add_slice(host, identity.pds);
		rk_snapshot_end(w->snapshot);
	}
	return host->len > 0;
}

/* A large repo, of which there is one at a time. */

struct fetching {
	struct rk_audit_run *run;
	bool large;
};

static bool large_take(struct fetching *f)
{
	pthread_mutex_lock(&f->run->lock);
	if (!f->large && !f->run->large) {
		f->large = true;
		f->run->large = true;
	}
	pthread_mutex_unlock(&f->run->lock);
	return f->large;
}

static void large_give(struct fetching *f)
{
	if (!f->large)
		return;
	pthread_mutex_lock(&f->run->lock);
	f->run->large = false;
	pthread_mutex_unlock(&f->run->lock);
	f->large = false;
}

static int large_await(struct fetching *f)
{
	while (!large_take(f)) {
		if (!rk_clock_pause_unless(LARGE_LOOK_MS, is_stopping, f->run))
			return -ECANCELED;
	}
	return 0;
}

static bool fetch_watch(void *context, struct rk_slice piece, size_t before)
{
	return before + piece.len <= REPO_USUAL || large_take(context);
}

/* Holds its file and, if it is large, the only place for such. */
static int car_get(struct rk_audit_worker *w, struct rk_pds_reply *reply,
	struct rk_pds_spool *spool, const char *host, const char *did)
{
	struct fetching *f = spool->watch_context;
	int r = rk_pds_get_repo(w->pds, reply, spool, host, did);

	if (r != -ECONNABORTED)
		return r;
	r = large_await(f); /* with nothing in hand, to begin again */
	return r ? r : rk_pds_get_repo(w->pds, reply, spool, host, did);
}

int rk_audit_repo_read(
	struct rk_audit_worker *w, struct rk_pds_reply *reply, struct rk_audit_person *person)
{
	struct reading reading = {.person = person, .with_json = w->run->request->in_turn};
	struct fetching fetching = {.run = w->run};
	struct rk_buf host = {0}, did = {0};
	struct rk_pds_spool spool = {
		.dir = w->run->options->data_dir,
		.bytes_most = REPO_MOST,
		.watch = fetch_watch,
		.watch_context = &fetching,
	};
	void *map = MAP_FAILED;
	int r;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		person->collections[i].record_count = 0;
	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	rk_buf_add_slice(&did, person->user->did);
	if (!host_find(w, &host, person->user->did))
		r = wrong(reply, "no DID document that names a PDS is known");
	else
		r = car_get(w, reply, &spool, rk_buf_cstr(&host), rk_buf_cstr(&did));
	if (r == RK_PDS_OK) {
		if (spool.size)
			map = mmap(NULL, spool.size, PROT_READ, MAP_PRIVATE, spool.fd, 0);
		if (map == MAP_FAILED)
			r = wrong(reply, "the repo is empty");
		else
			r = car_read(&reading, reply, rk_slice_make(map, spool.size));
		if (map != MAP_FAILED)
			munmap(map, spool.size);
		close(spool.fd);
	}
	large_give(&fetching);
	rk_buf_finish(&host);
	rk_buf_finish(&did);
	return r;
}
