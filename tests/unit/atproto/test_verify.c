/* Rules of atproto/verify: each way to be refused, by its own verdict, before anything costlier. */
#include "tests/unit/atproto/message.h"

#include <errno.h>
#include <stdio.h>

static const struct rk_did other_did = {RK_SLICE_LIT("did:plc:ewvi7nxzyoun6zhxrhs64oia")};

static const char *const messages[] = {"tests/fixtures/commit-init.frame",
	"tests/fixtures/commit-create.frame", "tests/fixtures/commit-ops.frame",
	"tests/fixtures/sync.frame"};

static void messages_of_the_reference_are_believed(void **state)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct rk_verified verified;
		struct message m;

		message_init(&m, messages[i]);
		if (m.event.type == RK_EVENT_SYNC)
			assert_int_equal(rk_verify_sync(&verified, &m.arena, &m.event, &later), 0);
		else
			assert_int_equal(
				rk_verify_commit(&verified, &m.arena, &m.event, &later), 0);
		assert_true(rk_slice_equal(verified.commit.did.text, did.text));
		assert_true(verified.commit.rev == m.event.rev);
		assert_true(verified.blocks.count > 0 && verified.blocks.in_arena);
		message_finish(&m);
	}
}

typedef void change(struct message *m);

static void blocks_over_the_limit(struct message *m)
{
	m->event.blocks.len = RK_EVENT_BLOCKS_MOST + 1; /* refused before it is read */
}

static void root_of_another(struct message *m)
{
	m->event.commit = make_cid(rk_slice_str("another"));
}

static void blocks_cut(struct message *m)
{
	m->event.blocks.len--;
}

static void blocks_empty(struct message *m)
{
	m->event.blocks = (struct rk_slice){0};
}

static void byte_flipped(struct message *m)
{
	((uint8_t *)m->event.blocks.data)[m->event.blocks.len - 1] ^= 1;
}

static void commit_left_out(struct message *m)
{
	struct rk_blocks blocks;

	assert_int_equal(rk_blocks_load(&blocks, NULL, m->event.blocks, 100), RK_BLOCKS_OK);
	message_car_copy(&m->car, m->event.blocks, NULL, &blocks.root);
	rk_blocks_finish(&blocks);
	m->event.blocks = rk_buf_slice(&m->car);
}

static void commit_is_a_record(struct message *m)
{
	m->event.commit = m->event.ops[0].cid;
	message_car_copy(&m->car, m->event.blocks, &m->event.commit, NULL);
	m->event.blocks = rk_buf_slice(&m->car);
}

static void did_of_another(struct message *m)
{
	m->event.did = other_did;
}

static void rev_of_another(struct message *m)
{
	m->event.rev--;
}

static void record_left_out(struct message *m)
{
	message_car_copy(&m->car, m->event.blocks, NULL, &m->event.ops[1].cid);
	m->event.blocks = rk_buf_slice(&m->car);
}

static void record_is(struct message *m, struct rk_slice record)
{
	m->event.ops[1].cid = make_cid(record);
	message_car_copy(&m->car, m->event.blocks, NULL, NULL);
	make_block(&m->car, &m->event.ops[1].cid, record);
	m->event.blocks = rk_buf_slice(&m->car);
}

static void record_not_canonical(struct message *m)
{
	record_is(m,
		rk_slice_str("\xa1\x61"
			     "a\x18\x01"));
}

static void record_with_a_float(struct message *m)
{
	record_is(m,
		rk_slice_str("\xa1\x61"
			     "a\xfb\x3f\xf0\x01\x01\x01\x01\x01\x01"));
}

static void record_no_map(struct message *m)
{
	record_is(m, rk_slice_str("\x81\x01"));
}

static void record_empty(struct message *m)
{
	record_is(m, rk_slice_str(""));
}

static void record_raw(struct message *m)
{
	record_is(m,
		rk_slice_str("\xa1\x61"
			     "a\x01"));
	m->event.ops[1].cid.bytes[1] = RK_CODEC_RAW;
	make_block(&m->car, &m->event.ops[1].cid,
		rk_slice_str("\xa1\x61"
			     "a\x01"));
	m->event.blocks = rk_buf_slice(&m->car);
}

