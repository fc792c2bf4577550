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

/* The contract's order: linked, then of the document's owner, then the rest; the oldest of equals. */
static int standing(
	struct rk_snapshot *snapshot, const struct rk_record *record, struct rk_slice ref, int *out)
{
	struct rk_owner_view owner;
	int r;

	*out = 0;
	if (record->link == RK_LINK_LINKED)
		return 0;
	r = rk_read_owner(snapshot, &owner, record->collection, ref);
	*out = r == 0 && owner.known ? 1 : 2;
	return r == RK_STORE_ABSENT ? 0 : r;
}

static int better(struct rk_snapshot *snapshot, const struct rk_record *a,
	const struct rk_record *b, struct rk_slice ref, bool *out)
{
	int of_a, of_b, r = standing(snapshot, a, ref, &of_a);

	if (r == 0)
		r = standing(snapshot, b, ref, &of_b);
	if (r == 0)
		*out = of_a != of_b ? of_a < of_b : a->first_us < b->first_us;
	return r;
}

int rk_ref_best(
	struct rk_snapshot *snapshot, struct rk_record *out, struct rk_slice ref, int collection)
{
	struct rk_record found;
	bool any = false;

	if (collection >= 0)
		return rk_read_lookup(snapshot, out, RK_LOOKUP_REF, (uint8_t)collection, ref, 0);
	for (uint8_t i = 0; i < RK_COLLECTION_COUNT; i++) {
		bool take = true;
		int r = rk_read_lookup(snapshot, any ? &found : out, RK_LOOKUP_REF, i, ref, 0);

		if (r == RK_STORE_ABSENT)
			continue;
		if (r == 0 && any)
			r = better(snapshot, &found, out, ref, &take);
		if (r)
			return r;
		if (any && take)
			*out = found;
		any = true;
	}
	return any ? 0 : RK_STORE_ABSENT;
}

void rk_get_by_ref(struct rk_call *call)
{
	const struct rk_param *values = call->params.values;
	struct rk_record record;
	int r = rk_ref_best(
		call->snapshot, &record, values[REF].ref, values[COLLECTION].collection);

	if (r == 0)
		rk_call_view(call, &record, NULL);
	else if (r == RK_STORE_ABSENT)
		rk_call_miss(call, RK_REPLY_ERROR_RECORD_NOT_FOUND, "no record has this ref");
	else
		rk_call_broken(call, r);
}
