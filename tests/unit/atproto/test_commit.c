/* Rules of atproto/commit: six fields, version 3, and what of them is signed. */
#include "tests/unit/atproto/make.h"

#include "atproto/commit.h"

struct fields {
	const char *what;
	bool valid;
	/* What differs from a good one; NULL or 0: nothing. */
	const char *did, *rev, *version; /* version: hex */
	size_t sig_less, sig_more;
	bool prev_set, prev_missing, data_null, extra, trailing, sig_text;
};

static const char did[] = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

static void make_commit(struct rk_buf *out, const struct fields *f)
{
	struct rk_cid cid = make_cid(rk_slice_str("data"));
	uint8_t sig[80] = {0};
	struct rk_slice sig_bytes = rk_slice_make(sig, 64 + f->sig_more - f->sig_less);
	struct rk_buf version = {0};

	rk_buf_clear(out);
	rk_cbor_put_map(out, f->extra ? 7 : f->prev_missing ? 5 : 6);
	rk_cbor_put_text(out, rk_slice_str("did"));
	rk_cbor_put_text(out, rk_slice_str(f->did ? f->did : did));
	rk_cbor_put_text(out, rk_slice_str("rev"));
	rk_cbor_put_text(out, rk_slice_str(f->rev ? f->rev : "3mbfvvbfo3k2k"));
	rk_cbor_put_text(out, rk_slice_str("sig"));
	if (f->sig_text)
		rk_cbor_put_text(out, sig_bytes);
	else
		rk_cbor_put_bytes(out, sig_bytes);
	rk_cbor_put_text(out, rk_slice_str("data"));
	if (f->data_null)
		rk_cbor_put_null(out);
	else
		rk_cbor_put_cid(out, &cid);
	if (!f->prev_missing) {
		rk_cbor_put_text(out, rk_slice_str("prev"));
		if (f->prev_set)
			rk_cbor_put_cid(out, &cid);
		else
			rk_cbor_put_null(out);
	}
	rk_cbor_put_text(out, rk_slice_str("version"));
	rk_buf_add_slice(out, make_hex(&version, f->version ? f->version : "03"));
	if (f->extra) {
		rk_cbor_put_text(out, rk_slice_str("extended"));
		rk_cbor_put_null(out);
	}
	if (f->trailing)
		rk_buf_add_byte(out, 0);
	rk_buf_finish(&version);
}

static const struct fields rows[] = {
	{"good", true},
	{"prev set", true, .prev_set = true},
	{"prev missing", false, .prev_missing = true},
	{"no DID", false, .did = "alice.example.com"},
	{"no TID", false, .rev = "3mbfvvbfo3k2"},
	{"version 2", false, .version = "02"},
	{"version in two bytes", false, .version = "1803"},
	{"version -3", false, .version = "22"},
	{"signature of 63 bytes", true, .sig_less = 1},
	{"signature of 65 bytes", true, .sig_more = 1},
	{"no bytes of signature", true, .sig_less = 64},
	{"signature of text", false, .sig_text = true},
	{"data null", false, .data_null = true},
	{"seventh field", false, .extra = true},
	{"trailing byte", false, .trailing = true},
};

static void commits_of_one_form(void **state)
{
	struct rk_buf block = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rk_commit commit;

		make_commit(&block, &rows[i]);
		if (rk_commit_parse(&commit, rk_buf_slice(&block)) != rows[i].valid)
			fail_msg("%s", rows[i].what);
	}
	rk_buf_finish(&block);
}

static void fields_are_handed_out(void **state)
{
	struct rk_cid data = make_cid(rk_slice_str("data"));
	struct rk_buf block = {0};
	struct rk_commit commit;
	char rev[RK_TID_LEN + 1];

	make_commit(&block, &rows[0]);
	assert_true(rk_commit_parse(&commit, rk_buf_slice(&block)));
	assert_true(rk_slice_equal_str(commit.did.text, did));
	rk_tid_format(rev, commit.rev);
	assert_string_equal(rev, "3mbfvvbfo3k2k");
	assert_true(rk_cid_equal(&commit.data, &data));
	assert_int_equal(commit.sig.len, 64);
	assert_true(rk_slice_equal(commit.block, rk_buf_slice(&block)));
	rk_buf_finish(&block);
}

static void digest_is_of_the_rest(void **state)
{
	static const struct fields forms[] = {
		{.sig_less = 64}, {.sig_less = 41}, {.sig_less = 40}, {.sig_more = 0}};
	struct rk_buf block = {0}, rest = {0};
	struct rk_cid cid = make_cid(rk_slice_str("data"));
	uint8_t digest[RK_SHA256_BYTES], expected[RK_SHA256_BYTES];

	rk_cbor_put_map(&rest, 5);
	rk_cbor_put_text(&rest, rk_slice_str("did"));
	rk_cbor_put_text(&rest, rk_slice_str(did));
	rk_cbor_put_text(&rest, rk_slice_str("rev"));
	rk_cbor_put_text(&rest, rk_slice_str("3mbfvvbfo3k2k"));
	rk_cbor_put_text(&rest, rk_slice_str("data"));
	rk_cbor_put_cid(&rest, &cid);
	rk_cbor_put_text(&rest, rk_slice_str("prev"));
	rk_cbor_put_null(&rest);
	rk_cbor_put_text(&rest, rk_slice_str("version"));
	rk_cbor_put_int(&rest, 3);
	rk_sha256(expected, rk_buf_slice(&rest));
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct rk_commit commit;

		make_commit(&block, &forms[i]);
		assert_true(rk_commit_parse(&commit, rk_buf_slice(&block)));
		rk_commit_digest(digest, &commit);
		assert_memory_equal(digest, expected, sizeof(digest));
	}
	rk_buf_finish(&block);
	rk_buf_finish(&rest);
}

static void every_truncation_is_refused(void **state)
{
	struct rk_buf block = {0};
	struct rk_commit commit;

	make_commit(&block, &rows[0]);
	for (size_t len = 0; len < block.len; len++)
		assert_false(rk_commit_parse(&commit, rk_slice_make(block.data, len)));
	rk_buf_finish(&block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commits_of_one_form),
		cmocka_unit_test(fields_are_handed_out),
		cmocka_unit_test(digest_is_of_the_rest),
		cmocka_unit_test(every_truncation_is_refused),
	};
	return cmocka_run_group_tests_name("atproto/commit", tests, NULL, NULL);
}
