/* Records of each collection, out of any block that is canonical: what is kept of them is within
 * the bounds of the index. */
#include "tests/fuzz/fuzz.h"

#include "atproto/data.h"
#include "records/record.h"

static void judge(const struct rk_record_read *read)
{
	json_t *json = json_loadb((const char *)read->json.data, read->json.len,
		JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);

	/* The library takes no NUL in a name. */
	fuzz_must(json || memmem(read->json.data, read->json.len, "\\u0000", 6));
	json_decref(json);
	fuzz_must(read->facts.ref.len <= RK_REF_MOST);
	fuzz_must(read->facts.code.len <= UINT8_MAX && read->facts.slug.len <= UINT8_MAX);
	fuzz_must(!read->facts.invalid || read->facts.invalid[0] != '\0');
	fuzz_must(read->facts.has_when || read->facts.when_ms == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice cbor = rk_slice_make(data, size);
	bool canonical = rk_cbor_check(cbor);
	struct rk_record_read read;
	struct rk_arena arena = {0};

	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		int result = rk_record_read(&read, &arena, (enum rk_collection_id)i,
			rk_slice_str("3jzfcijpj2z2a"), cbor);

		fuzz_must((result == 0) == canonical);
		if (canonical)
			judge(&read);
		rk_arena_reset(&arena);
	}
	rk_arena_finish(&arena);
	return 0;
}
