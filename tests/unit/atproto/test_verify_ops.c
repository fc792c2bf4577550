/*
 * Rules of atproto/verify on operations: each is in the tree, undoing all leads to the tree before,
 * and a commit that does not say its tree before is told from one that does.
 */
#include "tests/unit/atproto/message.h"
#include "tests/unit/atproto/tree.h"

#include <stdio.h>

/* A create, an update and a delete, in this order. */
static const char commit_ops[] = "tests/fixtures/commit-ops.frame";
enum { CREATE, UPDATE, DELETE };

static int verify(struct message *m, bool *legacy)
{
	struct rk_verified verified;
	int result = rk_verify_commit(&verified, &m->arena, &m->event, &later);

	*legacy = verified.legacy;
	return result;
}

typedef void change(struct message *m);

static void nothing(struct message *m)
{
}

static void since_the_rev(struct message *m)
{
	m->event.since = m->event.rev;
}

static void since_later(struct message *m)
{
	m->event.since = m->event.rev + 1;
}

static void path_twice(struct message *m)
{
	m->event.ops[UPDATE].path = m->event.ops[CREATE].path;
}

static void update_without_prev(struct message *m)
{
	m->event.ops[UPDATE].prev = (struct rk_cid){0};
}

static void delete_without_prev(struct message *m)
{
	m->event.ops[DELETE].prev = (struct rk_cid){0};
}

/* The path's last letter, another. The frame is the test's own. */
static void path_change(struct message *m, int op)
{
	struct rk_slice path = m->event.ops[op].path;

	((uint8_t *)path.data)[path.len - 1] ^= 1;
}

static void create_elsewhere(struct message *m)
{
	path_change(m, CREATE);
}

static void update_elsewhere(struct message *m)
{
	path_change(m, UPDATE);
}

static void create_of_another(struct message *m)
{
	m->event.ops[CREATE].cid = m->event.ops[UPDATE].cid;
}

static void update_to_another(struct message *m)
{
	m->event.ops[UPDATE].cid = m->event.ops[CREATE].cid;
}

static void update_to_the_old(struct message *m)
{
	m->event.ops[UPDATE].cid = m->event.ops[CREATE].cid;
	m->event.ops[UPDATE].prev = m->event.ops[CREATE].cid;
}

static void deleted_is_there(struct message *m)
{
	m->event.ops[CREATE].action = RK_OP_DELETE;
	m->event.ops[CREATE].prev = m->event.ops[CREATE].cid;
	m->event.ops[CREATE].cid = (struct rk_cid){0};
}

static void create_called_update(struct message *m)
{
	m->event.ops[CREATE].action = RK_OP_UPDATE;
	m->event.ops[CREATE].prev = m->event.ops[UPDATE].prev;
}

static void update_called_create(struct message *m)
{
	m->event.ops[UPDATE].action = RK_OP_CREATE;
	m->event.ops[UPDATE].prev = (struct rk_cid){0};
}

static void create_left_out(struct message *m)
{
	m->event.ops[CREATE] = m->event.ops[DELETE];
	m->event.op_count = 2;
}

static void update_left_out(struct message *m)
{
	m->event.ops[UPDATE] = m->event.ops[DELETE];
	m->event.op_count = 2;
}

static void delete_left_out(struct message *m)
{
	m->event.op_count = 2;
}

static void all_left_out(struct message *m)
{
	m->event.op_count = 0;
}

static void deleted_elsewhere(struct message *m)
{
	path_change(m, DELETE);
}

static void deleted_was_another(struct message *m)
{
	m->event.ops[DELETE].prev = m->event.ops[UPDATE].prev;
}

static void updated_was_another(struct message *m)
{
	m->event.ops[UPDATE].prev = m->event.ops[DELETE].prev;
}

static void before_was_another(struct message *m)
{
	m->event.prev_data.bytes[RK_CID_BYTES - 1] ^= 1;
}

static void before_was_this(struct message *m)
{
	m->event.prev_data = message_commit(m->event.blocks).data;
}

static void root_left_out(struct message *m)
{
	struct rk_cid data = message_commit(m->event.blocks).data;
	struct rk_buf car = {0};

	message_car_copy(&car, m->event.blocks, NULL, &data);
	m->car = car;
	m->event.blocks = rk_buf_slice(&m->car);
}

/* Another tree, in a commit that is otherwise this one. */
static void tree_set(struct message *m, struct rk_slice node)
{
	struct rk_commit commit = message_commit(m->event.blocks);
	struct rk_cid data = make_cid(node), old = make_cid(commit.block);
	size_t at = (size_t)((const uint8_t *)memmem(commit.block.data, commit.block.len,
				     commit.data.bytes, RK_CID_BYTES) -
		commit.block.data);
	struct rk_buf block = {0}, car = {0};

	rk_buf_add_slice(&block, commit.block);
	memcpy(block.data + at, data.bytes, RK_CID_BYTES);
	m->event.commit = make_cid(rk_buf_slice(&block));
	message_car_copy(&car, m->event.blocks, &m->event.commit, &old);
	make_block(&car, &m->event.commit, rk_buf_slice(&block));
	make_block(&car, &data, node);
	rk_buf_finish(&block);
	rk_buf_finish(&m->car);
	m->car = car;
	m->event.blocks = rk_buf_slice(&m->car);
}

