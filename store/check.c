/*
 * refkey check: one pass over each table. What follows from a value must be there; and as the tables
 * hold no more entries than follow from all values, nothing is left over.
 */
#include "store/inside.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "atproto/syntax.h"

enum { REPORTS_MOST = 1000 };

struct check {
	struct rk_snapshot *s;
	rk_check_report *report;
	void *context;
	int64_t wrong;
	uint64_t lookups, answers, times, queued, due, record_issues;
	struct rk_counts counts;
	rk_repo_id next_repo;
	uint64_t generation, first;
	uint32_t repo_counts[RK_COLLECTION_COUNT]; /* of the repo whose records are being read */
	rk_repo_id repo;
};

static void __attribute__((format(printf, 2, 3))) say(struct check *c, const char *format, ...)
{
	char text[768];
	va_list args;

	if (++c->wrong > REPORTS_MOST)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	c->report(c->context, text);
}

static bool has(struct check *c, enum rk_table table, const struct rk_key_buf *key)
{
	struct rk_slice value;

	return rk_table_get(c->s, table, rk_key_slice(key), &value) == 0;
}

static bool has_pair(
	struct check *c, enum rk_table table, const struct rk_key_buf *key, struct rk_slice value)
{
	MDB_val k = rk_val(rk_key_slice(key)), v = rk_val(value);
	MDB_cursor *cursor;
	int r = rk_table_cursor(c->s, table, &cursor);

	if (r)
		return false;
	r = mdb_cursor_get(cursor, &k, &v, MDB_GET_BOTH);
	mdb_cursor_close(cursor);
	return r == 0;
}

static void lookups_check(struct check *c, const struct rk_record *record)
{
	static const char *const kinds[RK_LOOKUP_COUNT] = {"ref", "code", "slug", "derived _id"};
	const rk_repo_id under[] = {0, record->repo};
	struct rk_lookup_values values;

	/* If its repo is not known, that is said elsewhere. */
	if (rk_lookup_values(c->s, &values, record) != 0)
		return;
	for (int i = 0; i < 2; i++) {
		struct rk_key_buf when = {0};

		for (int kind = 0; kind < RK_LOOKUP_COUNT; kind++) {
			struct rk_key_buf key = {0}, entry = {0};

			if (values.of[kind].len == 0 ||
				!rk_lookup_is_under((enum rk_lookup)kind, under[i]))
				continue;
			rk_key_entry(&entry, (enum rk_lookup)kind, record);
			rk_key_lookup(&key, (enum rk_lookup)kind, record->collection, under[i],
				values.of[kind]);
			c->lookups++;
			if (!has_pair(c, RK_TABLE_LOOKUP, &key, rk_key_slice(&entry)))
				say(c, "repo %u: record %.*s is not found by its %s", record->repo,
					RK_SLICE_ARG(record->rkey), kinds[kind]);
		}
		if (!record->has_when)
			continue;
		rk_key_when(&when, under[i], record);
		c->times++;
		if (!has(c, RK_TABLE_WHEN, &when))
			say(c, "repo %u: record %.*s is not found by its time", record->repo,
				RK_SLICE_ARG(record->rkey));
	}
}

