/* computer.aesthetic.refkey.getByRef: from a document's _id to its record. */
#include "xrpc/methods.h"

enum { REF, COLLECTION };

const struct rk_param_row rk_get_by_ref_params[] = {
	[REF] = {.name = "ref",
		.kind = RK_PARAM_REF,
		.required = true,
		.least = 1,
		.most = RK_REF_MOST},
	[COLLECTION] = {.name = "collection", .kind = RK_PARAM_COLLECTION},
	{0},
};

void rk_get_by_ref(struct rk_call *call)
{
	const struct rk_param *values = call->params.values;
	struct rk_record record;
	int r = rk_read_ref(
		call->snapshot, &record, values[REF].ref, values[COLLECTION].collection);

	if (r == 0)
		rk_call_view(call, &record, NULL);
	else if (r == RK_STORE_ABSENT)
		rk_call_miss(call, RK_REPLY_ERROR_RECORD_NOT_FOUND, "no record has this ref");
	else
		rk_call_broken(call, r);
}
