/*
 * DID documents: read from the directory (did:plc) or the host (did:web), kept in the index. A handle
 * is kept only if it is true in both directions: the document names it, and the source resolves it to
 * this DID. One that is not is kept, too, so that it is counted once.
 *
 * An answer that there is no document (404; 410, of a tombstone), or one that is no document, hides the account
 * until there is one again; all other answers (403, 429, a redirect) are passing and change nothing, as does none.
 */
#include "indexer/inside.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "indexer/state.h"
#include "net/backoff.h"

enum {
	WEBS_MOST = 3,     /* hosts of did:web asked at the same time, for whatever reason */
	TRIES_MOST = 6,    /* while nothing but hope asks for it; then the sweep does */
	READING_MS = 1000, /* between looks whether somebody still reads it; its end wakes */
};

enum outcome {
	READ,
	GONE,    /* an answer came, and it was no document of this DID */
	UNASKED, /* nobody answered, or nobody may be asked: what is held stays */
};

struct identity {
	struct rk_indexer *indexer;
	struct rk_slice did;
	struct rk_did_doc doc;
	enum outcome outcome;
	bool verified;
	bool unresolved;         /* the handle's other direction could not be asked for */
	bool barred;             /* … for the PDS is at an address that may not be asked */
	bool settled;            /* UNASKED: no longer waited for */
	bool overtaken;          /* asked for before the stream said that it may be another */
	enum rk_verdict refused; /* what the handle was refused for, if it was not before */
	size_t place;            /* in reading[] */
	enum rk_wish_kind kind;
	int64_t asked_ms; /* UNASKED: how long to wait before the next try; -1: not said */
	int64_t now_ms;
};

static bool is_fresh(struct rk_fetcher *fetcher, struct rk_slice did, int64_t age_ms)
{
	struct rk_identity held;
	bool fresh = false;
	int64_t age;

	if (rk_snapshot_begin(fetcher->snapshot) != 0)
		return true; /* no better another time */
	if (rk_read_identity(fetcher->snapshot, &held, did) == 0) {
		age = rk_clock_wall_ms() - held.fetched_ms;
		fresh = age >= 0 && age < (held.failed && age_ms ? RK_IDENTITY_FAILED_MS : age_ms);
	}
	rk_snapshot_end(fetcher->snapshot);
	return fresh;
}

bool rk_identity_judge(const struct rk_indexer *indexer, struct rk_repo *repo,
	const struct rk_identity *held, int64_t now_ms)
{
	bool gone = held->failed, moved = repo->flags & RK_REPO_MOVED;
	bool elsewhere = gone ? moved : rk_keys_elsewhere(indexer->origins, held->pds);
	bool back = (repo->unreadable && !gone) || (moved && !elsewhere);

	if (gone == repo->unreadable && elsewhere == moved)
		return false;
	repo->unreadable = gone;
	if (elsewhere)
		rk_repo_happen(repo, RK_REPO_EVENT_WENT_AWAY, now_ms, 0);
	else if (back)
		rk_repo_happen(repo, RK_REPO_EVENT_CAME_BACK, now_ms, 0);
	return true;
}

int rk_identity_home(struct rk_indexer *indexer, struct rk_write *w, rk_repo_id id)
{
	struct rk_identity held;
	struct rk_repo before, repo;
	int r = rk_read_repo(rk_write_view(w), &before, id);

	repo = before;
	if (r == 0)
		r = rk_read_identity(rk_write_view(w), &held, repo.did);
	if (r)
		return rk_read_ended(r);
	if (!rk_identity_judge(indexer, &repo, &held, rk_clock_wall_ms()))
		return 0;
	if (repo.unreadable != before.unreadable)
		rk_log(repo.unreadable ? RK_LOG_WARN : RK_LOG_INFO, "identity",
			repo.unreadable
				? "an account has no DID document any more: its records are hidden"
				: "an account has a DID document again",
			RK_LOG_SLICE("did", repo.did));
	if ((repo.flags ^ before.flags) & RK_REPO_MOVED)
		rk_log(RK_LOG_INFO, "identity",
			repo.flags & RK_REPO_MOVED ? "an account moved away"
						   : "an account is at home again",
			RK_LOG_SLICE("did", repo.did), RK_LOG_SLICE("host", held.pds));
	return rk_write_repo(w, &repo);
}

