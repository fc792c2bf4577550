/* Identifiers: each is taken whole or not at all, within its bounds, and parts of one that was taken
 * are taken themselves. */
#include "tests/fuzz/fuzz.h"

#include "atproto/ascii.h"
#include "atproto/origin.h"
#include "atproto/syntax.h"

static void at_uri(struct rk_slice in)
{
	struct rk_at_identifier whole;
	struct rk_at_uri uri;
	struct rk_nsid nsid;
	struct rk_rkey rkey;
	size_t len;

	if (!rk_at_uri_parse(&uri, in))
		return;
	fuzz_must(in.len <= RK_AT_URI_MOST);
	fuzz_must(rk_at_identifier_parse(&whole, uri.authority.text));
	fuzz_must(whole.is_did == uri.authority.is_did);
	len = 5 + uri.authority.text.len;
	if (uri.collection.len > 0) {
		fuzz_must(rk_nsid_parse(&nsid, uri.collection));
		len += 1 + uri.collection.len;
	}
	if (uri.rkey.len > 0) {
		fuzz_must(uri.collection.len > 0 && rk_rkey_parse(&rkey, uri.rkey));
		len += 1 + uri.rkey.len;
	}
	fuzz_must(len == in.len);
}

static void account(struct rk_slice in)
{
	struct rk_at_identifier identifier;
	struct rk_handle handle;
	struct rk_did did;
	bool is_did = rk_did_parse(&did, in), is_handle = rk_handle_parse(&handle, in);

	fuzz_must(!(is_did && is_handle));
	fuzz_must(rk_at_identifier_parse(&identifier, in) == (is_did || is_handle));
	if (is_did)
		fuzz_must(in.len <= RK_DID_MOST && rk_slice_equal(did.text, in) &&
			rk_slice_starts(in, rk_slice_str("did:")) && identifier.is_did);
	if (is_handle)
		fuzz_must(in.len <= RK_HANDLE_MOST && memchr(in.data, '.', in.len));
}

static void numbers(struct rk_slice in)
{
	/* The years 0000 to 9999, with an offset of at most a day. */
	const int64_t first = INT64_C(-62167219200000), last = INT64_C(253402300799999),
		      day = 86400000;
	char text[RK_TID_LEN + 1];
	struct rk_oid oid;
	int64_t ms;
	uint64_t tid;

	/* The syntax has room for a top bit, which no clock sets. */
	if (rk_tid_parse(&tid, in) && !(tid >> 63)) {
		rk_tid_format(text, tid);
		fuzz_must(rk_slice_equal_str(in, text));
	}
	if (rk_datetime_parse(&ms, in))
		fuzz_must(in.len <= RK_DATETIME_MOST && ms >= first - day && ms <= last + day);
	fuzz_must(!rk_oid_parse(&oid, in) || in.len == 24);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk_slice in = rk_slice_make(data, size);
	char origin[RK_ORIGIN_MOST], again[RK_ORIGIN_MOST];
	struct rk_nsid nsid;
	struct rk_rkey rkey;

	account(in);
	at_uri(in);
	numbers(in);
	fuzz_must(!rk_nsid_parse(&nsid, in) || in.len <= RK_NSID_MOST);
	fuzz_must(!rk_rkey_parse(&rkey, in) || (in.len > 0 && in.len <= RK_RKEY_MOST));
	rk_language_valid(in);
	if (rk_origin_parse(origin, in))
		fuzz_must(rk_origin_parse(again, rk_slice_str(origin)) && !strcmp(again, origin));
	return 0;
}
