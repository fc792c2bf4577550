/*
 * Thousands of random operations on the index and on a simple model of it, in transactions of which
 * some are aborted; after each the two must answer alike, and in the end the check must find nothing.
 * A seed that ever failed stays in the list.
 */
#include "tests/unit/store/kit.h"

#include <stdio.h>
#include <stdlib.h>

enum { REPOS = 4, COLLECTIONS = RK_COLLECTION_COUNT, KEYS = 6, REFS = 5, CODES = 3 };
enum { RECORDS = REPOS * COLLECTIONS * KEYS, NONE = -1 };
enum { TRANSACTIONS = 400, LONG = 300 };

static const uint64_t seeds[] = {1, 2, 3, 20240312, 0xdeadbeef};

/* Values by number. The last ref is as long as refs get; some keys are over LMDB's length. */
static const char *const refs[REFS] = {"65f0a1b2c3d4e5f601234567", "65f0a1b2c3d4e5f601234568", "a",
	"not an id", "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"};
static const char *const codes[CODES] = {"abc", "abd", "0123456789"};
static char rkeys[KEYS][LONG];

struct entry { /* of pending work */
	bool there;
	uint8_t flags;
	int64_t due_ms;
	uint32_t attempts;
	uint64_t order; /* when it was last changed; the model's generation */
};

struct record {
	bool there;
	unsigned version;
	int ref, code, slug; /* NONE */
	int64_t when_ms;     /* 0: none */
	bool invalid;
	int64_t first_us, indexed_us;
	uint8_t flags, link;
	uint32_t issues;
	struct entry work, gone[REFS + 1]; /* gone: by the ref it had, the last for none */
	uint8_t seen;
};

struct model {
	struct record records[RECORDS];
	int owner[COLLECTIONS][REFS]; /* NONE; 0; a repo */
	uint8_t account[REPOS + 1];
	bool tombstone[REPOS + 1];
	bool document_issue[COLLECTIONS][REFS];
	uint64_t order;
	int64_t now_us;
};

static uint64_t state_of_chance;

static unsigned chance(unsigned below)
{
	state_of_chance =
		state_of_chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(state_of_chance >> 33) % below;
}

static rk_repo_id repo_of(int at)
{
	return 1 + (rk_repo_id)at / (COLLECTIONS * KEYS);
}

static uint8_t collection_of(int at)
{
	return (uint8_t)(at / KEYS % COLLECTIONS);
}

static struct rk_slice rkey_of(int at)
{
	int number = at % KEYS;

	return rk_slice_make(rkeys[number], number < 2 ? LONG : RK_TID_LEN);
}

/* Keys stand in the index by their bytes; numbers were given in that order but for the hashed ones. */
static int key_order(int a, int b)
{
	struct rk_key_buf x = {0}, y = {0};

	rk_key_record(&x, repo_of(a), collection_of(a), rkey_of(a));
	rk_key_record(&y, repo_of(b), collection_of(b), rkey_of(b));
	return rk_slice_compare(rk_key_slice(&x), rk_key_slice(&y));
}

/* The model's side of each operation. */

static void entry_set(
	struct model *m, struct entry *entry, uint8_t flags, int64_t due_ms, uint32_t attempts)
{
	*entry = (struct entry){true, flags, due_ms, attempts, ++m->order};
}

static void model_gone(struct model *m, struct record *one, rk_repo_id repo, bool vanished)
{
	struct entry *entry = &one->gone[one->ref == NONE ? REFS : one->ref];

	if (m->tombstone[repo])
		return;
	if (one->invalid && (one->link == RK_LINK_NONE || one->link == RK_LINK_CONFLICT))
		return;
	entry_set(m, entry, (uint8_t)(RK_PENDING_GONE | (vanished ? RK_PENDING_VANISHED : 0)),
		m->now_us / 1000, 0);
}

static void model_work(struct model *m, struct record *one, rk_repo_id repo, uint8_t flags)
{
	const uint8_t lasting = RK_PENDING_UPDATED | RK_PENDING_RECOVER | RK_PENDING_RESTORE;

	if (m->tombstone[repo] || one->invalid)
		one->work = (struct entry){0};
	else
		entry_set(m, &one->work, flags | (one->work.there ? one->work.flags & lasting : 0),
			m->now_us / 1000, 0);
}

