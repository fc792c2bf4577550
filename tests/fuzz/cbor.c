/* DAG-CBOR: both readers agree, what is believed can be printed as JSON, and often comes back. */
#include "tests/fuzz/fuzz.h"

#include "atproto/data.h"

enum { ITEMS_MOST = 100000 };

/* Walks one value item by item, as callers do who know what to expect. */
static bool walk(struct rk_reader *reader, bool *floats)
{
	struct {
		struct rk_cbor_map map;
		size_t left;
		bool is_map;
	} levels[RK_CBOR_DEPTH_MOST + 1];
	size_t depth = 0;

	for (int items = 0; items < ITEMS_MOST; items++) {
		struct rk_cbor_item item = rk_cbor_next(reader);

		if (item.type == RK_CBOR_INVALID)
			return false;
		*floats |= item.type == RK_CBOR_FLOAT;
		if (item.type == RK_CBOR_ARRAY || item.type == RK_CBOR_MAP) {
			if (depth == RK_CBOR_DEPTH_MOST)
				return false;
			levels[depth].is_map = item.type == RK_CBOR_MAP;
			levels[depth].left = item.count;
			levels[depth].map = (struct rk_cbor_map){.left = item.count};
			depth++;
		}
		while (depth > 0 && levels[depth - 1].left == 0)
			depth--;
		if (depth == 0)
			return true;
		levels[depth - 1].left--;
		if (levels[depth - 1].is_map && !rk_cbor_map_next(&levels[depth - 1].map, reader))
			return false;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice in = rk_slice_make(data, size), skipped;
	struct rk_reader by_skip = rk_reader_make(in), by_item = rk_reader_make(in);
	struct rk_buf json = {0}, again = {0};
	bool floats = false, walked, good = rk_cbor_check(in);
	json_t *parsed;

	skipped = rk_cbor_skip(&by_skip);
	walked = walk(&by_item, &floats);
	fuzz_must(walked == !by_skip.failed);
	if (walked)
		fuzz_must(by_item.at == by_skip.at && skipped.len == (size_t)(by_item.at - data));
	fuzz_must(good == (walked && !floats && skipped.len == size));
	fuzz_must(rk_data_cbor_to_json(&json, in) == good);
	if (good) {
		parsed = json_loadb(
			(const char *)json.data, json.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
		/* The library takes no NUL in a name. */
		fuzz_must(parsed || memmem(json.data, json.len, "\\u0000", 6));
		if (json_is_object(parsed) && rk_data_json_to_cbor(&again, parsed))
			fuzz_must(rk_cbor_check(rk_buf_slice(&again)));
		json_decref(parsed);
	} else {
		fuzz_must(json.len == 0);
	}
	rk_buf_finish(&json);
	rk_buf_finish(&again);
	return 0;
}
