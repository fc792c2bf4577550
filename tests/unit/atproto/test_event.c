/* Rules of atproto/event: what a frame must have, may lack, and never survives. */
#include "tests/unit/atproto/make.h"

#include <stdio.h>
#include <stdlib.h>

#include "atproto/event.h"
#include "tests/unit/vectors.h"

#define DID "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
#define CID_HEX                                                                                    \
	"d82a582500 01711220 0000000000000000 0000000000000000 0000000000000000 0000000000000000"

static int parse(
	struct rk_event *out, struct rk_arena *arena, const char *fixture, struct rk_slice *frame)
{
	char path[256];

	snprintf(path, sizeof(path), "tests/fixtures/%s.frame", fixture);
	*frame = rk_test_read_source(path);
	return rk_event_parse(out, arena, *frame);
}

/* Frames of the reference, and what each says. */
static const struct {
	const char *fixture;
	enum rk_event_type type;
	int64_t seq;
	const char *did;
	const char *handle, *status, *name;
	bool active;
} fixtures[] = {
	{"commit-init", RK_EVENT_COMMIT, 1, DID},
	{"commit-create", RK_EVENT_COMMIT, 3, DID},
	{"commit-ops", RK_EVENT_COMMIT, 4, DID},
	{"sync", RK_EVENT_SYNC, 5, DID},
	{"identity", RK_EVENT_IDENTITY, 6, DID, .handle = "alice.example.com"},
	{"identity-bare", RK_EVENT_IDENTITY, 7, DID},
	{"account", RK_EVENT_ACCOUNT, 8, DID, .active = true},
	{"account-deactivated", RK_EVENT_ACCOUNT, 9, DID, .status = "deactivated"},
	{"info", RK_EVENT_INFO, 0, NULL, .name = "OutdatedCursor"},
	{"error", RK_EVENT_ERROR, 0, NULL, .name = "FutureCursor"},
	{"unknown", RK_EVENT_UNKNOWN, 0, NULL, .name = "#handle"},
};

static void text_is(struct rk_slice text, const char *expected)
{
	assert_true(rk_slice_equal_str(text, expected ? expected : ""));
}

static void frames_of_the_reference_are_read(void **state)
{
	struct rk_arena arena = {0};

	for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		struct rk_event event;
		struct rk_slice frame;

		assert_int_equal(parse(&event, &arena, fixtures[i].fixture, &frame), RK_EVENT_OK);
		assert_int_equal(event.type, fixtures[i].type);
		assert_int_equal(event.seq, fixtures[i].seq);
		text_is(event.did.text, fixtures[i].did);
		text_is(event.handle, fixtures[i].handle);
		text_is(event.status, fixtures[i].status);
		text_is(event.name, fixtures[i].name);
		assert_int_equal(event.active, fixtures[i].active);
		/* 2026-01-02T03:04:05.678Z */
		assert_true(event.time_ms == (fixtures[i].did ? 1767323045678 : 0));
		free((void *)frame.data);
	}
	rk_arena_finish(&arena);
}

static void operations_are_read(void **state)
{
	struct rk_arena arena = {0};
	struct rk_event event;
	struct rk_slice frame;

	assert_int_equal(parse(&event, &arena, "commit-ops", &frame), RK_EVENT_OK);
	assert_int_equal(event.op_count, 3);
	for (size_t i = 0; i < 3; i++) {
		struct rk_event_op *op = &event.ops[i];

		assert_int_equal(op->action, i);
		assert_int_equal(rk_cid_is_set(&op->cid), op->action != RK_OP_DELETE);
		assert_int_equal(rk_cid_is_set(&op->prev), op->action != RK_OP_CREATE);
		assert_int_equal(op->collection.len + 1 + op->rkey.len, op->path.len);
		text_is(op->collection, i == 1 ? "app.bsky.feed.post" : "app.bsky.feed.like");
		assert_int_equal(op->rkey.len, RK_TID_LEN);
	}
	assert_true(event.since > 0 && event.since < event.rev);
	assert_true(rk_cid_is_set(&event.prev_data) && rk_cid_is_set(&event.commit));
	assert_false(event.too_big);
	free((void *)frame.data);

	assert_int_equal(parse(&event, &arena, "commit-init", &frame), RK_EVENT_OK);
	assert_int_equal(event.op_count, 0);
	assert_true(event.since == 0 && event.rev > 0);
	assert_false(rk_cid_is_set(&event.prev_data));
	free((void *)frame.data);
	rk_arena_finish(&arena);
}

