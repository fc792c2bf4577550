/*
 * Short-lived memory with one clear end: one event, one request, one document. Everything taken
 * from an arena lives until rk_arena_reset or rk_arena_finish; nothing is freed singly.
 * Not for sharing between threads at the same time.
 */
#ifndef RK_BASE_ARENA_H
#define RK_BASE_ARENA_H

#include <stddef.h>

#include "base/slice.h"

struct rk_arena_block;

struct rk_arena {
	struct rk_arena_block *head; /* newest block */
	size_t used;                 /* bytes taken from head */
	size_t total;                /* bytes held from malloc in all */
	size_t limit;                /* most that may be held; 0: no limit */
};

/* A zeroed struct is a valid arena without limit; init only sets one (bytes). */
void rk_arena_init(struct rk_arena *arena, size_t limit);
/* Frees everything. Takes NULL and zeroed arenas. */
void rk_arena_finish(struct rk_arena *arena);
/* Frees all but one small block, which is used again. */
void rk_arena_reset(struct rk_arena *arena);
/* The same, but what is kept is the newest block of `most` bytes or less: for one arena that takes much
 * again and again. */
void rk_arena_reset_within(struct rk_arena *arena, size_t most);

/* Zeroed memory aligned for any type; NULL when out of memory or over the limit. */
void *rk_arena_alloc(struct rk_arena *arena, size_t size) __attribute__((warn_unused_result));
/* count * size without overflow. */
void *rk_arena_calloc(struct rk_arena *arena, size_t count, size_t size)
	__attribute__((warn_unused_result));
/* A copy of the bytes, followed by a NUL that is not counted. NULL as above. */
char *rk_arena_copy(struct rk_arena *arena, struct rk_slice bytes)
	__attribute__((warn_unused_result));

#endif
