/*
 * The fixtures' messages for tests: parsed, changed in some way, verified. Changes of the commit
 * object are signed again, as an account would that lies about itself.
 */
#ifndef RK_TESTS_UNIT_ATPROTO_MESSAGE_H
#define RK_TESTS_UNIT_ATPROTO_MESSAGE_H

#include <stdlib.h>

#include "tests/unit/atproto/make.h"
#include "tests/unit/atproto/sign.h"

#include "atproto/verify.h"
#include "tests/unit/vectors.h"

static const struct rk_did did = {RK_SLICE_LIT("did:plc:ewvi7nxzyoun6zhxrhs64oiz")};

/* After everything in the fixtures. */
static const struct rk_verify_options later = {.now_ms = 1800000000000};

/* A parsed frame of the fixtures, to be changed. */
struct message {
	struct rk_slice frame;
	struct rk_arena arena;
	struct rk_event event;
	struct rk_buf car; /* of changed blocks */
};

static inline void message_init(struct message *m, const char *path)
{
	*m = (struct message){.frame = rk_test_read_source(path)};
	assert_int_equal(rk_event_parse(&m->event, &m->arena, m->frame), RK_EVENT_OK);
}

static inline void message_finish(struct message *m)
{
	free((void *)m->frame.data);
	rk_arena_finish(&m->arena);
	rk_buf_finish(&m->car);
}

static inline int message_verify(struct message *m, const struct rk_verify_options *options)
{
	struct rk_verified verified;

	return m->event.type == RK_EVENT_SYNC
		? rk_verify_sync(&verified, &m->arena, &m->event, options)
		: rk_verify_commit(&verified, &m->arena, &m->event, options);
}

/* Copies a CAR under another root, or without one of its blocks. NULL: no change. */
static inline void message_car_copy(struct rk_buf *out, struct rk_slice in,
	const struct rk_cid *root, const struct rk_cid *without)
{
	struct rk_car_block block;
	struct rk_car car;

	rk_buf_clear(out);
	assert_true(rk_car_open(&car, in));
	make_car(out, root ? root : &car.root);
	while (rk_car_next(&car, &block)) {
		if (!without || !rk_cid_equal(&block.cid, without))
			make_block(out, &block.cid, block.bytes);
	}
}

/* The commit object of a CAR, borrowed from it. */
static inline struct rk_commit message_commit(struct rk_slice in)
{
	struct rk_commit commit = {0};
	struct rk_blocks blocks;
	struct rk_slice block;

	assert_int_equal(rk_blocks_load(&blocks, NULL, in, SIZE_MAX), RK_BLOCKS_OK);
	assert_true(rk_blocks_find(&blocks, &blocks.root, &block));
	assert_true(rk_commit_parse(&commit, block));
	rk_blocks_finish(&blocks);
	return commit;
}

/* Writes a CAR whose commit has the signature instead of its own. Returns the commit's CID. */
static inline struct rk_cid message_car_sign(
	struct rk_buf *out, struct rk_slice in, struct rk_slice signature)
{
	struct rk_commit commit = message_commit(in);
	struct rk_buf block = {0};
	struct rk_cid root, old = make_cid(commit.block);

	rk_buf_add_slice(&block, rk_slice_sub(commit.block, 0, commit.sig_at));
	rk_cbor_put_text(&block, rk_slice_str("sig"));
	rk_cbor_put_bytes(&block, signature);
	rk_buf_add_slice(&block,
		rk_slice_sub(commit.block, commit.sig_end, commit.block.len - commit.sig_end));
	root = make_cid(rk_buf_slice(&block));
	message_car_copy(out, in, &root, &old);
	make_block(out, &root, rk_buf_slice(&block));
	rk_buf_finish(&block);
	return root;
}

/* The same for the message, whose blocks may be in m->car already. */
static inline void message_sign_as(struct message *m, struct rk_slice signature)
{
	struct rk_buf car = {0};

	m->event.commit = message_car_sign(&car, m->event.blocks, signature);
	rk_buf_finish(&m->car);
	m->car = car;
	m->event.blocks = rk_buf_slice(&m->car);
}

static inline void message_sign(struct message *m, enum rk_key_type type, const char *secret)
{
	struct rk_commit commit = message_commit(m->event.blocks);
	uint8_t digest[RK_SHA256_BYTES], signature[RK_SIGNATURE_BYTES];

	rk_commit_digest(digest, &commit);
	sign_digest(signature, type, secret, digest);
	message_sign_as(m, rk_slice_make(signature, sizeof(signature)));
}

#endif