static void every_truncation_is_refused_and_a_byte_more(void **state)
{
	struct rk_arena arena = {0};

	for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		struct rk_event event;
		struct rk_slice frame;
		uint8_t *longer;

		assert_int_equal(parse(&event, &arena, fixtures[i].fixture, &frame), RK_EVENT_OK);
		for (size_t len = 0; len < frame.len; len++) {
			/* On the heap, so that a read past the end is seen. */
			uint8_t *cut = malloc(len ? len : 1);
			int result;

			assert_non_null(cut);
			memcpy(cut, frame.data, len);
			result = rk_event_parse(&event, &arena, rk_slice_make(cut, len));
			if (result != RK_EVENT_MALFORMED_HEADER &&
				result != RK_EVENT_MALFORMED_BODY)
				fail_msg("%s cut to %zu: %d", fixtures[i].fixture, len, result);
			free(cut);
			rk_arena_reset(&arena);
		}
		longer = malloc(frame.len + 1);
		assert_non_null(longer);
		memcpy(longer, frame.data, frame.len);
		longer[frame.len] = 0xf6;
		assert_int_equal(
			rk_event_parse(&event, &arena, rk_slice_make(longer, frame.len + 1)),
			RK_EVENT_TRAILING_BYTES);
		free(longer);
		free((void *)frame.data);
	}
	rk_arena_finish(&arena);
}

/* A field of a body: a good value, and one it may not have. Both hex, or text after a '='. */
struct field {
	const char *name, *good, *bad;
	bool optional;
};

struct body {
	const char *t;
	const struct field *fields;
	size_t count;
};

#define OP                                                                                         \
	"a4 63636964 " CID_HEX " 6470617468 67612e622e632f64 6470726576 " CID_HEX                  \
	" 66616374696f6e 66757064617465"
#define BODY(rows) rows, sizeof(rows) / sizeof((rows)[0])

static const struct field commit_fields[] = {
	{"ops", "81" OP, "a0"},
	{"rev", "=3mbfvvbfo3k2k", "=3mbfvvbfo3k2"},
	{"seq", "01", "00"},
	{"prev", "f6", NULL, true},
	{"repo", "=" DID, "=alice.example.com"},
	{"time", "=2026-01-02T03:04:05.678Z", "01", true},
	{"blobs", "80", NULL, true},
	{"since", "f6", "f4"},
	{"blocks", "4100", "6100"},
	{"commit", CID_HEX, "f6"},
	{"rebase", "f4", NULL, true},
	{"tooBig", "f4", "00", true},
	{"prevData", CID_HEX, "4100", true},
};

static const struct field sync_fields[] = {
	{"did", "=" DID, "=" DID ":"},
	{"rev", "=3mbfvvbfo3k2k", "f6"},
	{"seq", "01", "20"},
	{"time", "=2026-01-02T03:04:05.678Z", "80", true},
	{"blocks", "40", "f6"},
};

static const struct field identity_fields[] = {
	{"did", "=" DID, "f6"},
	{"seq", "01", "=1"},
	{"time", "=yesterday", "80", true},
	{"handle", "=alice.example.com", "01", true},
};

static const struct field account_fields[] = {
	{"did", "=" DID, "01"},
	{"seq", "1b001fffffffffffff", "1b0020000000000000"},
	{"time", "=2026-01-02T03:04:05.678Z", "f4", true},
	{"active", "f4", "00"},
	{"status", "=suspended", "f4", true},
};

static const struct field info_fields[] = {
	{"name", "=OutdatedCursor", "f6"},
	{"message", "=late", "01", true},
};

static const struct body bodies[] = {
	{"#commit", BODY(commit_fields)},
	{"#sync", BODY(sync_fields)},
	{"#identity", BODY(identity_fields)},
	{"#account", BODY(account_fields)},
	{"#info", BODY(info_fields)},
};

static void value_put(struct rk_buf *out, const char *value)
{
	struct rk_buf bytes = {0};

	if (*value == '=')
		rk_cbor_put_text(out, rk_slice_str(value + 1));
	else
		rk_buf_add_slice(out, make_hex(&bytes, value));
	rk_buf_finish(&bytes);
}

