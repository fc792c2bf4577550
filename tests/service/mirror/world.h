/*
 * What the mirror's service tests stand on: a real MongoDB server with a database of its own for each
 * test, a real index, and short ways to put records and documents in and to see what became of them.
 */
#ifndef RK_TESTS_SERVICE_MIRROR_WORLD_H
#define RK_TESTS_SERVICE_MIRROR_WORLD_H

#include "tests/unit/test.h"

#include <mongoc/mongoc.h>

#include "mirror/mirror.h"
#include "tests/service/mirror/server.h"

struct world {
	char dir[64], database[48];
	struct rk_store *store;
	struct rk_writer *writer;
	struct rk_snapshot *snapshot;
	struct rk_mirror *mirror;
	struct rk_mirror_options options;
	mongoc_client_t *client;
	unsigned cids;
};

struct world *world_open(void);
void world_mirror(struct world *world); /* starts it, with world->options */
void world_mirror_stop(struct world *world);
void world_close(struct world *world);

/* A repo that is in, unless it is to be desynchronized. */
rk_repo_id world_repo(struct world *world, const char *did);
void world_repo_flags(
	struct world *world, rk_repo_id id, uint8_t set, uint8_t clear, int sync, int account);
/* mood and painting: the values of a record's fields; NULL: it has none. */
void put_mood(struct world *world, rk_repo_id repo, const char *rkey, const char *ref,
	const char *mood, enum rk_change_source source);
void put_painting(struct world *world, rk_repo_id repo, const char *rkey, const char *ref,
	const char *slug, const char *code, enum rk_change_source source);
void put_invalid(struct world *world, rk_repo_id repo, const char *rkey, const char *ref);
void remove_record(
	struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey, bool vanished);
void look_again(
	struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey, uint8_t flags);

/* A document as relaxed JSON with single quotes for double ones. */
void insert_document(struct world *world, const char *collection, const char *json);
void update_document(
	struct world *world, const char *collection, const char *oid, const char *json);
void delete_document(struct world *world, const char *collection, const char *oid);
int64_t count_documents(struct world *world, const char *collection, const char *filter);

/* Each fails the test when it has not come true within some seconds. */
void wait_document(struct world *world, const char *collection, const char *filter);
void wait_link(struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey,
	enum rk_link link, uint32_t issues);
void wait_issue(struct world *world, enum rk_issue_kind kind, uint64_t count);
void wait_quiet(struct world *world); /* nothing is due */
void wait_connected(struct world *world, bool connected);
uint32_t issues_of(struct world *world, rk_repo_id repo, uint8_t collection, const char *rkey);

#define OLD_OID(last) "65e1c0ffee65e1c0ffee65" last
#define BIT(kind)     (UINT32_C(1) << RK_ISSUE_##kind)

#endif
