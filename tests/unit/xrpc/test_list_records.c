/* Rules of listRecords: every record once, in order, with a cursor exactly while there is more. */
#include "tests/unit/xrpc/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xrpc/methods.h"

#define MOOD     "computer.aesthetic.mood"
#define PAINTING "computer.aesthetic.painting"

enum { RECORDS = 25 };

/* Record i of two accounts by turns, three of them with the same `when`. */
static char rkeys[RECORDS][16];

static void fill(struct kit *k)
{
	rk_repo_id repos[2];
	struct kit_record records[RECORDS];

	repos[0] =
		kit_repo(k, (struct kit_repo){.did = "did:plc:ann", .sync = RK_SYNC_SYNCHRONIZED});
	repos[1] =
		kit_repo(k, (struct kit_repo){.did = "did:plc:bob", .sync = RK_SYNC_SYNCHRONIZED});
	for (int i = 0; i < RECORDS; i++) {
		snprintf(rkeys[i], sizeof(rkeys[i]), "3kaaaaaaaa%c2%c", 'a' + i / 5, 'a' + i % 5);
		records[i] = (struct kit_record){
			.repo = repos[i % 2],
			.collection = RK_COLLECTION_MOOD,
			.rkey = rkeys[i],
			.when_ms = 1700000000000 + i / 3 * 1000,
		};
	}
	kit_records(k, records, RECORDS);
}

/* The record keys of an answer in their order, and its cursor ("" for none). */
static int page_read(struct kit *k, const char *query, char found[][16], char cursor[1024])
{
	char target[2048];
	const char *body, *at;
	int count = 0, status;

	snprintf(target, sizeof(target), "/xrpc/" RK_XRPC_GROUP "listRecords?%s", query);
	body = kit_get(k, &status, target);
	if (status != 200)
		fail_msg("%s: %s", target, body);
	for (at = body; (at = strstr(at, "\"rkey\":\"")); at++) {
		/* The value has one as well: only the view's own follows its collection. */
		if (strncmp(at - 2, "\",", 2) == 0) {
			memset(found[count], 0, 16);
			sscanf(at, "\"rkey\":\"%15[^\"]", found[count++]);
		}
	}
	cursor[0] = '\0';
	at = strstr(body, "],\"cursor\":\"");
	if (at)
		sscanf(at, "],\"cursor\":\"%1023[^\"]", cursor);
	return count;
}

