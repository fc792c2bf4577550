/*
 * What tests of the store share: an index in a folder of its own, records made from a few words, the
 * whole index as text to be compared, and `refkey check` as an assertion.
 */
#ifndef RK_TESTS_UNIT_STORE_KIT_H
#define RK_TESTS_UNIT_STORE_KIT_H

#include "tests/unit/test.h"

#include <unistd.h>

#include "base/clock.h"
#include "store/inside.h"

struct kit {
	char dir[64];
	struct rk_store *store;
	struct rk_snapshot *s; /* begun by kit_read, ended by kit_write and kit_stop */
	struct rk_write w;
	bool reading;
};

/* As setup and teardown of a cmocka test: *state is a struct kit. Its commits do not sync. */
int kit_setup(void **state);
int kit_teardown(void **state);

void kit_folder_make(char dir[64]);
void kit_folder_remove(const char *dir);
/* Closes and opens again. */
void kit_reopen(struct kit *k, size_t map_bytes);

/* A transaction; kit_commit asserts that it went well. */
struct rk_write *kit_write(struct kit *k);
void kit_commit(struct kit *k);
/* A snapshot of now. */
struct rk_snapshot *kit_read(struct kit *k);
void kit_stop(struct kit *k);

/* Fails the test with what is wrong. */
void kit_check(struct kit *k);
/* How many things are wrong. */
int64_t kit_wrong(struct kit *k);
/* Every entry of every table as lines of hex. */
void kit_dump(struct kit *k, struct rk_buf *out, bool with_meta);

/* A TID, the same for the same number, in their order. Valid until 64 others were made. */
struct rk_slice kit_rkey(unsigned number);

/* A record in few words; zero fields are absent. */
struct kit_record {
	uint8_t collection;
	struct rk_slice rkey;
	const char *ref, *code, *slug;
	int64_t when_ms; /* 0: none */
	const char *invalid;
	unsigned version; /* another number is another CID */
	bool gone;
};
struct rk_change_record kit_make(const struct kit_record *in);
/* In a transaction that is open. */
void kit_put(struct kit *k, rk_repo_id repo, const struct kit_record *in, int64_t now_us);
void kit_apply(struct kit *k, rk_repo_id repo, enum rk_change_source source, bool vanished,
	const struct kit_record *in, size_t count, int64_t now_us);
rk_repo_id kit_repo(struct kit *k, const char *did);
void kit_account(struct kit *k, rk_repo_id repo, enum rk_account account);
void kit_owner(struct kit *k, uint8_t collection, const char *ref, rk_repo_id owner);
void kit_link(struct kit *k, rk_repo_id repo, uint8_t collection, struct rk_slice rkey,
	enum rk_link link);

/* In a snapshot: the rkey that answers, or an empty slice. */
struct rk_slice kit_lookup(
	struct kit *k, enum rk_lookup kind, uint8_t collection, const char *value, rk_repo_id repo);
/* The stored record; fails the test if there is none. */
struct rk_record kit_record(
	struct kit *k, rk_repo_id repo, uint8_t collection, struct rk_slice rkey);
/* In a snapshot: the work for a record, or for one that is gone; false: none. */
bool kit_pending(struct kit *k, struct rk_pending *out, bool gone, const char *ref, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey);
/* Its flags, or -1 for none. */
int kit_pending_flags(struct kit *k, bool gone, const char *ref, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey);

#define assert_slice_equal(a, b)                                                                   \
	do {                                                                                       \
		struct rk_slice kit_a = (a), kit_b = (b);                                          \
		if (!rk_slice_equal(kit_a, kit_b))                                                 \
			fail_msg("\"%.*s\" is not \"%.*s\"", RK_SLICE_ARG(kit_a),                  \
				RK_SLICE_ARG(kit_b));                                              \
	} while (0)

/* Until a condition holds; never for a number of seconds. */
enum { KIT_DEADLINE_MS = 20000 };
#define wait_for(condition)                                                                        \
	do {                                                                                       \
		int64_t wait_end = rk_clock_mono_ms() + KIT_DEADLINE_MS;                           \
		while (!(condition)) {                                                             \
			if (rk_clock_mono_ms() > wait_end)                                         \
				fail_msg("never: %s", #condition);                                 \
			usleep(500);                                                               \
		}                                                                                  \
	} while (0)

#endif
