/*
 * Thousands of random operations on the index and on a simple model of it, in transactions of which
 * some are aborted; after each the two must answer alike, and in the end the check must find nothing.
 * A seed that ever failed stays in the list.
 */
#include "tests/unit/store/model.h"

#include <stdio.h>
#include <stdlib.h>

enum { TRANSACTIONS = 400 };

static const uint64_t seeds[] = {1, 2, 3, 20240312, 0xdeadbeef};

/* Comparing. */

static void record_compare(const struct model *m, int at, const struct rk_record *held)
{
	const struct record *one = &m->records[at];

	assert_int_equal(held->repo, model_repo(at));
	assert_int_equal(held->collection, model_collection(at));
	assert_slice_equal(held->rkey, model_rkey(at));
	assert_slice_equal(held->ref, rk_slice_str(one->ref == NONE ? NULL : model_refs[one->ref]));
	assert_slice_equal(
		held->code, rk_slice_str(one->code == NONE ? NULL : model_codes[one->code]));
	assert_true(held->has_when == (one->when_ms != 0) && held->when_ms == one->when_ms);
	assert_true(held->first == one->first && held->indexed_us == one->indexed_us);
	assert_int_equal(held->link, one->link);
	assert_int_equal(held->flags, one->flags);
	assert_int_equal(held->issues, one->issues);
}

static void records_compare(struct kit *k, const struct model *m)
{
	struct rk_counts counts;
	uint64_t totals[COLLECTIONS] = {0}, issues[RK_ISSUE_COUNT] = {0}, pending = 0;

	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	for (rk_repo_id repo = 1; repo <= REPOS; repo++) {
		uint32_t live[COLLECTIONS] = {0};
		struct rk_repo held;

		for (int at = 0; at < RECORDS; at++)
			live[model_collection(at)] +=
				model_repo(at) == repo && m->records[at].there;
		assert_int_equal(rk_read_repo(k->s, &held, repo), 0);
		assert_memory_equal(held.counts, live, sizeof(live));
	}
	for (int at = 0; at < RECORDS; at++) {
		const struct record *one = &m->records[at];
		struct rk_record held;
		int r = rk_read_record(
			k->s, &held, model_repo(at), model_collection(at), model_rkey(at));

		assert_int_equal(r, one->there ? 0 : RK_STORE_ABSENT);
		if (r == 0)
			record_compare(m, at, &held);
		totals[model_collection(at)] += one->there;
		for (int kind = 0; kind < RK_ISSUE_COUNT; kind++)
			issues[kind] += one->there && one->issues & 1u << kind;
		pending += one->work.there;
		for (int ref = 0; ref <= REFS; ref++)
			pending += one->gone[ref].there;
	}
	for (int c = 0; c < COLLECTIONS; c++) {
		assert_int_equal(counts.records[c], totals[c]);
		for (int ref = 0; ref < REFS; ref++)
			issues[RK_ISSUE_DANGLING] += m->document_issue[c][ref];
	}
	assert_memory_equal(counts.issues, issues, sizeof(issues));
	assert_int_equal(counts.pending, pending);
}

static void duplicates_compare(struct kit *k, const struct model *m, int at)
{
	struct rk_record answer, out[3];
	uint64_t count, want = 0;
	int order[RECORDS];

	if (m->records[at].ref == NONE)
		return;
	for (int other = 0; other < RECORDS; other++) {
		uint64_t place = want;

		if (other == at || !m->records[other].there ||
			model_repo(other) != model_repo(at) ||
			model_collection(other) != model_collection(at) ||
			m->records[other].ref != m->records[at].ref)
			continue;
		for (; place > 0 &&
			model_answer_order(m, RK_LOOKUP_REF, other, order[place - 1]) < 0;
			place--)
			order[place] = order[place - 1];
		order[place] = other;
		want++;
	}
	assert_int_equal(
		rk_read_record(k->s, &answer, model_repo(at), model_collection(at), model_rkey(at)),
		0);
	assert_int_equal(rk_read_duplicates(k->s, out, 3, &count, &answer), 0);
	assert_int_equal(count, want);
	for (uint64_t i = 0; i < 3 && i < want; i++)
		record_compare(m, order[i], &out[i]);
}