static const struct {
	const char *what;
	change *change;
	enum rk_verdict commit, sync; /* RK_VERDICT_OK: not for syncs */
} refused[] = {
	{"blocks over the limit", blocks_over_the_limit, RK_VERDICT_CAR_TOO_LARGE,
		RK_VERDICT_CAR_TOO_LARGE},
	{"another root", root_of_another, RK_VERDICT_CAR_ROOT, RK_VERDICT_OK},
	{"blocks cut", blocks_cut, RK_VERDICT_CAR_MALFORMED, RK_VERDICT_CAR_MALFORMED},
	{"no blocks", blocks_empty, RK_VERDICT_CAR_MALFORMED, RK_VERDICT_CAR_MALFORMED},
	{"a byte of a block", byte_flipped, RK_VERDICT_BLOCK_CID, RK_VERDICT_BLOCK_CID},
	{"no commit", commit_left_out, RK_VERDICT_COMMIT_MISSING, RK_VERDICT_COMMIT_MISSING},
	{"commit is a record", commit_is_a_record, RK_VERDICT_COMMIT_MALFORMED, RK_VERDICT_OK},
	{"another's DID", did_of_another, RK_VERDICT_COMMIT_DID, RK_VERDICT_COMMIT_DID},
	{"another rev", rev_of_another, RK_VERDICT_COMMIT_REV, RK_VERDICT_COMMIT_REV},
	{"no record", record_left_out, RK_VERDICT_RECORD_MISSING, RK_VERDICT_OK},
	{"record not canonical", record_not_canonical, RK_VERDICT_RECORD_MALFORMED, RK_VERDICT_OK},
	{"record with a float", record_with_a_float, RK_VERDICT_RECORD_MALFORMED, RK_VERDICT_OK},
	{"record no map", record_no_map, RK_VERDICT_RECORD_MALFORMED, RK_VERDICT_OK},
	{"record empty", record_empty, RK_VERDICT_RECORD_MALFORMED, RK_VERDICT_OK},
	{"record raw", record_raw, RK_VERDICT_RECORD_MALFORMED, RK_VERDICT_OK},
};

static void each_fault_has_its_verdict(void **state)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct message m;

		message_init(&m, "tests/fixtures/commit-ops.frame");
		refused[i].change(&m);
		if (message_verify(&m, &later) != (int)refused[i].commit)
			fail_msg("commit: %s: %s", refused[i].what,
				rk_verdict_rows[message_verify(&m, &later)].name);
		message_finish(&m);
		if (refused[i].sync == RK_VERDICT_OK)
			continue;
		message_init(&m, "tests/fixtures/sync.frame");
		refused[i].change(&m);
		if (message_verify(&m, &later) != (int)refused[i].sync)
			fail_msg("sync: %s: %s", refused[i].what,
				rk_verdict_rows[message_verify(&m, &later)].name);
		message_finish(&m);
	}
}

/* What a rev of the given Unix time in microseconds is to a clock at 1,000,000 ms. */
static int at_rev(uint64_t unix_us)
{
	const struct rk_verify_options options = {.now_ms = 1000000};
	struct message m;
	int result;

	message_init(&m, "tests/fixtures/commit-ops.frame");
	m.event.rev = unix_us << 10;
	m.event.since = 0;
	result = message_verify(&m, &options);
	message_finish(&m);
	return result;
}

static void rev_five_minutes_ahead_ok_more_refused(void **state)
{
	assert_int_equal(at_rev(1300000 * UINT64_C(1000)), RK_VERDICT_COMMIT_REV);
	assert_int_equal(at_rev(1300000 * UINT64_C(1000) + 1), RK_VERDICT_REV_FUTURE);
	assert_int_equal(at_rev((UINT64_C(1) << 54) - 1), RK_VERDICT_REV_FUTURE);
}

static void too_big_needs_no_blocks(void **state)
{
	const struct rk_verify_options early = {.now_ms = 0};
	struct rk_verified verified;
	struct message m;

	message_init(&m, "tests/fixtures/commit-ops.frame");
	m.event.too_big = true;
	m.event.blocks = (struct rk_slice){0};
	assert_int_equal(rk_verify_commit(&verified, &m.arena, &m.event, &later), RK_VERDICT_OK);
	assert_int_equal(verified.blocks.count, 0);
	assert_int_equal(verified.commit.did.text.len, 0);
	assert_int_equal(message_verify(&m, &early), RK_VERDICT_REV_FUTURE);
	m.event.blocks.len = RK_EVENT_BLOCKS_MOST + 1;
	assert_int_equal(message_verify(&m, &later), RK_VERDICT_CAR_TOO_LARGE);
	message_finish(&m);
}

