/*
 * Identifiers: DID, handle, NSID, record key, AT-URI, TID, ObjectId. Datetimes are in datetime.c,
 * languages in language.c. Rules:
 *
 * DID         did:METHOD:ID, METHOD lower-case letters, ID letters, digits and . _ : % - not ending
 *             in : or %; percent-encoding is not looked into. atproto.com/specs/did
 * handle      two or more labels of letters, digits and inner hyphens, 1 to 63 long, the last one
 *             not starting with a digit. atproto.com/specs/handle
 * NSID        a reversed domain of two or more labels, the first not starting with a digit, then a
 *             name of letters and digits that starts with a letter. The specification also holds
 *             the domain to 253; the shared lists do not, nor do we. atproto.com/specs/nsid
 * record key  letters, digits and . _ : ~ - but neither "." nor "..". atproto.com/specs/record-key
 * AT-URI      no query, fragment, trailing slash or percent-encoding: the restricted form of
 *             Lexicons. atproto.com/specs/at-uri-scheme
 * TID         13 base32-sortable letters, the first one of 2-7 a-j. atproto.com/specs/tid
 */
#include "atproto/syntax.h"

#include "atproto/ascii.h"
#include "base/encode.h"

enum {
	LABEL_MOST = 63,
	TID_BITS = 5, /* a letter */
};

/* The part of *rest before the next `mark`, which is taken off too; the last part leaves *rest with
 * NULL data. */
static struct rk_slice part_take(struct rk_slice *rest, uint8_t mark)
{
	struct rk_slice part = *rest;
	const uint8_t *at = rest->len ? memchr(rest->data, mark, rest->len) : NULL;

	if (!at) {
		*rest = (struct rk_slice){0};
		return part;
	}
	part.len = (size_t)(at - rest->data);
	*rest = rk_slice_make(at + 1, rest->len - part.len - 1);
	return part;
}

/* A label of a domain name: letters, digits, hyphens not at its ends. */
static bool label_valid(struct rk_slice label)
{
	if (label.len == 0 || label.len > LABEL_MOST || label.data[0] == '-' ||
		label.data[label.len - 1] == '-')
		return false;
	for (size_t i = 0; i < label.len; i++) {
		if (!rk_ascii_is_alnum(label.data[i]) && label.data[i] != '-')
			return false;
	}
	return true;
}

static bool name_valid(struct rk_slice name)
{
	if (name.len == 0 || name.len > LABEL_MOST || rk_ascii_is_digit(name.data[0]))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (!rk_ascii_is_alnum(name.data[i]))
			return false;
	}
	return true;
}

bool rk_did_parse(struct rk_did *out, struct rk_slice in)
{
	struct rk_slice id = in, method;

	if (in.len > RK_DID_MOST || !rk_slice_equal_str(part_take(&id, ':'), "did"))
		return false;
	method = part_take(&id, ':');
	if (method.len == 0 || id.len == 0)
		return false;
	for (size_t i = 0; i < method.len; i++) {
		if (!rk_ascii_is_lower(method.data[i]))
			return false;
	}
	for (size_t i = 0; i < id.len; i++) {
		if (!rk_ascii_is_alnum(id.data[i]) && (!id.data[i] || !strchr("._:%-", id.data[i])))
			return false;
	}
	if (id.data[id.len - 1] == ':' || id.data[id.len - 1] == '%')
		return false;
	out->text = in;
	return true;
}

bool rk_handle_parse(struct rk_handle *out, struct rk_slice in)
{
	struct rk_slice rest = in, label = {0};
	size_t labels = 0;

	if (in.len > RK_HANDLE_MOST)
		return false;
	do {
		label = part_take(&rest, '.');
		if (!label_valid(label))
			return false;
		labels++;
	} while (rest.data);
	if (labels < 2 || rk_ascii_is_digit(label.data[0]))
		return false;
	out->text = in;
	return true;
}

bool rk_nsid_parse(struct rk_nsid *out, struct rk_slice in)
{
	struct rk_slice rest = in, label = {0};
	size_t labels = 0;

	if (in.len > RK_NSID_MOST)
		return false;
	for (;;) {
		label = part_take(&rest, '.');
		if (!rest.data)
			break;
		if (!label_valid(label) || (labels == 0 && rk_ascii_is_digit(label.data[0])))
			return false;
		labels++;
	}
	if (labels < 2 || !name_valid(label))
		return false;
	out->text = in;
	return true;
}

