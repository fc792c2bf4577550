/* Builds keys; the layout is drawn in inside.h. */
#include "store/inside.h"

void rk_key_add(struct rk_key_buf *key, struct rk_slice bytes)
{
	if (bytes.len > sizeof(key->bytes) - key->len) {
		key->failed = true;
		return;
	}
	if (bytes.len)
		memcpy(key->bytes + key->len, bytes.data, bytes.len);
	key->len += bytes.len;
}

void rk_key_uint(struct rk_key_buf *key, uint64_t value, unsigned bytes)
{
	uint8_t out[8];

	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
	rk_key_add(key, rk_slice_make(out, bytes));
}

void rk_key_rkey(struct rk_key_buf *key, struct rk_slice rkey)
{
	uint8_t digest[RK_SHA256_BYTES];

	if (rkey.len <= RK_RKEY_PLAIN) {
		rk_key_add(key, rkey);
		return;
	}
	rk_sha256(digest, rkey);
	rk_key_add(key, rk_slice_sub(rkey, 0, RK_RKEY_KEPT));
	rk_key_add(key, rk_slice_make(digest, sizeof(digest)));
}

void rk_key_record(
	struct rk_key_buf *key, rk_repo_id repo, uint8_t collection, struct rk_slice rkey)
{
	rk_key_uint(key, repo, 4);
	rk_key_uint(key, collection, 1);
	rk_key_rkey(key, rkey);
}

void rk_key_did(struct rk_key_buf *key, struct rk_slice did)
{
	uint8_t digest[RK_SHA256_BYTES];

	if (did.len <= RK_DID_PLAIN) {
		rk_key_add(key, did);
		return;
	}
	rk_sha256(digest, did);
	rk_key_uint(key, 0xff, 1);
	rk_key_add(key, rk_slice_make(digest, sizeof(digest)));
}

void rk_key_lookup(struct rk_key_buf *key, enum rk_lookup kind, uint8_t collection, rk_repo_id repo,
	struct rk_slice value)
{
	rk_key_uint(key, kind, 1);
	rk_key_uint(key, repo, 4);
	rk_key_add(key, value);
	rk_key_uint(key, collection, 1);
}

static void place_add(struct rk_key_buf *key, enum rk_lookup kind, const struct rk_record *record)
{
	rk_key_uint(key, rk_lookup_rank(record, kind), 1);
	rk_key_uint(key, record->first, RK_KEY_PLACE - 1);
}

void rk_key_entry(struct rk_key_buf *key, enum rk_lookup kind, const struct rk_record *record)
{
	place_add(key, kind, record);
	rk_key_record(key, record->repo, record->collection, record->rkey);
}

enum { OID_BYTES = 12, OID_MARK = 0x80 }; /* above all lengths */

/* 0 to 15, or 16 and more. Without branches: no processor foresees digits. */
static unsigned digit(uint8_t c)
{
	const unsigned number = (unsigned)c - '0', letter = (unsigned)c - 'a';

	return (number < 10) * number | (letter < 6) * (letter + 10) |
		(unsigned)!((number < 10) | (letter < 6)) << 4;
}

/* Other than rk_oid_parse, this takes no upper case: what is packed can be written one way only. */
static bool oid_pack(uint8_t out[OID_BYTES], struct rk_slice ref)
{
	unsigned all = 0;

	if (ref.len != (size_t)2 * OID_BYTES)
		return false;
	for (size_t i = 0; i < OID_BYTES; i++) {
		const unsigned high = digit(ref.data[2 * i]), low = digit(ref.data[2 * i + 1]);

		all |= high | low;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return all < 16;
}

void rk_key_ref(struct rk_key_buf *key, uint8_t collection, struct rk_slice ref)
{
	uint8_t oid[OID_BYTES];

	if (oid_pack(oid, ref)) {
		rk_key_uint(key, OID_MARK, 1);
		rk_key_add(key, rk_slice_make(oid, sizeof(oid)));
	} else {
		key->failed |= ref.len > RK_REF_MOST;
		rk_key_uint(key, ref.len, 1);
		rk_key_add(key, ref);
	}
	rk_key_uint(key, collection, 1);
}

bool rk_key_is_owner(struct rk_slice key)
{
	return key.len &&
		key.len == 2u + (key.data[0] == OID_MARK ? (size_t)OID_BYTES : key.data[0]);
}

void rk_key_answer(struct rk_key_buf *key, const struct rk_record *record)
{
	rk_key_ref(key, record->collection, record->ref);
	place_add(key, RK_LOOKUP_REF, record);
}

void rk_key_when(struct rk_key_buf *key, rk_repo_id under, const struct rk_record *record)
{
	rk_key_uint(key, under, 4);
	rk_key_uint(key, record->collection, 1);
	rk_key_uint(key, rk_key_time(record->when_ms), 8);
	rk_key_uint(key, record->repo, 4);
	rk_key_rkey(key, record->rkey);
}

void rk_key_pending(struct rk_key_buf *key, bool gone, struct rk_slice ref, rk_repo_id repo,
	uint8_t collection, struct rk_slice rkey)
{
	rk_key_uint(key, gone ? 'G' : 'R', 1);
	if (gone) {
		rk_key_uint(key, ref.len, 1);
		rk_key_add(key, ref);
	}
	rk_key_record(key, repo, collection, rkey);
}

void rk_key_issue(struct rk_key_buf *key, const struct rk_issue *issue)
{
	rk_key_uint(key, issue->kind, 1);
	if (issue->collection >= 0 && issue->rkey.len) {
		rk_key_uint(key, 'R', 1);
		rk_key_record(key, issue->repo, (uint8_t)issue->collection, issue->rkey);
	} else if (issue->collection >= 0) {
		rk_key_uint(key, 'D', 1);
		rk_key_uint(key, (uint8_t)issue->collection, 1);
		rk_key_add(key, issue->ref);
	} else {
		rk_key_uint(key, 'A', 1);
		rk_key_uint(key, issue->repo, 4);
	}
}
