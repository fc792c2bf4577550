/*
 * Between DAG-CBOR and JSON. Recursion is bounded by RK_CBOR_DEPTH_MOST in both directions.
 *
 * The reference PDS decodes a record into JavaScript objects and prints those with JSON.stringify,
 * whose objects put keys that are array indexes first. Records with such keys behind others are
 * rare: they are found out on the way, and the whole value is then printed again, each map in two
 * passes. What is passed over in that is passed over once for each map around it: in all it is bounded.
 */
#include "atproto/data.h"

#include <stdlib.h>

#include "base/encode.h"

#define SAFE_INTEGER_MOST 9007199254740991.0 /* of a number written as a float */

enum { PASSED_MOST = 64 << 20 }; /* bytes passed over when printing in two passes */

struct printer {
	struct rk_buf *out;
	struct rk_reader reader;
	bool index_keys_first; /* two passes */
	bool again;            /* stopped for want of two passes */
	size_t passed;         /* bytes passed over */
};

static bool is_array_index(struct rk_slice key)
{
	uint64_t number = 0;

	if (key.len == 0 || key.len > 10 || (key.len > 1 && key.data[0] == '0'))
		return false;
	for (size_t i = 0; i < key.len; i++) {
		if (key.data[i] < '0' || key.data[i] > '9')
			return false;
		number = number * 10 + (key.data[i] - '0');
	}
	return number < UINT32_MAX;
}