/* Pages through a query; returns how many pages there were. */
static int pages_read(struct kit *k, const char *query, char found[][16], int *count)
{
	char cursor[1024] = "", next[2048];
	int pages = 0;

	*count = 0;
	do {
		int got;

		snprintf(next, sizeof(next), "%s%s%s", query, cursor[0] ? "&cursor=" : "", cursor);
		got = page_read(k, next, found + *count, cursor);
		*count += got;
		pages++;
		if (got == 0 && pages > 1)
			fail_msg("%s: a cursor for an empty page", next);
		assert_true(pages <= RECORDS + 1);
	} while (cursor[0]);
	return pages;
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void every_record_once_for_every_limit(void **state)
{
	char whole[RECORDS + 1][16], found[2 * RECORDS][16], query[128], cursor[1024];
	struct kit *k = *state;
	int count;

	fill(k);
	for (int reverse = 0; reverse < 2; reverse++) {
		assert_int_equal(
			page_read(k,
				reverse ? "collection=" MOOD "&reverse=true" : "collection=" MOOD,
				whole, cursor),
			RECORDS);
		assert_string_equal(cursor, "");
		for (int limit = 1; limit <= RECORDS + 1; limit++) {
			snprintf(query, sizeof(query), "collection=" MOOD "&limit=%d&reverse=%s",
				limit, reverse ? "true" : "false");
			assert_int_equal(
				pages_read(k, query, found, &count), (RECORDS + limit - 1) / limit);
			assert_int_equal(count, RECORDS);
			assert_memory_equal(found, whole, RECORDS * sizeof(found[0]));
		}
		qsort(whole, RECORDS, sizeof(whole[0]), compare);
		assert_memory_equal(whole, rkeys, sizeof(rkeys));
	}
}

static void newest_first_unless_reversed(void **state)
{
	char found[RECORDS + 1][16], cursor[1024];
	struct kit *k = *state;

	fill(k);
	page_read(k, "collection=" MOOD, found, cursor);
	assert_string_equal(found[0], rkeys[RECORDS - 1]);
	page_read(k, "collection=" MOOD "&reverse=true", found, cursor);
	assert_string_equal(found[RECORDS - 1], rkeys[RECORDS - 1]);
}

static void of_one_repo_and_of_a_time(void **state)
{
	char found[RECORDS + 1][16];
	struct kit *k = *state;
	int count;

	fill(k);
	pages_read(k, "collection=" MOOD "&repo=did:plc:bob&limit=5", found, &count);
	assert_int_equal(count, RECORDS / 2);
	/* since <= when < until: seconds 1 and 2, three records each */
	pages_read(k,
		"collection=" MOOD "&since=2023-11-14T22:13:21Z&until=2023-11-14T22:13:23Z&limit=4",
		found, &count);
	assert_int_equal(count, 6);
	pages_read(k,
		"collection=" MOOD "&since=2023-11-14T22:13:21Z&until=2023-11-14T22:13:23Z&limit=4"
		"&reverse=true&repo=did:plc:ann",
		found, &count);
	assert_int_equal(count, 3);
	pages_read(k, "collection=" MOOD "&since=2023-11-14T22:13:23Z&until=2023-11-14T22:13:21Z",
		found, &count);
	assert_int_equal(count, 0);
	pages_read(k, "collection=" PAINTING, found, &count);
	assert_int_equal(count, 0);
}

static void a_record_that_goes_takes_no_other_along(void **state)
{
	char found[RECORDS + 1][16], cursor[1024], query[2048];
	struct kit *k = *state;
	int count;

	fill(k);
	assert_int_equal(page_read(k, "collection=" MOOD "&limit=10", found, cursor), 10);
	/* The account of the last one on the page becomes inactive: its other records go, too. */
	kit_repo(k, (struct kit_repo){.did = "did:plc:ann", .account = RK_ACCOUNT_DEACTIVATED});
	snprintf(query, sizeof(query), "collection=" MOOD "&limit=100&cursor=%s", cursor);
	count = page_read(k, query, found + 10, cursor);
	for (int i = 10; i < 10 + count; i++) {
		for (int j = 0; j < 10; j++)
			assert_string_not_equal(found[i], found[j]);
	}
	assert_true(count >= 7 && count <= 8);
}

static void cursors_are_their_querys(void **state)
{
	static const char *const others[] = {
		"collection=" PAINTING,
		"collection=" MOOD "&repo=did:plc:bob",
		"collection=" MOOD "&reverse=true",
	};
	char found[RECORDS + 1][16], cursor[1024], query[2048];
	struct kit *k = *state;

	fill(k);
	page_read(k, "collection=" MOOD "&limit=10", found, cursor);
	for (size_t i = 0; i < 3; i++) {
		snprintf(query, sizeof(query), "listRecords?%s&cursor=%s", others[i], cursor);
		kit_expect_error(k, query, 400, "InvalidRequest", "cursor");
	}
	snprintf(query, sizeof(query), "listRecords?collection=" MOOD "&cursor=%sA", cursor);
	kit_expect_error(k, query, 400, "InvalidRequest", "cursor");
	kit_expect_error(
		k, "listRecords?collection=" MOOD "&cursor=AAAA", 400, "InvalidRequest", "cursor");
	kit_expect_error(k, "listRecords?collection=" MOOD "&cursor=", 400, "InvalidRequest",
		"cursor must be");
	kit_expect_error(
		k, "listRecords?collection=" MOOD "&cursor=%20", 400, "InvalidRequest", "cursor");
}

static void parameters(void **state)
{
	struct kit *k = *state;

	kit_expect_error(
		k, "listRecords", 400, "InvalidRequest", "collection is required: one of " MOOD);
	kit_expect_error(k, "listRecords?collection=app.bsky.feed.post", 400, "InvalidRequest",
		"collection must be one of " MOOD ", " PAINTING);
	kit_expect_error(k, "listRecords?collection=" MOOD "&limit=0", 400, "InvalidRequest",
		"limit must be an integer from 1 to 100");
	kit_expect_error(
		k, "listRecords?collection=" MOOD "&limit=101", 400, "InvalidRequest", "limit");
	kit_expect_error(k, "listRecords?collection=" MOOD "&reverse=1", 400, "InvalidRequest",
		"reverse must be true or false");
	kit_expect_error(k, "listRecords?collection=" MOOD "&since=yesterday", 400,
		"InvalidRequest", "since must be a datetime");
	kit_expect(k, "listRecords?collection=" MOOD "&limit=100", "{\"records\":[]}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_record_once_for_every_limit),
		TEST(newest_first_unless_reversed),
		TEST(of_one_repo_and_of_a_time),
		TEST(a_record_that_goes_takes_no_other_along),
		TEST(cursors_are_their_querys),
		TEST(parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