static void model_remove(struct model *m, int at, bool vanished)
{
	struct record *one = &m->records[at];
	uint8_t seen = one->seen;

	one->seen = 0;
	if (!one->there)
		return;
	one->work = (struct entry){0};
	model_gone(m, one, repo_of(at), vanished && !(seen & RK_PENDING_DELETED));
	one->there = false;
	one->issues = 0;
}

static void model_put(
	struct model *m, int at, const struct record *in, enum rk_change_source source)
{
	struct record *one = &m->records[at], old = *one;
	uint8_t flags = 0;

	one->seen = 0;
	if (old.there && old.version == in->version && old.ref == in->ref && old.code == in->code &&
		old.when_ms == in->when_ms) {
		if (source == RK_CHANGE_LIVE && old.flags & RK_RECORD_FIRST) {
			one->flags &= (uint8_t)~RK_RECORD_FIRST;
			model_work(m, one, repo_of(at), 0);
		}
		return;
	}
	one->there = true;
	one->version = in->version;
	one->ref = in->ref;
	one->code = in->code;
	one->slug = in->slug;
	one->when_ms = in->when_ms;
	one->invalid = in->invalid;
	one->flags = in->invalid ? RK_RECORD_INVALID : 0;
	one->link = RK_LINK_UNKNOWN;
	one->first_us = one->indexed_us = m->now_us;
	one->issues = in->invalid ? 1u << RK_ISSUE_INVALID : 0;
	if (!old.there) {
		if (source == RK_CHANGE_FIRST && !(old.seen & RK_PENDING_APPEARED))
			one->flags |= RK_RECORD_FIRST;
	} else {
		const bool new_ref = in->ref != NONE && in->ref != old.ref;
		const bool new_code = in->code != NONE && in->code != old.code;

		if (!new_ref && !new_code)
			one->first_us = old.first_us;
		if (new_ref) {
			if (source == RK_CHANGE_FIRST)
				one->flags |= old.flags & RK_RECORD_FIRST;
			if (old.ref != NONE || old.link == RK_LINK_LINKED) {
				struct record before = old;

				model_gone(m, &before, repo_of(at), false);
				memcpy(one->gone, before.gone, sizeof(one->gone));
			}
		} else {
			one->flags |=
				old.flags & (RK_RECORD_FIRST | RK_RECORD_UNREF | RK_RECORD_RENAMED);
			one->link = old.link;
			if (old.link == RK_LINK_LINKED &&
				(old.code != in->code || old.slug != in->slug))
				one->flags |= RK_RECORD_RENAMED;
			if (in->ref == old.ref)
				flags = RK_PENDING_UPDATED;
			else
				one->flags |= RK_RECORD_UNREF;
		}
	}
	model_work(m, one, repo_of(at), flags);
}

/* Which of two records of a value comes first: rank, age, key. */
static int rank_of(const struct record *one, enum rk_lookup kind)
{
	if (one->link == RK_LINK_CONFLICT)
		return 2;
	if (one->link != RK_LINK_LINKED)
		return 1;
	return kind != RK_LOOKUP_REF && one->flags & RK_RECORD_RENAMED;
}

static int answer_order(const struct model *m, enum rk_lookup kind, int a, int b)
{
	const struct record *x = &m->records[a], *y = &m->records[b];

	if (rank_of(x, kind) != rank_of(y, kind))
		return rank_of(x, kind) - rank_of(y, kind);
	if (x->first_us != y->first_us)
		return x->first_us < y->first_us ? -1 : 1;
	return key_order(a, b);
}

static int value_of(const struct record *one, enum rk_lookup kind)
{
	return kind == RK_LOOKUP_REF ? one->ref : kind == RK_LOOKUP_CODE ? one->code : one->slug;
}

static int model_lookup(
	const struct model *m, enum rk_lookup kind, uint8_t collection, int value, rk_repo_id repo)
{
	int best = NONE;

	if (kind == RK_LOOKUP_REF && m->owner[collection][value] != NONE) {
		rk_repo_id owner = (rk_repo_id)m->owner[collection][value];

		if (owner == 0 || (repo && repo != owner))
			return NONE;
		repo = owner;
	}
	for (int at = 0; at < RECORDS; at++) {
		const struct record *one = &m->records[at];

		if (!one->there || collection_of(at) != collection ||
			value_of(one, kind) != value || (repo && repo_of(at) != repo) ||
			rank_of(one, kind) == 2 || m->account[repo_of(at)] != RK_ACCOUNT_ACTIVE)
			continue;
		if (best == NONE || answer_order(m, kind, at, best) < 0)
			best = at;
	}
	return best;
}