static void int_print(struct rk_buf *out, int64_t number)
{
	char digits[20];
	size_t at = sizeof(digits);
	uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;

	do {
		digits[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (number < 0)
		digits[--at] = '-';
	rk_buf_add(out, digits + at, sizeof(digits) - at);
}

static bool value_print(struct printer *p, unsigned depth);

static bool pair_print(struct printer *p, struct rk_slice key, bool *first, unsigned depth)
{
	if (!*first)
		rk_buf_add_byte(p->out, ',');
	*first = false;
	rk_buf_add_json(p->out, key);
	rk_buf_add_byte(p->out, ':');
	return value_print(p, depth);
}

/* One pass over a map's pairs, printing those whose keys are array indexes, or the others. */
static bool pairs_print(
	struct printer *p, struct rk_cbor_map map, bool index, bool *first, unsigned depth)
{
	while (rk_cbor_map_next(&map, &p->reader)) {
		if (is_array_index(map.key) != index) {
			p->passed += rk_cbor_skip(&p->reader).len;
			if (p->passed > PASSED_MOST)
				return false;
		} else if (!pair_print(p, map.key, first, depth)) {
			return false;
		}
	}
	return !p->reader.failed;
}

static bool map_print(struct printer *p, size_t count, unsigned depth)
{
	struct rk_cbor_map map = {.left = count};
	struct rk_reader start = p->reader;
	bool first = true, others = false;

	rk_buf_add_byte(p->out, '{');
	if (p->index_keys_first) {
		if (!pairs_print(p, map, true, &first, depth))
			return false;
		p->reader = start;
		if (!pairs_print(p, map, false, &first, depth))
			return false;
	} else {
		while (rk_cbor_map_next(&map, &p->reader)) {
			if (!is_array_index(map.key)) {
				others = true;
			} else if (others) {
				p->again = true;
				return false;
			}
			if (!pair_print(p, map.key, &first, depth))
				return false;
		}
	}
	rk_buf_add_byte(p->out, '}');
	return !p->reader.failed;
}

static bool array_print(struct printer *p, size_t count, unsigned depth)
{
	rk_buf_add_byte(p->out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			rk_buf_add_byte(p->out, ',');
		if (!value_print(p, depth))
			return false;
	}
	rk_buf_add_byte(p->out, ']');
	return true;
}

/* depth: arrays and maps around the value. */
static bool value_print(struct printer *p, unsigned depth)
{
	struct rk_cbor_item item = rk_cbor_next(&p->reader);
	struct rk_buf *out = p->out;

	switch (item.type) {
	case RK_CBOR_UINT:
	case RK_CBOR_NEGINT:
		int_print(out, item.number);
		return true;
	case RK_CBOR_BYTES:
		rk_buf_add_str(out, "{\"$bytes\":\"");
		rk_base64_encode(out, item.bytes);
		rk_buf_add_str(out, "\"}");
		return true;
	case RK_CBOR_TEXT:
		rk_buf_add_json(out, item.bytes);
		return true;
	case RK_CBOR_ARRAY:
		return depth < RK_CBOR_DEPTH_MOST && array_print(p, item.count, depth + 1);
	case RK_CBOR_MAP:
		return depth < RK_CBOR_DEPTH_MOST && map_print(p, item.count, depth + 1);
	case RK_CBOR_CID:
		rk_buf_add_str(out, "{\"$link\":\"");
		rk_cid_format(out, &item.cid);
		rk_buf_add_str(out, "\"}");
		return true;
	case RK_CBOR_BOOL:
		rk_buf_add_str(out, item.number ? "true" : "false");
		return true;
	case RK_CBOR_NULL:
		rk_buf_add_str(out, "null");
		return true;
	case RK_CBOR_FLOAT:
	case RK_CBOR_INVALID:
		break;
	}
	return false;
}

bool rk_data_cbor_to_json(struct rk_buf *out, struct rk_slice cbor)
{
	size_t before = out->len;
	struct printer p = {.out = out, .reader = rk_reader_make(cbor)};
	bool done = value_print(&p, 0);

	if (p.again) {
		out->len = before;
		p = (struct printer){
			.out = out,
			.reader = rk_reader_make(cbor),
			.index_keys_first = true,
		};
		done = value_print(&p, 0);
	}
	if (done && rk_reader_left(&p.reader) == 0)
		return true;
	out->len = before;
	return false;
}

struct pair {
	struct rk_slice key;
	const json_t *value;
};

static int pair_compare(const void *a, const void *b)
{
	return rk_cbor_key_compare(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static struct rk_slice text_of(const json_t *json)
{
	return rk_slice_make(json_string_value(json), json_string_length(json));
}

static bool link_encode(struct rk_buf *out, const json_t *object)
{
	const json_t *text = json_object_get(object, "$link");
	struct rk_cid cid;

	if (json_object_size(object) != 1 || !json_is_string(text) ||
		!rk_cid_from_text(&cid, text_of(text)))
		return false;
	rk_cbor_put_cid(out, &cid);
	return true;
}

static bool bytes_encode(struct rk_buf *out, const json_t *object)
{
	const json_t *text = json_object_get(object, "$bytes");
	struct rk_buf bytes = {0};
	bool done;

	if (json_object_size(object) != 1 || !json_is_string(text))
		return false;
	done = rk_base64_decode(&bytes, text_of(text), false);
	if (done)
		rk_cbor_put_bytes(out, rk_buf_slice(&bytes));
	if (rk_buf_failed(&bytes))
		out->failed = true;
	rk_buf_finish(&bytes);
	return done;
}

static bool int_of(int64_t *out, const json_t *json)
{
	double real;

	if (json_is_integer(json)) {
		*out = json_integer_value(json);
		return true;
	}
	real = json_real_value(json); /* 0 for what is no number */
	if (!json_is_real(json) || real > SAFE_INTEGER_MOST || real < -SAFE_INTEGER_MOST)
		return false;
	*out = (int64_t)real;
	return !((double)*out < real) && !((double)*out > real);
}

/* $type is a text that is not empty; a blob has its three fields. */
static bool type_valid(const json_t *object)
{
	const json_t *type = json_object_get(object, "$type");
	const json_t *mime = json_object_get(object, "mimeType");
	int64_t size;

	if (!type)
		return true;
	if (!json_is_string(type) || json_string_length(type) == 0)
		return false;
	if (!rk_slice_equal_str(text_of(type), "blob"))
		return true;
	return json_object_get(json_object_get(object, "ref"), "$link") && json_is_string(mime) &&
		json_string_length(mime) > 0 && int_of(&size, json_object_get(object, "size")) &&
		size >= 0;
}

static bool value_encode(struct rk_buf *out, const json_t *json, unsigned depth);

static bool object_encode(struct rk_buf *out, const json_t *object, unsigned depth)
{
	size_t count = json_object_size(object), filled = 0;
	json_t *at = (json_t *)object; /* jansson's iterators take no const */
	struct pair *pairs;
	bool done;

	if (json_object_get(object, "$link"))
		return link_encode(out, object);
	if (json_object_get(object, "$bytes"))
		return bytes_encode(out, object);
	if (depth == RK_CBOR_DEPTH_MOST || !type_valid(object))
		return false;
	pairs = calloc(count ? count : 1, sizeof(*pairs));
	if (!pairs) {
		out->failed = true;
		return false;
	}
	for (void *i = json_object_iter(at); i; i = json_object_iter_next(at, i)) {
		pairs[filled++] = (struct pair){
			.key = rk_slice_make(json_object_iter_key(i), json_object_iter_key_len(i)),
			.value = json_object_iter_value(i),
		};
	}
	qsort(pairs, filled, sizeof(*pairs), pair_compare);
	rk_cbor_put_map(out, filled);
	done = true;
	for (size_t i = 0; done && i < filled; i++) {
		rk_cbor_put_text(out, pairs[i].key);
		done = value_encode(out, pairs[i].value, depth + 1);
	}
	free(pairs);
	return done;
}

static bool array_encode(struct rk_buf *out, const json_t *array, unsigned depth)
{
	size_t count = json_array_size(array);

	if (depth == RK_CBOR_DEPTH_MOST)
		return false;
	rk_cbor_put_array(out, count);
	for (size_t i = 0; i < count; i++) {
		if (!value_encode(out, json_array_get(array, i), depth + 1))
			return false;
	}
	return true;
}

static bool value_encode(struct rk_buf *out, const json_t *json, unsigned depth)
{
	int64_t number;

	switch (json_typeof(json)) {
	case JSON_OBJECT:
		return object_encode(out, json, depth);
	case JSON_ARRAY:
		return array_encode(out, json, depth);
	case JSON_STRING:
		rk_cbor_put_text(out, text_of(json));
		return true;
	case JSON_INTEGER:
	case JSON_REAL:
		if (!int_of(&number, json))
			return false;
		rk_cbor_put_int(out, number);
		return true;
	case JSON_TRUE:
	case JSON_FALSE:
		rk_cbor_put_bool(out, json_is_true(json));
		return true;
	case JSON_NULL:
		rk_cbor_put_null(out);
		return true;
	}
	return false;
}

bool rk_data_json_to_cbor(struct rk_buf *out, const json_t *json)
{
	return json_is_object(json) && value_encode(out, json, 0) && !rk_buf_failed(out);
}
