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

#include "atproto/ascii.h"
#include "base/encode.h"

enum { MULTIBASE_MOST = 128 /* letters: 65 bytes are 90 at most */ };

/* The older types of a verification method, which say the curve. */
static const struct legacy {
	enum rk_key_type type;
	const char *name;
} legacy[] = {
	{RK_KEY_K256, "EcdsaSecp256k1VerificationKey2019"},
	{RK_KEY_P256, "EcdsaSecp256r1VerificationKey2019"},
};

static struct rk_slice json_text(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);

	return rk_slice_make(json_string_value(value), json_string_length(value));
}

/* 'z' and base58btc, at most as long as a key can be. */
static bool key_from_legacy(struct rk_key *out, enum rk_key_type type, struct rk_slice text)
{
	struct rk_buf bytes = {0};
	bool good = text.len > 1 && text.len <= MULTIBASE_MOST && text.data[0] == 'z' &&
		rk_base58_decode(&bytes, rk_slice_sub(text, 1, text.len - 1)) &&
		rk_key_from_point(out, type, rk_buf_slice(&bytes));

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
		struct rk_slice uri =
			rk_slice_make(json_string_value(entry), json_string_length(entry));
		struct rk_handle handle;

		if (!rk_slice_starts(uri, prefix) ||
			!rk_handle_parse(
				&handle, rk_slice_sub(uri, prefix.len, uri.len - prefix.len)))
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
		struct rk_slice type = json_text(entry, "type"),
				text = json_text(entry, "publicKeyMultibase");

		if (!id_is(entry, did, "#atproto") ||
			!rk_slice_equal(json_text(entry, "controller"), did.text))
			continue;
		if (rk_slice_equal_str(type, "Multikey"))
			(void)rk_key_from_multibase(&out->key, text);
		for (size_t l = 0; l < sizeof(legacy) / sizeof(legacy[0]); l++) {
			if (rk_slice_equal_str(type, legacy[l].name))
				(void)key_from_legacy(&out->key, legacy[l].type, text);
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