static void header_put(struct rk_buf *out, const char *t)
{
	rk_buf_clear(out);
	rk_cbor_put_map(out, 2);
	rk_cbor_put_text(out, rk_slice_str("t"));
	rk_cbor_put_text(out, rk_slice_str(t));
	rk_cbor_put_text(out, rk_slice_str("op"));
	rk_cbor_put_int(out, 1);
}

enum change { NOTHING, OMIT, BAD, NULLED };

/* Parses the body with one field changed. */
static int parse_changed(
	struct rk_event *out, const struct body *body, size_t which, enum change change)
{
	struct rk_arena arena = {0};
	struct rk_buf frame = {0};
	int result;

	header_put(&frame, body->t);
	rk_cbor_put_map(&frame, body->count - (change == OMIT));
	for (size_t i = 0; i < body->count; i++) {
		enum change here = i == which ? change : NOTHING;

		if (here == OMIT)
			continue;
		rk_cbor_put_text(&frame, rk_slice_str(body->fields[i].name));
		value_put(&frame,
			here == BAD              ? body->fields[i].bad
				: here == NULLED ? "f6"
						 : body->fields[i].good);
	}
	result = rk_event_parse(out, &arena, rk_buf_slice(&frame));
	rk_buf_finish(&frame);
	rk_arena_finish(&arena);
	return result;
}

static void each_field_is_required_or_may_be_absent(void **state)
{
	for (size_t b = 0; b < sizeof(bodies) / sizeof(bodies[0]); b++) {
		const struct body *body = &bodies[b];
		struct rk_event event;

		assert_int_equal(parse_changed(&event, body, 0, NOTHING), RK_EVENT_OK);
		for (size_t i = 0; i < body->count; i++) {
			const struct field *field = &body->fields[i];
			int absent = field->optional ? RK_EVENT_OK : RK_EVENT_MISSING_FIELD;

			if (parse_changed(&event, body, i, OMIT) != absent)
				fail_msg("%s without %s", body->t, field->name);
			if (field->bad &&
				parse_changed(&event, body, i, BAD) != RK_EVENT_MISSING_FIELD)
				fail_msg("%s with bad %s", body->t, field->name);
			if (field->optional &&
				parse_changed(&event, body, i, NULLED) != RK_EVENT_OK)
				fail_msg("%s with null %s", body->t, field->name);
		}
	}
}

static void unknown_fields_are_passed_over(void **state)
{
	static const struct field fields[] = {
		{"a", "fb3ff0000000000000", NULL, true},
		{"did", "=" DID, NULL},
		{"seq", "07", NULL},
		{"sez", "a1616180", NULL, true},
		{"handle", "=no handle", NULL},
		{"zzzzzzzzzz", "80", NULL, true},
	};
	static const struct body body = {"#identity", BODY(fields)};
	struct rk_event event;

	assert_int_equal(parse_changed(&event, &body, 0, NOTHING), RK_EVENT_OK);
	assert_int_equal(event.seq, 7);
	assert_int_equal(event.handle.len, 0);
}

static const struct {
	const char *what, *action, *path;
	bool cid, prev;
	int result;
} ops[] = {
	{"create", "create", "a.b.c/d", true, false, RK_EVENT_OK},
	{"create with prev", "create", "a.b.c/d", true, true, RK_EVENT_MISSING_FIELD},
	{"create without CID", "create", "a.b.c/d", false, false, RK_EVENT_MISSING_FIELD},
	{"update", "update", "a.b.c/d", true, true, RK_EVENT_OK},
	{"update without prev", "update", "a.b.c/d", true, false, RK_EVENT_OK},
	{"update without CID", "update", "a.b.c/d", false, true, RK_EVENT_MISSING_FIELD},
	{"delete", "delete", "a.b.c/d", false, true, RK_EVENT_OK},
	{"delete without prev", "delete", "a.b.c/d", false, false, RK_EVENT_OK},
	{"delete with CID", "delete", "a.b.c/d", true, true, RK_EVENT_MISSING_FIELD},
	{"another action", "move", "a.b.c/d", true, true, RK_EVENT_MISSING_FIELD},
	{"no slash", "delete", "a.b.c", false, false, RK_EVENT_MISSING_FIELD},
	{"two slashes", "delete", "a.b.c/d/e", false, false, RK_EVENT_MISSING_FIELD},
	{"no path", "delete", "", false, false, RK_EVENT_MISSING_FIELD},
	{"no NSID", "delete", "a.b/d", false, false, RK_EVENT_MISSING_FIELD},
	{"no rkey", "delete", "a.b.c/", false, false, RK_EVENT_MISSING_FIELD},
	{"rkey of one dot", "delete", "a.b.c/.", false, false, RK_EVENT_MISSING_FIELD},
};

