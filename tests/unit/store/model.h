/* A simple model of the index, which test_model.c holds it against. */
#ifndef RK_TESTS_UNIT_STORE_MODEL_H
#define RK_TESTS_UNIT_STORE_MODEL_H

#include "tests/unit/store/kit.h"

enum { REPOS = 4, COLLECTIONS = RK_COLLECTION_COUNT, KEYS = 6, REFS = 6, CODES = 3 };
enum { RECORDS = REPOS * COLLECTIONS * KEYS, NONE = -1 };
enum { LONG = 300 };
/* A record, and the ref that is the _id derived from it: others may claim it. */
enum { DERIVED_OF = 3, DERIVED_REF = 2 };

/* Values by number. The last ref is as long as refs get; some keys are over LMDB's length. */
extern const char *const model_refs[REFS], *const model_codes[CODES];
extern char model_rkeys[KEYS][LONG];
/* Once the rkeys are made. */
void model_refs_make(void);

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
	uint64_t first;
	int64_t indexed_us;
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
	uint64_t order, first; /* the last given out */
	int64_t now_us;
};

/* A number below that one, the same sequence for the same seed. */
extern uint64_t model_chance_state;
unsigned model_chance(unsigned below);

/* What a record is called, by its place. */
rk_repo_id model_repo(int at);
uint8_t model_collection(int at);
struct rk_slice model_rkey(int at);
int model_place(rk_repo_id repo, uint8_t collection, struct rk_slice rkey);
const char *model_text(enum rk_lookup kind, int value);
/* Keys stand in the index by their bytes; numbers were given in that order but for the hashed ones. */
int model_key_order(int a, int b);

/* The model's side of each operation. */
void model_entry_set(
	struct model *m, struct entry *entry, uint8_t flags, int64_t due_ms, uint32_t attempts);
void model_work(struct model *m, struct record *one, rk_repo_id repo, uint8_t flags);
void model_remove(struct model *m, int at, bool vanished);
void model_put(struct model *m, int at, const struct record *in, enum rk_change_source source);
void model_settle(struct record *one, const struct rk_link_result *result);

/* The value of a record that a lookup is by, and the record that answers; NONE. */
int model_value(const struct record *one, enum rk_lookup kind);
int model_lookup(
	const struct model *m, enum rk_lookup kind, uint8_t collection, int value, rk_repo_id repo);
/* The _id derived from a record, in hex. */
void model_derive(char out[25], int at);
/* What answers to a ref, or (ref NONE) to the _id derived from a record, in a collection or (-1) in
 * all: linked, of the document's owner, the rest; then by age. */
int model_answer(const struct model *m, int ref, int derived_of, int collection);
/* Which of two records of a value comes first: rank, age. */
int model_answer_order(const struct model *m, enum rk_lookup kind, int a, int b);

#endif