bool rk_rkey_parse(struct rk_rkey *out, struct rk_slice in)
{
	if (in.len == 0 || in.len > RK_RKEY_MOST || rk_slice_equal_str(in, ".") ||
		rk_slice_equal_str(in, ".."))
		return false;
	for (size_t i = 0; i < in.len; i++) {
		if (!rk_ascii_is_alnum(in.data[i]) && (!in.data[i] || !strchr("._:~-", in.data[i])))
			return false;
	}
	out->text = in;
	return true;
}

bool rk_at_identifier_parse(struct rk_at_identifier *out, struct rk_slice in)
{
	struct rk_slice prefix = RK_SLICE_LIT("did:");
	struct rk_did did;
	struct rk_handle handle;
	bool is_did = rk_slice_starts(in, prefix);

	if (is_did ? !rk_did_parse(&did, in) : !rk_handle_parse(&handle, in))
		return false;
	out->is_did = is_did;
	out->text = in;
	return true;
}

bool rk_at_uri_parse(struct rk_at_uri *out, struct rk_slice in)
{
	struct rk_slice prefix = RK_SLICE_LIT("at://"), rest;
	struct rk_at_uri uri = {0};
	struct rk_nsid nsid;
	struct rk_rkey rkey;

	if (in.len > RK_AT_URI_MOST || !rk_slice_starts(in, prefix))
		return false;
	rest = rk_slice_sub(in, prefix.len, in.len - prefix.len);
	if (!rk_at_identifier_parse(&uri.authority, part_take(&rest, '/')))
		return false;
	if (rest.data) {
		uri.collection = part_take(&rest, '/');
		if (!rk_nsid_parse(&nsid, uri.collection))
			return false;
	}
	if (rest.data) { /* what is left may hold no slash, no record key does */
		uri.rkey = rest;
		if (!rk_rkey_parse(&rkey, uri.rkey))
			return false;
	}
	*out = uri;
	return true;
}

static const char tid_letters[] = "234567abcdefghijklmnopqrstuvwxyz";

bool rk_tid_parse(uint64_t *out, struct rk_slice in)
{
	uint64_t tid = 0;

	/* 13 letters hold 65 bits; a first letter up to 'j' keeps them to 64, as the grammar has it. */
	if (in.len != RK_TID_LEN || in.data[0] > 'j')
		return false;
	for (size_t i = 0; i < in.len; i++) {
		const char *letter = in.data[i] ? strchr(tid_letters, in.data[i]) : NULL;
		if (!letter)
			return false;
		tid = tid << TID_BITS | (uint64_t)(letter - tid_letters);
	}
	*out = tid;
	return true;
}

void rk_tid_format(char out[RK_TID_LEN + 1], uint64_t tid)
{
	for (size_t i = RK_TID_LEN; i-- > 0; tid >>= TID_BITS)
		out[i] = tid_letters[tid & ((1u << TID_BITS) - 1)];
	out[RK_TID_LEN] = '\0';
}

bool rk_oid_parse(struct rk_oid *out, struct rk_slice in)
{
	struct rk_oid oid;

	if (!rk_hex_decode(oid.bytes, sizeof(oid.bytes), in))
		return false;
	*out = oid;
	return true;
}

void rk_oid_format(char out[RK_OID_LEN + 1], const struct rk_oid *oid)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < sizeof(oid->bytes); i++) {
		out[2 * i] = digits[oid->bytes[i] >> 4];
		out[2 * i + 1] = digits[oid->bytes[i] & 15];
	}
	out[RK_OID_LEN] = '\0';
}

bool rk_uri_valid(struct rk_slice s)
{
	size_t i = 0;

	while (i < s.len && s.data[i] != ':') {
		uint8_t c = s.data[i], low = c | 0x20;
		bool letter = low >= 'a' && low <= 'z';

		if (!letter &&
			(i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.')))
			return false;
		i++;
	}
	if (i == 0 || i == s.len)
		return false;
	i++;
	if (s.len - i >= 2 && s.data[i] == '/' && s.data[i + 1] == '/')
		i += 2;
	if (i == s.len || s.data[i] == '/')
		return false;
	for (; i < s.len; i++) {
		if (s.data[i] <= ' ' || s.data[i] == 0x7f)
			return false;
	}
	return true;
}
