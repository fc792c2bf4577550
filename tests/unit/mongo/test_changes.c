/* Rules of mongo/changes, against a server of a few words: what has changed is told, and a server that
 * has no change streams, or loses one, is named at once and good for all else. */
#include "tests/unit/test.h"

#include <arpa/inet.h>
#include <bson/bson.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mongo/changes.h"

enum { OP_REPLY = 1, OP_QUERY = 2004, OP_MSG = 2013, HEADER = 16, MESSAGE_MOST = 1 << 16 };
enum { CURSOR = 7 };

static struct {
	int listener;
	char uri[64];
	pthread_t thread;
	atomic_int refuses; /* the stream, with this code; 0: it has it */
	atomic_int
		breaks; /* the stream that is there, with this code; -1: the connection; 0: it does not */
	atomic_int events; /* in the next answer */
	atomic_int begun;
} server;

static bool read_all(int fd, uint8_t *out, size_t len)
{
	for (ssize_t n; len > 0; out += n, len -= (size_t)n) {
		n = read(fd, out, len);
		if (n <= 0)
			return false;
	}
	return true;
}

static uint32_t number_at(const uint8_t *bytes)
{
	uint32_t n;

	memcpy(&n, bytes, sizeof(n));
	return n;
}

static bool answer(int fd, const uint8_t *asked, const bson_t *body)
{
	bool legacy = number_at(asked + 12) == OP_QUERY;
	/* OP_REPLY: flags, cursor (8), from, count; OP_MSG: flags, kind of section (1). */
	uint32_t before = legacy ? 20 : 5, len = HEADER + before + body->len;
	uint8_t head[HEADER + 20] = {0};
	uint32_t fields[] = {len, 1, number_at(asked + 4), legacy ? OP_REPLY : OP_MSG};

	memcpy(head, fields, sizeof(fields));
	head[HEADER + 16] = legacy;
	return write(fd, head, HEADER + before) == (ssize_t)(HEADER + before) &&
		write(fd, bson_get_data(body), body->len) == (ssize_t)body->len;
}

static void fail_with(bson_t *out, int code)
{
	BSON_APPEND_DOUBLE(out, "ok", 0);
	BSON_APPEND_INT32(out, "code", code);
	BSON_APPEND_UTF8(out, "errmsg", "not here");
}

static void batch(bson_t *out, const char *name, int events)
{
	bson_t cursor, list, one, token;

	BSON_APPEND_DOUBLE(out, "ok", 1);
	BSON_APPEND_DOCUMENT_BEGIN(out, "cursor", &cursor);
	BSON_APPEND_INT64(&cursor, "id", CURSOR);
	BSON_APPEND_UTF8(&cursor, "ns", "aesthetic.moods");
	BSON_APPEND_ARRAY_BEGIN(&cursor, name, &list);
	for (int i = 0; i < events; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		BSON_APPEND_DOCUMENT_BEGIN(&list, key, &one);
		BSON_APPEND_DOCUMENT_BEGIN(&one, "_id", &token);
		BSON_APPEND_UTF8(&token, "_data", "8200");
		bson_append_document_end(&one, &token);
		bson_append_document_end(&list, &one);
	}
	bson_append_array_end(&cursor, &list);
	bson_append_document_end(out, &cursor);
}

/* False: the connection ends here. */
static bool respond(int fd, const uint8_t *asked, const bson_t *command)
{
	bson_t body = BSON_INITIALIZER;
	bson_iter_t first;
	const char *name;
	bool ok;

	if (!bson_iter_init(&first, command) || !bson_iter_next(&first))
		return false;
	name = bson_iter_key(&first);
	if (strcmp(name, "aggregate") == 0 && atomic_load(&server.refuses)) {
		fail_with(&body, atomic_load(&server.refuses));
	} else if (strcmp(name, "aggregate") == 0) {
		atomic_fetch_add(&server.begun, 1);
		batch(&body, "firstBatch", 0);
	} else if (strcmp(name, "getMore") == 0 && atomic_load(&server.breaks) < 0) {
		return false;
	} else if (strcmp(name, "getMore") == 0 && atomic_load(&server.breaks)) {
		fail_with(&body, atomic_load(&server.breaks));
	} else if (strcmp(name, "getMore") == 0) {
		batch(&body, "nextBatch", atomic_exchange(&server.events, 0));
	} else {
		BSON_APPEND_DOUBLE(&body, "ok", 1);
		BSON_APPEND_BOOL(&body, "ismaster", true);
		BSON_APPEND_INT32(&body, "minWireVersion", 0);
		BSON_APPEND_INT32(&body, "maxWireVersion", 9);
		BSON_APPEND_INT32(&body, "maxBsonObjectSize", 1 << 24);
		BSON_APPEND_INT32(&body, "maxMessageSizeBytes", 48000000);
		BSON_APPEND_INT32(&body, "maxWriteBatchSize", 1000);
	}
	ok = answer(fd, asked, &body);
	bson_destroy(&body);
	return ok;
}

