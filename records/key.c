/* See key.h. */
#include "records/key.h"

#include "atproto/cid.h"

enum { CLOCK_BITS = 10, US_PER_MS = 1000 };
/* Of a TID's 53 bits of microseconds. */
#define WHEN_MOST (((INT64_C(1) << 53) - 1) / US_PER_MS - 1)

static uint64_t number(const uint8_t *bytes)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | bytes[i];
	return n;
}

void rk_record_key_init(struct rk_record_key *out, const struct rk_collection *collection,
	const struct rk_oid *id, int64_t when_ms)
{
	const struct rk_slice parts[] = {
		rk_slice_str(collection->nsid),
		rk_slice_make("", 1),
		rk_slice_make(id->bytes, sizeof(id->bytes)),
	};
	uint8_t hash[RK_SHA256_BYTES];

	rk_sha256_parts(hash, parts, sizeof(parts) / sizeof(parts[0]));
	when_ms = when_ms < 0 ? 0 : when_ms > WHEN_MOST ? WHEN_MOST : when_ms;
	out->first = (uint64_t)when_ms * US_PER_MS << CLOCK_BITS;
	out->place = (uint32_t)(number(hash) % RK_KEY_PLACES);
	/* 1,024,000 is 2^13 * 5^3. */
	out->step = (uint32_t)(number(hash + 8) % RK_KEY_PLACES) | 1;
	if (out->step % 5 == 0)
		out->step += 2;
}

uint64_t rk_record_key_tid(const struct rk_record_key *key, uint32_t attempt)
{
	return key->first + (key->place + (uint64_t)attempt * key->step) % RK_KEY_PLACES;
}
