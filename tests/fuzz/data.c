/* Records as JSON: what becomes DAG-CBOR is canonical, and from then on both forms stay as they
 * are, there and back. */
#include "tests/fuzz/fuzz.h"

#include "atproto/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *in = json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	struct rk_buf cbor = {0}, json = {0}, again = {0}, printed = {0};
	json_t *back;

	if (!in)
		return 0;
	if (!rk_data_json_to_cbor(&cbor, in))
		goto done;
	fuzz_must(json_is_object(in) && rk_cbor_check(rk_buf_slice(&cbor)));
	fuzz_must(rk_data_cbor_to_json(&json, rk_buf_slice(&cbor)));
	back = json_loadb((const char *)json.data, json.len, JSON_ALLOW_NUL, NULL);
	fuzz_must(back && rk_data_json_to_cbor(&again, back));
	fuzz_must(rk_slice_equal(rk_buf_slice(&again), rk_buf_slice(&cbor)));
	fuzz_must(rk_data_cbor_to_json(&printed, rk_buf_slice(&again)));
	fuzz_must(rk_slice_equal(rk_buf_slice(&printed), rk_buf_slice(&json)));
	json_decref(back);
done:
	json_decref(in);
	rk_buf_finish(&cbor);
	rk_buf_finish(&json);
	rk_buf_finish(&again);
	rk_buf_finish(&printed);
	return 0;
}
