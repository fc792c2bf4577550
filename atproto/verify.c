/*
 * The lists of checks by which messages and repos are believed. A check looks at one thing, has a
 * verdict of its own and may rely on those before it. What is cheap and refuses most comes first;
 * nothing is handed out before the list is through.
 */
#include "atproto/verify.h"

#include <errno.h>

#include "atproto/ops.h"

enum {
	REV_AHEAD_MOST_MS = 5 * 60 * 1000,
	SYNC_BLOCKS_MOST = 10000, /* bytes: the lexicon's maxLength */
	REPO_BLOCKS_LEAST = 8,    /* may always be there */
	MAJOR_MAP = 5,
};

const struct rk_verdict_row rk_verdict_rows[RK_VERDICT_COUNT] = {
#define RK_VERDICT_ROW(id, name, help) [RK_VERDICT_##id] = {name, help},
	RK_VERDICTS(RK_VERDICT_ROW)
#undef RK_VERDICT_ROW
};

enum rk_verdict rk_verdict_of_event(enum rk_event_result result)
{
	switch (result) {
	case RK_EVENT_OK:
		return RK_VERDICT_OK;
	case RK_EVENT_MALFORMED_HEADER:
		return RK_VERDICT_FRAME_HEADER;
	case RK_EVENT_MALFORMED_BODY:
		return RK_VERDICT_FRAME_BODY;
	case RK_EVENT_TRAILING_BYTES:
		return RK_VERDICT_FRAME_TRAILING;
	case RK_EVENT_MISSING_FIELD:
		return RK_VERDICT_FRAME_FIELD;
	case RK_EVENT_TOO_LARGE:
		return RK_VERDICT_FRAME_TOO_LARGE;
	case RK_EVENT_TOO_MANY_OPS:
		return RK_VERDICT_OPS_TOO_MANY;
	}
	return RK_VERDICT_FRAME_HEADER;
}

/* What the checks look at. */
struct subject {
	struct rk_verified *out;
	struct rk_arena *arena;       /* NULL: a whole repo, whose table is on the heap */
	const struct rk_event *event; /* NULL: a whole repo */
	struct rk_slice car;
	struct rk_did did;            /* whose it must be */
	size_t car_most, blocks_most; /* bytes; blocks */
	const struct rk_verify_options *options;
	struct rk_ops ops;  /* once they are well-formed */
	struct rk_cid root; /* … the commit's, and its block */
	struct rk_slice commit;
};

/* 0, an enum rk_verdict, or negative. */
typedef int check(struct subject *subject);

static int size_within_limit(struct subject *s)
{
	return s->car.len > s->car_most ? RK_VERDICT_CAR_TOO_LARGE : 0;
}

static int rev_not_ahead(const struct subject *s, uint64_t rev)
{
	int64_t latest_us = (s->options->now_ms + REV_AHEAD_MOST_MS) * 1000;

	return rk_tid_unix_us(rev) > latest_us ? RK_VERDICT_REV_FUTURE : 0;
}

static int message_rev_not_ahead(struct subject *s)
{
	return rev_not_ahead(s, s->event->rev);
}

static int commit_rev_not_ahead(struct subject *s)
{
	return rev_not_ahead(s, s->out->commit.rev);
}

static int rev_is_behind_since(struct subject *s)
{
	return s->event->since < s->event->rev ? 0 : RK_VERDICT_REV_ORDER;
}

static int ops_are_well_formed(struct subject *s)
{
	int result = rk_ops_load(&s->ops, s->arena, s->event);

	switch (result) {
	case RK_OPS_DUPLICATE:
		return RK_VERDICT_OPS_DUPLICATE;
	case RK_OPS_PREV:
		return RK_VERDICT_OPS_PREV;
	default:
		return result;
	}
}

/* Before the blocks are hashed: a CAR of another commit is not worth it. */
static int root_is_message_commit(struct subject *s)
{
	struct rk_car car;

	if (!rk_car_open(&car, s->car))
		return RK_VERDICT_CAR_MALFORMED;
	return rk_cid_equal(&car.root, &s->event->commit) ? 0 : RK_VERDICT_CAR_ROOT;
}

static int blocks_match_their_cids(struct subject *s)
{
	int result = rk_blocks_load(&s->out->blocks, s->arena, s->car, s->blocks_most);

	switch (result) {
	case RK_BLOCKS_MALFORMED:
		return RK_VERDICT_CAR_MALFORMED;
	case RK_BLOCKS_BAD_CID:
		return RK_VERDICT_BLOCK_CID;
	case RK_BLOCKS_TOO_MANY:
		return RK_VERDICT_CAR_TOO_LARGE;
	default:
		return result;
	}
}

static int commit_is_there(struct subject *s)
{
	s->root = s->out->blocks.root;
	if (!rk_blocks_find(&s->out->blocks, &s->root, &s->commit))
		return RK_VERDICT_COMMIT_MISSING;
	return 0;
}

