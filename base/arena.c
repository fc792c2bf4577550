/* Bump allocation in blocks that double; see arena.h for the promises. */
#include "base/arena.h"

#include <stdlib.h>

enum { BLOCK_FIRST = 4096, BLOCK_MOST = 1 << 20, ALIGNMENT = 16 };

struct rk_arena_block {
	struct rk_arena_block *next;
	size_t size; /* usable bytes */
	_Alignas(ALIGNMENT) unsigned char bytes[];
};

void rk_arena_init(struct rk_arena *arena, size_t limit)
{
	*arena = (struct rk_arena){.limit = limit};
}

static void blocks_free(struct rk_arena *arena, struct rk_arena_block *keep)
{
	struct rk_arena_block *block = arena->head;

	while (block) {
		struct rk_arena_block *next = block->next;
		if (block != keep) {
			arena->total -= block->size;
			free(block);
		}
		block = next;
	}
}

void rk_arena_finish(struct rk_arena *arena)
{
	if (!arena)
		return;
	blocks_free(arena, NULL);
	*arena = (struct rk_arena){.limit = arena->limit};
}

void rk_arena_reset(struct rk_arena *arena)
{
	rk_arena_reset_within(arena, BLOCK_FIRST);
}

void rk_arena_reset_within(struct rk_arena *arena, size_t most)
{
	struct rk_arena_block *keep = arena->head;

	while (keep && keep->size > most)
		keep = keep->next;
	blocks_free(arena, keep);
	if (keep)
		keep->next = NULL;
	arena->head = keep;
	arena->used = 0;
}

static struct rk_arena_block *block_add(struct rk_arena *arena, size_t need)
{
	size_t size = arena->head ? arena->head->size * 2 : BLOCK_FIRST;
	struct rk_arena_block *block;

	if (size > BLOCK_MOST)
		size = BLOCK_MOST;
	if (size < need)
		size = need;
	if (arena->limit && (size > arena->limit || arena->total > arena->limit - size))
		return NULL;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return NULL;
	block->next = arena->head;
	block->size = size;
	arena->head = block;
	arena->total += size;
	arena->used = 0;
	return block;
}

void *rk_arena_alloc(struct rk_arena *arena, size_t size)
{
	void *at;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	if (!arena->head || arena->head->size - arena->used < size) {
		if (!block_add(arena, size))
			return NULL;
	}
	at = arena->head->bytes + arena->used;
	arena->used += size;
	return memset(at, 0, size);
}

void *rk_arena_calloc(struct rk_arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	return rk_arena_alloc(arena, bytes);
}

char *rk_arena_copy(struct rk_arena *arena, struct rk_slice bytes)
{
	char *copy;

	if (bytes.len == SIZE_MAX)
		return NULL;
	copy = rk_arena_alloc(arena, bytes.len + 1);
	if (copy && bytes.len)
		memcpy(copy, bytes.data, bytes.len);
	return copy;
}