static void refs_compare(struct kit *k, const struct model *m)
{
	for (int ref = 0; ref < REFS; ref++) {
		struct rk_slice text = rk_slice_str(model_text(RK_LOOKUP_REF, ref));
		struct rk_record held, out[3];
		uint64_t count, want;

		for (int c = -1; c < COLLECTIONS; c++) {
			int at = model_answer(m, ref, NONE, c);

			assert_int_equal(rk_read_ref(k->s, &held, text, c),
				at == NONE ? RK_STORE_ABSENT : 0);
			if (at == NONE)
				continue;
			record_compare(m, at, &held);
			/* The same, whether or not the lookup saw that there are none. */
			assert_int_equal(rk_read_duplicates(k->s, out, 3, &count, &held), 0);
			held.rkey = model_rkey(at);
			assert_int_equal(rk_read_duplicates(k->s, out, 3, &want, &held), 0);
			assert_int_equal(count, want);
		}
	}
}

/* By the _id of its document each record is found that has no ObjectId for a ref. */
static void derived_compare(struct kit *k, const struct model *m)
{
	for (int of = 0; of < RECORDS; of++) {
		struct rk_record held;
		char hex[25];

		if (of == DERIVED_OF)
			continue;
		model_derive(hex, of);
		for (int c = -1; c < COLLECTIONS; c++) {
			int at = model_answer(m, NONE, of, c);

			assert_int_equal(rk_read_ref(k->s, &held, rk_slice_str(hex), c),
				at == NONE ? RK_STORE_ABSENT : 0);
			if (at != NONE)
				record_compare(m, at, &held);
		}
	}
}

static void lookups_compare(struct kit *k, const struct model *m)
{
	refs_compare(k, m);
	derived_compare(k, m);
	for (int kind = RK_LOOKUP_REF; kind <= RK_LOOKUP_SLUG; kind++) {
		int values = kind == RK_LOOKUP_REF ? REFS : CODES;

		for (int value = 0; value < values; value++) {
			for (uint8_t c = 0; c < COLLECTIONS; c++) {
				for (rk_repo_id repo = 0; repo <= REPOS; repo++) {
					int want = kind == RK_LOOKUP_REF && repo == 0
						? model_answer(m, value, NONE, c)
						: model_lookup(
							  m, (enum rk_lookup)kind, c, value, repo);
					struct rk_record held;
					int r = rk_read_lookup(k->s, &held, (enum rk_lookup)kind, c,
						rk_slice_str(
							model_text((enum rk_lookup)kind, value)),
						repo);

					assert_int_equal(r, want == NONE ? RK_STORE_ABSENT : 0);
					if (want == NONE)
						continue;
					record_compare(m, want, &held);
					duplicates_compare(k, m, want);
				}
			}
		}
	}
}

struct listing {
	const struct model *m;
	int order[RECORDS];
	int count, at;
};

static bool list_compare(void *context, const struct rk_record *held)
{
	struct listing *list = context;

	assert_true(list->at < list->count);
	record_compare(list->m, list->order[list->at++], held);
	return true;
}

static bool list_before(const struct model *m, int a, int b, bool oldest_first)
{
	int64_t x = m->records[a].when_ms, y = m->records[b].when_ms;
	bool before = x != y                     ? x < y
		: model_repo(a) != model_repo(b) ? model_repo(a) < model_repo(b)
						 : model_key_order(a, b) < 0;

	return before == oldest_first;
}

static void lists_compare(struct kit *k, const struct model *m)
{
	for (int i = 0; i < 8; i++) {
		const struct rk_list_query query = {
			.collection = (uint8_t)model_chance(COLLECTIONS),
			.repo = model_chance(REPOS + 1),
			.has_since = model_chance(2),
			.has_until = model_chance(2),
			.since_ms = (int64_t)model_chance(8) - 4,
			.until_ms = (int64_t)model_chance(8) - 3,
			.oldest_first = model_chance(2),
		};
		struct listing list = {.m = m};

		for (int at = 0; at < RECORDS; at++) {
			const struct record *one = &m->records[at];
			int place = list.count;

			if (!one->there || !one->when_ms ||
				model_collection(at) != query.collection ||
				(query.repo && model_repo(at) != query.repo) ||
				(query.has_since && one->when_ms < query.since_ms) ||
				(query.has_until && one->when_ms >= query.until_ms) ||
				m->account[model_repo(at)] != RK_ACCOUNT_ACTIVE)
				continue;
			for (; place > 0 &&
				list_before(m, at, list.order[place - 1], query.oldest_first);
				place--)
				list.order[place] = list.order[place - 1];
			list.order[place] = at;
			list.count++;
		}
		assert_int_equal(rk_read_list(k->s, &query, list_compare, &list), 0);
		assert_int_equal(list.at, list.count);
	}
}