static void record_check(struct check *c, const struct rk_record *record)
{
	json_error_t error;
	json_t *json = json_loadb((const char *)record->json.data, record->json.len,
		JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	struct rk_rkey rkey;

	/* A NUL in a name is JSON that this parser does not take. */
	if (!json && json_error_code(&error) != json_error_null_byte_in_key)
		say(c, "repo %u: record %.*s: its JSON does not parse: %s", record->repo,
			RK_SLICE_ARG(record->rkey), error.text);
	json_decref(json);
	/* Taken in by a version that looked at no key; a repo that is fetched whole is rid of it. */
	if (!rk_rkey_parse(&rkey, record->rkey))
		say(c, "repo %u: a record of %s is under what is no record key, from an older version (it goes when the index is built again): %.*s",
			record->repo, rk_collections[record->collection].nsid,
			RK_SLICE_ARG(record->rkey));
	if (!rk_cid_is_set(&record->cid))
		say(c, "repo %u: record %.*s has no CID", record->repo, RK_SLICE_ARG(record->rkey));
	lookups_check(c, record);
	for (int kind = 0; kind < RK_ISSUE_COUNT; kind++) {
		struct rk_key_buf key = {0};
		struct rk_issue issue = {.kind = (uint8_t)kind,
			.repo = record->repo,
			.collection = record->collection,
			.rkey = record->rkey};

		if (!(record->issues & 1u << kind))
			continue;
		rk_key_issue(&key, &issue);
		c->record_issues++;
		if (!has(c, RK_TABLE_ISSUE, &key))
			say(c, "repo %u: record %.*s has an issue that is not listed: %s",
				record->repo, RK_SLICE_ARG(record->rkey), rk_issue_names[kind]);
	}
}

/* The counts of a repo, once all of its records were read. */
static void repo_counts_check(struct check *c)
{
	struct rk_repo repo;

	if (c->repo == 0)
		return;
	if (rk_read_repo(c->s, &repo, c->repo) != 0) {
		say(c, "there are records of repo %u, which is not known", c->repo);
		return;
	}
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		if (repo.counts[i] != c->repo_counts[i])
			say(c, "repo %u: holds %u records of %s, counted as %u", c->repo,
				c->repo_counts[i], rk_collections[i].nsid, repo.counts[i]);
	}
	memset(c->repo_counts, 0, sizeof(c->repo_counts));
}

typedef void entry_check(struct check *c, struct rk_slice key, struct rk_slice value);

static void record_entry(struct check *c, struct rk_slice key, struct rk_slice value)
{
	struct rk_key_buf own = {0}, place = {0};
	struct rk_record record;
	int r = rk_record_get(c->s, &record, key);

	if (r) {
		say(c, "a record is not where it should be, or its value cannot be read");
		return;
	}
	c->answers++;
	rk_key_record(&own, record.repo, record.collection, record.rkey);
	if (!rk_slice_equal(rk_key_slice(&own), key))
		say(c, "repo %u: record %.*s stands under another key", record.repo,
			RK_SLICE_ARG(record.rkey));
	rk_key_answer(&place, &record);
	if (!rk_slice_equal(rk_key_slice(&place), value))
		say(c, "repo %u: record %.*s stands under another ref", record.repo,
			RK_SLICE_ARG(record.rkey));
	if (record.first >= c->first)
		say(c, "repo %u: record %.*s has a number that will be given again", record.repo,
			RK_SLICE_ARG(record.rkey));
	if (record.repo != c->repo) {
		repo_counts_check(c);
		c->repo = record.repo;
	}
	c->repo_counts[record.collection]++;
	c->counts.records[record.collection]++;
	record_check(c, &record);
}

static void repo_entry(struct check *c, struct rk_slice key, struct rk_slice value)
{
	struct rk_reader reader = rk_reader_make(key);
	rk_repo_id id = (rk_repo_id)rk_reader_uint(&reader, 4);
	struct rk_key_buf queue = {0};
	struct rk_repo repo, found;

	if (!rk_value_repo_read(&repo, id, value)) {
		say(c, "repo %u: its value cannot be read", id);
		return;
	}
	c->counts.repos++;
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		struct rk_record first;

		if (repo.counts[i] &&
			rk_read_record_after(c->s, &first, id, (uint8_t)i, (struct rk_slice){0}))
			say(c, "repo %u: records of %s are counted and none is there", id,
				rk_collections[i].nsid);
	}
	if (rk_read_repo_by_did(c->s, &found, repo.did) != 0 || found.id != id)
		say(c, "repo %u: its DID %.*s leads elsewhere", id, RK_SLICE_ARG(repo.did));
	if (id >= c->next_repo)
		say(c, "repo %u: its id will be given again", id);
	if (!rk_repo_is_queued(&repo))
		return;
	c->queued++;
	c->counts.desynchronized++;
	c->counts.unready += repo.failures < RK_FAILURES_READY;
	rk_key_uint(&queue, (uint64_t)repo.retry_ms, 8);
	rk_key_uint(&queue, id, 4);
	if (!has(c, RK_TABLE_RESYNC, &queue))
		say(c, "repo %u: is to be fetched and not in the queue", id);
}

