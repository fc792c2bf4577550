/* DID documents: what is read of them has the form that it is said to have. */
#include "tests/fuzz/fuzz.h"

#include "atproto/did_doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rk_did did = {RK_SLICE_LIT("did:plc:ewvi7nxzyoun6zhxrhs64oiz")};
	struct rk_slice in = rk_slice_make(data, size);
	struct rk_handle handle;
	struct rk_did_doc doc;
	struct rk_key_ready ready;
	char origin[RK_ORIGIN_MOST];
	struct rk_key key;

	if (rk_did_doc_parse(&doc, did, in)) {
		fuzz_must(doc.handle[0] == '\0' ||
			rk_handle_parse(&handle, rk_slice_str(doc.handle)));
		if (doc.pds[0] != '\0') {
			fuzz_must(rk_origin_parse(origin, rk_slice_str(doc.pds)));
			fuzz_must(strcmp(origin, doc.pds) == 0);
		}
		fuzz_must(doc.key.type == RK_KEY_NONE || rk_key_ready_make(&ready, &doc.key));
	}
	if (rk_key_from_multibase(&key, in))
		fuzz_must(rk_key_ready_make(&ready, &key) && ready.type == key.type);
	return 0;
}