struct work {
	struct rk_slice key;
	uint64_t generation;
	int at, ref; /* ref: of what is gone, REFS for none; NONE: of a record */
};

struct working {
	const struct model *m;
	struct work list[RECORDS * (REFS + 2)];
	int count;
	int64_t due_ms;
	uint64_t order;
};

static bool work_compare(void *context, const struct rk_pending *pending)
{
	struct working *working = context;
	struct work *work = &working->list[working->count++];
	const struct record *one;
	const struct entry *entry;

	work->at = model_place(pending->repo, pending->collection, pending->rkey);
	work->key = pending->key;
	work->generation = pending->generation;
	work->ref = NONE;
	one = &working->m->records[work->at];
	entry = &one->work;
	if (pending->flags & RK_PENDING_GONE) {
		work->ref = REFS;
		for (int ref = 0; ref < REFS; ref++) {
			if (rk_slice_equal_str(pending->ref, model_refs[ref]))
				work->ref = ref;
		}
		assert_true(work->ref < REFS || pending->ref.len == 0);
		entry = &one->gone[work->ref];
	}
	assert_true(entry->there);
	assert_int_equal(pending->flags, entry->flags);
	assert_int_equal(pending->attempts, entry->attempts);
	assert_int_equal(pending->due_ms, entry->due_ms);
	/* First due first; at equal times, first changed first. */
	assert_true(pending->due_ms >= working->due_ms);
	assert_true(pending->due_ms > working->due_ms || entry->order > working->order);
	working->due_ms = pending->due_ms;
	working->order = entry->order;
	return true;
}

static void work_read(struct kit *k, const struct model *m, struct working *out)
{
	struct rk_counts counts;

	*out = (struct working){.m = m, .due_ms = INT64_MIN};
	assert_int_equal(rk_read_pending(k->s, INT64_MAX, work_compare, out), 0);
	assert_int_equal(rk_read_counts(k->s, &counts), 0);
	assert_int_equal(counts.pending, (uint64_t)out->count);
}

static void all_compare(struct kit *k, const struct model *m)
{
	static struct working working;

	kit_read(k);
	records_compare(k, m);
	lookups_compare(k, m);
	lists_compare(k, m);
	work_read(k, m, &working);
	kit_stop(k);
}

/* Operations. What was read before the transaction is given back in it, when it may be stale. */
struct remembered {
	struct working working;
	uint64_t orders[RECORDS * (REFS + 2)]; /* of the entries when they were read */
	uint8_t keys[RECORDS * (REFS + 2)][RK_KEY_MOST];
};

static void remember(struct kit *k, const struct model *m, struct remembered *out)
{
	kit_read(k);
	work_read(k, m, &out->working);
	for (int i = 0; i < out->working.count; i++) {
		struct work *work = &out->working.list[i];
		const struct record *one = &m->records[work->at];

		memcpy(out->keys[i], work->key.data, work->key.len);
		work->key.data = out->keys[i];
		out->orders[i] = work->ref == NONE ? one->work.order : one->gone[work->ref].order;
	}
	kit_stop(k);
}

static void change_do(struct kit *k, struct model *m)
{
	struct rk_change_record records[4];
	struct rk_change change = {
		.repo = 1 + model_chance(REPOS),
		.source = model_chance(4) ? RK_CHANGE_LIVE : RK_CHANGE_FIRST,
		.vanished = model_chance(4) == 0,
		.records = records,
		.count = model_chance(5),
		.now_us = m->now_us,
	};

	for (size_t i = 0; i < change.count; i++) {
		int at = (int)(change.repo - 1) * COLLECTIONS * KEYS +
			(int)model_chance(COLLECTIONS * KEYS);
		struct record in = {
			.there = model_chance(4) != 0,
			.ref = (int)model_chance(REFS + 1) - 1,
			.code = (int)model_chance(CODES + 1) - 1,
			.when_ms = (int64_t)model_chance(6) - 3,
		};
		struct kit_record make;

		/* Often an update that leaves the ref alone. */
		if (m->records[at].there && model_chance(2)) {
			in.ref = m->records[at].ref;
			in.code = model_chance(4) ? m->records[at].code : in.code;
			in.when_ms = m->records[at].when_ms;
		}
		/* The same bytes have the same slug and the same faults. */
		in.version = model_chance(3);
		in.invalid = in.version == 2;
		in.slug = in.version == 1 ? in.code : NONE;
		make = (struct kit_record){
			.collection = model_collection(at),
			.rkey = model_rkey(at),
			.ref = in.ref == NONE ? NULL : model_refs[in.ref],
			.code = in.code == NONE ? NULL : model_codes[in.code],
			.slug = in.slug == NONE ? NULL : model_codes[in.slug],
			.when_ms = in.when_ms,
			.invalid = in.invalid ? "broken" : NULL,
			.version = in.version,
			.gone = !in.there,
		};
		records[i] = kit_make(&make);
		if (in.there)
			model_put(m, at, &in, change.source);
		else
			model_remove(m, at, change.vanished);
	}
	assert_int_equal(rk_write_change(&k->w, &change), 0);
}

