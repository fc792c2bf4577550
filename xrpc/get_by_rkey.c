/* computer.aesthetic.refkey.getByRkey: from a record's key to the record, and so to its document. */
#include "xrpc/methods.h"

enum { REPO, COLLECTION, RKEY };

const struct rk_param_row rk_get_by_rkey_params[] = {
	[REPO] = {.name = "repo", .kind = RK_PARAM_REPO, .required = true},
	[COLLECTION] = {.name = "collection", .kind = RK_PARAM_COLLECTION, .required = true},
	[RKEY] = {.name = "rkey", .kind = RK_PARAM_RKEY, .required = true},
	{0},
};

int rk_key_record_read(struct rk_call *call, struct rk_record *out, struct rk_repo *repo,
	bool *unsure, const struct rk_at_identifier *account, int collection, struct rk_slice rkey)
{
	int r = rk_call_repo(call, repo, account);

	*unsure = false;
	if (r)
		return r;
	if (!rk_repo_is_shown(repo))
		return RK_STORE_ABSENT;
	r = rk_read_record(call->snapshot, out, repo->id, (uint8_t)collection, rkey);
	*unsure = r == RK_STORE_ABSENT && rk_repo_is_queued(repo);
	return r;
}

void rk_get_by_rkey(struct rk_call *call)
{
	const struct rk_param *values = call->params.values;
	struct rk_record record;
	struct rk_repo repo;
	bool unsure;
	int r = rk_key_record_read(call, &record, &repo, &unsure, &values[REPO].account,
		values[COLLECTION].collection, values[RKEY].text);

	if (r == 0)
		rk_call_view(call, &record, &repo);
	else if (unsure)
		rk_call_not_ready(call, "this repo is still to be fetched");
	else if (r == RK_STORE_ABSENT)
		rk_call_miss(call, RK_REPLY_ERROR_RECORD_NOT_FOUND, "there is no such record");
	else
		rk_call_broken(call, r);
}
