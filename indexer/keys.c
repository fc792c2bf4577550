/* See keys.h. */
#include "indexer/keys.h"

#include <errno.h>
#include <stdlib.h>

struct rk_keys {
	const char *const *origins;
	struct rk_key_checker *checker;
	struct rk_key_ready found; /* the last one */
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
	if (!*origins)
		return false;
	for (; *origins; origins++) {
		if (rk_slice_equal_str(pds, *origins))
			return false;
	}
	return true;
}

int rk_keys_find(struct rk_keys *keys, struct rk_signer *out, struct rk_snapshot *snapshot,
	struct rk_slice did)
{
	struct rk_identity identity;
	int r = rk_read_identity(snapshot, &identity, did);

	*out = (struct rk_signer){0};
	if (r)
		return rk_read_ended(r);
	out->fetched_ms = identity.fetched_ms;
	if (identity.failed)
		return 0;
	out->known = true;
	out->elsewhere = rk_keys_elsewhere(keys->origins, identity.pds);
	keys->found = identity.key;
	out->key = &keys->found;
	return 0;
}