static void pending_entry(struct check *c, struct rk_slice key, struct rk_slice value)
{
	struct rk_pending pending;
	struct rk_key_buf due = {0};
	struct rk_record record;
	struct rk_slice back;

	if (!rk_value_pending_read(&pending, key, value)) {
		say(c, "pending work cannot be read");
		return;
	}
	if (pending.generation >= c->generation)
		say(c, "pending work of repo %u has a generation that will be given again: %.*s",
			pending.repo, RK_SLICE_ARG(pending.rkey));
	rk_key_uint(&due, rk_key_time(pending.due_ms), 8);
	rk_key_uint(&due, pending.generation, 8);
	if (rk_table_get(c->s, RK_TABLE_DUE, rk_key_slice(&due), &back) != 0 ||
		!rk_slice_equal(back, key))
		say(c, "pending work of repo %u for %.*s is never due", pending.repo,
			RK_SLICE_ARG(pending.rkey));
	if (!(pending.flags & RK_PENDING_GONE) &&
		rk_read_record(c->s, &record, pending.repo, pending.collection, pending.rkey) != 0)
		say(c, "pending work of repo %u is for a record that is not there: %.*s",
			pending.repo, RK_SLICE_ARG(pending.rkey));
}

static void issue_entry(struct check *c, struct rk_slice key, struct rk_slice value)
{
	struct rk_issue issue;

	if (!rk_value_issue_read(&issue, key, value)) {
		say(c, "an issue cannot be read");
		return;
	}
	c->counts.issues[issue.kind]++;
	if (key.len > 1 && key.data[1] == 'R')
		c->record_issues--;
}

static void handle_entry(struct check *c, struct rk_slice key, struct rk_slice value)
{
	struct rk_identity identity;

	if (rk_read_identity(c->s, &identity, value) != 0 || !rk_slice_equal(identity.handle, key))
		say(c, "the handle %.*s leads to an account that does not have it",
			RK_SLICE_ARG(key));
}

static void identity_entry(struct check *c, struct rk_slice key, struct rk_slice value)
{
	struct rk_identity identity;

	if (!rk_value_identity_read(&identity, value))
		say(c, "the identity of %.*s cannot be read", RK_SLICE_ARG(key));
}

static void owner_entry(struct check *c, struct rk_slice key, struct rk_slice value)
{
	struct rk_reader reader = rk_reader_make(value);
	rk_repo_id id = (rk_repo_id)rk_reader_uint(&reader, 4);
	struct rk_repo repo;

	if (!rk_key_is_owner(key))
		return; /* follows from a record */
	c->answers++;
	if (value.len != 4 || (id && rk_read_repo(c->s, &repo, id) != 0))
		say(c, "the owner of a ref is repo %u, which is not known", id);
}

static void seen_entry(struct check *c, struct rk_slice key, struct rk_slice value)
{
	struct rk_reader reader = rk_reader_make(key);
	rk_repo_id id = (rk_repo_id)rk_reader_uint(&reader, 4);
	struct rk_repo repo;

	if (value.len != 1 || rk_read_repo(c->s, &repo, id) != 0)
		say(c, "something was seen in repo %u, which is not known", id);
}

static int each(struct check *c, enum rk_table table, entry_check *check)
{
	MDB_cursor *cursor;
	MDB_val k, v;
	int r = rk_table_cursor(c->s, table, &cursor);

	if (r)
		return r;
	while ((r = mdb_cursor_get(cursor, &k, &v, MDB_NEXT)) == 0)
		check(c, rk_val_slice(k), rk_val_slice(v));
	mdb_cursor_close(cursor);
	return r == MDB_NOTFOUND ? 0 : rk_lmdb_error(r);
}