static void converse(int fd)
{
	static uint8_t asked[MESSAGE_MOST];

	while (read_all(fd, asked, HEADER)) {
		uint32_t len = number_at(asked), at;
		bson_t command;

		if (len > sizeof(asked) || !read_all(fd, asked + HEADER, len - HEADER))
			break;
		/* flags, then the collection's name and two numbers, or the kind of section. */
		at = HEADER + 4 + 1;
		if (number_at(asked + 12) == OP_QUERY)
			at += (uint32_t)strlen((const char *)asked + HEADER + 4) + 8;
		if (!bson_init_static(&command, asked + at, number_at(asked + at)) ||
			!respond(fd, asked, &command))
			break;
	}
}

/* One connection after the other: a client has one. */
static void *serve(void *unused)
{
	for (int fd; (fd = accept(server.listener, NULL, NULL)) >= 0; close(fd))
		converse(fd);
	return NULL;
}

static int setup(void **state)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	char error[256];

	server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server.listener, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(server.listener, 8), 0);
	assert_int_equal(getsockname(server.listener, (struct sockaddr *)&address, &len), 0);
	snprintf(server.uri, sizeof(server.uri),
		"mongodb://127.0.0.1:%u/?serverSelectionTimeoutMS=60000", ntohs(address.sin_port));
	atomic_store(&server.refuses, 0);
	atomic_store(&server.breaks, 0);
	atomic_store(&server.events, 0);
	atomic_store(&server.begun, 0);
	assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
	return rk_mongo_create((struct rk_mongo **)state, server.uri, "aesthetic", error);
}

static int teardown(void **state)
{
	rk_mongo_destroy(*state);
	shutdown(server.listener, SHUT_RDWR);
	pthread_join(server.thread, NULL);
	close(server.listener);
	return 0;
}

static const struct rk_collection *const moods = &rk_collections[RK_COLLECTION_MOOD];

static void a_change_is_told_once(void **state)
{
	struct rk_mongo_changes *changes;
	bool changed = true;

	assert_int_equal(rk_mongo_changes_begin(*state, &changes, moods), 0);
	assert_int_equal(rk_mongo_changes_wait(changes, &changed), 0);
	assert_false(changed);
	atomic_store(&server.events, 3);
	assert_int_equal(rk_mongo_changes_wait(changes, &changed), 0);
	assert_true(changed);
	assert_int_equal(rk_mongo_changes_wait(changes, &changed), 0);
	assert_false(changed);
	/* The client is there for others meanwhile. */
	assert_int_equal(rk_mongo_ping(*state), 0);
	rk_mongo_changes_end(changes);
	assert_int_equal(atomic_load(&server.begun), 1);
}

static void a_server_without_streams_is_good_for_all_else(void **state)
{
	/* No replica set, not implemented, no such command, not allowed. */
	static const int codes[] = {40573, 238, 59, 13};
	struct rk_mongo_changes *changes;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		atomic_store(&server.refuses, codes[i]);
		assert_int_equal(rk_mongo_changes_begin(*state, &changes, moods), -EIO);
		assert_null(changes);
		assert_string_equal(rk_mongo_error(*state), "not here");
		assert_int_equal(rk_mongo_ping(*state), 0);
	}
	rk_mongo_changes_end(changes);
}

static void what_breaks_is_said(void **state)
{
	/* What the driver does not go on from, and a connection that is cut, where it cannot. */
	static const int breaks[] = {280, -1};
	bool changed;

	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		struct rk_mongo_changes *changes;

		atomic_store(&server.refuses, 0);
		atomic_store(&server.breaks, 0);
		assert_int_equal(rk_mongo_changes_begin(*state, &changes, moods), 0);
		atomic_store(&server.breaks, breaks[i]);
		atomic_store(&server.refuses, 40573);
		assert_int_equal(rk_mongo_changes_wait(changes, &changed), -EIO);
		assert_false(changed);
		rk_mongo_changes_end(changes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_change_is_told_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_server_without_streams_is_good_for_all_else, setup, teardown),
		cmocka_unit_test_setup_teardown(what_breaks_is_said, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