static int home_note(const struct identity *found, struct rk_write *w)
{
	struct rk_repo repo;
	int r = rk_read_repo_by_did(rk_write_view(w), &repo, found->did);

	return r ? rk_read_ended(r) : rk_identity_home(found->indexer, w, repo.id);
}

/* What was lost while it waited must be fetched. */
static int loss_note(const struct identity *found, struct rk_write *w)
{
	struct rk_repo repo;
	int r = rk_read_repo_by_did(rk_write_view(w), &repo, found->did);

	if (r)
		return rk_read_ended(r);
	repo.did = found->did;
	rk_repo_happen(&repo, RK_REPO_EVENT_GAP, found->now_ms, 0);
	return rk_write_repo(w, &repo);
}

/* Behind a relay the word of a handle's host is anybody's: it takes no handle from the account that has it,
 * as long as that one's own document and host say so. */
static bool handle_is_taken(
	const struct identity *found, struct rk_write *w, struct rk_slice handle)
{
	struct rk_repo holder;

	return found->indexer->options.relay && handle.len &&
		rk_read_repo_by_handle(rk_write_view(w), &holder, handle) == 0 &&
		!rk_slice_equal(holder.did, found->did);
}

static enum rk_verdict handle_judge(
	const struct identity *found, struct rk_write *w, struct rk_slice handle)
{
	if (handle.len && !found->verified)
		return RK_VERDICT_HANDLE_FALSE;
	return handle_is_taken(found, w, handle) ? RK_VERDICT_HANDLE_TAKEN : RK_VERDICT_OK;
}

/* What was true or false of it before, and is in the one direction that could be asked for, stays. */
static void handle_keep(
	struct rk_identity *identity, const struct rk_identity *held, struct rk_slice handle)
{
	if (rk_slice_equal(held->handle, handle))
		identity->handle = handle;
	else if (rk_slice_equal(held->refused, handle))
		identity->refused = handle;
}

static bool key_is(const struct rk_key_ready *a, const struct rk_key_ready *b)
{
	return a->type == b->type &&
		(a->type == RK_KEY_NONE || memcmp(a->point, b->point, sizeof(a->point)) == 0);
}

static int identity_write(struct identity *found, struct rk_write *w)
{
	struct rk_identity held = {0},
			   identity = {
				   .pds = rk_slice_str(found->doc.pds),
				   .fetched_ms = found->now_ms,
				   .failed = found->outcome == GONE,
			   };
	struct rk_slice handle = rk_slice_str(found->doc.handle);
	int r = rk_read_identity(rk_write_view(w), &held, found->did);

	if (r && r != RK_STORE_ABSENT)
		return rk_read_found(r);
	rk_key_ready_make(&identity.key, &found->doc.key); /* none stays none */
	if (!key_is(&held.key, &identity.key))
		rk_looks_return(&found->indexer->looks, found->did);
	found->refused = RK_VERDICT_OK;
	if (found->unresolved) {
		handle_keep(&identity, &held, handle);
	} else {
		found->refused = handle_judge(found, w, handle);
		if (found->refused)
			identity.refused = handle;
		else
			identity.handle = handle;
		if (rk_slice_equal(held.refused, identity.refused))
			found->refused = RK_VERDICT_OK;
	}
	r = rk_write_identity(w, found->did, &identity);
	return r ? r : home_note(found, w);
}

/* Nothing is known to have changed: frames that a document held refuses are refused, those that wait for the
 * first one go on waiting. */
static int unasked_note(const struct identity *found, struct rk_write *w, bool *replay)
{
	struct rk_identity held;
	int r = rk_read_identity(rk_write_view(w), &held, found->did);

	*replay = found->settled || (r == 0 && !held.failed);
	return rk_read_ended(r);
}