/* A commit with these ops, in hex. */
static int parse_ops(const char *hex)
{
	struct field fields[sizeof(commit_fields) / sizeof(commit_fields[0])];
	const struct body body = {"#commit", BODY(fields)};
	struct rk_event event;

	memcpy(fields, commit_fields, sizeof(fields));
	fields[0].good = hex;
	return parse_changed(&event, &body, 0, NOTHING);
}

static void operations_are_checked(void **state)
{
	struct rk_cid cid = make_cid(rk_slice_str("x"));
	struct rk_buf op = {0}, hex = {0};

	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		rk_buf_clear(&op);
		rk_buf_clear(&hex);
		rk_cbor_put_array(&op, 1);
		rk_cbor_put_map(&op, ops[i].prev ? 4 : 3);
		rk_cbor_put_text(&op, rk_slice_str("cid"));
		if (ops[i].cid)
			rk_cbor_put_cid(&op, &cid);
		else
			rk_cbor_put_null(&op);
		rk_cbor_put_text(&op, rk_slice_str("path"));
		rk_cbor_put_text(&op, rk_slice_str(ops[i].path));
		if (ops[i].prev) {
			rk_cbor_put_text(&op, rk_slice_str("prev"));
			rk_cbor_put_cid(&op, &cid);
		}
		rk_cbor_put_text(&op, rk_slice_str("action"));
		rk_cbor_put_text(&op, rk_slice_str(ops[i].action));
		rk_hex_encode(&hex, rk_buf_slice(&op));
		if (parse_ops(rk_buf_cstr(&hex)) != ops[i].result)
			fail_msg("%s", ops[i].what);
	}
	assert_int_equal(parse_ops("80"), RK_EVENT_OK);
	assert_int_equal(parse_ops("81 01"), RK_EVENT_MALFORMED_BODY);
	assert_int_equal(parse_ops("81 a0"), RK_EVENT_MISSING_FIELD);
	rk_buf_finish(&op);
	rk_buf_finish(&hex);
}

static void ops_200_ok_201_refused(void **state)
{
	static char hex[8 + 201 * sizeof(OP)];

	for (int count = RK_EVENT_OPS_MOST; count <= RK_EVENT_OPS_MOST + 1; count++) {
		size_t len = (size_t)snprintf(hex, sizeof(hex), "98%02x", (unsigned)count);

		for (int i = 0; i < count; i++)
			len += (size_t)snprintf(hex + len, sizeof(hex) - len, "%s", OP);
		assert_int_equal(parse_ops(hex),
			count == RK_EVENT_OPS_MOST ? RK_EVENT_OK : RK_EVENT_TOO_MANY_OPS);
	}
}

static const struct {
	const char *what, *hex;
	int result;
} headers[] = {
	{"nothing", "", RK_EVENT_MALFORMED_HEADER},
	{"no map", "80 a0", RK_EVENT_MALFORMED_HEADER},
	{"no op", "a1 6174 612378 a0", RK_EVENT_MALFORMED_HEADER},
	{"op 0", "a2 6174 622378 626f70 00 a0", RK_EVENT_MALFORMED_HEADER},
	{"op 2", "a2 6174 622378 626f70 02 a0", RK_EVENT_MALFORMED_HEADER},
	{"op -2", "a2 6174 622378 626f70 21 a0", RK_EVENT_MALFORMED_HEADER},
	{"op of text", "a2 6174 622378 626f70 6131 a0", RK_EVENT_MALFORMED_HEADER},
	{"op 1 without type", "a1 626f70 01 a0", RK_EVENT_MALFORMED_HEADER},
	{"empty type", "a2 6174 60 626f70 01 a0", RK_EVENT_MALFORMED_HEADER},
	{"op first", "a2 626f70 01 6174 622378 a0", RK_EVENT_MALFORMED_HEADER},
	{"unknown type", "a2 6174 622378 626f70 01 a0", RK_EVENT_OK},
	{"unknown type and field", "a3 6174 622378 6178 f6 626f70 01 a0", RK_EVENT_OK},
	{"unknown type, body no map", "a2 6174 622378 626f70 01 00", RK_EVENT_OK},
	{"unknown type, no body", "a2 6174 622378 626f70 01", RK_EVENT_MALFORMED_BODY},
	{"unknown type, body not canonical", "a2 6174 622378 626f70 01 1800",
		RK_EVENT_MALFORMED_BODY},
	{"unknown type, two bodies", "a2 6174 622378 626f70 01 a0 a0", RK_EVENT_TRAILING_BYTES},
	{"error", "a1 626f70 20 a1 656572726f72 6178", RK_EVENT_OK},
	{"error without its name", "a1 626f70 20 a0", RK_EVENT_MISSING_FIELD},
	{"error without body", "a1 626f70 20", RK_EVENT_MALFORMED_BODY},
};

