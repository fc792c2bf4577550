/* See waiting.h. A chained hash table of accounts; few wait at a time, so it never grows. */
#include "indexer/waiting.h"

#include <stdlib.h>

#include "atproto/verify.h"
#include "base/metrics.h"

enum { BUCKETS = 1024 };

struct account {
	struct account *next; /* in its bucket */
	struct rk_waiting_frame *first, **last;
	size_t frames, bytes, doubts;
	bool lost;
	size_t did_len;
	uint8_t did[];
};

struct rk_waiting {
	struct account *buckets[BUCKETS];
	size_t accounts, bytes, doubt_bytes, unknown_bytes;
};

struct rk_waiting *rk_waiting_create(void)
{
	return calloc(1, sizeof(struct rk_waiting));
}

/* FNV-1a: short keys, and an attacker gains nothing but his own bucket. */
static size_t bucket_of(struct rk_slice did)
{
	uint64_t hash = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < did.len; i++)
		hash = (hash ^ did.data[i]) * UINT64_C(1099511628211);
	return (size_t)(hash % BUCKETS);
}

static struct account *const *place_of(const struct rk_waiting *waiting, struct rk_slice did)
{
	struct account *const *place = &waiting->buckets[bucket_of(did)];

	while (*place && !rk_slice_equal(rk_slice_make((*place)->did, (*place)->did_len), did))
		place = &(*place)->next;
	return place;
}

static void frame_free(struct rk_waiting *waiting, struct account *account)
{
	struct rk_waiting_frame *frame = account->first;

	account->first = frame->next;
	if (!account->first)
		account->last = &account->first;
	account->frames--;
	account->bytes -= frame->len;
	waiting->bytes -= frame->len;
	account->doubts -= frame->doubt;
	waiting->doubt_bytes -= frame->doubt ? frame->len : 0;
	waiting->unknown_bytes -= frame->unknown ? frame->len : 0;
	free(frame);
}

static void frames_free(struct rk_waiting *waiting, struct account *account)
{
	while (account->first)
		frame_free(waiting, account);
}

/* Of what waits for its repo nothing is lost: that is fetched. */
static void frame_refuse(bool for_document)
{
	if (for_document)
		rk_metric_refused_add(RK_VERDICT_NO_ROOM);
}

static void frames_refuse(struct rk_waiting *waiting, struct account *account)
{
	for (const struct rk_waiting_frame *frame = account->first; frame; frame = frame->next)
		frame_refuse(frame->unknown || frame->doubt);
	frames_free(waiting, account);
}

void rk_waiting_destroy(struct rk_waiting *waiting)
{
	if (!waiting)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (waiting->buckets[i]) {
			struct account *next = waiting->buckets[i]->next;

			frames_free(waiting, waiting->buckets[i]);
			free(waiting->buckets[i]);
			waiting->buckets[i] = next;
		}
	}
	free(waiting);
}

static struct account *account_make(struct rk_waiting *waiting, struct rk_slice did)
{
	struct account **place = (struct account **)place_of(waiting, did);

	if (*place)
		return *place;
	if (waiting->accounts == RK_WAITING_ACCOUNTS)
		return NULL;
	*place = calloc(1, sizeof(**place) + did.len);
	if (!*place)
		return NULL;
	(*place)->last = &(*place)->first;
	(*place)->did_len = did.len;
	memcpy((*place)->did, did.data, did.len);
	waiting->accounts++;
	return *place;
}

/* what: its kind and time. */
static bool frame_append(struct rk_waiting *waiting, struct account *account, struct rk_slice bytes,
	const struct rk_waiting_frame *what)
{
	struct rk_waiting_frame *frame = malloc(sizeof(*frame) + bytes.len);

	if (!frame)
		return false;
	*frame = (struct rk_waiting_frame){
		.len = bytes.len,
		.stream_ms = what->stream_ms,
		.doubt = what->doubt,
		.unknown = what->unknown,
	};
	if (bytes.len)
		memcpy(frame->data, bytes.data, bytes.len);
	*account->last = frame;
	account->last = &frame->next;
	account->frames++;
	account->bytes += frame->len;
	waiting->bytes += frame->len;
	account->doubts += frame->doubt;
	waiting->doubt_bytes += frame->doubt ? frame->len : 0;
	waiting->unknown_bytes += frame->unknown ? frame->len : 0;
	return true;
}

bool rk_waiting_add(struct rk_waiting *waiting, struct rk_slice did, struct rk_slice frame,
	int64_t stream_ms, bool unknown)
{
	const struct rk_waiting_frame what = {.stream_ms = stream_ms, .unknown = unknown};
	struct account *account = account_make(waiting, did);

	if (account && !account->lost && account->frames < RK_WAITING_FRAMES &&
		account->bytes + frame.len <= RK_WAITING_BYTES &&
		waiting->bytes + frame.len <= RK_WAITING_ALL_BYTES &&
		(!unknown || waiting->unknown_bytes + frame.len <= RK_WAITING_UNKNOWN_BYTES) &&
		frame_append(waiting, account, frame, &what))
		return true;
	frame_refuse(unknown);
	if (account) {
		frames_refuse(waiting, account);
		account->lost = true;
	}
	return false;
}

bool rk_waiting_add_doubt(
	struct rk_waiting *waiting, struct rk_slice did, struct rk_slice frame, int64_t stream_ms)
{
	const struct rk_waiting_frame what = {.stream_ms = stream_ms, .doubt = true};
	struct account *account = account_make(waiting, did);

	if (!account)
		return false;
	if (!account->lost && account->doubts < RK_WAITING_DOUBTS &&
		account->bytes + frame.len <= RK_WAITING_BYTES &&
		waiting->doubt_bytes + frame.len <= RK_WAITING_DOUBT_BYTES &&
		waiting->bytes + frame.len <= RK_WAITING_ALL_BYTES &&
		frame_append(waiting, account, frame, &what))
		return true;
	rk_waiting_shift(waiting, did, 0); /* made for nothing, it goes again */
	return false;
}

bool rk_waiting_has(const struct rk_waiting *waiting, struct rk_slice did)
{
	const struct account *account = waiting->accounts ? *place_of(waiting, did) : NULL;

	return account && (account->lost || account->frames > account->doubts);
}

bool rk_waiting_lost(const struct rk_waiting *waiting, struct rk_slice did)
{
	const struct account *account = *place_of(waiting, did);

	return account && account->lost;
}

const struct rk_waiting_frame *rk_waiting_first(
	const struct rk_waiting *waiting, struct rk_slice did)
{
	const struct account *account = *place_of(waiting, did);

	return account ? account->first : NULL;
}

void rk_waiting_shift(struct rk_waiting *waiting, struct rk_slice did, size_t count)
{
	struct account *account = *place_of(waiting, did);

	if (!account)
		return;
	for (; count && account->first; count--)
		frame_free(waiting, account);
	if (!account->first && !account->lost)
		rk_waiting_drop(waiting, did);
}

void rk_waiting_drop(struct rk_waiting *waiting, struct rk_slice did)
{
	struct account **place = (struct account **)place_of(waiting, did);
	struct account *account = *place;

	if (!account)
		return;
	*place = account->next;
	frames_refuse(waiting, account);
	waiting->accounts--;
	free(account);
}

size_t rk_waiting_bytes(const struct rk_waiting *waiting)
{
	return waiting->bytes;
}