static int identity_run(void *context, struct rk_write *w)
{
	struct identity *found = context;
	bool lost = false, replay = true;
	int r;

	pthread_mutex_lock(&found->indexer->lock);
	found->overtaken = found->outcome != UNASKED && found->indexer->doubted[found->place];
	pthread_mutex_unlock(&found->indexer->lock);
	/* What waits is judged by another look. */
	if (found->overtaken)
		return 0;
	r = found->outcome == UNASKED ? unasked_note(found, w, &replay) : identity_write(found, w);
	if (r == 0 && replay)
		r = rk_replay(found->indexer, w, found->did, &lost);
	return r == 0 && lost ? loss_note(found, w) : r;
}

/* Asks for the other direction of the handle that the document names. */
static void handle_verify(struct rk_fetcher *fetcher, struct identity *found)
{
	struct rk_buf resolved = {.limit = RK_DID_MOST};
	struct rk_pds_reply reply;
	int r;

	if (!found->doc.handle[0])
		return;
	r = rk_pds_resolve_handle(fetcher->pds, &reply, &resolved,
		fetcher->indexer->options.relay ? found->doc.pds : fetcher->indexer->options.source,
		found->doc.handle);
	found->verified = r == RK_PDS_OK && rk_slice_equal(rk_buf_slice(&resolved), found->did);
	found->barred = r == RK_PDS_WRONG && reply.http_status == 0;
	found->unresolved = r == RK_PDS_RETRY || r < 0 || found->barred;
	if (found->barred)
		rk_log(RK_LOG_INFO, "identity",
			"a handle could not be proven: its PDS may not be asked",
			RK_LOG_SLICE("did", found->did), RK_LOG_STR("handle", found->doc.handle),
			RK_LOG_STR("reason", reply.message));
	rk_buf_finish(&resolved);
}

/* Whoever is asked too often may leave it to us for how long. */
static void directory_rest(struct rk_indexer *indexer, const struct rk_pds_reply *reply)
{
	int64_t asked_ms = reply->retry_after_ms;
	bool tell;

	if (asked_ms <= 0 && reply->http_status == 429)
		asked_ms = RK_WISH_FIRST_MS;
	if (asked_ms <= 0)
		return;
	pthread_mutex_lock(&indexer->lock);
	tell = rk_wishes_rest(&indexer->wishes, rk_clock_mono_ms(), asked_ms);
	pthread_mutex_unlock(&indexer->lock);
	if (tell)
		rk_log(RK_LOG_WARN, "identity",
			"the DID directory asks to be left alone for a while, and is",
			RK_LOG_STR("reason", reply->message), RK_LOG_INT("ms", asked_ms));
}

/* False: we are stopping. */
static bool document_read(
	struct rk_fetcher *fetcher, struct identity *found, const char *did, unsigned tries)
{
	struct rk_buf json = {.limit = RK_DID_DOC_MOST};
	struct rk_pds_reply reply = {0};
	const struct rk_did parsed = {.text = found->did};
	bool quiet;
	int r = rk_pds_did_document(
		fetcher->pds, &reply, &json, fetcher->indexer->options.plc, did);

	/* A malformed one is as good as none. */
	if (r == RK_PDS_OK && rk_did_doc_parse(&found->doc, parsed, rk_buf_slice(&json)))
		found->outcome = READ;
	else if (r == RK_PDS_ABSENT || (r >= 0 && r != RK_PDS_RETRY && reply.http_status == 200))
		found->outcome = GONE;
	else
		found->outcome = UNASKED;
	found->asked_ms = r == RK_PDS_RETRY ? reply.retry_after_ms : -1;
	rk_buf_finish(&json);
	if (r == RK_PDS_RETRY && !rk_wish_is_web(did))
		directory_rest(fetcher->indexer, &reply);
	if (found->outcome == READ)
		rk_metric_add(RK_METRIC_IDENTITY_FETCHES, 1);
	if (found->outcome == READ || r == -ECANCELED)
		return r != -ECANCELED;
	rk_metric_add(RK_METRIC_IDENTITY_FAILURES, 1);
	quiet = tries || r == RK_PDS_RETRY;
	rk_log(quiet ? RK_LOG_DEBUG : RK_LOG_WARN, "identity", "a DID document is not to be had",
		RK_LOG_STR("did", did),
		RK_LOG_STR("reason",
			r == RK_PDS_OK  ? "it is malformed"
				: r < 0 ? strerror(-r)
					: reply.message));
	return true;
}

