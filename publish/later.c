/* See later.h. */
#include "publish/later.h"

#include <stdlib.h>

#include "base/list.h"
#include "mirror/decide.h"

void rk_later_finish(struct rk_later *later)
{
	free(later->list);
	*later = (struct rk_later){0};
}

uint64_t rk_later_key(char kind, struct rk_slice bytes)
{
	uint64_t hash = (UINT64_C(14695981039346656037) ^ (uint8_t)kind) * UINT64_C(1099511628211);

	for (size_t i = 0; i < bytes.len; i++)
		hash = (hash ^ bytes.data[i]) * UINT64_C(1099511628211);
	return hash;
}

/* The first place that is not below the key. */
static size_t place(const struct rk_later *later, uint64_t key)
{
	size_t from = 0, to = later->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (later->list[middle].key < key)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

struct rk_later_entry *rk_later_find(struct rk_later *later, uint64_t key)
{
	size_t at = place(later, key);

	if (at == later->count || later->list[at].key != key)
		return NULL;
	later->list[at].kept = true;
	return &later->list[at];
}

static struct rk_later_entry *insert(struct rk_later *later, uint64_t key)
{
	size_t at = place(later, key);

	if (rk_list_grow(&later->list, &later->room, later->count, sizeof(*later->list)) != 0)
		return NULL;
	memmove(later->list + at + 1, later->list + at, (later->count - at) * sizeof(*later->list));
	later->count++;
	later->list[at] = (struct rk_later_entry){.key = key, .kept = true};
	return &later->list[at];
}

const struct rk_later_entry *rk_later_note(
	struct rk_later *later, uint64_t key, int64_t now_ms, int64_t most_ms)
{
	struct rk_later_entry *entry = rk_later_find(later, key);
	int64_t wait;

	if (!entry)
		entry = insert(later, key);
	if (!entry)
		return NULL;
	wait = rk_again_ms(entry->attempts);
	entry->due_ms = now_ms + (wait < most_ms ? wait : most_ms);
	if (entry->attempts < UINT32_MAX)
		entry->attempts++;
	return entry;
}

void rk_later_drop(struct rk_later *later, uint64_t key)
{
	size_t at = place(later, key);

	if (at == later->count || later->list[at].key != key)
		return;
	later->count--;
	memmove(later->list + at, later->list + at + 1, (later->count - at) * sizeof(*later->list));
}

void rk_later_sweep(struct rk_later *later)
{
	size_t kept = 0;

	for (size_t i = 0; i < later->count; i++) {
		if (!later->list[i].kept)
			continue;
		later->list[kept] = later->list[i];
		later->list[kept++].kept = false;
	}
	later->count = kept;
}