static void tree_of_no_nodes(struct message *m)
{
	tree_set(m, rk_slice_str("\xa0"));
}

static void tree_without_keys(struct message *m)
{
	tree_set(m, rk_slice_str(RK_MST_EMPTY));
}

static const struct {
	const char *what;
	change *change;
	/* With prevData, and without, where a commit that is believed is a legacy one. */
	enum rk_verdict said, unsaid;
} rows[] = {
	{"as it is", nothing, RK_VERDICT_OK, RK_VERDICT_OK},
	{"since the rev", since_the_rev, RK_VERDICT_REV_ORDER, RK_VERDICT_REV_ORDER},
	{"since later", since_later, RK_VERDICT_REV_ORDER, RK_VERDICT_REV_ORDER},
	{"a path twice", path_twice, RK_VERDICT_OPS_DUPLICATE, RK_VERDICT_OPS_DUPLICATE},
	{"update without prev", update_without_prev, RK_VERDICT_OPS_PREV, RK_VERDICT_OK},
	{"delete without prev", delete_without_prev, RK_VERDICT_OPS_PREV, RK_VERDICT_OK},
	{"create elsewhere", create_elsewhere, RK_VERDICT_OP_ABSENT, RK_VERDICT_OP_ABSENT},
	{"update elsewhere", update_elsewhere, RK_VERDICT_OP_ABSENT, RK_VERDICT_OP_ABSENT},
	{"create of another", create_of_another, RK_VERDICT_OP_DIFFERS, RK_VERDICT_OP_DIFFERS},
	{"update to another", update_to_another, RK_VERDICT_OP_DIFFERS, RK_VERDICT_OP_DIFFERS},
	{"update to the old", update_to_the_old, RK_VERDICT_OP_DIFFERS, RK_VERDICT_OP_DIFFERS},
	{"deleted is there", deleted_is_there, RK_VERDICT_OP_PRESENT, RK_VERDICT_OK},
	{"create called update", create_called_update, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"update called create", update_called_create, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"create left out", create_left_out, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"update left out", update_left_out, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"delete left out", delete_left_out, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"all left out", all_left_out, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"deleted elsewhere", deleted_elsewhere, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"deleted was another", deleted_was_another, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"updated was another", updated_was_another, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"before was another", before_was_another, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"before was this", before_was_this, RK_VERDICT_INVERSION, RK_VERDICT_OK},
	{"root left out", root_left_out, RK_VERDICT_TREE_MISSING, RK_VERDICT_TREE_MISSING},
	{"tree of no nodes", tree_of_no_nodes, RK_VERDICT_TREE_MALFORMED,
		RK_VERDICT_TREE_MALFORMED},
	{"tree without keys", tree_without_keys, RK_VERDICT_OP_ABSENT, RK_VERDICT_OP_ABSENT},
};

static void expect(struct message *m, const char *what, enum rk_verdict verdict, bool legacy)
{
	bool is_legacy;
	int result = verify(m, &is_legacy);

	if (result != (int)verdict)
		fail_msg("%s: %s", what, rk_verdict_rows[result].name);
	if (result == RK_VERDICT_OK && is_legacy != legacy)
		fail_msg("%s: is%s legacy", what, is_legacy ? "" : " not");
}

static void each_fault_has_its_verdict(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message m;

		message_init(&m, commit_ops);
		rows[i].change(&m);
		expect(&m, rows[i].what, rows[i].said, false);
		m.event.prev_data = (struct rk_cid){0};
		expect(&m, rows[i].what, rows[i].unsaid, true);
		message_finish(&m);
	}
}

/* Of a proof each node is needed, and missed by name; no other verdict comes of its absence. */
static void proof_without_a_node_is_missed(void **state)
{
	struct rk_car_block block;
	struct message m;
	struct rk_car car;
	size_t missed = 0;

	message_init(&m, commit_ops);
	assert_true(rk_car_open(&car, m.event.blocks));
	while (rk_car_next(&car, &block)) {
		struct message part = m;
		bool legacy;
		int result;

		message_car_copy(&m.car, m.event.blocks, NULL, &block.cid);
		part.event.blocks = rk_buf_slice(&m.car);
		result = verify(&part, &legacy);
		m.arena = part.arena;
		missed += result == RK_VERDICT_TREE_MISSING;
		assert_true(result == RK_VERDICT_OK || result == RK_VERDICT_TREE_MISSING ||
			result == RK_VERDICT_RECORD_MISSING || result == RK_VERDICT_COMMIT_MISSING);
	}
	assert_true(missed >= 4);
	message_finish(&m);
}