static void sync_of_10000_bytes_ok_more_refused(void **state)
{
	for (size_t more = 0; more < 2; more++) {
		struct rk_buf filler = {0};
		struct rk_cid cid;
		struct message m;

		message_init(&m, "tests/fixtures/sync.frame");
		message_car_copy(&m.car, m.event.blocks, NULL, NULL);
		/* A length of two bytes and a CID stand before the block's bytes. */
		assert_non_null(
			rk_buf_reserve(&filler, 10000 + more - m.car.len - 2 - RK_CID_BYTES));
		memset(filler.data, 0, filler.len);
		cid = make_cid(rk_buf_slice(&filler));
		make_block(&m.car, &cid, rk_buf_slice(&filler));
		assert_int_equal(m.car.len, 10000 + more);
		m.event.blocks = rk_buf_slice(&m.car);
		assert_int_equal(message_verify(&m, &later),
			more ? RK_VERDICT_CAR_TOO_LARGE : RK_VERDICT_OK);
		message_finish(&m);
		rk_buf_finish(&filler);
	}
}

static void no_memory_is_said(void **state)
{
	struct rk_verified verified;
	struct rk_arena arena;
	struct message m;

	message_init(&m, "tests/fixtures/commit-ops.frame");
	rk_arena_init(&arena, 100);
	assert_true(rk_verify_commit(&verified, &arena, &m.event, &later) < 0);
	rk_arena_finish(&arena);
	message_finish(&m);
}

/* Compares a walk with the lines of repo.txt. */
struct lines {
	char *rest;
	size_t seen;
};

static bool expect_line(void *context, struct rk_slice key, const struct rk_cid *value)
{
	struct lines *lines = context;
	char *line = strtok_r(NULL, "\n", &lines->rest), *space;
	struct rk_cid cid;

	assert_non_null(line);
	space = strchr(line, ' ');
	assert_non_null(space);
	assert_true(rk_slice_equal(key, rk_slice_make(line, (size_t)(space - line))));
	assert_true(rk_cid_from_text(&cid, rk_slice_str(space + 1)));
	assert_true(rk_cid_equal(&cid, value));
	lines->seen++;
	return true;
}

static void whole_repo_is_walked_in_order(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/repo.car");
	struct rk_slice text = rk_test_read_source("tests/fixtures/repo.txt");
	struct lines lines = {0};
	struct rk_verified verified;
	char rev[RK_TID_LEN + 1], *line = strtok_r((char *)text.data, "\n", &lines.rest);
	struct rk_buf data = {0};

	assert_memory_equal(line, "rev ", 4);
	strtok_r(NULL, "\n", &lines.rest); /* data */
	strtok_r(NULL, "\n", &lines.rest); /* key */
	assert_int_equal(
		rk_verify_repo(&verified, car, did, &later, expect_line, &lines), RK_VERDICT_OK);
	assert_int_equal(lines.seen, 200);
	rk_tid_format(rev, verified.commit.rev);
	assert_string_equal(rev, line + 4);
	rk_cid_format(&data, &verified.commit.data);
	assert_string_equal(rk_buf_cstr(&data), line + strlen(line) + 1 + strlen("data "));
	rk_blocks_finish(&verified.blocks);
	rk_buf_finish(&data);
	free((void *)text.data);
	free((void *)car.data);
}

static bool count_up(void *context, struct rk_slice key, const struct rk_cid *value)
{
	(*(size_t *)context)++;
	return true;
}

static bool stop(void *context, struct rk_slice key, const struct rk_cid *value)
{
	return false;
}

static int verify_repo(struct rk_slice car, struct rk_did whose, int64_t now_ms)
{
	const struct rk_verify_options options = {.now_ms = now_ms};
	struct rk_verified verified;
	size_t seen = 0;
	int result = rk_verify_repo(&verified, car, whose, &options, count_up, &seen);

	rk_blocks_finish(&verified.blocks);
	return result;
}

