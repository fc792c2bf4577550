/* Rules of store/list: order by `when`, ranges, and pages that join without gap or double. */
#include "tests/unit/store/kit.h"

enum { MOOD = RK_COLLECTION_MOOD, PAINTING = RK_COLLECTION_PAINTING };
enum { RECORDS = 40, REPOS = 3, LONG = 300 };

/* What is in the index, in the order of the list: when, repo, rkey. */
struct held {
	int64_t when_ms;
	rk_repo_id repo;
	struct rk_slice rkey;
	bool active;
};

static struct held all[RECORDS];
static char rkeys[RECORDS][LONG + 1];

static int held_order(const struct held *a, const struct held *b)
{
	struct rk_key_buf x = {0}, y = {0};

	if (a->when_ms != b->when_ms)
		return a->when_ms < b->when_ms ? -1 : 1;
	if (a->repo != b->repo)
		return a->repo < b->repo ? -1 : 1;
	rk_key_rkey(&x, a->rkey);
	rk_key_rkey(&y, b->rkey);
	return rk_slice_compare(rk_key_slice(&x), rk_key_slice(&y));
}

static void fill(struct kit *k)
{
	static const int64_t whens[] = {-5, -1, 0x7fffffff, 1000, 1000, 1000, 1001, 1700000000000};
	static const char *const dids[] = {"did:plc:a", "did:plc:b", "did:plc:c"};

	kit_write(k);
	for (size_t i = 0; i < REPOS; i++)
		kit_repo(k, dids[i]);
	for (unsigned i = 0; i < RECORDS; i++) {
		size_t len = i % 7 == 3 ? LONG : RK_TID_LEN;
		struct held one = {
			.when_ms = whens[i * 5 % 8],
			.repo = 1 + i * 11 % REPOS,
			.rkey = rk_slice_make(rkeys[i], len),
		};
		struct kit_record record;
		unsigned at = i;

		memset(rkeys[i], 'r', LONG);
		memcpy(rkeys[i], kit_rkey(i).data, RK_TID_LEN);
		one.active = one.repo != 2;
		record = (struct kit_record){.rkey = one.rkey, .when_ms = one.when_ms, .ref = "ab"};
		kit_put(k, one.repo, &record, i);
		/* What must not show: the same without a time, and of another collection. */
		record.rkey = kit_rkey(1000 + i);
		record.when_ms = 0;
		kit_put(k, one.repo, &record, i);
		record.collection = PAINTING;
		record.when_ms = one.when_ms;
		kit_put(k, one.repo, &record, i);
		for (; at > 0 && held_order(&one, &all[at - 1]) < 0; at--)
			all[at] = all[at - 1];
		all[at] = one;
	}
	kit_account(k, 2, RK_ACCOUNT_DEACTIVATED);
	kit_commit(k);
	kit_check(k);
}

struct page {
	const struct rk_list_query *query;
	struct rk_slice got[RECORDS];
	uint8_t position[RK_LIST_POSITION_MOST];
	size_t count, most, position_len;
};

static bool turn(void *context, const struct rk_record *record)
{
	struct page *page = context;

	if (page->count == page->most)
		return false;
	page->got[page->count++] = record->rkey;
	page->position_len = rk_list_position(page->position, page->query, record);
	return true;
}

static bool belongs(const struct held *held, const struct rk_list_query *query)
{
	return held->active && (!query->repo || held->repo == query->repo) &&
		(!query->has_since || held->when_ms >= query->since_ms) &&
		(!query->has_until || held->when_ms < query->until_ms);
}

/* The list by pages of a size must be the list by the rule. */
static void pages_check(struct kit *k, struct rk_list_query query, size_t size)
{
	uint8_t position[RK_LIST_POSITION_MOST];
	struct page page = {.query = &query, .most = size};
	size_t at = 0;

	for (unsigned i = 0; i < RECORDS; i++) {
		const struct held *want = &all[query.oldest_first ? i : RECORDS - 1 - i];

		if (!belongs(want, &query))
			continue;
		if (at == page.count) {
			if (page.count) {
				memcpy(position, page.position, page.position_len);
				query.position = rk_slice_make(position, page.position_len);
				assert_true(rk_list_position_valid(&query, query.position));
			}
			page.count = at = 0;
			assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
			assert_true(page.count > 0);
		}
		assert_slice_equal(page.got[at++], want->rkey);
	}
	assert_int_equal(at, page.count);
	/* Behind the last page there is nothing. */
	if (page.count) {
		query.position = rk_slice_make(page.position, page.position_len);
		page.count = 0;
		assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
		assert_int_equal(page.count, 0);
	}
}

static void every_range_in_pages_of_any_size(void **state)
{
	static const int64_t edges[] = {-6, -5, 0, 1000, 1001, 1002, 1700000000000, 1700000000001};
	enum { EDGES = sizeof(edges) / sizeof(edges[0]) };
	struct kit *k = *state;

	fill(k);
	kit_read(k);
	for (int since = -1; since < EDGES; since++) {
		for (int until = -1; until < EDGES; until++) {
			for (rk_repo_id repo = 0; repo <= REPOS + 1; repo++) {
				for (int oldest = 0; oldest < 2; oldest++) {
					struct rk_list_query query = {
						.collection = MOOD,
						.repo = repo,
						.has_since = since >= 0,
						.has_until = until >= 0,
						.since_ms = edges[since < 0 ? 0 : since],
						.until_ms = edges[until < 0 ? 0 : until],
						.oldest_first = oldest,
					};

					pages_check(k, query, 1);
					pages_check(k, query, 3);
					pages_check(k, query, RECORDS);
				}
			}
		}
	}
}

