/* See inside.h: a thread's own tools. */
#include <errno.h>

#include "indexer/inside.h"

int rk_fetcher_init(struct rk_fetcher *fetcher, struct rk_indexer *indexer, long answer_ms)
{
	const struct rk_pds_options options = {
		.http =
			{
				.allow_private = indexer->options.allow_private,
				.trusted = {indexer->options.source, indexer->options.plc},
				.cancel = &indexer->stopping,
				.user_agent = indexer->options.user_agent,
			},
		.timeout_ms = answer_ms,
		.idle_ms = answer_ms,
		.bypass_key = indexer->options.relay ? NULL : indexer->options.bypass_key,
		.bypass_origin = indexer->options.source,
	};

	*fetcher = (struct rk_fetcher){
		.indexer = indexer,
		.pds = rk_pds_create(&options),
		.keys = answer_ms ? NULL : rk_keys_create(indexer->origins),
	};
	if (!fetcher->pds || (!answer_ms && !fetcher->keys))
		return -ENOMEM;
	return rk_snapshot_create(&fetcher->snapshot, indexer->store);
}

void rk_fetcher_finish(struct rk_fetcher *fetcher)
{
	rk_snapshot_destroy(fetcher->snapshot);
	rk_keys_destroy(fetcher->keys);
	rk_pds_destroy(fetcher->pds);
}

int rk_repo_copy_read(struct rk_fetcher *fetcher, struct rk_repo_copy *out, rk_repo_id id)
{
	int r = rk_snapshot_begin(fetcher->snapshot);

	if (r)
		return r;
	r = rk_read_repo(fetcher->snapshot, &out->repo, id);
	if (r == 0 && out->repo.did.len >= sizeof(out->did))
		r = RK_STORE_CORRUPT;
	if (r == 0) {
		memcpy(out->did, out->repo.did.data, out->repo.did.len);
		out->did[out->repo.did.len] = '\0';
		out->repo.did.data = (const uint8_t *)out->did;
	}
	rk_snapshot_end(fetcher->snapshot);
	return rk_read_asked(r);
}

bool rk_fetcher_host(struct rk_fetcher *fetcher, char out[RK_ORIGIN_MOST], struct rk_slice did)
{
	struct rk_identity identity;

	out[0] = '\0';
	if (rk_snapshot_begin(fetcher->snapshot) != 0)
		return false;
	if (rk_read_identity(fetcher->snapshot, &identity, did) == 0 && !identity.failed &&
		identity.pds.len < RK_ORIGIN_MOST) {
		memcpy(out, identity.pds.data, identity.pds.len);
		out[identity.pds.len] = '\0';
	}
	rk_snapshot_end(fetcher->snapshot);
	return out[0] != '\0';
}
