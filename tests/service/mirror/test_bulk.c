/* What is known of each statement of a bulk, on a real server. */
#include "tests/service/mirror/world.h"

#include "mongo/mongo.h"

#define ID(last) "{'_id':{'$oid':'" OLD_OID(last) "'}"

/* Some servers end a bulk at the first statement that they refuse, and say that it was another. */
static void a_refused_statement_costs_only_itself(void **state)
{
	enum { COUNT = 4, REFUSED = 2 };
	static const char *const ids[COUNT] = {
		OLD_OID("01"), OLD_OID("02"), OLD_OID("03"), OLD_OID("04")};
	const struct rk_collection *row = &rk_collections[RK_COLLECTION_MOOD];
	struct world *w = world_open();
	struct rk_statement_result results[COUNT];
	struct rk_mongo *mongo = NULL;
	struct rk_arena arena = {0};
	bson_t filters[COUNT], updates[COUNT], set;
	size_t matched, refused = 0;
	char error[256];

	insert_document(w, "moods", ID("01") "}");
	insert_document(w, "moods", ID("02") "}");
	insert_document(w, "moods", ID("03") ",'atproto':'odd'}");
	insert_document(w, "moods", ID("04") "}");
	assert_int_equal(rk_mongo_create(&mongo, w->options.uri, w->options.database, error), 0);
	for (int i = 0; i < COUNT; i++) {
		bson_oid_t oid;

		bson_oid_init_from_string(&oid, ids[i]);
		bson_init(&filters[i]);
		BSON_APPEND_OID(&filters[i], "_id", &oid);
		bson_init(&updates[i]);
		BSON_APPEND_DOCUMENT_BEGIN(&updates[i], "$set", &set);
		BSON_APPEND_UTF8(&set, "atproto.rkey", "3kaaaaaaaaaa2");
		bson_append_document_end(&updates[i], &set);
	}
	assert_int_equal(
		rk_mongo_update(mongo, results, &matched, &arena, row, filters, updates, COUNT), 0);
	for (int i = 0; i < COUNT; i++) {
		refused += results[i].result != RK_STATEMENT_DONE;
		bson_destroy(&filters[i]);
		bson_destroy(&updates[i]);
	}
	assert_int_equal(refused, 1);
	assert_int_equal(results[REFUSED].result, RK_STATEMENT_REFUSED);
	assert_true(results[REFUSED].text.len > 0);
	assert_int_equal(
		count_documents(w, "moods", "{'atproto.rkey':'3kaaaaaaaaaa2'}"), COUNT - 1);
	rk_arena_finish(&arena);
	rk_mongo_destroy(mongo);
	world_close(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_refused_statement_costs_only_itself),
	};
	return cmocka_run_group_tests_name(
		"service/mirror/bulk", tests, server_setup, server_teardown);
}