static void settle_do(struct kit *k, struct model *m, const struct remembered *before)
{
	const int known = before->working.count;
	const int i = known ? (int)model_chance((unsigned)known) : NONE;
	const int at = i != NONE && model_chance(4) ? before->working.list[i].at
						    : (int)model_chance(RECORDS);
	struct record *one = &m->records[at];
	struct rk_link_result result = {
		.repo = model_repo(at),
		.collection = model_collection(at),
		.rkey = model_rkey(at),
		.set_link = model_chance(3) != 0,
		.link = (enum rk_link)model_chance(4),
		.code_taken = model_chance(4) == 0,
		.judged =
			1u << RK_ISSUE_DUPLICATE | (model_chance(2) ? 1u << RK_ISSUE_CONFLICT : 0),
		.issues = model_chance(4) ? 0 : 1u << RK_ISSUE_DUPLICATE | 1u << RK_ISSUE_CONFLICT,
		.message = rk_slice_str("because"),
		.again = model_chance(3) == 0,
		.due_ms = (int64_t)model_chance(2000),
		.flags = (uint8_t)model_chance(256),
		.set_owner = model_chance(8) == 0,
	};
	int ref = (int)model_chance(REFS);

	if (i != NONE && before->working.list[i].at == at) {
		const struct work *work = &before->working.list[i];
		struct entry *entry = work->ref == NONE ? &one->work : &one->gone[work->ref];

		result.pending_key = work->key;
		result.generation = work->generation;
		if (entry->there && entry->order == before->orders[i]) {
			uint8_t flags = (uint8_t)((result.flags & ~RK_PENDING_GONE) |
				(work->ref == NONE ? 0 : RK_PENDING_GONE));

			if (result.again)
				model_entry_set(
					m, entry, flags, result.due_ms, entry->attempts + 1);
			else
				*entry = (struct entry){0};
		}
	}
	if (result.set_owner) {
		result.owner_ref = rk_slice_str(model_refs[ref]);
		result.owner.repo = model_chance(REPOS + 1);
		m->owner[result.collection][ref] = (int)result.owner.repo;
	}
	if (model_chance(4) == 0)
		memset(result.cid.bytes, 1, RK_CID_BYTES); /* of a version that is not there */
	else if (result.set_link && one->there)
		model_settle(one, &result);
	assert_int_equal(rk_write_link(&k->w, &result), 0);
}

static void account_do(struct kit *k, struct model *m)
{
	rk_repo_id id = 1 + model_chance(REPOS);
	struct rk_repo repo;

	m->account[id] =
		(uint8_t)(model_chance(2) ? RK_ACCOUNT_ACTIVE : model_chance(RK_ACCOUNT_COUNT));
	m->tombstone[id] = model_chance(10) == 0;
	assert_int_equal(rk_read_repo(rk_write_view(&k->w), &repo, id), 0);
	repo.account = m->account[id];
	repo.flags = m->tombstone[id] ? RK_REPO_TOMBSTONE : 0;
	repo.sync = (uint8_t)model_chance(2);
	repo.failures = (uint8_t)model_chance(5);
	repo.retry_ms = model_chance(100);
	assert_int_equal(rk_write_repo(&k->w, &repo), 0);
}

