/*
 * The driver by itself: reads a collection into memory, then inserts the same documents into another
 * database, unordered, in bulks of a given size, acknowledged by the majority.
 *
 *   bench_bare_mongo URI FROM_DATABASE COLLECTION TO_DATABASE BULK
 *
 * Prints how many documents, and the seconds of the inserts alone.
 */
#include <mongoc/mongoc.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct documents {
	bson_t **list;
	size_t count, room;
};

static void fail(const char *what, const bson_error_t *error)
{
	fprintf(stderr, "bench_bare_mongo: %s: %s\n", what, error->message);
	exit(1);
}

static void documents_read(struct documents *out, mongoc_collection_t *from)
{
	bson_t everything = BSON_INITIALIZER;
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(from, &everything, NULL, NULL);
	const bson_t *one;
	bson_error_t error;

	while (mongoc_cursor_next(cursor, &one)) {
		if (out->count == out->room) {
			out->room = out->room ? out->room * 2 : 1024;
			out->list = bson_realloc(out->list, out->room * sizeof(*out->list));
		}
		out->list[out->count++] = bson_copy(one);
	}
	if (mongoc_cursor_error(cursor, &error))
		fail("reading", &error);
	mongoc_cursor_destroy(cursor);
	bson_destroy(&everything);
}

static void bulk_insert(mongoc_collection_t *to, bson_t **list, size_t count)
{
	bson_t options = BSON_INITIALIZER, reply;
	mongoc_bulk_operation_t *bulk;
	bson_error_t error;

	BSON_APPEND_BOOL(&options, "ordered", false);
	bulk = mongoc_collection_create_bulk_operation_with_opts(to, &options);
	for (size_t i = 0; i < count; i++) {
		if (!mongoc_bulk_operation_insert_with_opts(bulk, list[i], NULL, &error))
			fail("a document", &error);
	}
	if (!mongoc_bulk_operation_execute(bulk, &reply, &error))
		fail("a bulk", &error);
	bson_destroy(&reply);
	mongoc_bulk_operation_destroy(bulk);
	bson_destroy(&options);
}

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	mongoc_write_concern_t *majority;
	mongoc_collection_t *from, *to;
	struct documents documents = {0};
	mongoc_client_t *client;
	size_t bulk = argc == 6 ? strtoull(argv[5], NULL, 10) : 0;
	double began;

	if (bulk == 0) {
		fputs("usage: bench_bare_mongo URI FROM_DATABASE COLLECTION TO_DATABASE BULK\n",
			stderr);
		return 2;
	}
	mongoc_init();
	client = mongoc_client_new(argv[1]);
	if (!client) {
		fputs("bench_bare_mongo: not a connection string\n", stderr);
		return 2;
	}
	majority = mongoc_write_concern_new();
	mongoc_write_concern_set_w(majority, MONGOC_WRITE_CONCERN_W_MAJORITY);
	mongoc_client_set_write_concern(client, majority);
	from = mongoc_client_get_collection(client, argv[2], argv[3]);
	to = mongoc_client_get_collection(client, argv[4], argv[3]);
	documents_read(&documents, from);
	began = now();
	for (size_t i = 0; i < documents.count; i += bulk)
		bulk_insert(to, documents.list + i,
			documents.count - i < bulk ? documents.count - i : bulk);
	printf("%zu %.6f\n", documents.count, now() - began);
	for (size_t i = 0; i < documents.count; i++)
		bson_destroy(documents.list[i]);
	bson_free(documents.list);
	mongoc_collection_destroy(from);
	mongoc_collection_destroy(to);
	mongoc_write_concern_destroy(majority);
	mongoc_client_destroy(client);
	mongoc_cleanup();
	return 0;
}