static bool repo_is_known(struct rk_fetcher *fetcher, struct rk_slice did)
{
	struct rk_repo repo;
	bool known;

	if (rk_snapshot_begin(fetcher->snapshot) != 0)
		return true;
	known = rk_read_repo_by_did(fetcher->snapshot, &repo, did) != RK_STORE_ABSENT;
	rk_snapshot_end(fetcher->snapshot);
	return known;
}

/* What is not settled is tried again, less and less often. */
static void again_wish(struct rk_fetcher *fetcher, struct identity *found, unsigned tries)
{
	enum rk_wish_kind kind;
	bool known;

	if (found->outcome == READ && (!found->unresolved || found->barred))
		return;
	known = repo_is_known(fetcher, found->did);
	kind = !known                             ? RK_WISH_STRANGER
		: found->kind == RK_WISH_STRANGER ? RK_WISH_STREAM
						  : found->kind;
	if (tries >= TRIES_MOST && (found->outcome != UNASKED || !known)) {
		found->settled = true;
		return;
	}
	/* Of a DID that has neither repo nor document nothing more is asked. */
	if (known || found->outcome == UNASKED)
		found->settled = !rk_identity_wish(fetcher->indexer, found->did, kind,
			rk_wish_wait_ms(tries, found->asked_ms, rk_backoff_random()), tries + 1);
}

/* There is no room to wish for it: what waits for it is judged by what is held, or it would wait for ever. */
static void give_up(struct rk_fetcher *fetcher, struct rk_slice did)
{
	struct identity found = {
		.indexer = fetcher->indexer,
		.did = did,
		.outcome = UNASKED,
		.settled = true,
		.now_ms = rk_clock_wall_ms(),
	};

	if (rk_writer_call(fetcher->indexer->writer, identity_run, &found) != 0)
		rk_log(RK_LOG_DEBUG, "identity", "stopped before it was given up");
}

static void refused_tell(const struct identity *found)
{
	if (!found->refused)
		return;
	rk_metric_refused_add(found->refused);
	rk_log(RK_LOG_WARN, "identity", "a handle was refused",
		RK_LOG_STR("reason", rk_verdict_rows[found->refused].name),
		RK_LOG_SLICE("did", found->did), RK_LOG_STR("handle", found->doc.handle));
}

/* False: while it was asked for, the stream said that it may be another. */
static bool look(struct rk_fetcher *fetcher, const char *text, enum rk_wish_kind kind, size_t place,
	unsigned tries)
{
	struct identity found = {
		.indexer = fetcher->indexer,
		.did = rk_slice_str(text),
		.place = place,
		.kind = kind,
		.asked_ms = -1,
		.now_ms = rk_clock_wall_ms(),
	};
	struct rk_did did;

	if (!rk_did_parse(&did, found.did) || !document_read(fetcher, &found, text, tries))
		return true;
	if (found.outcome == READ)
		handle_verify(fetcher, &found);
	again_wish(fetcher, &found, tries);
	if (rk_writer_call(fetcher->indexer->writer, identity_run, &found) != 0)
		rk_log(RK_LOG_DEBUG, "identity", "stopped before the identity was written");
	else
		refused_tell(&found);
	return !found.overtaken;
}

static void doubt_forget(struct rk_indexer *indexer, size_t place)
{
	pthread_mutex_lock(&indexer->lock);
	indexer->doubted[place] = false;
	pthread_mutex_unlock(&indexer->lock);
}

