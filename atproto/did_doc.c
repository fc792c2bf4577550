/*
 * DID documents and public keys; see did_doc.h. Of a list's entries the first that fits counts:
 *
 * handle  alsoKnownAs: "at://" and a valid handle, nothing after it
 * PDS     service: id #atproto_pds, type AtprotoPersonalDataServer, an endpoint that is an origin
 * key     verificationMethod: id #atproto, controller the DID itself
 *
 * Entries that do not fit are passed over, whatever their shape; but once an entry is the one
 * (by id and type, or id and controller), an endpoint or key that cannot be used is none at all: a
 * later entry never stands in for it. Keys must be points of their curve.
 */
#include "atproto/did_doc.h"

#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <secp256k1.h>

#include "atproto/ascii.h"
#include "base/encode.h"

enum {
	POINT_COMPRESSED = 33,
	POINT_UNCOMPRESSED = 65,
	MULTICODEC_BYTES = 2,
	MULTIBASE_MOST = 128, /* letters: 65 bytes are 90 at most */
};

/* The prefix of a Multikey and the type of a verification method that say the curve. */
static const struct curve {
	uint8_t type;
	uint8_t codec[MULTICODEC_BYTES]; /* varint of 0xe7, 0x1200 */
	const char *legacy;
} curves[] = {
	{RK_KEY_K256, {0xe7, 0x01}, "EcdsaSecp256k1VerificationKey2019"},
	{RK_KEY_P256, {0x80, 0x24}, "EcdsaSecp256r1VerificationKey2019"},
};

static struct rk_slice json_text(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return rk_slice_make(json_string_value(value), json_string_length(value));
}

static bool point_load_k256(uint8_t out[POINT_COMPRESSED], struct rk_slice point)
{
	secp256k1_pubkey key;
	size_t len = POINT_COMPRESSED;

	return secp256k1_ec_pubkey_parse(secp256k1_context_static, &key, point.data, point.len) &&
		secp256k1_ec_pubkey_serialize(secp256k1_context_static, out, &len, &key,
			SECP256K1_EC_COMPRESSED);
}

static bool point_load_p256(uint8_t out[POINT_COMPRESSED], struct rk_slice in)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	/* oct2point refuses what is not on the curve. */
	bool good = point && EC_POINT_oct2point(group, point, in.data, in.len, NULL) == 1 &&
		EC_POINT_point2oct(group, point, POINT_CONVERSION_COMPRESSED, out,
			POINT_COMPRESSED, NULL) == POINT_COMPRESSED;

	EC_POINT_free(point);
	EC_GROUP_free(group);
	return good;
}

/* A SEC1 point, 02/03 and x or 04, x and y; no infinity, no hybrid form. */
static bool key_load(struct rk_key *out, uint8_t type, struct rk_slice point)
{
	struct rk_key key = {.type = type};
	bool compressed = point.len == POINT_COMPRESSED && (point.data[0] | 1) == 3;

	if (!compressed && (point.len != POINT_UNCOMPRESSED || point.data[0] != 4))
		return false;
	if (type == RK_KEY_K256 ? !point_load_k256(key.point, point) : !point_load_p256(key.point, point))
		return false;
	*out = key;
	return true;
}

/* 'z' and base58btc, at most as long as a key can be. */
static bool multibase_decode(struct rk_buf *out, struct rk_slice text)
{
	return text.len > 1 && text.len <= MULTIBASE_MOST && text.data[0] == 'z' &&
		rk_base58_decode(out, rk_slice_sub(text, 1, text.len - 1));
}

bool rk_key_from_multibase(struct rk_key *out, struct rk_slice multibase)
{
	struct rk_buf bytes = {0};
	bool good = false;

	if (!multibase_decode(&bytes, multibase) || bytes.len != MULTICODEC_BYTES + POINT_COMPRESSED)
		goto done;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]) && !good; i++) {
		if (memcmp(bytes.data, curves[i].codec, MULTICODEC_BYTES) == 0)
			good = key_load(out, curves[i].type,
				rk_slice_make(bytes.data + MULTICODEC_BYTES, POINT_COMPRESSED));
	}
done:
	rk_buf_finish(&bytes);
	return good;
}

static bool key_from_legacy(struct rk_key *out, uint8_t type, struct rk_slice multibase)
{
	struct rk_buf bytes = {0};
	bool good = multibase_decode(&bytes, multibase) && key_load(out, type, rk_buf_slice(&bytes));

	rk_buf_finish(&bytes);
	return good;
}

/* An id is relative ("#atproto") or absolute (the DID in front of it). */
static bool id_is(const json_t *entry, struct rk_did did, const char *fragment)
{
	struct rk_slice id = json_text(entry, "id");

	if (rk_slice_starts(id, did.text))
		id = rk_slice_sub(id, did.text.len, id.len - did.text.len);
	return id.len > 0 && rk_slice_equal_str(id, fragment);
}

static void handle_read(struct rk_did_doc *out, const json_t *doc)
{
	struct rk_slice prefix = RK_SLICE_LIT("at://");
	const json_t *list = json_object_get(doc, "alsoKnownAs"), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		struct rk_slice uri = rk_slice_make(json_string_value(entry), json_string_length(entry));
		struct rk_handle handle;

		if (!rk_slice_starts(uri, prefix) ||
			!rk_handle_parse(&handle, rk_slice_sub(uri, prefix.len, uri.len - prefix.len)))
			continue;
		for (size_t at = 0; at < handle.text.len; at++)
			out->handle[at] = (char)rk_ascii_to_lower(handle.text.data[at]);
		out->handle[handle.text.len] = '\0';
		return;
	}
}

static void pds_read(struct rk_did_doc *out, const json_t *doc, struct rk_did did)
{
	const json_t *list = json_object_get(doc, "service"), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		if (!id_is(entry, did, "#atproto_pds") ||
			!rk_slice_equal_str(json_text(entry, "type"), "AtprotoPersonalDataServer"))
			continue;
		if (!rk_origin_parse(out->pds, json_text(entry, "serviceEndpoint")))
			out->pds[0] = '\0';
		return;
	}
}

static void key_read(struct rk_did_doc *out, const json_t *doc, struct rk_did did)
{
	const json_t *list = json_object_get(doc, "verificationMethod"), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
	{
		struct rk_slice type = json_text(entry, "type"), text = json_text(entry, "publicKeyMultibase");

		if (!id_is(entry, did, "#atproto") ||
			!rk_slice_equal(json_text(entry, "controller"), did.text))
			continue;
		if (rk_slice_equal_str(type, "Multikey"))
			(void)rk_key_from_multibase(&out->key, text);
		for (size_t c = 0; c < sizeof(curves) / sizeof(curves[0]); c++) {
			if (rk_slice_equal_str(type, curves[c].legacy))
				(void)key_from_legacy(&out->key, curves[c].type, text);
		}
		return;
	}
}

bool rk_did_doc_parse(struct rk_did_doc *out, struct rk_did did, struct rk_slice json)
{
	json_t *doc;
	bool good = false;

	memset(out, 0, sizeof(*out));
	if (json.len == 0 || json.len > RK_DID_DOC_MOST)
		return false;
	doc = json_loadb((const char *)json.data, json.len, 0, NULL);
	if (!json_is_object(doc) || !rk_slice_equal(json_text(doc, "id"), did.text))
		goto done;
	handle_read(out, doc);
	pds_read(out, doc, did);
	key_read(out, doc, did);
	good = true;
done:
	json_decref(doc);
	return good;
}
