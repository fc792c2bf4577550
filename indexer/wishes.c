/* See wishes.h. */
#include "indexer/wishes.h"

#include <stdlib.h>

#include "base/metrics.h"
#include "net/backoff.h"

static const struct {
	size_t most;
	int64_t burst, pace_ms;
} kinds[RK_WISH_KIND_COUNT] = {
#define ROW(id, room, at_once, apart_ms, who)                                                      \
	[RK_WISH_##id] = {.most = room, .burst = at_once, .pace_ms = apart_ms},
	RK_WISH_KINDS(ROW)
#undef ROW
};

void rk_wishes_finish(struct rk_wishes *wishes)
{
	for (size_t i = 0; i < wishes->count; i++)
		free(wishes->list[i].did);
	wishes->count = 0;
}

bool rk_wishes_add(struct rk_wishes *wishes, struct rk_slice did, enum rk_wish_kind kind,
	int64_t due_ms, unsigned tries)
{
	static const struct rk_slice web = RK_SLICE_LIT("did:web:");
	size_t same = 0, webs = 0;
	char *copy;

	for (size_t i = 0; i < wishes->count; i++) {
		struct rk_wish *wish = &wishes->list[i];

		same += wish->kind == kind;
		webs += wish->kind == kind && rk_wish_is_web(wish->did);
		if (!rk_slice_equal_str(did, wish->did))
			continue;
		if (wish->kind > kind)
			wish->kind = kind;
		if (wish->tries < tries) {
			wish->tries = tries;
			wish->due_ms = due_ms;
		} else if (wish->tries == 0 && wish->due_ms > due_ms) {
			wish->due_ms = due_ms;
		}
		return true;
	}
	if (same >= kinds[kind].most || wishes->count == RK_WISHES_MOST)
		return false;
	if (rk_slice_starts(did, web) && webs >= kinds[kind].most / RK_WISH_WEBS_SHARE)
		return false;
	copy = strndup((const char *)did.data, did.len);
	if (copy)
		wishes->list[wishes->count++] = (struct rk_wish){
			.did = copy, .due_ms = due_ms, .tries = tries, .kind = kind};
	return copy != NULL;
}

bool rk_wish_is_read(const char *did, const char *const *reading, size_t count)
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

/* Milliseconds until the kind has its turn. */
static int64_t turn_wait(const struct rk_wishes *wishes, enum rk_wish_kind kind, int64_t now_ms)
{
	int64_t wait =
		wishes->paces_ms[kind] - now_ms - (kinds[kind].burst - 1) * kinds[kind].pace_ms;

	return wait > 0 ? wait : 0;
}

static void turn_take(struct rk_wishes *wishes, enum rk_wish_kind kind, int64_t now_ms)
{
	if (wishes->paces_ms[kind] < now_ms)
		wishes->paces_ms[kind] = now_ms;
	wishes->paces_ms[kind] += kinds[kind].pace_ms;
}

/* Milliseconds until it may be taken, of its own and of all others. */
static int64_t wish_wait(const struct rk_wishes *wishes, struct rk_wish *wish, int64_t now_ms)
{
	int64_t due_ms = wish->due_ms, wait;

	if (!rk_wish_is_web(wish->did) && due_ms < wishes->directory_ms)
		due_ms = wishes->directory_ms;
	if (due_ms > now_ms)
		return due_ms - now_ms;
	wait = turn_wait(wishes, wish->kind, now_ms);
	if (wait && !wish->paced)
		rk_metric_add(RK_METRIC_IDENTITIES_PACED, 1);
	wish->paced |= wait > 0;
	return wait;
}

static bool comes_before(const struct rk_wish *a, const struct rk_wish *b)
{
	return a->kind != b->kind ? a->kind < b->kind : a->tries < b->tries;
}

bool rk_wishes_take(struct rk_wishes *wishes, struct rk_wish *out, int64_t now_ms,
	const char *const *reading, size_t reading_count, int64_t *wait_ms)
{
	bool webs = rk_wish_webs(reading, reading_count) < RK_WISH_WEBS_MOST;
	size_t best = wishes->count;

	for (size_t i = 0; i < wishes->count; i++) {
		struct rk_wish *wish = &wishes->list[i];
		int64_t wait;

		if ((!webs && rk_wish_is_web(wish->did)) ||
			rk_wish_is_read(wish->did, reading, reading_count))
			continue;
		wait = wish_wait(wishes, wish, now_ms);
		if (wait && wait < *wait_ms)
			*wait_ms = wait;
		if (!wait && (best == wishes->count || comes_before(wish, &wishes->list[best])))
			best = i;
	}
	if (best == wishes->count)
		return false;
	*out = wishes->list[best];
	turn_take(wishes, out->kind, now_ms);
	wishes->count--;
	memmove(&wishes->list[best], &wishes->list[best + 1],
		(wishes->count - best) * sizeof(wishes->list[0]));
	return true;
}

bool rk_wish_is_web(const char *did)
{
	return strncmp(did, "did:web:", 8) == 0;
}

static int64_t rest_ms(int64_t asked_ms)
{
	return asked_ms < RK_WISH_REST_MOST_MS ? asked_ms : RK_WISH_REST_MOST_MS;
}

bool rk_wishes_rest(struct rk_wishes *wishes, int64_t now_ms, int64_t asked_ms)
{
	bool tell = !wishes->told_ms || now_ms - wishes->told_ms >= RK_WISH_REST_MOST_MS;

	if (wishes->directory_ms < now_ms + rest_ms(asked_ms))
		wishes->directory_ms = now_ms + rest_ms(asked_ms);
	if (tell)
		wishes->told_ms = now_ms;
	return tell;
}

int64_t rk_wish_wait_ms(unsigned tries, int64_t asked_ms, uint32_t random)
{
	struct rk_backoff backoff = {
		.first_ms = RK_WISH_FIRST_MS, .most_ms = RK_WISH_MOST_MS, .tries = tries};
	int64_t wait = rk_backoff_next(&backoff, random);

	return wait < rest_ms(asked_ms) ? rest_ms(asked_ms) : wait;
}
