/* See keys.h. The cache is direct-mapped: a place is used only while it holds the very same key. */
#include "indexer/keys.h"

#include <errno.h>
#include <stdlib.h>

enum { PLACES = 4096 };

struct place {
	struct rk_key key;
	struct rk_key_ready ready;
};

struct rk_keys {
	const char *const *origins;
	struct rk_key_checker *checker;
	struct place places[PLACES];
};

struct rk_keys *rk_keys_create(const char *const *origins)
{
	struct rk_keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return NULL;
	keys->origins = origins;
	keys->checker = rk_key_checker_create();
	if (!keys->checker) {
		free(keys);
		return NULL;
	}
	return keys;
}

void rk_keys_destroy(struct rk_keys *keys)
{
	if (!keys)
		return;
	rk_key_checker_destroy(keys->checker);
	free(keys);
}

struct rk_key_checker *rk_keys_checker(struct rk_keys *keys)
{
	return keys->checker;
}

bool rk_keys_elsewhere(const char *const *origins, struct rk_slice pds)
{
	if (pds.len == 0 || !*origins)
		return false;
	for (; *origins; origins++) {
		if (rk_slice_equal_str(pds, *origins))
			return false;
	}
	return true;
}

static const struct rk_key_ready *ready_get(struct rk_keys *keys, const struct rk_key *key)
{
	/* Points are as good as random. */
	size_t at = (key->point[8] | (size_t)key->point[9] << 8) % PLACES;
	struct place *place = &keys->places[at];

	if (memcmp(&place->key, key, sizeof(*key)) != 0 || place->ready.type != key->type) {
		place->key = *key;
		rk_key_ready_make(&place->ready, key);
	}
	return &place->ready;
}

int rk_keys_find(struct rk_keys *keys, struct rk_signer *out, struct rk_snapshot *snapshot,
	struct rk_slice did)
{
	struct rk_identity identity;
	int r = rk_read_identity(snapshot, &identity, did);

	*out = (struct rk_signer){0};
	if (r)
		return r == RK_STORE_ABSENT ? 0 : r < 0 ? r : -EUCLEAN;
	out->fetched_ms = identity.fetched_ms;
	if (identity.failed)
		return 0;
	out->known = true;
	out->elsewhere = rk_keys_elsewhere(keys->origins, identity.pds);
	out->key = ready_get(keys, &identity.key);
	return 0;
}
