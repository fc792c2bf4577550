/* See lost.h. */
#include "mirror/lost.h"

#include <errno.h>
#include <stdio.h>

int rk_mongo_lost(struct rk_store *store, const char *database, char error[256])
{
	struct rk_snapshot *snapshot = NULL;
	struct rk_counts counts = {0};
	bool records = false;
	int r = rk_snapshot_create(&snapshot, store);

	if (r == 0)
		r = rk_snapshot_begin(snapshot);
	if (r == 0) {
		r = rk_read_counts(snapshot, &counts);
		rk_snapshot_end(snapshot);
	}
	rk_snapshot_destroy(snapshot);
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		records |= counts.records[i] > 0;
	if (r || !records)
		return rk_read_found(r);
	snprintf(error, 256,
		"MongoDB: database %.100s has neither a user with an account nor a document, the index has records: is it the right one (REFKEY_MONGO_DB), and was it lost?",
		database);
	return -ENOENT;
}
