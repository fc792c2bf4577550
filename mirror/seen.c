/* The set of documents that a scan saw: 13 bytes each, and a hash for each that names a record. */
#include "mirror/inside.h"

#include <stdlib.h>

#include "base/list.h"

/* FNV-1a: a false match only costs a look. */
static uint64_t hash(struct rk_slice text)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < text.len; i++)
		h = (h ^ text.data[i]) * UINT64_C(1099511628211);
	return h;
}

int rk_seen_add(struct rk_seen *seen, const struct rk_document *document)
{
	struct rk_slice rkey = rk_document_rkey(document);
	int r = rk_list_grow(&seen->ids, &seen->room, seen->count, sizeof(*seen->ids));

	if (r == 0 && rkey.len > 0)
		r = rk_list_grow(
			&seen->rkeys, &seen->rkey_room, seen->rkey_count, sizeof(*seen->rkeys));
	if (r)
		return r;
	memcpy(seen->ids[seen->count].id, document->id.bytes, 12);
	seen->ids[seen->count++].links = rkey.len > 0 && !document->gone;
	if (rkey.len > 0)
		seen->rkeys[seen->rkey_count++] = hash(rkey);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, 12);
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

void rk_seen_seal(struct rk_seen *seen)
{
	if (seen->count > 0)
		qsort(seen->ids, seen->count, sizeof(*seen->ids), by_id);
	if (seen->rkey_count > 0)
		qsort(seen->rkeys, seen->rkey_count, sizeof(*seen->rkeys), by_number);
}

const struct rk_seen_id *rk_seen_find(const struct rk_seen *seen, const struct rk_oid *id)
{
	if (seen->count == 0)
		return NULL;
	return bsearch(id->bytes, seen->ids, seen->count, sizeof(*seen->ids), by_id);
}

bool rk_seen_names(const struct rk_seen *seen, struct rk_slice rkey)
{
	uint64_t key = hash(rkey);

	return seen->rkey_count > 0 &&
		bsearch(&key, seen->rkeys, seen->rkey_count, sizeof(key), by_number);
}

void rk_seen_finish(struct rk_seen *seen)
{
	free(seen->ids);
	free(seen->rkeys);
	*seen = (struct rk_seen){0};
}
