/*
 * Reads cases that the reference implementation made (see cases.mjs) from standard input and
 * compares: the edit there on the tree before, back on the proof, back with an operation left out
 * or a node missing; frames are verified as they come and with one operation less. Ends with 0 and
 * counts as JSON, or at the first difference with its number.
 */
#include <stdio.h>
#include <stdlib.h>

#include "atproto/mst_edit.h"
#include "atproto/verify.h"

enum { CASE_MOST = 16 << 20, OPS_MOST = 256 };

struct op {
	struct rk_slice path;
	struct rk_cid was, now; /* unset: nothing */
};

struct edit_case {
	struct rk_cid before, after;
	struct op ops[OPS_MOST];
	size_t op_count;
	struct rk_slice proof, whole; /* whole: empty if there is none */
};

static struct {
	size_t edits, there, frames, ops, nodes, joined, without_a_node, still_without,
		without_an_op, empty_before, empty_after;
} counted;

static size_t number; /* of the case */

static _Noreturn void differ(const char *what)
{
	printf("case %zu: %s\n", number, what);
	exit(1);
}

static void must(bool good, const char *what)
{
	if (!good)
		differ(what);
}

/* What the map has next. */
static struct rk_cbor_item field(
	struct rk_cbor_map *map, struct rk_reader *reader, const char *name)
{
	if (!rk_cbor_map_next(map, reader) || !rk_slice_equal_str(map->key, name))
		differ("not the field that is expected next");
	return rk_cbor_next(reader);
}

static struct rk_cid cid_or_null(struct rk_cbor_item item)
{
	must(item.type == RK_CBOR_CID || item.type == RK_CBOR_NULL, "not a CID");
	return item.cid;
}

static void ops_read(struct edit_case *out, struct rk_reader *reader, size_t count)
{
	must(count <= OPS_MOST, "too many operations");
	out->op_count = count;
	for (size_t i = 0; i < count; i++) {
		struct rk_cbor_map map;

		rk_cbor_map_begin(&map, reader);
		out->ops[i].now = cid_or_null(field(&map, reader, "now"));
		out->ops[i].was = cid_or_null(field(&map, reader, "was"));
		out->ops[i].path = field(&map, reader, "path").bytes;
	}
}

static int order(const void *a, const void *b)
{
	return rk_slice_compare(((const struct op *)a)->path, ((const struct op *)b)->path);
}

/* Without the operation at `but`. */
static size_t edits_make(struct rk_mst_edit *out, const struct edit_case *in, bool back, size_t but)
{
	size_t count = 0;

	for (size_t i = 0; i < in->op_count; i++) {
		const struct rk_cid *was = rk_cid_is_set(&in->ops[i].was) ? &in->ops[i].was : NULL;
		const struct rk_cid *now = rk_cid_is_set(&in->ops[i].now) ? &in->ops[i].now : NULL;

		if (i != but)
			out[count++] = (struct rk_mst_edit){
				in->ops[i].path, back ? now : was, back ? was : now};
	}
	return count;
}

static struct rk_blocks blocks_of(struct rk_slice car)
{
	struct rk_blocks blocks;

	must(rk_blocks_load(&blocks, NULL, car, SIZE_MAX) == RK_BLOCKS_OK, "blocks do not load");
	return blocks;
}

/* Whether some node of the proof was joined of two: an operation took a key from between them. */
static bool is_join(const struct edit_case *in)
{
	for (size_t i = 0; i < in->op_count; i++) {
		if (!rk_cid_is_set(&in->ops[i].now) && rk_mst_layer(in->ops[i].path) > 0)
			return true;
	}
	return false;
}

static bool is_empty(const struct rk_cid *root)
{
	struct rk_cid empty;

	rk_cid_compute(&empty, RK_CODEC_DAG_CBOR, rk_slice_str(RK_MST_EMPTY));
	return rk_cid_equal(root, &empty);
}

/* Nodes are hidden one by one, by spoiling the CID before the block; the table was made before. */
static void without_each_node(
	struct rk_arena *arena, const struct edit_case *in, const struct rk_mst_edit *edits)
{
	struct rk_blocks blocks = blocks_of(in->proof);

	for (size_t i = 0; i < blocks.size; i++) {
		uint8_t *last = (uint8_t *)blocks.car.data + blocks.slots[i].offset - 1;
		struct rk_cid root;
		int result;

		if (blocks.slots[i].offset == 0)
			continue;
		counted.nodes++;
		*last ^= 1;
		result = rk_mst_edit(&root, arena, &blocks, &in->after, edits, in->op_count);
		*last ^= 1;
		if (result == RK_MST_EDIT_MISSING) {
			counted.without_a_node++;
			continue;
		}
		must(result == RK_MST_EDIT_OK && rk_cid_equal(&root, &in->before),
			"back without a node it did not need");
		counted.still_without++;
	}
	rk_blocks_finish(&blocks);
}

