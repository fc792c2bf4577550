/*
 * What failed and is to be tried again: when, by key. In memory only: what fails still shows in the
 * predicate that found it, so a new start tries at once. Pure; times are monotonic milliseconds.
 */
#ifndef RK_PUBLISH_LATER_H
#define RK_PUBLISH_LATER_H

#include <stdbool.h>

#include "base/slice.h"

struct rk_later_entry {
	uint64_t key;
	int64_t due_ms;
	uint32_t attempts; /* that failed, in a row */
	bool kept;         /* asked for since the last rk_later_sweep */
};

/* A zeroed struct is empty. */
struct rk_later {
	struct rk_later_entry *list; /* by key */
	size_t count, room;
};

void rk_later_finish(struct rk_later *later);
/* A key for bytes of a kind: keys of two kinds are taken to be distinct. */
uint64_t rk_later_key(char kind, struct rk_slice bytes);
/* NULL: it did not fail. Borrowed until the next call. */
struct rk_later_entry *rk_later_find(struct rk_later *later, uint64_t key);
/* It failed (again): due later than the last time, at most by most_ms. NULL: no memory, and then it is due
 * at once. */
const struct rk_later_entry *rk_later_note(
	struct rk_later *later, uint64_t key, int64_t now_ms, int64_t most_ms);
/* It is done. */
void rk_later_drop(struct rk_later *later, uint64_t key);
/* Forgets what nobody asked for since the last time. */
void rk_later_sweep(struct rk_later *later);

#endif
