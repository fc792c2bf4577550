/*
 * Canonical DAG-CBOR; the rules are in cbor.h. Both readers stand on head_read, which knows the one
 * spelling a number may have: rk_cbor_next hands items to a caller who knows what to expect,
 * rk_cbor_skip walks a value of any shape with a stack of its own, so that nesting in the input
 * costs no C stack.
 */
#include "atproto/cbor.h"

#include "base/encode.h"

enum major { UINT, NEGINT, BYTES, TEXT, ARRAY, MAP, TAG, SIMPLE };
enum { SIMPLE_FALSE = 20, SIMPLE_TRUE = 21, SIMPLE_NULL = 22, SIMPLE_DOUBLE = 27 };
enum { TAG_CID = 42, CID_PREFIX = 1 /* bytes: the 0x00 of multibase "identity" */ };

struct head {
	enum major major;
	unsigned info; /* the low five bits */
	uint64_t number;
};

/* False and failed unless a head in its shortest form is there. A float's bits are its number. */
static inline bool head_read(struct rk_reader *reader, struct head *head)
{
	unsigned bytes;
	uint8_t first;

	if (reader->failed || reader->at == reader->end)
		goto refuse;
	first = *reader->at++;
	head->major = first >> 5;
	head->info = first & 31;
	head->number = head->info;
	if (head->info < 24)
		return true;
	if (head->info > 27)
		goto refuse; /* reserved, or of indefinite length */
	bytes = 1u << (head->info - 24);
	if (rk_reader_left(reader) < bytes)
		goto refuse;
	head->number = rk_reader_uint(reader, bytes);
	if (head->major == SIMPLE)
		return true;
	if (head->info == 24 ? head->number < 24 : head->number >> (bytes * 4) == 0)
		goto refuse; /* it fits a shorter form */
	return true;
refuse:
	reader->failed = true;
	return false;
}

