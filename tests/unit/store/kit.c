/* See kit.h. */
#include "tests/unit/store/kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/encode.h"

void kit_folder_make(char dir[64])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, 64, "%.40s/refkey-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(dir));
}

void kit_folder_remove(const char *dir)
{
	DIR *folder = opendir(dir);
	const struct dirent *entry;
	char path[512];

	if (!folder)
		return;
	while ((entry = readdir(folder))) {
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		unlink(path);
	}
	closedir(folder);
	rmdir(dir);
}

static void store_open(struct kit *k, size_t map_bytes)
{
	const struct rk_store_options options = {.dir = k->dir, .map_bytes = map_bytes};
	char error[256];

	if (rk_store_open(&k->store, &options, error) != 0)
		fail_msg("cannot open: %s", error);
	assert_int_equal(mdb_env_set_flags(k->store->env, MDB_NOSYNC, 1), 0);
	assert_int_equal(rk_snapshot_create(&k->s, k->store), 0);
}

static void store_close(struct kit *k)
{
	kit_stop(k);
	rk_snapshot_destroy(k->s);
	rk_store_close(k->store);
}

int kit_setup(void **state)
{
	struct kit *k = calloc(1, sizeof(*k));

	assert_non_null(k);
	kit_folder_make(k->dir);
	store_open(k, 0);
	*state = k;
	return 0;
}

int kit_teardown(void **state)
{
	struct kit *k = *state;

	if (k->w.view.txn)
		rk_write_abort(&k->w);
	rk_write_finish(&k->w);
	store_close(k);
	kit_folder_remove(k->dir);
	free(k);
	return 0;
}

void kit_reopen(struct kit *k, size_t map_bytes)
{
	store_close(k);
	store_open(k, map_bytes);
}

struct rk_write *kit_write(struct kit *k)
{
	kit_stop(k);
	assert_int_equal(rk_write_begin(&k->w, k->store), 0);
	return &k->w;
}

void kit_commit(struct kit *k)
{
	assert_int_equal(rk_write_commit(&k->w), 0);
}

struct rk_snapshot *kit_read(struct kit *k)
{
	kit_stop(k);
	assert_int_equal(rk_snapshot_begin(k->s), 0);
	k->reading = true;
	return k->s;
}

void kit_stop(struct kit *k)
{
	if (k->reading)
		rk_snapshot_end(k->s);
	k->reading = false;
}

static void say(void *context, const char *what)
{
	if (*(bool *)context)
		print_error("check: %s\n", what);
}

void kit_check(struct kit *k)
{
	struct rk_check_summary summary;
	bool loud = true;

	assert_int_equal(rk_store_check(k->store, &summary, say, &loud), 0);
}

int64_t kit_wrong(struct kit *k)
{
	struct rk_check_summary summary;
	bool loud = false;

	return rk_store_check(k->store, &summary, say, &loud);
}

void kit_dump(struct kit *k, struct rk_buf *out, bool with_meta)
{
	struct rk_snapshot *s = kit_read(k);

	rk_buf_clear(out);
	for (int table = with_meta ? 0 : RK_TABLE_META + 1; table < RK_TABLE_COUNT; table++) {
		MDB_cursor *cursor;
		MDB_val key, value;

		assert_int_equal(rk_table_cursor(s, (enum rk_table)table, &cursor), 0);
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
			rk_buf_printf(out, "%d ", table);
			rk_hex_encode(out, rk_val_slice(key));
			rk_buf_add_str(out, " ");
			rk_hex_encode(out, rk_val_slice(value));
			rk_buf_add_str(out, "\n");
		}
		mdb_cursor_close(cursor);
	}
	assert_int_equal(rk_buf_failed(out), 0);
	kit_stop(k);
}

struct rk_slice kit_rkey(unsigned number)
{
	static char texts[64][RK_TID_LEN + 1];
	static unsigned at;
	char *text = texts[at++ % 64];

	rk_tid_format(text, (UINT64_C(1700000000000000) + number) << 10);
	return rk_slice_make(text, RK_TID_LEN);
}

struct rk_change_record kit_make(const struct kit_record *in)
{
	static char jsons[64][256];
	static unsigned at;
	char *json = jsons[at++ % 64];
	struct rk_change_record out = {.collection = in->collection, .rkey = in->rkey};