/* A position keeps its meaning though the record it names, or its neighbours, went. */
static void pages_go_on_behind_what_was_removed(void **state)
{
	struct kit *k = *state;

	fill(k);
	for (int oldest = 0; oldest < 2; oldest++) {
		struct rk_list_query query = {
			.collection = MOOD, .repo = 1, .oldest_first = oldest};
		struct page page = {.query = &query, .most = 4};
		struct rk_slice next;

		kit_read(k);
		page.most = 5;
		assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
		assert_int_equal(page.count, 5);
		next = page.got[4];
		page.count = 0;
		page.most = 4;
		assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
		/* The slices are of the index's memory: copy before writing. */
		{
			char last[LONG], after[LONG];
			const struct kit_record gone = {
				.rkey = rk_slice_make(last, page.got[3].len), .gone = true};

			memcpy(last, page.got[3].data, page.got[3].len);
			memcpy(after, next.data, next.len);
			next.data = (uint8_t *)after;
			kit_write(k);
			kit_put(k, 1, &gone, 1);
			kit_commit(k);
			kit_read(k);
			query.position = rk_slice_make(page.position, page.position_len);
			page.count = 0;
			page.most = 1;
			assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
			assert_slice_equal(page.got[0], next);
		}
	}
	kit_check(k);
}

/* A cursor made for one range and given with another does not leave that range. */
static void positions_from_elsewhere_stay_in_range(void **state)
{
	struct kit *k = *state;
	uint8_t position[RK_LIST_POSITION_MOST];

	fill(k);
	kit_read(k);
	for (int oldest = 0; oldest < 2; oldest++) {
		struct rk_list_query query = {.collection = MOOD, .oldest_first = oldest};
		struct page page = {.query = &query, .most = 1},
			    whole = {.query = &query, .most = RECORDS};
		size_t len;

		assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
		len = page.position_len;
		memcpy(position, page.position, len);
		query.has_since = query.has_until = true;
		query.since_ms = 1000;
		query.until_ms = 1002;
		assert_int_equal(rk_read_list(k->s, &query, turn, &whole), 0);
		query.position = rk_slice_make(position, len);
		page.most = RECORDS;
		page.count = 0;
		assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
		assert_int_equal(page.count, whole.count);
		for (size_t i = 0; i < page.count; i++)
			assert_slice_equal(page.got[i], whole.got[i]);
		/* On the far side there is nothing. */
		query.position.len = 0;
		query.since_ms = oldest ? -100 : 1700000000001;
		query.until_ms = oldest ? -10 : 1700000000002;
		query.position = rk_slice_make(position, len);
		page.count = 0;
		assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
		assert_int_equal(page.count, 0);
	}
}

static void positions_that_cannot_be_are_told(void **state)
{
	const struct rk_list_query any = {.collection = MOOD},
				   one = {.collection = MOOD, .repo = 1};
	uint8_t bytes[RK_LIST_POSITION_MOST] = {0};

	bytes[11] = 1; /* repo 1 */
	assert_true(rk_list_position_valid(&any, rk_slice_make(bytes, 13)));
	assert_true(rk_list_position_valid(&one, rk_slice_make(bytes, 13)));
	assert_true(rk_list_position_valid(&one, rk_slice_make(bytes, 12 + 255)));
	assert_false(rk_list_position_valid(&one, rk_slice_make(bytes, 12 + 256)));
	for (size_t len = 0; len <= 12; len++)
		assert_false(rk_list_position_valid(&any, rk_slice_make(bytes, len)));
	bytes[11] = 2;
	assert_true(rk_list_position_valid(&any, rk_slice_make(bytes, 13)));
	assert_false(rk_list_position_valid(&one, rk_slice_make(bytes, 13)));
	bytes[11] = 0;
	assert_false(rk_list_position_valid(&any, rk_slice_make(bytes, 13)));
}

static void empty_index_and_empty_collection(void **state)
{
	struct kit *k = *state;

	kit_read(k);
	for (int oldest = 0; oldest < 2; oldest++) {
		const struct rk_list_query query = {.collection = PAINTING, .oldest_first = oldest};
		struct page page = {.query = &query, .most = RECORDS};

		assert_int_equal(rk_read_list(k->s, &query, turn, &page), 0);
		assert_int_equal(page.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)
		TEST(every_range_in_pages_of_any_size),
		TEST(pages_go_on_behind_what_was_removed),
		TEST(positions_from_elsewhere_stay_in_range),
		cmocka_unit_test(positions_that_cannot_be_are_told),
		TEST(empty_index_and_empty_collection),
	};
	return cmocka_run_group_tests_name("store/list", tests, NULL, NULL);
}