/* Of what says that it follows nothing, but is no repo's first commit, only its records are proven. */
static void nodes_to_undo_are_no_must_without_a_tree_before(void **state)
{
	struct rk_car_block block;
	struct message m;
	struct rk_car car;
	size_t more = 0;

	message_init(&m, commit_ops);
	assert_true(rk_car_open(&car, m.event.blocks));
	while (rk_car_next(&car, &block)) {
		struct message part = m;
		bool legacy;
		int said, unsaid;

		message_car_copy(&m.car, m.event.blocks, NULL, &block.cid);
		part.event.blocks = rk_buf_slice(&m.car);
		said = verify(&part, &legacy);
		part.event.prev_data = (struct rk_cid){0};
		part.event.since = 0;
		unsaid = verify(&part, &legacy);
		m.arena = part.arena;
		assert_true(unsaid != RK_VERDICT_OK || legacy);
		more += said == RK_VERDICT_TREE_MISSING && unsaid == RK_VERDICT_OK;
	}
	assert_true(more > 0);
	message_finish(&m);
}

static void signature_is_asked_before_the_tree(void **state)
{
	struct rk_key_ready key = sign_key_ready(RK_KEY_P256, SIGN_SECRET);
	struct rk_verify_options options = later;
	struct message m;

	options.key = &key;
	message_init(&m, commit_ops);
	before_was_another(&m);
	assert_int_equal(message_verify(&m, &options), RK_VERDICT_SIGNATURE_WRONG);
	message_sign(&m, RK_KEY_P256, SIGN_SECRET);
	assert_int_equal(message_verify(&m, &options), RK_VERDICT_INVERSION);
	message_finish(&m);
}

/* A repo's first commit, of the keys given: it says no tree before, and needs none. */
static void first_commit(
	struct message *m, const struct rk_slice *keys, size_t count, struct rk_buf *rest)
{
	struct rk_slice record = rk_slice_str("\xa1\x61"
					      "a\x01");
	struct rk_cid root;

	message_init(m, commit_ops);
	tree_value_set = make_cid(record);
	rk_buf_clear(rest);
	root = tree_of(rest, keys, count);
	tree_without_keys(m);
	for (size_t i = 0; i + RK_CID_BYTES <= rest->len; i++) {
		struct rk_car_block block;
		struct rk_car car;

		if (memcmp(rest->data + i, root.bytes, RK_CID_BYTES) != 0)
			continue;
		/* The root's block is the last one. */
		car = (struct rk_car){.reader = rk_reader_make(rk_slice_sub(
					      rk_buf_slice(rest), i - 2, rest->len - i + 2))};
		if (rk_car_next(&car, &block) && rk_reader_left(&car.reader) == 0) {
			tree_set(m, block.bytes);
			break;
		}
	}
	rk_buf_add_slice(&m->car, rk_buf_slice(rest));
	make_block(&m->car, &tree_value_set, record);
	m->event.blocks = rk_buf_slice(&m->car);
	m->event.ops = rk_arena_calloc(&m->arena, count, sizeof(*m->event.ops));
	assert_non_null(m->event.ops);
	m->event.op_count = count;
	for (size_t i = 0; i < count; i++) {
		m->event.ops[i].path = keys[i];
		m->event.ops[i].cid = tree_value_set;
	}
	m->event.since = 0;
	m->event.prev_data = (struct rk_cid){0};
}

static void first_commit_follows_the_empty_tree(void **state)
{
	enum { KEYS = 40 };
	static char texts[KEYS][32];
	struct rk_slice keys[KEYS];
	struct rk_buf rest = {0};
	struct message m;

	for (size_t i = 0; i < KEYS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "com.example.first/%02zu", i);
		keys[i] = rk_slice_str(texts[i]);
	}
	first_commit(&m, keys, KEYS, &rest);
	expect(&m, "first commit", RK_VERDICT_OK, false);
	m.event.since = 1;
	expect(&m, "it follows another", RK_VERDICT_OK, true);
	m.event.since = 0;
	m.event.op_count--;
	expect(&m, "not all of the tree", RK_VERDICT_OK, true);
	m.event.ops[0].path = rk_slice_str("com.example.first/zz");
	expect(&m, "one is elsewhere", RK_VERDICT_OP_ABSENT, false);
	message_finish(&m);

	message_init(&m, "tests/fixtures/commit-init.frame");
	expect(&m, "nothing in an empty tree", RK_VERDICT_OK, false);
	m.event.since = 1;
	expect(&m, "nothing left of a tree", RK_VERDICT_OK, true);
	message_finish(&m);

	/* It follows none, but has no more nodes than its operations touch. */
	message_init(&m, "tests/fixtures/commit-create.frame");
	m.event.prev_data = (struct rk_cid){0};
	m.event.since = 0;
	expect(&m, "a part of a tree", RK_VERDICT_OK, true);
	message_finish(&m);
	tree_value_set = (struct rk_cid){0};
	rk_buf_finish(&rest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_fault_has_its_verdict),
		cmocka_unit_test(proof_without_a_node_is_missed),
		cmocka_unit_test(nodes_to_undo_are_no_must_without_a_tree_before),
		cmocka_unit_test(signature_is_asked_before_the_tree),
		cmocka_unit_test(first_commit_follows_the_empty_tree),
	};
	return cmocka_run_group_tests_name("atproto/verify ops", tests, NULL, NULL);
}
