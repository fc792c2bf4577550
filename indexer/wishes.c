/* See wishes.h. */
#include "indexer/wishes.h"

#include <stdlib.h>

#include "net/backoff.h"

void rk_wishes_finish(struct rk_wishes *wishes)
{
	for (size_t i = 0; i < wishes->count; i++)
		free(wishes->list[i].did);
	wishes->count = 0;
}

bool rk_wishes_add(
	struct rk_wishes *wishes, struct rk_slice did, int64_t due_ms, unsigned tries, size_t most)
{
	char *copy;

	for (size_t i = 0; i < wishes->count; i++) {
		struct rk_wish *wish = &wishes->list[i];

		if (!rk_slice_equal_str(did, wish->did))
			continue;
		if (wish->tries < tries) {
			wish->tries = tries;
			wish->due_ms = due_ms;
		} else if (wish->tries == 0 && wish->due_ms > due_ms) {
			wish->due_ms = due_ms;
		}
		return true;
	}
	if (wishes->count >= most || wishes->count == RK_WISHES_MOST)
		return false;
	copy = strndup((const char *)did.data, did.len);
	if (copy)
		wishes->list[wishes->count++] =
			(struct rk_wish){.did = copy, .due_ms = due_ms, .tries = tries};
	return copy != NULL;
}

static bool is_read(const char *did, const char *const *reading, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (reading[i] && strcmp(reading[i], did) == 0)
			return true;
	}
	return false;
}

size_t rk_wish_webs(const char *const *reading, size_t count)
{
	size_t webs = 0;

	for (size_t i = 0; i < count; i++)
		webs += reading[i] && rk_wish_is_web(reading[i]);
	return webs;
}

bool rk_wishes_take(struct rk_wishes *wishes, struct rk_wish *out, int64_t now_ms,
	const char *const *reading, size_t reading_count, int64_t *wait_ms)
{
	bool webs = rk_wish_webs(reading, reading_count) < RK_WISH_WEBS_MOST;
	size_t best = wishes->count;

	for (size_t i = 0; i < wishes->count; i++) {
		const struct rk_wish *wish = &wishes->list[i];

		if ((!webs && rk_wish_is_web(wish->did)) ||
			is_read(wish->did, reading, reading_count))
			continue;
		if (wish->due_ms > now_ms) {
			if (wish->due_ms - now_ms < *wait_ms)
				*wait_ms = wish->due_ms - now_ms;
		} else if (best == wishes->count || wish->tries < wishes->list[best].tries) {
			best = i;
		}
	}
	if (best == wishes->count)
		return false;
	*out = wishes->list[best];
	wishes->count--;
	memmove(&wishes->list[best], &wishes->list[best + 1],
		(wishes->count - best) * sizeof(wishes->list[0]));
	return true;
}

bool rk_wish_is_web(const char *did)
{
	return strncmp(did, "did:web:", 8) == 0;
}

int64_t rk_wish_wait_ms(unsigned tries, uint32_t random)
{
	struct rk_backoff backoff = {
		.first_ms = RK_WISH_FIRST_MS, .most_ms = RK_WISH_MOST_MS, .tries = tries};

	return rk_backoff_next(&backoff, random);
}
