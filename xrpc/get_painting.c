/* computer.aesthetic.refkey.getPainting: a painting by what its address shows, its code or its slug. */
#include "xrpc/methods.h"

enum { CODE, SLUG, REPO };

const struct rk_param_row rk_get_painting_params[] = {
	[CODE] = {.name = "code", .kind = RK_PARAM_TEXT, .least = 1, .most = RK_CODE_MOST},
	[SLUG] = {.name = "slug", .kind = RK_PARAM_TEXT, .least = 1, .most = RK_SLUG_MOST},
	[REPO] = {.name = "repo", .kind = RK_PARAM_REPO},
	{0},
};

void rk_get_painting(struct rk_call *call)
{
	const struct rk_param *values = call->params.values;
	enum rk_lookup kind = values[CODE].given ? RK_LOOKUP_CODE : RK_LOOKUP_SLUG;
	struct rk_repo repo = {0};
	struct rk_record record;
	int r = 0;

	if (values[CODE].given == values[SLUG].given) {
		rk_reply_fail(&call->reply, RK_REPLY_ERROR_INVALID_REQUEST,
			"either code or slug is required, and not both");
		return;
	}
	if (values[REPO].given)
		r = rk_call_repo(call, &repo, &values[REPO].account);
	if (r == 0)
		r = rk_read_lookup(call->snapshot, &record, kind, RK_COLLECTION_PAINTING,
			values[kind == RK_LOOKUP_CODE ? CODE : SLUG].text, repo.id);
	if (r == 0)
		rk_call_view(call, &record, NULL);
	else if (r == RK_STORE_ABSENT)
		rk_call_miss(call, RK_REPLY_ERROR_RECORD_NOT_FOUND, "there is no such painting");
	else
		rk_call_broken(call, r);
}