static void total_check(struct check *c, const char *what, uint64_t follows, uint64_t there)
{
	if (follows != there)
		say(c, "%s: %llu follow from the records, %llu are there", what,
			(unsigned long long)follows, (unsigned long long)there);
}

static void totals_check(struct check *c)
{
	struct rk_counts stored = {0};

	if (rk_read_counts(c->s, &stored) != 0)
		say(c, "the counts cannot be read");
	total_check(c, "lookups", c->lookups, rk_table_entries(c->s, RK_TABLE_LOOKUP));
	total_check(c, "records and owners", c->answers, rk_table_entries(c->s, RK_TABLE_ANSWER));
	total_check(c, "times", c->times, rk_table_entries(c->s, RK_TABLE_WHEN));
	total_check(c, "DIDs", c->counts.repos, rk_table_entries(c->s, RK_TABLE_DID));
	total_check(c, "repos to be fetched", c->queued, rk_table_entries(c->s, RK_TABLE_RESYNC));
	total_check(c, "due times", rk_table_entries(c->s, RK_TABLE_PENDING),
		rk_table_entries(c->s, RK_TABLE_DUE));
	total_check(c, "issues of records", c->record_issues, 0);
	total_check(c, "counted repos", c->counts.repos, stored.repos);
	total_check(
		c, "counted repos to be fetched", c->counts.desynchronized, stored.desynchronized);
	total_check(c, "counted repos not ready", c->counts.unready, stored.unready);
	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		total_check(c, rk_collections[i].nsid, c->counts.records[i], stored.records[i]);
	for (int i = 0; i < RK_ISSUE_COUNT; i++)
		total_check(c, rk_issue_names[i], c->counts.issues[i], stored.issues[i]);
}

/* What will be given out next; the ids, generations and numbers in use lie below. */
static void next_read(struct check *c)
{
	struct rk_write stored = {0};
	struct rk_slice value;

	if (rk_table_get(c->s, RK_TABLE_META, (struct rk_slice)RK_SLICE_LIT("counts"), &value) ==
			0 &&
		rk_value_counts_read(&stored, value)) {
		c->next_repo = stored.next_repo;
		c->generation = stored.generation;
		c->first = stored.first;
	}
}

int64_t rk_store_check(struct rk_store *store, struct rk_check_summary *out,
	rk_check_report *report, void *context)
{
	static const struct {
		enum rk_table table;
		entry_check *check;
	} passes[] = {
		{RK_TABLE_RECORD, record_entry},
		{RK_TABLE_REPO, repo_entry},
		{RK_TABLE_PENDING, pending_entry},
		{RK_TABLE_ISSUE, issue_entry},
		{RK_TABLE_HANDLE, handle_entry},
		{RK_TABLE_IDENTITY, identity_entry},
		{RK_TABLE_ANSWER, owner_entry},
		{RK_TABLE_SEEN, seen_entry},
	};
	struct check c = {.report = report, .context = context};
	int r = rk_snapshot_create(&c.s, store);

	if (r)
		return r;
	r = rk_snapshot_begin(c.s);
	if (r == 0)
		next_read(&c);
	for (size_t i = 0; r == 0 && i < sizeof(passes) / sizeof(passes[0]); i++) {
		r = each(&c, passes[i].table, passes[i].check);
		if (passes[i].table == RK_TABLE_RECORD)
			repo_counts_check(&c);
	}
	if (r == 0)
		totals_check(&c);
	c.counts.pending = rk_table_entries(c.s, RK_TABLE_PENDING);
	rk_snapshot_end(c.s);
	rk_snapshot_destroy(c.s);
	*out = (struct rk_check_summary){
		.counts = c.counts, .lookups = c.lookups, .times = c.times};
	return r ? r : c.wrong;
}
