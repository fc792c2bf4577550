/* What tests of xrpc share: an index in a folder of its own, filled with few words, and a call on it. */
#ifndef RK_TESTS_UNIT_XRPC_KIT_H
#define RK_TESTS_UNIT_XRPC_KIT_H

#include "tests/unit/test.h"

#include "store/writer.h"
#include "xrpc/call.h"

struct kit {
	char dir[64];
	struct rk_store *store;
	struct rk_writer *writer;
	struct rk_service service;
	struct rk_service_status status; /* what the service says of itself; ready at first */
	struct rk_call *call;
};

/* As setup and teardown of a cmocka test: *state is a struct kit. */
int kit_setup(void **state);
int kit_teardown(void **state);

struct kit_repo {
	const char *did, *handle; /* handle may be NULL */
	enum rk_repo_sync sync;
	enum rk_account account;
	const char *rev; /* TID; NULL: none */
};
rk_repo_id kit_repo(struct kit *k, struct kit_repo repo);

struct kit_record {
	rk_repo_id repo;
	uint8_t collection;
	const char *rkey, *ref, *code, *slug; /* NULL: none */
	int64_t when_ms;                      /* 0: none */
	enum rk_link link;
	int64_t now_us;   /* when it was indexed; 0: 2026-01-02T03:04:05.678Z */
	const char *json; /* NULL: {"rkey":"…"} */
};
void kit_record(struct kit *k, struct kit_record record);
/* Many at once, in one transaction. */
void kit_records(struct kit *k, const struct kit_record *records, size_t count);

/* Asks and gets the body, NUL-terminated, borrowed until the next request; *status may be NULL. */
const char *kit_get(struct kit *k, int *status, const char *target);
const char *kit_ask(
	struct kit *k, int *status, const char *method, const char *target, bool authorization);
/* GET of a method of ours and the whole answer; and of an error by its name, its message after it. */
void kit_expect(struct kit *k, const char *method_and_query, const char *body);
void kit_expect_error(struct kit *k, const char *method_and_query, int status, const char *name,
	const char *message_part);

#define KIT_CID      "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a"
#define KIT_CID_PART "\"cid\":\"" KIT_CID "\""

#endif