static void there_check(struct rk_arena *arena, const struct edit_case *in)
{
	struct rk_mst_edit edits[OPS_MOST];
	size_t count = edits_make(edits, in, false, SIZE_MAX);
	struct rk_blocks whole = blocks_of(in->whole);
	struct rk_cid root;

	must(rk_mst_edit(&root, arena, &whole, &in->before, edits, count) == RK_MST_EDIT_OK,
		"the edit there fails");
	must(rk_cid_equal(&root, &in->after), "the edit there leads elsewhere");
	counted.there++;
	rk_blocks_finish(&whole);
}

static void edit_check(struct rk_arena *arena, struct edit_case *in)
{
	struct rk_blocks proof = blocks_of(in->proof);
	struct rk_mst_edit edits[OPS_MOST];
	struct rk_cid root;
	size_t count;

	qsort(in->ops, in->op_count, sizeof(in->ops[0]), order);
	if (in->whole.len > 0)
		there_check(arena, in);
	for (size_t but = 0; but < in->op_count; but++) {
		count = edits_make(edits, in, true, but);
		must(rk_mst_edit(&root, arena, &proof, &in->after, edits, count) !=
					RK_MST_EDIT_OK ||
				!rk_cid_equal(&root, &in->before),
			"back without an operation leads to the same tree");
		counted.without_an_op++;
	}
	count = edits_make(edits, in, true, SIZE_MAX);
	must(rk_mst_edit(&root, arena, &proof, &in->after, edits, count) == RK_MST_EDIT_OK,
		"the edit back fails");
	must(rk_cid_equal(&root, &in->before), "the edit back leads elsewhere");
	without_each_node(arena, in, edits);
	counted.edits++;
	counted.ops += in->op_count;
	counted.joined += is_join(in);
	counted.empty_before += is_empty(&in->before);
	counted.empty_after += is_empty(&in->after);
	rk_blocks_finish(&proof);
}

static void frame_check(struct rk_arena *arena, struct rk_slice multibase, struct rk_slice frame)
{
	struct rk_key_ready ready;
	struct rk_verify_options options = {
		.key = &ready, .key_needed = true, .now_ms = INT64_MAX / 2000};
	struct rk_verified verified;
	struct rk_event event;
	struct rk_key key;

	must(rk_key_from_multibase(&key, multibase) && rk_key_ready_make(&ready, &key), "no key");
	must(rk_event_parse(&event, arena, frame) == RK_EVENT_OK, "the frame is not one");
	must(rk_verify_commit(&verified, arena, &event, &options) == RK_VERDICT_OK,
		"a good commit is refused");
	must(!verified.legacy, "a commit with prevData is a legacy one");
	event.op_count--;
	must(rk_verify_commit(&verified, arena, &event, &options) == RK_VERDICT_INVERSION,
		"a commit is believed without an operation");
	counted.frames++;
}

static void case_check(struct rk_arena *arena, struct rk_slice in)
{
	static struct edit_case edit;
	struct rk_reader reader = rk_reader_make(in);
	struct rk_cbor_map map;

	if (!rk_cbor_map_begin(&map, &reader))
		differ("not a map");
	if (map.left == 3) {
		struct rk_slice multibase = field(&map, &reader, "key").bytes;

		field(&map, &reader, "kind");
		frame_check(arena, multibase, field(&map, &reader, "frame").bytes);
		return;
	}
	ops_read(&edit, &reader, field(&map, &reader, "ops").count);
	field(&map, &reader, "kind");
	edit.after = field(&map, &reader, "after").cid;
	edit.proof = field(&map, &reader, "proof").bytes;
	edit.whole = field(&map, &reader, "whole").bytes;
	edit.before = field(&map, &reader, "before").cid;
	must(!reader.failed, "the case is cut off");
	edit_check(arena, &edit);
}

int main(void)
{
	static uint8_t bytes[CASE_MOST];
	struct rk_arena arena = {0};
	uint8_t head[4];

	while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
		size_t len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 |
			head[3];

		must(len <= sizeof(bytes) && fread(bytes, 1, len, stdin) == len, "cut off");
		case_check(&arena, rk_slice_make(bytes, len));
		rk_arena_reset(&arena);
		number++;
	}
	rk_arena_finish(&arena);
	printf("{\"edits\": %zu, \"there\": %zu, \"frames\": %zu, \"ops\": %zu, \"joined\": %zu, \"nodes\": %zu, "
	       "\"without_a_node\": %zu, \"still_without\": %zu, \"without_an_op\": %zu, "
	       "\"empty_before\": %zu, \"empty_after\": %zu}\n",
		counted.edits, counted.there, counted.frames, counted.ops, counted.joined,
		counted.nodes, counted.without_a_node, counted.still_without, counted.without_an_op,
		counted.empty_before, counted.empty_after);
	return 0;
}
