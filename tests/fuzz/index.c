/*
 * A damaged index: entries of a good one are cut, changed, moved or dropped, and everything that
 * reads it, changes it or proves it ends without harm. Six bytes of the input are one damage:
 * table, which entry, what, where, how many, byte.
 */
#include "tests/fuzz/fuzz.h"

#include "store/inside.h"

enum { ENTRIES_MOST = 256, BYTES_MOST = 1024, DAMAGE = 6, DAMAGES_MOST = 16, DIDS = 3 };

struct entry {
	uint8_t table;
	size_t key_len, len;
	uint8_t key[RK_KEY_MOST], bytes[BYTES_MOST];
};

static struct rk_store *store;
static struct rk_snapshot *snapshot;
static struct rk_write writer;
static struct entry good[ENTRIES_MOST], work;
static size_t good_count;
static rk_repo_id ids[DIDS];

static const char *const dids[DIDS] = {"did:web:a.test", "did:web:b.test", "did:web:c.test"};
static const struct rk_slice refs[] = {
	RK_SLICE_LIT("507f1f77bcf86cd799439011"), RK_SLICE_LIT("ref-2"), RK_SLICE_LIT("ref-3")};
static char long_rkey[300];

static struct rk_slice rkey_of(unsigned i)
{
	static const char *const texts[] = {"3jzfcijpj2z2a", "3jzfcijpj2z2b", "3jzfcijpj2z2c"};

	return i % 4 == 3 ? rk_slice_make(long_rkey, sizeof(long_rkey))
			  : rk_slice_str(texts[i % 4]);
}

static void put_record(unsigned i, bool gone)
{
	struct rk_change_record record = {.collection = (uint8_t)(i % RK_COLLECTION_COUNT),
		.rkey = rkey_of(i),
		.created = true};
	const struct rk_change change = {.repo = ids[i % DIDS],
		.records = &record,
		.count = 1,
		.now_us = INT64_C(1700000000000000) + i};

	record.read.json = rk_slice_str("{\"a\":1}");
	record.read.facts = (struct rk_facts){.ref = refs[i % 3],
		.code = rk_slice_str("code"),
		.slug = rk_slice_str("slug"),
		.has_when = i % 2,
		.when_ms = i};
	if (!gone)
		rk_cid_compute(&record.cid, RK_CODEC_DAG_CBOR, record.read.json);
	if (rk_write_change(&writer, &change) < 0)
		return; /* of a damaged index */
}

static void make_good(void)
{
	struct rk_identity identity = {.pds = rk_slice_str("https://pds.test"), .fetched_ms = 1};
	const struct rk_cursor cursor = {.seq = 7, .epoch = 1};

	memset(long_rkey, 'k', sizeof(long_rkey));
	fuzz_must(rk_write_begin(&writer, store) == 0);
	fuzz_must(rk_write_cursor(&writer, rk_slice_str("http://pds.test"), &cursor) == 0);
	for (unsigned i = 0; i < DIDS; i++) {
		static const char *const handles[DIDS] = {"a.test", "b.test", "c.test"};
		struct rk_repo repo;

		fuzz_must(rk_write_repo_make(&writer, &repo, rk_slice_str(dids[i])) == 0);
		ids[i] = repo.id;
		repo.sync = i ? RK_SYNC_SYNCHRONIZED : RK_SYNC_DESYNCHRONIZED;
		fuzz_must(rk_write_repo(&writer, &repo) == 0);
		identity.handle = rk_slice_str(handles[i]);
		fuzz_must(rk_write_identity(&writer, rk_slice_str(dids[i]), &identity) == 0);
	}
	for (unsigned i = 0; i < 12; i++)
		put_record(i, false);
	for (unsigned i = 0; i < 2; i++) {
		struct rk_issue issue = {
			.kind = RK_ISSUE_UNCLAIMED, .repo = ids[i], .collection = -1};
		struct rk_link_result link = {.repo = ids[i],
			.collection = (uint8_t)i,
			.rkey = rkey_of(i),
			.set_link = true,
			.link = RK_LINK_LINKED,
			.issues = 1u << RK_ISSUE_DANGLING,
			.judged = 1u << RK_ISSUE_DANGLING,
			.message = rk_slice_str("why"),
			.set_owner = true,
			.owner_ref = refs[i],
			.owner = {ids[i]}};

		fuzz_must(rk_write_issue(&writer, &issue) == 0);
		fuzz_must(rk_write_link(&writer, &link) >= 0);
		fuzz_must(rk_write_seen(&writer, ids[0], 0, rkey_of(i), RK_PENDING_APPEARED) == 0);
	}
	put_record(5, true);
	fuzz_must(rk_write_commit(&writer) == 0);
}