/* In a whole repo, wherever it stands: it is looked at before any other block is hashed or kept. */
static int commit_is_there_alone(struct subject *s)
{
	struct rk_car_block block;
	struct rk_car car;
	struct rk_cid cid;

	if (!rk_car_open(&car, s->car))
		return RK_VERDICT_CAR_MALFORMED;
	s->root = car.root;
	while (rk_car_next(&car, &block)) {
		if (!rk_cid_equal(&block.cid, &car.root))
			continue;
		s->commit = block.bytes;
		rk_cid_compute(&cid, block.cid.bytes[1], block.bytes);
		return rk_cid_equal(&cid, &block.cid) ? 0 : RK_VERDICT_BLOCK_CID;
	}
	return car.reader.failed ? RK_VERDICT_CAR_MALFORMED : RK_VERDICT_COMMIT_MISSING;
}

static int commit_is_well_formed(struct subject *s)
{
	if (s->root.bytes[1] != RK_CODEC_DAG_CBOR || !rk_commit_parse(&s->out->commit, s->commit))
		return RK_VERDICT_COMMIT_MALFORMED;
	return 0;
}

static int commit_is_of_the_repo(struct subject *s)
{
	return rk_slice_equal(s->out->commit.did.text, s->did.text) ? 0 : RK_VERDICT_COMMIT_DID;
}

static int commit_has_the_messages_rev(struct subject *s)
{
	return s->out->commit.rev == s->event->rev ? 0 : RK_VERDICT_COMMIT_REV;
}

/* What was created or updated must have come along, as a map of the data model. */
static int records_are_there(struct subject *s)
{
	for (size_t i = 0; i < s->event->op_count; i++) {
		const struct rk_event_op *op = &s->event->ops[i];
		struct rk_slice block;

		if (op->action == RK_OP_DELETE)
			continue;
		if (!rk_blocks_find(&s->out->blocks, &op->cid, &block))
			return RK_VERDICT_RECORD_MISSING;
		if (op->cid.bytes[1] != RK_CODEC_DAG_CBOR || block.len == 0 ||
			block.data[0] >> 5 != MAJOR_MAP || !rk_cbor_check(block))
			return RK_VERDICT_RECORD_MALFORMED;
	}
	return 0;
}

static int key_is_known(struct subject *s)
{
	if (!s->options->key)
		return s->options->key_needed ? RK_VERDICT_KEY_UNKNOWN : 0;
	return s->options->key->type == RK_KEY_NONE ? RK_VERDICT_KEY_MISSING : 0;
}

/* Before any trust in the tree: what the commit object names as its tree, the account signed. */
static int signature_is_good(struct subject *s)
{
	uint8_t digest[RK_SHA256_BYTES];
	int result;

	if (!s->options->key)
		return 0;
	rk_commit_digest(digest, &s->out->commit);
	result = rk_signature_check(
		s->options->checker, s->options->key, digest, s->out->commit.sig);
	switch (result) {
	case RK_SIGNATURE_MALFORMED:
		return RK_VERDICT_SIGNATURE_MALFORMED;
	case RK_SIGNATURE_HIGH_S:
		return RK_VERDICT_SIGNATURE_HIGH_S;
	case RK_SIGNATURE_WRONG:
		return RK_VERDICT_SIGNATURE_WRONG;
	default:
		return result;
	}
}

/* The tree with the operations undone, or, if they cannot be, the tree itself. */
static int ops_are_in_the_tree(struct subject *s, struct rk_cid *root)
{
	int result;

	if (s->ops.count == 0) {
		*root = s->out->commit.data;
		return 0;
	}
	result = rk_mst_edit(
		root, s->arena, &s->out->blocks, &s->out->commit.data, s->ops.edits, s->ops.count);
	switch (result) {
	case RK_MST_EDIT_MISSING:
		return RK_VERDICT_TREE_MISSING;
	case RK_MST_EDIT_MALFORMED:
		return RK_VERDICT_TREE_MALFORMED;
	case RK_MST_EDIT_ABSENT:
		return RK_VERDICT_OP_ABSENT;
	case RK_MST_EDIT_DIFFERS:
		return RK_VERDICT_OP_DIFFERS;
	case RK_MST_EDIT_PRESENT:
		return RK_VERDICT_OP_PRESENT;
	default:
		return result;
	}
}

/* Each operation was one, and there were no others. */
static int ops_lead_from_the_tree_before(struct subject *s)
{
	const struct rk_cid *before = &s->event->prev_data;
	struct rk_cid root, empty;
	int result = ops_are_in_the_tree(s, &root);

	if (rk_cid_is_set(before)) {
		if (result)
			return result;
		s->out->before = root;
		return rk_cid_equal(&root, before) ? 0 : RK_VERDICT_INVERSION;
	}
	/* From before sync 1.1, or not a repo's first commit after all, though it follows none. */
	if (s->ops.undone && (s->event->since ? result : result == RK_VERDICT_TREE_MISSING)) {
		rk_ops_only_prove(&s->ops);
		result = ops_are_in_the_tree(s, &root);
	}
	if (result == 0 && s->ops.undone)
		s->out->before = root;
	rk_cid_compute(&empty, RK_CODEC_DAG_CBOR, rk_slice_str(RK_MST_EMPTY));
	s->out->legacy =
		result || s->event->since || !s->ops.undone || !rk_cid_equal(&root, &empty);
	return result;
}

