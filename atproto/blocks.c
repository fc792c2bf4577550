/*
 * The table of a CAR's blocks. The CAR is read twice: once to count the blocks, which sizes the
 * table and finds every fault of form before anything is allocated or hashed, and once to hash and
 * enter them. Probing is linear.
 *
 * Whoever sends the CAR chooses its blocks, and could choose them so that all fall on one place of
 * the table. Places are therefore spread by the table's address, which a sender does not know.
 */
#include "atproto/blocks.h"

#include <errno.h>
#include <stdlib.h>

enum { SIZE_LEAST = 8, BATCH = 16 /* blocks hashed at once */ };

static uint32_t digest_short(const struct rk_cid *cid)
{
	uint32_t digest;

	memcpy(&digest, rk_cid_digest(cid), sizeof(digest));
	return digest;
}

/* Where the search for a CID starts: multiplicative hashing, the high bits count. */
static size_t place(const struct rk_blocks *blocks, const struct rk_cid *cid)
{
	uint64_t key, factor = (uint64_t)(uintptr_t)blocks->slots * 0x9e3779b97f4a7c15 | 1;

	memcpy(&key, rk_cid_digest(cid) + sizeof(uint32_t), sizeof(key));
	return (size_t)(key * factor >> (64 - __builtin_ctzll(blocks->size)));
}

/* The CID's slot, or the empty one where it belongs. The table is never full. */
static struct rk_blocks_slot *slot_of(const struct rk_blocks *blocks, const struct rk_cid *cid)
{
	uint32_t digest = digest_short(cid);
	size_t at = place(blocks, cid);

	for (;; at = (at + 1) & (blocks->size - 1)) {
		struct rk_blocks_slot *slot = &blocks->slots[at];

		if (slot->offset == 0)
			return slot;
		/* The CID lies right before its block. */
		if (slot->digest == digest &&
			memcmp(blocks->car.data + slot->offset - RK_CID_BYTES, cid->bytes,
				RK_CID_BYTES) == 0)
			return slot;
	}
}

static int count_blocks(size_t *out, struct rk_cid *root, struct rk_slice in, size_t most)
{
	struct rk_car_block block;
	struct rk_car car;
	size_t count = 0;

	if (!rk_car_open(&car, in))
		return RK_BLOCKS_MALFORMED;
	while (rk_car_next(&car, &block)) {
		if (++count > most)
			return RK_BLOCKS_TOO_MANY;
	}
	*out = count;
	*root = car.root;
	return car.reader.failed ? RK_BLOCKS_MALFORMED : RK_BLOCKS_OK;
}

/* At most three slots of four in use; count is bounded by the bytes of the CAR. */
static size_t size_for(size_t count)
{
	size_t size = SIZE_LEAST;

	while (size - size / 4 < count)
		size *= 2;
	return size;
}

size_t rk_blocks_bytes(size_t count)
{
	return size_for(count) * sizeof(struct rk_blocks_slot);
}

static int table_create(struct rk_blocks *blocks, struct rk_arena *arena, size_t count)
{
	size_t size = size_for(count);

	blocks->size = size;
	blocks->in_arena = arena != NULL;
	blocks->slots = arena ? rk_arena_calloc(arena, size, sizeof(*blocks->slots))
			      : calloc(size, sizeof(*blocks->slots));
	return blocks->slots ? 0 : -ENOMEM;
}

/* Enters blocks that stand one behind the other. `room`: how many more the table was made for. */
static int batch_enter(
	struct rk_blocks *out, const struct rk_car_block *batch, size_t count, size_t *room)
{
	uint8_t digests[BATCH][RK_SHA256_BYTES];
	struct rk_slice bytes[BATCH] = {0};

	for (size_t i = 0; i < count; i++)
		bytes[i] = batch[i].bytes;
	rk_sha256_each(digests, bytes, count);
	for (size_t i = 0; i < count; i++) {
		const struct rk_car_block *block = &batch[i];
		struct rk_blocks_slot *slot = slot_of(out, &block->cid);

		/* Of a block seen before, too: the CID is the same, the bytes may differ. */
		if (memcmp(digests[i], rk_cid_digest(&block->cid), RK_SHA256_BYTES) != 0)
			return RK_BLOCKS_BAD_CID;
		if (slot->offset != 0)
			continue;
		if ((*room)-- == 0)
			return RK_BLOCKS_MALFORMED; /* a mapped file that somebody writes to */
		*slot = (struct rk_blocks_slot){
			.offset = block->offset,
			.len = (uint32_t)block->bytes.len,
			.digest = digest_short(&block->cid),
		};
		out->count++;
	}
	return RK_BLOCKS_OK;
}

int rk_blocks_load(
	struct rk_blocks *out, struct rk_arena *arena, struct rk_slice in, size_t count_most)
{
	struct rk_car_block batch[BATCH];
	struct rk_car car;
	size_t room = 0, filled = 0;
	int result;

	*out = (struct rk_blocks){.car = in};
	result = count_blocks(&room, &out->root, in, count_most);
	if (result == RK_BLOCKS_OK)
		result = table_create(out, arena, room);
	if (result == RK_BLOCKS_OK && !rk_car_open(&car, in))
		result = RK_BLOCKS_MALFORMED; /* a mapped file that somebody writes to */
	while (result == RK_BLOCKS_OK && rk_car_next(&car, &batch[filled])) {
		if (++filled < BATCH)
			continue;
		result = batch_enter(out, batch, filled, &room);
		filled = 0;
	}
	if (result == RK_BLOCKS_OK)
		result = batch_enter(out, batch, filled, &room);
	if (result == RK_BLOCKS_OK && car.reader.failed)
		result = RK_BLOCKS_MALFORMED;
	if (result)
		rk_blocks_finish(out);
	return result;
}

void rk_blocks_finish(struct rk_blocks *blocks)
{
	if (!blocks)
		return;
	if (!blocks->in_arena)
		free(blocks->slots);
	*blocks = (struct rk_blocks){0};
}

bool rk_blocks_find(const struct rk_blocks *blocks, const struct rk_cid *cid, struct rk_slice *out)
{
	const struct rk_blocks_slot *slot;

	if (blocks->size == 0)
		return false;
	slot = slot_of(blocks, cid);
	if (slot->offset == 0)
		return false;
	*out = rk_slice_sub(blocks->car, slot->offset, slot->len);
	return true;
}