static void report(void *context, const char *what)
{
	fuzz_must(what[0] != '\0');
}

/* Remembers all entries of the good index. */
static void take_good(void)
{
	struct rk_check_summary summary;

	fuzz_must(rk_store_check(store, &summary, report, NULL) == 0);
	fuzz_must(rk_snapshot_begin(snapshot) == 0);
	for (int table = 0; table < RK_TABLE_COUNT; table++) {
		MDB_cursor *cursor;
		MDB_val k, v;

		fuzz_must(rk_table_cursor(snapshot, (enum rk_table)table, &cursor) == 0);
		while (mdb_cursor_get(cursor, &k, &v, MDB_NEXT) == 0) {
			struct entry *e = &good[good_count++];

			fuzz_must(good_count < ENTRIES_MOST && v.mv_size <= BYTES_MOST);
			e->table = (uint8_t)table;
			e->key_len = k.mv_size;
			e->len = v.mv_size;
			memcpy(e->key, k.mv_data, k.mv_size);
			memcpy(e->bytes, v.mv_data, v.mv_size);
		}
		mdb_cursor_close(cursor);
	}
	rk_snapshot_end(snapshot);
}

static void start(void)
{
	char dir[] = "/tmp/refkey-fuzz-XXXXXX", path[64], error[256];
	const struct rk_store_options options = {.dir = dir, .map_bytes = 64 << 20};

	fuzz_must(mkdtemp(dir));
	fuzz_must(rk_store_open(&store, &options, error) == 0);
	fuzz_must(mdb_env_set_flags(store->env, MDB_NOSYNC, 1) == 0);
	fuzz_must(rk_snapshot_create(&snapshot, store) == 0);
	make_good();
	take_good();
	/* Nobody opens it a second time; it goes with the process. */
	snprintf(path, sizeof(path), "rm -rf %s", dir);
	fuzz_must(system(path) == 0);
}

static void put_entry(const struct entry *e)
{
	struct rk_slice key = rk_slice_make(e->key, e->key_len);
	struct rk_slice value = rk_slice_make(e->bytes, e->len);

	if (e->key_len > 0)
		(void)(rk_table_put(&writer, (enum rk_table)e->table, key, value) < 0);
}

/* A copy of one entry, spoilt; the good one stays or goes. */
static void put_damage(const uint8_t *d)
{
	size_t in_table = 0, nth, at;

	for (size_t i = 0; i < good_count; i++)
		in_table += good[i].table == d[0] % RK_TABLE_COUNT;
	if (in_table == 0)
		return;
	nth = d[1] % in_table;
	for (at = 0; good[at].table != d[0] % RK_TABLE_COUNT || nth-- > 0; at++)
		continue;
	work = good[at];
	(void)(rk_table_del(&writer, (enum rk_table)work.table,
		       rk_slice_make(work.key, work.key_len),
		       rk_slice_make(work.bytes, work.len)) < 0);
	switch (d[2] % 6) {
	case 0: /* gone */
		return;
	case 1: /* cut */
		work.len = d[3] < work.len ? d[3] : work.len;
		break;
	case 2: /* longer */
		memset(work.bytes + work.len, d[5], BYTES_MOST - work.len < d[4] ? 0 : d[4]);
		work.len += BYTES_MOST - work.len < d[4] ? 0 : d[4];
		break;
	case 3: /* overwritten */
		for (size_t i = d[3]; i < work.len && i < (size_t)d[3] + d[4] % 9; i++)
			work.bytes[i] = d[5];
		break;
	case 4: /* under another key */
		if (work.key_len > 0)
			work.key[d[3] % work.key_len] = d[5];
		break;
	case 5: /* under a shorter one */
		work.key_len = d[3] < work.key_len ? d[3] : work.key_len;
		break;
	}
	put_entry(&work);
}

static void spoil(struct rk_slice in)
{
	writer.view = (struct rk_snapshot){.store = store};
	fuzz_must(mdb_txn_begin(store->env, NULL, 0, &writer.view.txn) == 0);
	for (int table = 0; table < RK_TABLE_COUNT; table++)
		fuzz_must(mdb_drop(writer.view.txn, store->dbi[table], 0) == 0);
	for (size_t i = 0; i < good_count; i++)
		put_entry(&good[i]);
	for (size_t i = 0; i + DAMAGE <= in.len && i < (size_t)DAMAGE * DAMAGES_MOST; i += DAMAGE)
		put_damage(in.data + i);
	/* Not by rk_write_commit, which would write the counts anew. */
	fuzz_must(mdb_txn_commit(writer.view.txn) == 0);
	writer.view.txn = NULL;
	rk_write_finish(&writer);
	writer = (struct rk_write){0};
}

