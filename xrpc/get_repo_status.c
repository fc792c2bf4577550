/* computer.aesthetic.refkey.getRepoStatus: what the index holds of an account. */
#include "xrpc/methods.h"

const struct rk_param_row rk_get_repo_status_params[] = {
	{.name = "repo", .kind = RK_PARAM_REPO, .required = true},
	{0},
};

static void status_add(struct rk_buf *body, const struct rk_repo *repo, struct rk_slice handle)
{
	rk_buf_add_byte(body, '{');
	rk_json_text(body, "did", repo->did);
	if (handle.len)
		rk_json_text(body, "handle", handle);
	rk_json_bool(body, "active", rk_repo_is_active(repo));
	if (repo->account != RK_ACCOUNT_ACTIVE)
		rk_json_str(body, "status", rk_account_name((enum rk_account)repo->account));
	else if (repo->unreadable)
		rk_json_str(body, "status", RK_REPO_STATUS_UNREADABLE);
	if (repo->rev) {
		char rev[RK_TID_LEN + 1];

		rk_tid_format(rev, repo->rev);
		rk_json_str(body, "rev", rev);
	}
	rk_json_bool(body, "desynchronized", rk_repo_is_queued(repo));
	rk_json_key(body, "records");
	rk_buf_add_byte(body, '[');
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		rk_json_item(body);
		rk_buf_add_byte(body, '{');
		rk_json_str(body, "collection", rk_collections[i].nsid);
		rk_json_number(body, "count", repo->counts[i]);
		rk_buf_add_byte(body, '}');
	}
	rk_buf_add_str(body, "]}");
}

void rk_get_repo_status(struct rk_call *call)
{
	struct rk_identity identity = {0};
	struct rk_repo repo;
	int r = rk_call_repo(call, &repo, &call->params.values[0].account);

	if (r == RK_STORE_ABSENT) {
		rk_call_miss(call, RK_REPLY_ERROR_REPO_NOT_FOUND, "the index has no such repo");
		return;
	}
	if (r == 0) {
		r = rk_read_identity(call->snapshot, &identity, repo.did);
		if (r == RK_STORE_ABSENT)
			r = 0;
	}
	if (r)
		rk_call_broken(call, r);
	else
		status_add(&call->reply.body, &repo, identity.handle);
}