static void repos_are_refused_with_their_verdict(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/repo.car");
	struct rk_verified verified;
	struct rk_blocks blocks;
	struct rk_commit commit;
	struct rk_slice block;
	struct rk_buf changed = {0};

	assert_int_equal(verify_repo(car, did, later.now_ms), RK_VERDICT_OK);
	assert_int_equal(verify_repo(car, other_did, later.now_ms), RK_VERDICT_COMMIT_DID);
	assert_int_equal(verify_repo(car, did, 0), RK_VERDICT_REV_FUTURE);
	assert_int_equal(rk_verify_repo(&verified, car, did, &later, stop, NULL), -ECANCELED);
	rk_blocks_finish(&verified.blocks);

	assert_int_equal(rk_blocks_load(&blocks, NULL, car, 1000), RK_BLOCKS_OK);
	assert_true(rk_blocks_find(&blocks, &blocks.root, &block));
	assert_true(rk_commit_parse(&commit, block));
	message_car_copy(&changed, car, NULL, &blocks.root);
	assert_int_equal(
		verify_repo(rk_buf_slice(&changed), did, later.now_ms), RK_VERDICT_COMMIT_MISSING);
	message_car_copy(&changed, car, &commit.data, NULL);
	assert_int_equal(verify_repo(rk_buf_slice(&changed), did, later.now_ms),
		RK_VERDICT_COMMIT_MALFORMED);
	message_car_copy(&changed, car, NULL, &commit.data);
	assert_int_equal(
		verify_repo(rk_buf_slice(&changed), did, later.now_ms), RK_VERDICT_TREE_MISSING);
	rk_blocks_finish(&blocks);
	rk_buf_finish(&changed);
	free((void *)car.data);
}

/* A repo whose tree is the node. */
static void make_repo(struct rk_buf *car, const char *node_hex)
{
	static const uint8_t sig[64] = {0};
	struct rk_buf node = {0}, commit = {0};
	struct rk_cid data = make_cid(make_hex(&node, node_hex)), root;

	rk_cbor_put_map(&commit, 6);
	rk_cbor_put_text(&commit, rk_slice_str("did"));
	rk_cbor_put_text(&commit, did.text);
	rk_cbor_put_text(&commit, rk_slice_str("rev"));
	rk_cbor_put_text(&commit, rk_slice_str("3mbfvvbfo3k2k"));
	rk_cbor_put_text(&commit, rk_slice_str("sig"));
	rk_cbor_put_bytes(&commit, rk_slice_make(sig, sizeof(sig)));
	rk_cbor_put_text(&commit, rk_slice_str("data"));
	rk_cbor_put_cid(&commit, &data);
	rk_cbor_put_text(&commit, rk_slice_str("prev"));
	rk_cbor_put_null(&commit);
	rk_cbor_put_text(&commit, rk_slice_str("version"));
	rk_cbor_put_int(&commit, 3);
	root = make_cid(rk_buf_slice(&commit));
	rk_buf_clear(car);
	make_car(car, &root);
	make_block(car, &root, rk_buf_slice(&commit));
	make_block(car, &data, rk_buf_slice(&node));
	rk_buf_finish(&node);
	rk_buf_finish(&commit);
}

static void broken_tree_is_refused(void **state)
{
	struct rk_buf car = {0};

	make_repo(&car, "a2 6165 80 616c f6");
	assert_int_equal(verify_repo(rk_buf_slice(&car), did, later.now_ms), RK_VERDICT_OK);
	make_repo(&car, "a2 6165 00 616c f6");
	assert_int_equal(
		verify_repo(rk_buf_slice(&car), did, later.now_ms), RK_VERDICT_TREE_MALFORMED);
	rk_buf_finish(&car);
}

/* Blocks that are nowhere in the tree, of 42 bytes each with length and CID. */
static void tiny_blocks_add(struct rk_buf *car, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t bytes[] = {
			0x1a, 0xff, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
		struct rk_cid cid = make_cid(rk_slice_make(bytes, sizeof(bytes)));

		make_block(car, &cid, rk_slice_make(bytes, sizeof(bytes)));
	}
}

