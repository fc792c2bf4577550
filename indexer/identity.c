/*
 * DID documents: read from the directory (did:plc) or the host (did:web), kept in the index. A handle
 * is kept only if it is true in both directions: the document names it, and the source resolves it to
 * this DID.
 */
#include "indexer/inside.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

/* Asked again so soon while events wait for it. */
enum { RETRY_MS = 2000 };

struct identity {
	struct rk_indexer *indexer;
	struct rk_slice did;
	struct rk_did_doc doc;
	bool verified, failed;
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

/* Whether the account lives at the source decides if its repo is fetched and its commits taken. */
static int home_note(const struct identity *found, struct rk_write *w)
{
	bool elsewhere = rk_keys_elsewhere(found->indexer->origins, rk_slice_str(found->doc.pds));
	struct rk_repo repo;
	int r = rk_read_repo_by_did(rk_write_view(w), &repo, found->did);

	if (r)
		return r == RK_STORE_ABSENT ? 0 : r < 0 ? r : -EUCLEAN;
	if (elsewhere == !!(repo.flags & RK_REPO_MOVED))
		return 0;
	rk_log(RK_LOG_INFO, "identity",
		elsewhere ? "an account moved away" : "an account is at home again",
		RK_LOG_SLICE("did", found->did), RK_LOG_STR("host", found->doc.pds));
	repo.did = found->did;
	repo.flags ^= RK_REPO_MOVED;
	if (!elsewhere) {
		repo.sync = RK_SYNC_DESYNCHRONIZED;
		repo.retry_ms = 0;
	}
	return rk_write_repo(w, &repo);
}

/* What was lost while it waited must be fetched. */
static int loss_note(const struct identity *found, struct rk_write *w)
{
	struct rk_repo repo;
	int r = rk_read_repo_by_did(rk_write_view(w), &repo, found->did);

	if (r)
		return r == RK_STORE_ABSENT ? 0 : r < 0 ? r : -EUCLEAN;
	repo.did = found->did;
	repo.sync = RK_SYNC_DESYNCHRONIZED;
	return rk_write_repo(w, &repo);
}

static int identity_run(void *context, struct rk_write *w)
{
	const struct identity *found = context;
	struct rk_identity identity = {
		.handle = rk_slice_make(
			found->doc.handle, found->verified ? strlen(found->doc.handle) : 0),
		.pds = rk_slice_str(found->doc.pds),
		.key = found->doc.key,
		.fetched_ms = found->now_ms,
		.failed = found->failed,
	};
	bool lost;
	int r = rk_write_identity(w, found->did, &identity);

	if (r == 0 && !found->failed)
		r = home_note(found, w);
	if (r == 0)
		r = rk_replay(found->indexer, w, found->did, &lost);
	return r == 0 && lost ? loss_note(found, w) : r;
}

static bool handle_is_true(
	struct rk_fetcher *fetcher, const struct rk_did_doc *doc, const char *did)
{
	struct rk_buf resolved = {.limit = RK_DID_MOST};
	struct rk_pds_reply reply;
	bool same;
	int r;

	if (!doc->handle[0])
		return false;
	r = rk_pds_resolve_handle(fetcher->pds, &reply, &resolved,
		fetcher->indexer->options.relay ? doc->pds : fetcher->indexer->options.source,
		doc->handle);
	same = r == RK_PDS_OK && rk_slice_equal_str(rk_buf_slice(&resolved), did);
	rk_buf_finish(&resolved);
	return same;
}

void rk_identity_refresh(struct rk_fetcher *fetcher, const char *text, int64_t age_ms)
{
	struct rk_indexer *indexer = fetcher->indexer;
	struct rk_buf json = {.limit = RK_DID_DOC_MOST};
	struct identity found = {
		.indexer = indexer,
		.did = rk_slice_str(text),
		.now_ms = rk_clock_wall_ms(),
	};
	struct rk_pds_reply reply = {0};
	struct rk_did did;
	int r;

	if (!rk_did_parse(&did, found.did) || is_fresh(fetcher, found.did, age_ms))
		return;
	r = rk_pds_did_document(fetcher->pds, &reply, &json, indexer->options.plc, text);
	if (r == RK_PDS_OK && rk_did_doc_parse(&found.doc, did, rk_buf_slice(&json))) {
		found.verified = handle_is_true(fetcher, &found.doc, text);
		rk_metric_add(RK_METRIC_IDENTITY_FETCHES, 1);
	} else if (r != -ECANCELED) {
		found.failed = true;
		rk_metric_add(RK_METRIC_IDENTITY_FAILURES, 1);
		rk_log(r == RK_PDS_RETRY ? RK_LOG_DEBUG : RK_LOG_WARN, "identity",
			"a DID document is not to be had", RK_LOG_STR("did", text),
			RK_LOG_STR("reason", r == RK_PDS_OK ? "it is malformed" : reply.message));
	}
	rk_buf_finish(&json);
	if (r == -ECANCELED)
		return;
	if (r == RK_PDS_RETRY) {
		/* Nothing is known to have changed: what is held stays, what waits goes on waiting. */
		rk_identity_queue(indexer, found.did, RETRY_MS);
		return;
	}
	if (rk_writer_call(indexer->writer, identity_run, &found) != 0)
		rk_log(RK_LOG_DEBUG, "identity", "stopped before the identity was written");
}
