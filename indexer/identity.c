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

struct identity {
	rk_repo_id repo;
	struct rk_did_doc doc;
	bool verified, failed;
	int64_t now_ms;
};

static bool is_fresh(struct rk_fetcher *fetcher, rk_repo_id id)
{
	struct rk_identity held;
	bool fresh = false;
	int64_t age;

	if (rk_snapshot_begin(fetcher->snapshot) != 0)
		return true; /* no better another time */
	if (rk_read_identity(fetcher->snapshot, &held, id) == 0) {
		age = rk_clock_wall_ms() - held.fetched_ms;
		fresh = age >= 0 && age < (held.failed ? RK_IDENTITY_FAILED_MS : RK_IDENTITY_FRESH_MS);
	}
	rk_snapshot_end(fetcher->snapshot);
	return fresh;
}

static int identity_run(void *context, struct rk_write *w)
{
	const struct identity *found = context;
	struct rk_identity identity = {
		.handle = rk_slice_make(found->doc.handle, found->verified ? strlen(found->doc.handle) : 0),
		.pds = rk_slice_str(found->doc.pds),
		.key = found->doc.key,
		.fetched_ms = found->now_ms,
		.failed = found->failed,
	};

	return rk_write_identity(w, found->repo, &identity);
}

static bool handle_is_true(struct rk_fetcher *fetcher, const struct rk_did_doc *doc, const char *did)
{
	struct rk_buf resolved = {.limit = RK_DID_MOST};
	struct rk_pds_reply reply;
	bool same;
	int r;

	if (!doc->handle[0])
		return false;
	r = rk_pds_resolve_handle(fetcher->pds, &reply, &resolved, fetcher->indexer->options.source,
		doc->handle);
	same = r == RK_PDS_OK && rk_slice_equal_str(rk_buf_slice(&resolved), did);
	rk_buf_finish(&resolved);
	return same;
}

void rk_identity_refresh(struct rk_fetcher *fetcher, rk_repo_id id)
{
	struct rk_indexer *indexer = fetcher->indexer;
	struct rk_buf json = {.limit = RK_DID_DOC_MOST};
	struct identity found = {.repo = id, .now_ms = rk_clock_wall_ms()};
	struct rk_repo_copy copy;
	struct rk_pds_reply reply = {0};
	struct rk_did did;
	int r;

	if (is_fresh(fetcher, id) || rk_repo_copy_read(fetcher, &copy, id) != 0 ||
		!rk_did_parse(&did, copy.repo.did))
		return;
	r = rk_pds_did_document(fetcher->pds, &reply, &json, indexer->options.plc, copy.did);
	if (r == RK_PDS_OK && rk_did_doc_parse(&found.doc, did, rk_buf_slice(&json))) {
		found.verified = handle_is_true(fetcher, &found.doc, copy.did);
		rk_metric_add(RK_METRIC_IDENTITY_FETCHES, 1);
	} else if (r != -ECANCELED) {
		found.failed = true;
		rk_metric_add(RK_METRIC_IDENTITY_FAILURES, 1);
		rk_log(RK_LOG_WARN, "identity", "a DID document is not to be had",
			RK_LOG_STR("did", copy.did),
			RK_LOG_STR("reason", r == RK_PDS_OK ? "it is malformed" : reply.message));
	}
	rk_buf_finish(&json);
	if (r != -ECANCELED && rk_writer_call(indexer->writer, identity_run, &found) != 0)
		rk_log(RK_LOG_DEBUG, "identity", "stopped before the identity was written");
}
