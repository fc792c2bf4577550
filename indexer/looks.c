/* See looks.h. */
#include "indexer/looks.h"

#include <stdlib.h>

void rk_looks_finish(struct rk_looks *looks)
{
	for (size_t i = 0; i < RK_LOOKS_MOST; i++) {
		free(looks->list[i].did);
		looks->list[i] = (struct rk_look){0};
	}
}

static bool is_over(const struct rk_look *look, int64_t now_ms)
{
	/* Also where the clock was put back. */
	return !look->did || now_ms - look->at_ms >= RK_LOOKS_MS || now_ms < look->at_ms;
}

bool rk_looks_take(struct rk_looks *looks, struct rk_slice did, int64_t fetched_ms, int64_t now_ms)
{
	struct rk_look *place = NULL;
	char *copy;

	for (size_t i = 0; i < RK_LOOKS_MOST; i++) {
		struct rk_look *look = &looks->list[i];

		if (is_over(look, now_ms))
			place = look;
		else if (rk_slice_equal_str(did, look->did))
			return look->fetched_ms == fetched_ms;
	}
	copy = place ? strndup((const char *)did.data, did.len) : NULL;
	if (!copy)
		return false;
	free(place->did);
	*place = (struct rk_look){.did = copy, .fetched_ms = fetched_ms, .at_ms = now_ms};
	return true;
}

void rk_looks_return(struct rk_looks *looks, struct rk_slice did)
{
	for (size_t i = 0; i < RK_LOOKS_MOST; i++) {
		struct rk_look *look = &looks->list[i];

		if (!look->did || !rk_slice_equal_str(did, look->did))
			continue;
		free(look->did);
		*look = (struct rk_look){0};
	}
}