/* Many letters at a time as long as they are ASCII, which most text is. */
static bool text_valid(struct rk_slice text)
{
	uint64_t word, words[4];

	while (text.len >= sizeof(words)) {
		memcpy(words, text.data, sizeof(words));
		if ((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080)
			break;
		text = rk_slice_sub(text, sizeof(words), text.len - sizeof(words));
	}
	while (text.len >= sizeof(word)) {
		memcpy(&word, text.data, sizeof(word));
		if (word & 0x8080808080808080)
			break;
		text = rk_slice_sub(text, sizeof(word), text.len - sizeof(word));
	}
	return rk_utf8_valid(text);
}

/* The CID behind the head of tag 42; NULL and failed on anything else. Borrowed. */
static const uint8_t *cid_read(struct rk_reader *reader)
{
	static const uint8_t head[] = {BYTES << 5 | 24, CID_PREFIX + RK_CID_BYTES, 0};
	struct rk_slice in = rk_reader_take(reader, sizeof(head) + RK_CID_BYTES);
	struct rk_cid cid;

	if (in.len == 0 || memcmp(in.data, head, sizeof(head)) != 0 ||
		!rk_cid_from_bytes(&cid, rk_slice_sub(in, sizeof(head), RK_CID_BYTES))) {
		reader->failed = true;
		return NULL;
	}
	return in.data + sizeof(head);
}

static struct rk_slice string_read(struct rk_reader *reader, const struct head *head)
{
	struct rk_slice string;

	if (head->number > rk_reader_left(reader)) {
		reader->failed = true;
		return (struct rk_slice){0};
	}
	string = rk_reader_take(reader, (size_t)head->number);
	if (head->major == TEXT && !text_valid(string))
		reader->failed = true;
	return string;
}

/* Every item takes a byte at least, and every pair two. */
static bool count_possible(const struct rk_reader *reader, const struct head *head)
{
	return head->number <= rk_reader_left(reader) / (head->major == MAP ? 2 : 1);
}

struct rk_cbor_item rk_cbor_next(struct rk_reader *reader)
{
	struct rk_cbor_item item = {0};
	const uint8_t *cid;
	struct head head;

	if (!head_read(reader, &head))
		return item;
	switch (head.major) {
	case UINT:
	case NEGINT:
		if (head.number > INT64_MAX)
			break;
		item.type = head.major == UINT ? RK_CBOR_UINT : RK_CBOR_NEGINT;
		item.number = head.major == UINT ? (int64_t)head.number : -1 - (int64_t)head.number;
		return item;
	case BYTES:
	case TEXT:
		item.bytes = string_read(reader, &head);
		if (reader->failed)
			break;
		item.type = head.major == BYTES ? RK_CBOR_BYTES : RK_CBOR_TEXT;
		return item;
	case ARRAY:
	case MAP:
		if (!count_possible(reader, &head))
			break;
		item.type = head.major == ARRAY ? RK_CBOR_ARRAY : RK_CBOR_MAP;
		item.count = (size_t)head.number;
		return item;
	case TAG:
		cid = head.number == TAG_CID ? cid_read(reader) : NULL;
		if (!cid)
			break;
		item.type = RK_CBOR_CID;
		memcpy(item.cid.bytes, cid, RK_CID_BYTES);
		return item;
	case SIMPLE:
		if (head.info == SIMPLE_FALSE || head.info == SIMPLE_TRUE) {
			item.type = RK_CBOR_BOOL;
			item.number = head.info == SIMPLE_TRUE;
		} else if (head.info == SIMPLE_NULL) {
			item.type = RK_CBOR_NULL;
		} else if (head.info == SIMPLE_DOUBLE) {
			item.type = RK_CBOR_FLOAT;
		} else {
			break;
		}
		return item;
	}
	reader->failed = true;
	return (struct rk_cbor_item){0};
}

/* One open array or map of skip. */
struct level {
	uint64_t left; /* values to come */
	bool is_map;
	struct rk_slice key; /* the last one, of a map; data is NULL before the first */
};

/* Reads the key of the next value, if level is a map. False if it is none or out of order. */
static inline bool level_key(struct rk_reader *reader, struct level *level)
{
	struct rk_slice key;
	struct head head;

	if (!level->is_map)
		return true;
	if (!head_read(reader, &head) || head.major != TEXT)
		return false;
	key = string_read(reader, &head);
	if (reader->failed || (level->key.data && rk_cbor_key_compare(level->key, key) >= 0))
		return false;
	level->key = key;
	return true;
}

/* Passes over one value; false on any fault, on nesting too deep, and on a float unless allowed. */
static bool value_skip(struct rk_reader *reader, bool floats)
{
	struct level levels[RK_CBOR_DEPTH_MOST];
	size_t depth = 0;

	for (;;) {
		struct head head;

		if (!head_read(reader, &head))
			return false;
		switch (head.major) {
		case UINT:
		case NEGINT:
			if (head.number > INT64_MAX)
				return false;
			break;
		case BYTES:
		case TEXT:
			string_read(reader, &head);
			break;
		case ARRAY:
		case MAP:
			if (depth == RK_CBOR_DEPTH_MOST || !count_possible(reader, &head))
				return false;
			levels[depth++] = (struct level){
				.left = head.number,
				.is_map = head.major == MAP,
			};
			break;
		case TAG:
			if (head.number != TAG_CID || !cid_read(reader))
				return false;
			break;
		case SIMPLE:
			if ((head.info < SIMPLE_FALSE || head.info > SIMPLE_NULL) &&
				!(floats && head.info == SIMPLE_DOUBLE))
				return false;
			break;
		}
		if (reader->failed)
			return false;
		while (depth > 0 && levels[depth - 1].left == 0)
			depth--;
		if (depth == 0)
			return true;
		levels[depth - 1].left--;
		if (!level_key(reader, &levels[depth - 1]))
			return false;
	}
}

struct rk_slice rk_cbor_skip(struct rk_reader *reader)
{
	const uint8_t *start = reader->at;

	if (!value_skip(reader, true)) {
		reader->failed = true;
		return (struct rk_slice){0};
	}
	return rk_slice_make(start, (size_t)(reader->at - start));
}

bool rk_cbor_check(struct rk_slice in)
{
	struct rk_reader reader = rk_reader_make(in);

	return value_skip(&reader, false) && rk_reader_left(&reader) == 0;
}

bool rk_cbor_map_begin(struct rk_cbor_map *map, struct rk_reader *reader)
{
	struct rk_cbor_item item = rk_cbor_next(reader);

	*map = (struct rk_cbor_map){.left = item.count};
	if (item.type != RK_CBOR_MAP)
		reader->failed = true;
	return !reader->failed;
}

bool rk_cbor_map_next(struct rk_cbor_map *map, struct rk_reader *reader)
{
	struct level level = {.left = map->left, .is_map = true, .key = map->key};

	if (map->left == 0 || reader->failed)
		return false;
	if (!level_key(reader, &level)) {
		reader->failed = true;
		return false;
	}
	map->left--;
	map->key = level.key;
	return true;
}

int rk_cbor_key_compare(struct rk_slice a, struct rk_slice b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return a.len ? memcmp(a.data, b.data, a.len) : 0;
}

static void head_put(struct rk_buf *out, enum major major, uint64_t number)
{
	uint8_t bytes[9];
	unsigned info, count;

	if (number < 24) {
		rk_buf_add_byte(out, (uint8_t)(major << 5 | number));
		return;
	}
	info = number <= UINT8_MAX ? 0 : number <= UINT16_MAX ? 1 : number <= UINT32_MAX ? 2 : 3;
	count = 1u << info;
	bytes[0] = (uint8_t)(major << 5 | (24 + info));
	for (unsigned i = 0; i < count; i++)
		bytes[1 + i] = (uint8_t)(number >> 8 * (count - 1 - i));
	rk_buf_add(out, bytes, 1 + count);
}

void rk_cbor_put_int(struct rk_buf *out, int64_t value)
{
	if (value >= 0)
		head_put(out, UINT, (uint64_t)value);
	else
		head_put(out, NEGINT, (uint64_t)(-1 - value));
}

void rk_cbor_put_bytes(struct rk_buf *out, struct rk_slice bytes)
{
	head_put(out, BYTES, bytes.len);
	rk_buf_add_slice(out, bytes);
}

void rk_cbor_put_text(struct rk_buf *out, struct rk_slice utf8)
{
	head_put(out, TEXT, utf8.len);
	rk_buf_add_slice(out, utf8);
}

void rk_cbor_put_array(struct rk_buf *out, size_t count)
{
	head_put(out, ARRAY, count);
}

void rk_cbor_put_map(struct rk_buf *out, size_t count)
{
	head_put(out, MAP, count);
}

void rk_cbor_put_cid(struct rk_buf *out, const struct rk_cid *cid)
{
	head_put(out, TAG, TAG_CID);
	head_put(out, BYTES, CID_PREFIX + RK_CID_BYTES);
	rk_buf_add_byte(out, 0);
	rk_buf_add(out, cid->bytes, RK_CID_BYTES);
}

void rk_cbor_put_bool(struct rk_buf *out, bool value)
{
	head_put(out, SIMPLE, value ? SIMPLE_TRUE : SIMPLE_FALSE);
}

void rk_cbor_put_null(struct rk_buf *out)
{
	head_put(out, SIMPLE, SIMPLE_NULL);
}
