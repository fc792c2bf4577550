/*
 * What MongoDB refused by a rule of its own is not tried again until the record or the document
 * changes. The record's changes come by themselves; for the document's, its bytes at the time of the
 * refusal are remembered as a hash. In memory only: after a start each is tried once more.
 */
#include "mirror/inside.h"

static uint64_t mix(uint64_t hash, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
	return hash;
}

static uint64_t key_of(const struct rk_item *item)
{
	uint64_t hash = mix(UINT64_C(14695981039346656037), &item->repo, sizeof(item->repo));

	hash = mix(hash, &item->collection, sizeof(item->collection));
	return mix(hash, item->rkey.data, item->rkey.len);
}

static struct rk_refusal *find(struct rk_mirror *mirror, uint64_t key)
{
	for (size_t i = 0; i < RK_REFUSALS_MOST; i++) {
		if (mirror->refusals[i].key == key)
			return &mirror->refusals[i];
	}
	return NULL;
}

static int document_hash(struct rk_mirror *mirror, const struct rk_item *item, uint64_t *out)
{
	return rk_mongo_hash(mirror->mongo, out, &rk_collections[item->collection],
		item->document ? &item->document->id : &item->target);
}

void rk_refusal_note(struct rk_mirror *mirror, const struct rk_item *item)
{
	uint64_t key = key_of(item), hash;
	struct rk_refusal *refusal = find(mirror, key);

	if (!refusal)
		refusal = &mirror->refusals[mirror->refusal_next++ % RK_REFUSALS_MOST];
	/* Not to be had now: forgotten, and so tried again with the next sweep. */
	if (document_hash(mirror, item, &hash))
		*refusal = (struct rk_refusal){0};
	else
		*refusal = (struct rk_refusal){key, hash};
}

int rk_refusal_stands(struct rk_mirror *mirror, const struct rk_item *item, bool *stands)
{
	const struct rk_refusal *refusal = find(mirror, key_of(item));
	uint64_t hash;
	int r;

	*stands = false;
	if (!refusal)
		return 0;
	r = document_hash(mirror, item, &hash);
	*stands = r == 0 && hash == refusal->hash;
	return r;
}