static void refresh(struct rk_fetcher *fetcher, const char *did, enum rk_wish_kind kind,
	size_t place, unsigned tries)
{
	struct rk_indexer *indexer = fetcher->indexer;

	if (look(fetcher, did, kind, place, tries))
		return;
	/* Again at once, for whoever waits for it, but not again and again for a source that says nothing else. */
	if (tries == 0) {
		doubt_forget(indexer, place);
		if (look(fetcher, did, kind, place, ++tries))
			return;
	}
	if (!rk_identity_wish(indexer, rk_slice_str(did), kind,
		    rk_wish_wait_ms(tries, -1, rk_backoff_random()), tries + 1))
		give_up(fetcher, rk_slice_str(did));
}

/* One reader an account: answers could pass each other. False: not now. */
static bool reading_begin(
	struct rk_indexer *indexer, const char *did, size_t webs_most, size_t *place)
{
	bool begun;

	pthread_mutex_lock(&indexer->lock);
	if (rk_wish_is_web(did))
		begun = rk_wish_webs(indexer->reading, RK_FETCHERS) < webs_most;
	else
		begun = indexer->wishes.directory_ms <= rk_clock_mono_ms();
	*place = RK_FETCHERS;
	for (size_t i = 0; i < RK_FETCHERS; i++) {
		if (!indexer->reading[i])
			*place = i;
		else if (strcmp(indexer->reading[i], did) == 0)
			begun = false;
	}
	begun = begun && *place < RK_FETCHERS;
	if (begun) {
		indexer->reading[*place] = did;
		indexer->doubted[*place] = false;
	}
	pthread_mutex_unlock(&indexer->lock);
	return begun;
}

/* Until what somebody else is asking of the account just now is in the index. */
static void reading_wait(struct rk_indexer *indexer, const char *did)
{
	pthread_mutex_lock(&indexer->lock);
	while (!atomic_load(&indexer->stopping) &&
		rk_wish_is_read(did, indexer->reading, RK_FETCHERS))
		rk_indexer_wait(indexer, READING_MS);
	pthread_mutex_unlock(&indexer->lock);
}

static void reading_end(struct rk_indexer *indexer, size_t place)
{
	pthread_mutex_lock(&indexer->lock);
	indexer->reading[place] = NULL;
	pthread_cond_broadcast(&indexer->wake);
	pthread_mutex_unlock(&indexer->lock);
}

void rk_identity_doubt(void *context, struct rk_slice did)
{
	struct rk_indexer *indexer = context;

	pthread_mutex_lock(&indexer->lock);
	for (size_t i = 0; i < RK_FETCHERS; i++) {
		if (indexer->reading[i] && rk_slice_equal_str(did, indexer->reading[i]))
			indexer->doubted[i] = true;
	}
	pthread_mutex_unlock(&indexer->lock);
}

static void read_or_wish(struct rk_fetcher *fetcher, const char *did, enum rk_wish_kind kind,
	unsigned tries, size_t webs_most)
{
	struct rk_indexer *indexer = fetcher->indexer;
	size_t place;

	if (reading_begin(indexer, did, webs_most, &place)) {
		refresh(fetcher, did, kind, place, tries);
		reading_end(indexer, place);
	} else if (!rk_identity_wish(indexer, rk_slice_str(did), kind, 0, tries)) {
		give_up(fetcher, rk_slice_str(did));
	}
}

bool rk_identity_refresh(struct rk_fetcher *fetcher, const char *did, int64_t age_ms)
{
	struct rk_slice text = rk_slice_str(did);

	if (is_fresh(fetcher, text, age_ms))
		return true;
	reading_wait(fetcher->indexer, did);
	if (is_fresh(fetcher, text, age_ms))
		return true;
	read_or_wish(fetcher, did, RK_WISH_STREAM, 0, WEBS_MOST);
	return is_fresh(fetcher, text, age_ms);
}

void rk_identity_grant(struct rk_fetcher *fetcher, const struct rk_wish *wish)
{
	read_or_wish(fetcher, wish->did, wish->kind, wish->tries, RK_WISH_WEBS_MOST);
}
