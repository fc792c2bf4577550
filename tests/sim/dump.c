/*
 * What an index on disk holds, past all of XRPC: `sim_dump DIR` prints each record as a line of JSON, those
 * of accounts that are not shown as well. Reads a copy (refkey backup), for one process has an index open.
 */
#include <stdio.h>
#include <string.h>

#include "store/store.h"

static void record_print(const struct rk_repo *repo, const struct rk_record *record)
{
	struct rk_buf line = {0};

	rk_buf_add_str(&line, "{\"did\":");
	rk_buf_add_json(&line, repo->did);
	rk_buf_printf(
		&line, ",\"collection\":\"%s\",\"rkey\":", rk_collections[record->collection].nsid);
	rk_buf_add_json(&line, record->rkey);
	rk_buf_add_str(&line, ",\"cid\":\"");
	rk_cid_format(&line, &record->cid);
	rk_buf_add_str(&line, "\",\"ref\":");
	rk_buf_add_json(&line, record->ref);
	rk_buf_add_str(&line, ",\"value\":");
	rk_buf_add_slice(&line, record->json);
	rk_buf_add_str(&line, "}");
	puts(rk_buf_cstr(&line));
	rk_buf_finish(&line);
}

static int records_print(struct rk_snapshot *s, const struct rk_repo *repo, uint8_t collection)
{
	struct rk_record record = {0};
	int r = rk_read_record_after(s, &record, repo->id, collection, record.rkey);

	for (; r == 0; r = rk_read_record_after(s, &record, repo->id, collection, record.rkey))
		record_print(repo, &record);
	return r == RK_STORE_ABSENT ? 0 : r;
}

static int index_print(struct rk_snapshot *s)
{
	struct rk_repo repo = {0};
	int r = rk_read_repo_after(s, &repo, 0);

	for (; r == 0; r = rk_read_repo_after(s, &repo, repo.id)) {
		for (uint8_t i = 0; i < RK_COLLECTION_COUNT; i++) {
			r = records_print(s, &repo, i);
			if (r)
				return r;
		}
	}
	return r == RK_STORE_ABSENT ? 0 : r;
}

int main(int argc, char *argv[])
{
	const struct rk_store_options options = {.dir = argc == 2 ? argv[1] : ""};
	struct rk_snapshot *snapshot = NULL;
	struct rk_store *store = NULL;
	char error[256] = "";
	int r = argc == 2 ? rk_store_open(&store, &options, error) : -1;

	if (r == 0)
		r = rk_snapshot_create(&snapshot, store);
	if (r == 0)
		r = rk_snapshot_begin(snapshot);
	if (r == 0) {
		r = index_print(snapshot);
		rk_snapshot_end(snapshot);
	}
	if (r)
		fprintf(stderr, "sim_dump: %d %s\n", r, error);
	rk_snapshot_destroy(snapshot);
	rk_store_close(store);
	return r ? 1 : 0;
}