static bool see_record(void *context, const struct rk_record *record)
{
	fuzz_must(record->collection < RK_COLLECTION_COUNT);
	return true;
}

static bool see_pending(void *context, const struct rk_pending *pending)
{
	fuzz_must(pending->collection < RK_COLLECTION_COUNT);
	return true;
}

static bool see_issue(void *context, const struct rk_issue *issue, struct rk_slice position)
{
	fuzz_must(issue->kind < RK_ISSUE_COUNT);
	return true;
}

static void read_all(struct rk_snapshot *s)
{
	struct rk_owner_view owner;
	struct rk_record record, others[4];
	struct rk_identity identity;
	struct rk_cursor cursor;
	struct rk_counts counts;
	struct rk_repo repo;
	uint64_t count;
	int64_t wait;

	(void)!rk_read_cursor(s, &cursor, rk_slice_str("http://pds.test"));
	(void)!rk_read_counts(s, &counts);
	for (unsigned i = 0; i < DIDS; i++) {
		(void)!rk_read_repo(s, &repo, ids[i]);
		(void)!rk_read_repo_after(s, &repo, i);
		(void)!rk_read_repo_by_did(s, &repo, rk_slice_str(dids[i]));
		(void)!rk_read_identity(s, &identity, rk_slice_str(dids[i]));
	}
	(void)!rk_read_repo_by_handle(s, &repo, rk_slice_str("B.test"));
	(void)!rk_read_resync_next(s, &repo, &wait, 1, NULL, 0);
	for (unsigned i = 0; i < 8; i++) {
		uint8_t c = (uint8_t)(i % RK_COLLECTION_COUNT);
		struct rk_list_query query = {.collection = c, .repo = i & 2 ? ids[0] : 0};

		query.oldest_first = i & 4;
		(void)!rk_read_record(s, &record, ids[i % DIDS], c, rkey_of(i));
		(void)!rk_read_record_after(s, &record, ids[i % DIDS], c, rkey_of(i));
		(void)!rk_read_owner(s, &owner, c, refs[i % 3]);
		(void)!rk_read_ref_all(s, c, refs[i % 3], see_record, NULL);
		for (int kind = 0; kind < 3; kind++) {
			struct rk_slice value =
				kind ? rk_slice_str(kind == 1 ? "code" : "slug") : refs[i % 3];

			if (rk_read_lookup(
				    s, &record, (enum rk_lookup)kind, c, value, query.repo) == 0)
				(void)!rk_read_duplicates(s, others, 4, &count, &record);
		}
		(void)!rk_read_list(s, &query, see_record, NULL);
	}
	(void)!rk_read_pending(s, INT64_MAX, see_pending, NULL);
	(void)!rk_read_pending_due(s, &wait);
	(void)!rk_read_issues(s, -1, 0, (struct rk_slice){0}, see_issue, NULL);
}

/* Changes of it, which may fail, and are not kept. */
static void change_all(void)
{
	if (rk_write_begin(&writer, store) != 0)
		goto done;
	for (unsigned i = 0; i < 12; i++)
		put_record(i * 7, i % 3 == 0);
	for (unsigned i = 0; i < DIDS; i++) {
		const struct rk_link_result link = {
			.repo = ids[i], .rkey = rkey_of(i), .set_link = true, .judged = UINT32_MAX};
		struct rk_repo repo;

		(void)!rk_write_link(&writer, &link);
		(void)!rk_write_pending(&writer, ids[i], 0, rkey_of(i), RK_PENDING_RECOVER, 5);
		(void)!rk_write_seen_clear(&writer, ids[i]);
		if (rk_write_repo_make(&writer, &repo, rk_slice_str(dids[i])) == 0) {
			repo.sync ^= 1;
			(void)!rk_write_repo(&writer, &repo);
		}
	}
	rk_write_abort(&writer);
done:
	rk_write_finish(&writer);
	writer = (struct rk_write){0};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_check_summary summary;

	if (!store)
		start();
	spoil(rk_slice_make(data, size));
	(void)!rk_store_check(store, &summary, report, NULL);
	fuzz_must(rk_snapshot_begin(snapshot) == 0);
	read_all(snapshot);
	rk_snapshot_end(snapshot);
	change_all();
	return 0;
}