static void mark_do(struct kit *k, struct model *m)
{
	const int at = (int)model_chance(RECORDS);
	struct record *one = &m->records[at];
	uint8_t flags = model_chance(2) ? RK_PENDING_RECOVER : RK_PENDING_RESTORE;
	int64_t due_ms = model_chance(2000);

	assert_int_equal(rk_write_pending(&k->w, model_repo(at), model_collection(at),
				 model_rkey(at), flags, due_ms),
		one->there ? 0 : RK_STORE_ABSENT);
	if (!one->there || (one->invalid && one->code == NONE) || m->tombstone[model_repo(at)])
		return;
	if (one->work.there)
		flags |= one->work.flags & (uint8_t)~RK_PENDING_LOOKED;
	model_entry_set(m, &one->work, flags, due_ms, 0);
}

static void seen_do(struct kit *k, struct model *m)
{
	const int at = (int)model_chance(RECORDS);

	if (model_chance(8) == 0) {
		for (int other = 0; other < RECORDS; other++) {
			if (model_repo(other) == model_repo(at))
				m->records[other].seen = 0;
		}
		assert_int_equal(rk_write_seen_clear(&k->w, model_repo(at)), 0);
		return;
	}
	m->records[at].seen = model_chance(2) ? RK_PENDING_APPEARED : RK_PENDING_DELETED;
	assert_int_equal(rk_write_seen(&k->w, model_repo(at), model_collection(at), model_rkey(at),
				 (enum rk_pending_flag)m->records[at].seen),
		0);
}

static void issue_do(struct kit *k, struct model *m)
{
	const int c = (int)model_chance(COLLECTIONS), ref = (int)model_chance(REFS);
	const struct rk_issue issue = {.kind = RK_ISSUE_DANGLING,
		.repo = 1 + model_chance(REPOS),
		.collection = c,
		.ref = rk_slice_str(model_refs[ref]),
		.at_ms = m->now_us / 1000};

	m->document_issue[c][ref] = model_chance(2);
	if (m->document_issue[c][ref])
		assert_int_equal(rk_write_issue(&k->w, &issue), 0);
	else
		assert_int_equal(
			rk_write_issue_clear(&k->w, RK_ISSUE_DANGLING, 1, c, issue.ref), 0);
}

static void operation_do(struct kit *k, struct model *m, const struct remembered *before)
{
	unsigned which = model_chance(20);

	m->now_us += model_chance(3); /* often the same instant */
	if (which < 9)
		change_do(k, m);
	else if (which < 14)
		settle_do(k, m, before);
	else if (which < 15)
		account_do(k, m);
	else if (which < 17)
		mark_do(k, m);
	else if (which < 19)
		seen_do(k, m);
	else
		issue_do(k, m);
}

static void index_is_its_model(void **state)
{
	static struct remembered before;
	static struct model m, kept;

	for (unsigned i = 0; i < KEYS; i++) {
		memset(model_rkeys[i], 'r', LONG);
		memcpy(model_rkeys[i], kit_rkey(i).data, RK_TID_LEN);
	}
	model_refs_make();
	for (size_t seed = 0; seed < sizeof(seeds) / sizeof(seeds[0]); seed++) {
		void *kit;
		struct kit *k;

		print_message("seed %llu\n", (unsigned long long)seeds[seed]);
		kit_setup(&kit);
		k = kit;
		model_chance_state = seeds[seed];
		m = (struct model){.now_us = 1700000000000000};
		for (int c = 0; c < COLLECTIONS; c++) {
			for (int ref = 0; ref < REFS; ref++)
				m.owner[c][ref] = NONE;
		}
		kit_write(k);
		for (unsigned i = 0; i < REPOS; i++) {
			char did[] = "did:plc:a";

			did[8] = (char)('a' + i);
			assert_int_equal(kit_repo(k, did), i + 1);
		}
		kit_commit(k);
		for (int t = 0; t < TRANSACTIONS; t++) {
			unsigned operations = 1 + model_chance(8);

			if (t % 3 == 0)
				remember(k, &m, &before);
			kept = m;
			kit_write(k);
			while (operations--)
				operation_do(k, &m, &before);
			if (model_chance(6) == 0) {
				rk_write_abort(&k->w);
				/* The index gives out the same generations again; so does the model. */
				m = kept;
			} else {
				kit_commit(k);
			}
			all_compare(k, &m);
			if (t % 100 == 99)
				kit_reopen(k, 0);
			if (t % 20 == 0)
				kit_check(k);
		}
		kit_check(k);
		kit_teardown(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_is_its_model),
	};
	return cmocka_run_group_tests_name("store/model", tests, NULL, NULL);
}