/* Comparing. */

static const char *text_of(enum rk_lookup kind, int value)
{
	return kind == RK_LOOKUP_REF ? refs[value] : codes[value];
}

static void record_compare(const struct model *m, int at, const struct rk_record *held)
{
	const struct record *one = &m->records[at];

	assert_int_equal(held->repo, repo_of(at));
	assert_int_equal(held->collection, collection_of(at));
	assert_slice_equal(held->rkey, rkey_of(at));
	assert_slice_equal(held->ref, rk_slice_str(one->ref == NONE ? NULL : refs[one->ref]));
	assert_slice_equal(held->code, rk_slice_str(one->code == NONE ? NULL : codes[one->code]));
	assert_true(held->has_when == (one->when_ms != 0) && held->when_ms == one->when_ms);
	assert_true(held->first_us == one->first_us && held->indexed_us == one->indexed_us);
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
			live[collection_of(at)] += repo_of(at) == repo && m->records[at].there;
		assert_int_equal(rk_read_repo(k->s, &held, repo), 0);
		assert_memory_equal(held.counts, live, sizeof(live));
	}
	for (int at = 0; at < RECORDS; at++) {
		const struct record *one = &m->records[at];
		struct rk_record held;
		int r = rk_read_record(k->s, &held, repo_of(at), collection_of(at), rkey_of(at));

		assert_int_equal(r, one->there ? 0 : RK_STORE_ABSENT);
		if (r == 0)
			record_compare(m, at, &held);
		totals[collection_of(at)] += one->there;
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

		if (other == at || !m->records[other].there || repo_of(other) != repo_of(at) ||
			collection_of(other) != collection_of(at) ||
			m->records[other].ref != m->records[at].ref)
			continue;
		for (; place > 0 && answer_order(m, RK_LOOKUP_REF, other, order[place - 1]) < 0;
			place--)
			order[place] = order[place - 1];
		order[place] = other;
		want++;
	}
	assert_int_equal(
		rk_read_record(k->s, &answer, repo_of(at), collection_of(at), rkey_of(at)), 0);
	assert_int_equal(rk_read_duplicates(k->s, out, 3, &count, &answer), 0);
	assert_int_equal(count, want);
	for (uint64_t i = 0; i < 3 && i < want; i++)
		record_compare(m, order[i], &out[i]);
}