static void headers_are_checked(void **state)
{
	struct rk_arena arena = {0};
	struct rk_buf frame = {0};
	struct rk_event event;

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		int result = rk_event_parse(&event, &arena, make_hex(&frame, headers[i].hex));

		if (result != headers[i].result)
			fail_msg("%s: %d", headers[i].what, result);
	}
	rk_buf_finish(&frame);
}

static void frame_at_its_limit_ok_over_refused(void **state)
{
	for (size_t more = 0; more < 2; more++) {
		struct rk_buf frame = {0};
		struct rk_arena arena = {0};
		struct rk_event event;
		uint8_t *bytes;
		size_t len;

		header_put(&frame, "#any");
		len = RK_FRAME_MOST + more - frame.len - 5;
		rk_buf_add_byte(&frame, 0x5a);
		for (int shift = 24; shift >= 0; shift -= 8)
			rk_buf_add_byte(&frame, (uint8_t)(len >> shift));
		bytes = rk_buf_reserve(&frame, len);
		assert_non_null(bytes);
		memset(bytes, 0, len);
		assert_int_equal(rk_event_parse(&event, &arena, rk_buf_slice(&frame)),
			more ? RK_EVENT_TOO_LARGE : RK_EVENT_OK);
		rk_buf_finish(&frame);
	}
}

static void nesting_and_counts_cost_nothing(void **state)
{
	struct rk_buf frame = {0};
	struct rk_arena arena = {0};
	struct rk_event event;

	header_put(&frame, "#any");
	for (int i = 0; i < 10000; i++)
		rk_buf_add_byte(&frame, 0x81);
	rk_buf_add_byte(&frame, 0);
	assert_int_equal(
		rk_event_parse(&event, &arena, rk_buf_slice(&frame)), RK_EVENT_MALFORMED_BODY);
	/* {ops: an array of 2^32 - 1} */
	header_put(&frame, "#commit");
	rk_buf_add_str(&frame, "\xa1\x63ops\x9a\xff\xff\xff\xff");
	assert_int_equal(
		rk_event_parse(&event, &arena, rk_buf_slice(&frame)), RK_EVENT_MALFORMED_BODY);
	assert_int_equal(arena.total, 0);
	rk_buf_finish(&frame);
}

static void no_memory_is_said(void **state)
{
	struct rk_slice frame = rk_test_read_source("tests/fixtures/commit-ops.frame");
	struct rk_arena arena;
	struct rk_event event;

	rk_arena_init(&arena, 100);
	assert_true(rk_event_parse(&event, &arena, frame) < 0);
	rk_arena_finish(&arena);
	free((void *)frame.data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_the_reference_are_read),
		cmocka_unit_test(operations_are_read),
		cmocka_unit_test(every_truncation_is_refused_and_a_byte_more),
		cmocka_unit_test(each_field_is_required_or_may_be_absent),
		cmocka_unit_test(unknown_fields_are_passed_over),
		cmocka_unit_test(operations_are_checked),
		cmocka_unit_test(ops_200_ok_201_refused),
		cmocka_unit_test(headers_are_checked),
		cmocka_unit_test(frame_at_its_limit_ok_over_refused),
		cmocka_unit_test(nesting_and_counts_cost_nothing),
		cmocka_unit_test(no_memory_is_said),
	};
	return cmocka_run_group_tests_name("atproto/event", tests, NULL, NULL);
}