	if (in->gone)
		return out;
	snprintf(json, sizeof(jsons[0]),
		"{\"ref\":\"%s\",\"code\":\"%s\",\"when\":%lld,\"version\":%u}",
		in->ref ? in->ref : "", in->code ? in->code : "", (long long)in->when_ms,
		in->version);
	out.read.json = rk_slice_str(json);
	out.read.facts = (struct rk_facts){
		.ref = rk_slice_str(in->ref),
		.code = rk_slice_str(in->code),
		.slug = rk_slice_str(in->slug),
		.has_when = in->when_ms != 0,
		.when_ms = in->when_ms,
		.invalid = in->invalid,
	};
	rk_cid_compute(&out.cid, RK_CODEC_DAG_CBOR, out.read.json);
	return out;
}

void kit_apply(struct kit *k, rk_repo_id repo, enum rk_change_source source, bool vanished,
	const struct kit_record *in, size_t count, int64_t now_us)
{
	struct rk_change_record records[32];
	const struct rk_change change = {
		.repo = repo,
		.source = source,
		.vanished = vanished,
		.records = records,
		.count = count,
		.now_us = now_us,
	};

	assert_in_range(count, 0, 32);
	for (size_t i = 0; i < count; i++)
		records[i] = kit_make(&in[i]);
	assert_int_equal(rk_write_change(&k->w, &change), 0);
}

void kit_put(struct kit *k, rk_repo_id repo, const struct kit_record *in, int64_t now_us)
{
	kit_apply(k, repo, RK_CHANGE_LIVE, false, in, 1, now_us);
}

rk_repo_id kit_repo(struct kit *k, const char *did)
{
	struct rk_repo repo;

	assert_int_equal(rk_write_repo_make(&k->w, &repo, rk_slice_str(did)), 0);
	return repo.id;
}

void kit_account(struct kit *k, rk_repo_id id, enum rk_account account)
{
	struct rk_repo repo;

	assert_int_equal(rk_read_repo(rk_write_view(&k->w), &repo, id), 0);
	repo.account = (uint8_t)account;
	assert_int_equal(rk_write_repo(&k->w, &repo), 0);
}

void kit_owner(struct kit *k, uint8_t collection, const char *ref, rk_repo_id owner)
{
	const struct rk_link_result result = {
		.collection = collection,
		.set_owner = true,
		.owner_ref = rk_slice_str(ref),
		.owner = {.repo = owner},
	};

	assert_int_equal(rk_write_link(&k->w, &result), 0);
}

void kit_link(
	struct kit *k, rk_repo_id repo, uint8_t collection, struct rk_slice rkey, enum rk_link link)
{
	const struct rk_link_result result = {
		.repo = repo,
		.collection = collection,
		.rkey = rkey,
		.set_link = true,
		.link = link,
	};

	assert_int_equal(rk_write_link(&k->w, &result), 0);
}

struct rk_slice kit_lookup(
	struct kit *k, enum rk_lookup kind, uint8_t collection, const char *value, rk_repo_id repo)
{
	struct rk_record record;
	int r = rk_read_lookup(k->s, &record, kind, collection, rk_slice_str(value), repo);

	assert_true(r == 0 || r == RK_STORE_ABSENT);
	return r == 0 ? record.rkey : (struct rk_slice){0};
}

struct rk_record kit_record(
	struct kit *k, rk_repo_id repo, uint8_t collection, struct rk_slice rkey)
{
	struct rk_record record;

	assert_int_equal(rk_read_record(k->s, &record, repo, collection, rkey), 0);
	return record;
}

bool kit_pending(struct kit *k, struct rk_pending *out, bool gone, const char *ref, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey)
{
	struct rk_key_buf key = {0};
	struct rk_slice value;

	rk_key_pending(&key, gone, rk_slice_str(ref), repo, collection, rkey);
	if (rk_table_get(k->s, RK_TABLE_PENDING, rk_key_slice(&key), &value) != 0)
		return false;
	assert_true(rk_value_pending_read(out, rk_key_slice(&key), value));
	return true;
}

int kit_pending_flags(struct kit *k, bool gone, const char *ref, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey)
{
	struct rk_pending pending;

	return kit_pending(k, &pending, gone, ref, repo, collection, rkey) ? pending.flags : -1;
}