static void lookups_compare(struct kit *k, const struct model *m)
{
	for (int kind = RK_LOOKUP_REF; kind <= RK_LOOKUP_SLUG; kind++) {
		int values = kind == RK_LOOKUP_REF ? REFS : CODES;

		for (int value = 0; value < values; value++) {
			for (uint8_t c = 0; c < COLLECTIONS; c++) {
				for (rk_repo_id repo = 0; repo <= REPOS; repo++) {
					int want = model_lookup(
						m, (enum rk_lookup)kind, c, value, repo);
					struct rk_record held;
					int r = rk_read_lookup(k->s, &held, (enum rk_lookup)kind, c,
						rk_slice_str(text_of((enum rk_lookup)kind, value)),
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
	bool before = x != y               ? x < y
		: repo_of(a) != repo_of(b) ? repo_of(a) < repo_of(b)
					   : key_order(a, b) < 0;

	return before == oldest_first;
}

static void lists_compare(struct kit *k, const struct model *m)
{
	for (int i = 0; i < 8; i++) {
		const struct rk_list_query query = {
			.collection = (uint8_t)chance(COLLECTIONS),
			.repo = chance(REPOS + 1),
			.has_since = chance(2),
			.has_until = chance(2),
			.since_ms = (int64_t)chance(8) - 4,
			.until_ms = (int64_t)chance(8) - 3,
			.oldest_first = chance(2),
		};
		struct listing list = {.m = m};

		for (int at = 0; at < RECORDS; at++) {
			const struct record *one = &m->records[at];
			int place = list.count;

			if (!one->there || !one->when_ms || collection_of(at) != query.collection ||
				(query.repo && repo_of(at) != query.repo) ||
				(query.has_since && one->when_ms < query.since_ms) ||
				(query.has_until && one->when_ms >= query.until_ms) ||
				m->account[repo_of(at)] != RK_ACCOUNT_ACTIVE)
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

static int place_find(rk_repo_id repo, uint8_t collection, struct rk_slice rkey)
{
	for (int at = 0; at < RECORDS; at++) {
		if (repo_of(at) == repo && collection_of(at) == collection &&
			rk_slice_equal(rkey_of(at), rkey))
			return at;
	}
	fail_msg("there is no such record");
	return NONE;
}

static bool work_compare(void *context, const struct rk_pending *pending)
{
	struct working *working = context;
	struct work *work = &working->list[working->count++];
	const struct record *one;
	const struct entry *entry;

	work->at = place_find(pending->repo, pending->collection, pending->rkey);
	work->key = pending->key;
	work->generation = pending->generation;
	work->ref = NONE;
	one = &working->m->records[work->at];
	entry = &one->work;
	if (pending->flags & RK_PENDING_GONE) {
		work->ref = REFS;
		for (int ref = 0; ref < REFS; ref++) {
			if (rk_slice_equal_str(pending->ref, refs[ref]))
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
		.repo = 1 + chance(REPOS),
		.source = chance(4) ? RK_CHANGE_LIVE : RK_CHANGE_FIRST,
		.vanished = chance(4) == 0,
		.records = records,
		.count = chance(5),
		.now_us = m->now_us,
	};

	for (size_t i = 0; i < change.count; i++) {
		int at = (int)(change.repo - 1) * COLLECTIONS * KEYS +
			(int)chance(COLLECTIONS * KEYS);
		struct record in = {
			.there = chance(4) != 0,
			.ref = (int)chance(REFS + 1) - 1,
			.code = (int)chance(CODES + 1) - 1,
			.when_ms = (int64_t)chance(6) - 3,
		};
		struct kit_record make;

		/* Often an update that leaves the ref alone. */
		if (m->records[at].there && chance(2)) {
			in.ref = m->records[at].ref;
			in.code = chance(4) ? m->records[at].code : in.code;
			in.when_ms = m->records[at].when_ms;
		}
		/* The same bytes have the same slug and the same faults. */
		in.version = chance(3);
		in.invalid = in.version == 2;
		in.slug = in.version == 1 ? in.code : NONE;
		make = (struct kit_record){
			.collection = collection_of(at),
			.rkey = rkey_of(at),
			.ref = in.ref == NONE ? NULL : refs[in.ref],
			.code = in.code == NONE ? NULL : codes[in.code],
			.slug = in.slug == NONE ? NULL : codes[in.slug],
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
	const int i = known ? (int)chance((unsigned)known) : NONE;
	const int at = i != NONE && chance(4) ? before->working.list[i].at : (int)chance(RECORDS);
	struct record *one = &m->records[at];
	struct rk_link_result result = {
		.repo = repo_of(at),
		.collection = collection_of(at),
		.rkey = rkey_of(at),
		.set_link = chance(3) != 0,
		.link = (enum rk_link)chance(4),
		.judged = 1u << RK_ISSUE_DUPLICATE | (chance(2) ? 1u << RK_ISSUE_CONFLICT : 0),
		.issues = chance(4) ? 0 : 1u << RK_ISSUE_DUPLICATE,
		.message = rk_slice_str("because"),
		.again = chance(3) == 0,
		.due_ms = (int64_t)chance(2000),
		.flags = (uint8_t)chance(256),
		.set_owner = chance(8) == 0,
	};
	int ref = (int)chance(REFS);

	if (i != NONE && before->working.list[i].at == at) {
		const struct work *work = &before->working.list[i];
		struct entry *entry = work->ref == NONE ? &one->work : &one->gone[work->ref];

		result.pending_key = work->key;
		result.generation = work->generation;
		if (entry->there && entry->order == before->orders[i]) {
			uint8_t flags = (uint8_t)((result.flags & ~RK_PENDING_GONE) |
				(work->ref == NONE ? 0 : RK_PENDING_GONE));

			if (result.again)
				entry_set(m, entry, flags, result.due_ms, entry->attempts + 1);
			else
				*entry = (struct entry){0};
		}
	}
	if (result.set_owner) {
		result.owner_ref = rk_slice_str(refs[ref]);
		result.owner.repo = chance(REPOS + 1);
		m->owner[result.collection][ref] = (int)result.owner.repo;
	}
	if (chance(4) == 0)
		memset(result.cid.bytes, 1, RK_CID_BYTES); /* of a version that is not there */
	else if (result.set_link && one->there) {
		one->link = (uint8_t)result.link;
		one->flags &= (uint8_t)~RK_RECORD_RENAMED;
		one->issues = (one->issues & ~result.judged) | (result.issues & result.judged);
	}
	assert_int_equal(rk_write_link(&k->w, &result), 0);
}

static void account_do(struct kit *k, struct model *m)
{
	rk_repo_id id = 1 + chance(REPOS);
	struct rk_repo repo;

	m->account[id] = (uint8_t)(chance(2) ? RK_ACCOUNT_ACTIVE : chance(RK_ACCOUNT_COUNT));
	m->tombstone[id] = chance(10) == 0;
	assert_int_equal(rk_read_repo(rk_write_view(&k->w), &repo, id), 0);
	repo.account = m->account[id];
	repo.flags = m->tombstone[id] ? RK_REPO_TOMBSTONE : 0;
	repo.sync = (uint8_t)chance(2);
	repo.failures = (uint8_t)chance(5);
	repo.retry_ms = chance(100);
	assert_int_equal(rk_write_repo(&k->w, &repo), 0);
}

static void mark_do(struct kit *k, struct model *m)
{
	const int at = (int)chance(RECORDS);
	struct record *one = &m->records[at];
	uint8_t flags = chance(2) ? RK_PENDING_RECOVER : RK_PENDING_RESTORE;
	int64_t due_ms = chance(2000);

	assert_int_equal(
		rk_write_pending(&k->w, repo_of(at), collection_of(at), rkey_of(at), flags, due_ms),
		one->there ? 0 : RK_STORE_ABSENT);
	if (!one->there || one->invalid || m->tombstone[repo_of(at)])
		return;
	if (one->work.there)
		flags |= one->work.flags & (uint8_t)~RK_PENDING_LOOKED;
	entry_set(m, &one->work, flags, due_ms, 0);
}

static void seen_do(struct kit *k, struct model *m)
{
	const int at = (int)chance(RECORDS);

	if (chance(8) == 0) {
		for (int other = 0; other < RECORDS; other++) {
			if (repo_of(other) == repo_of(at))
				m->records[other].seen = 0;
		}
		assert_int_equal(rk_write_seen_clear(&k->w, repo_of(at)), 0);
		return;
	}
	m->records[at].seen = chance(2) ? RK_PENDING_APPEARED : RK_PENDING_DELETED;
	assert_int_equal(rk_write_seen(&k->w, repo_of(at), collection_of(at), rkey_of(at),
				 (enum rk_pending_flag)m->records[at].seen),
		0);
}

static void issue_do(struct kit *k, struct model *m)
{
	const int c = (int)chance(COLLECTIONS), ref = (int)chance(REFS);
	const struct rk_issue issue = {.kind = RK_ISSUE_DANGLING,
		.repo = 1 + chance(REPOS),
		.collection = c,
		.ref = rk_slice_str(refs[ref]),
		.at_ms = m->now_us / 1000};

	m->document_issue[c][ref] = chance(2);
	if (m->document_issue[c][ref])
		assert_int_equal(rk_write_issue(&k->w, &issue), 0);
	else
		assert_int_equal(
			rk_write_issue_clear(&k->w, RK_ISSUE_DANGLING, 1, c, issue.ref), 0);
}

static void operation_do(struct kit *k, struct model *m, const struct remembered *before)
{
	unsigned which = chance(20);

	m->now_us += chance(3); /* often the same instant */
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
		memset(rkeys[i], 'r', LONG);
		memcpy(rkeys[i], kit_rkey(i).data, RK_TID_LEN);
	}
	for (size_t seed = 0; seed < sizeof(seeds) / sizeof(seeds[0]); seed++) {
		void *kit;
		struct kit *k;

		print_message("seed %llu\n", (unsigned long long)seeds[seed]);
		kit_setup(&kit);
		k = kit;
		state_of_chance = seeds[seed];
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
			unsigned operations = 1 + chance(8);

			if (t % 3 == 0)
				remember(k, &m, &before);
			kept = m;
			kit_write(k);
			while (operations--)
				operation_do(k, &m, &before);
			if (chance(6) == 0) {
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