static void more_blocks_than_a_repo_of_that_size_has_are_refused(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/repo.car");
	struct rk_blocks blocks;
	struct rk_buf changed = {0};
	size_t most;

	assert_int_equal(rk_blocks_load(&blocks, NULL, car, SIZE_MAX), RK_BLOCKS_OK);
	message_car_copy(&changed, car, NULL, NULL);
	tiny_blocks_add(&changed, 20000);
	assert_int_equal(
		verify_repo(rk_buf_slice(&changed), did, later.now_ms), RK_VERDICT_CAR_TOO_LARGE);
	/* Its own are far fewer, and some that nothing names do no harm. */
	most = car.len / RK_REPO_BLOCK_BYTES;
	assert_true(most > blocks.count);
	message_car_copy(&changed, car, NULL, NULL);
	tiny_blocks_add(&changed, (uint32_t)(most - blocks.count));
	assert_int_equal(verify_repo(rk_buf_slice(&changed), did, later.now_ms), RK_VERDICT_OK);
	assert_true(rk_verify_repo_memory(1 << 20) < 1 << 20);
	assert_true(rk_verify_repo_memory(1 << 30) <= 1 << 29);
	rk_blocks_finish(&blocks);
	rk_buf_finish(&changed);
	free((void *)car.data);
}

static void every_flip_and_cut_of_a_repo_is_refused(void **state)
{
	struct rk_slice car = rk_test_read_source("tests/fixtures/repo-empty.car");
	uint8_t *bytes = (uint8_t *)car.data;

	assert_int_equal(verify_repo(car, did, later.now_ms), RK_VERDICT_OK);
	for (size_t at = 0; at < car.len; at++) {
		for (unsigned flip = 1; flip < 256; flip++) {
			bytes[at] ^= (uint8_t)flip;
			assert_true(verify_repo(car, did, later.now_ms) > 0);
			bytes[at] ^= (uint8_t)flip;
		}
	}
	for (size_t len = 0; len < car.len; len++) {
		uint8_t *cut = malloc(len ? len : 1);

		assert_non_null(cut);
		memcpy(cut, car.data, len);
		assert_true(verify_repo(rk_slice_make(cut, len), did, later.now_ms) > 0);
		free(cut);
	}
	free(bytes);
}

/* Not all are refused: a path or a time is in no hash. None may do harm. */
static void every_flip_of_a_frame_is_survived(void **state)
{
	struct rk_slice frame = rk_test_read_source("tests/fixtures/commit-ops.frame");
	uint8_t *bytes = (uint8_t *)frame.data;
	struct rk_arena arena = {0};

	for (size_t at = 0; at < frame.len; at++) {
		static const uint8_t flips[] = {0x01, 0x20, 0x80, 0xff};

		for (size_t i = 0; i < sizeof(flips); i++) {
			struct rk_verified verified;
			struct rk_event event;

			bytes[at] ^= flips[i];
			if (rk_event_parse(&event, &arena, frame) == RK_EVENT_OK &&
				event.type == RK_EVENT_COMMIT)
				assert_true(
					rk_verify_commit(&verified, &arena, &event, &later) >= 0);
			bytes[at] ^= flips[i];
			rk_arena_reset(&arena);
		}
	}
	rk_arena_finish(&arena);
	free(bytes);
}

static void every_verdict_has_its_own_name_and_text(void **state)
{
	for (size_t i = 0; i < RK_VERDICT_COUNT; i++) {
		assert_true(rk_verdict_rows[i].name[0] && rk_verdict_rows[i].help[0]);
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(rk_verdict_rows[i].name, rk_verdict_rows[j].name);
			assert_string_not_equal(rk_verdict_rows[i].help, rk_verdict_rows[j].help);
		}
	}
	for (int i = RK_EVENT_OK; i <= RK_EVENT_TOO_MANY_OPS; i++) {
		for (int j = RK_EVENT_OK; j < i; j++)
			assert_int_not_equal(rk_verdict_of_event(i), rk_verdict_of_event(j));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_of_the_reference_are_believed),
		cmocka_unit_test(each_fault_has_its_verdict),
		cmocka_unit_test(rev_five_minutes_ahead_ok_more_refused),
		cmocka_unit_test(too_big_needs_no_blocks),
		cmocka_unit_test(sync_of_10000_bytes_ok_more_refused),
		cmocka_unit_test(no_memory_is_said),
		cmocka_unit_test(whole_repo_is_walked_in_order),
		cmocka_unit_test(repos_are_refused_with_their_verdict),
		cmocka_unit_test(broken_tree_is_refused),
		cmocka_unit_test(more_blocks_than_a_repo_of_that_size_has_are_refused),
		cmocka_unit_test(every_flip_and_cut_of_a_repo_is_refused),
		cmocka_unit_test(every_flip_of_a_frame_is_survived),
		cmocka_unit_test(every_verdict_has_its_own_name_and_text),
	};
	return cmocka_run_group_tests_name("atproto/verify", tests, NULL, NULL);
}