/* A commit too big for its message tells only that it happened: its blocks may be left out. */
static check *const too_big_checks[] = {
	size_within_limit,
	message_rev_not_ahead,
	NULL,
};

static check *const commit_checks[] = {
	size_within_limit,
	message_rev_not_ahead,
	rev_is_behind_since,
	ops_are_well_formed,
	root_is_message_commit,
	blocks_match_their_cids,
	commit_is_there,
	commit_is_well_formed,
	commit_is_of_the_repo,
	commit_has_the_messages_rev,
	records_are_there,
	key_is_known,
	signature_is_good,
	ops_lead_from_the_tree_before,
	NULL,
};

static check *const sync_checks[] = {
	size_within_limit,
	message_rev_not_ahead,
	blocks_match_their_cids,
	commit_is_there,
	commit_is_well_formed,
	commit_is_of_the_repo,
	commit_has_the_messages_rev,
	key_is_known,
	signature_is_good,
	NULL,
};

/* What a repo's first block is enough for. */
#define REPO_START_CHECKS                                                                          \
	commit_is_there_alone, commit_is_well_formed, commit_is_of_the_repo, commit_rev_not_ahead, \
		key_is_known, signature_is_good

static check *const repo_start_checks[] = {
	REPO_START_CHECKS,
	NULL,
};

/* The tree is walked behind the list. */
static check *const repo_checks[] = {
	REPO_START_CHECKS,
	blocks_match_their_cids,
	NULL,
};

static int checks_run(struct subject *subject, check *const *checks)
{
	*subject->out = (struct rk_verified){0};
	for (; *checks; checks++) {
		int result = (*checks)(subject);
		if (result)
			return result;
	}
	return RK_VERDICT_OK;
}

int rk_verify_commit(struct rk_verified *out, struct rk_arena *arena, const struct rk_event *event,
	const struct rk_verify_options *options)
{
	struct subject subject = {
		.out = out,
		.arena = arena,
		.event = event,
		.car = event->blocks,
		.did = event->did,
		.car_most = RK_EVENT_BLOCKS_MOST,
		.blocks_most = SIZE_MAX, /* bounded by the bytes */
		.options = options,
	};

	return checks_run(&subject, event->too_big ? too_big_checks : commit_checks);
}

int rk_verify_sync(struct rk_verified *out, struct rk_arena *arena, const struct rk_event *event,
	const struct rk_verify_options *options)
{
	struct subject subject = {
		.out = out,
		.arena = arena,
		.event = event,
		.car = event->blocks,
		.did = event->did,
		.car_most = SYNC_BLOCKS_MOST,
		.blocks_most = SIZE_MAX,
		.options = options,
	};

	return checks_run(&subject, sync_checks);
}

/* The CAR's header and first block are there, and it is the root. */
static bool starts_with_root(struct rk_slice start)
{
	struct rk_car_block block;
	struct rk_car car;

	return rk_car_open(&car, start) && rk_car_next(&car, &block) &&
		rk_cid_equal(&block.cid, &car.root);
}

int rk_verify_repo_start(
	struct rk_slice start, struct rk_did did, const struct rk_verify_options *options)
{
	struct rk_verified verified;
	struct subject subject = {
		.out = &verified,
		.car = start,
		.did = did,
		.options = options,
	};

	return starts_with_root(start) ? checks_run(&subject, repo_start_checks) : -EAGAIN;
}

static size_t repo_blocks_most(size_t bytes)
{
	return REPO_BLOCKS_LEAST + bytes / RK_REPO_BLOCK_BYTES;
}

size_t rk_verify_repo_memory(size_t bytes)
{
	return rk_blocks_bytes(repo_blocks_most(bytes));
}

int rk_verify_repo(struct rk_verified *out, struct rk_slice car, struct rk_did did,
	const struct rk_verify_options *options, rk_mst_visit *visit, void *context)
{
	struct subject subject = {
		.out = out,
		.car = car,
		.did = did,
		.blocks_most = repo_blocks_most(car.len), /* bytes are the caller's to bound */
		.options = options,
	};
	int result = checks_run(&subject, repo_checks);

	if (result)
		return result;
	switch (rk_mst_walk(&out->blocks, &out->commit.data, visit, context)) {
	case RK_MST_OK:
		return RK_VERDICT_OK;
	case RK_MST_STOPPED:
		return -ECANCELED;
	case RK_MST_MISSING:
		return RK_VERDICT_TREE_MISSING;
	case RK_MST_MALFORMED:
		break;
	}
	return RK_VERDICT_TREE_MALFORMED;
}
