/* See accounts_name.h. */
#include "account/accounts_name.h"

#include <stdio.h>

#include "atproto/cid.h"
#include "base/encode.h"

enum { SUFFIX = 4, STEM_MOST = RK_ACCOUNTS_LABEL_MOST - SUFFIX - 1, BLOCK = 64 };

static size_t trimmed(const char *label, size_t len)
{
	while (len > 0 && label[len - 1] == '-')
		len--;
	return len;
}

/* What is left of the site's handle; its length. */
static size_t stem_make(char out[RK_ACCOUNTS_LABEL_MOST + 1], struct rk_slice handle)
{
	size_t len = 0;

	for (size_t i = 0; i < handle.len && len < RK_ACCOUNTS_LABEL_MOST; i++) {
		uint8_t c = handle.data[i];

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c - 'A' + 'a');
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
			out[len++] = (char)c;
		else if (len > 0 && (c & 0xc0) != 0x80) /* a character's first byte */
			out[len++] = '-';
	}
	len = trimmed(out, len);
	out[len] = '\0';
	return len;
}

bool rk_accounts_name(char out[RK_HANDLE_MOST + 1], struct rk_slice handle, struct rk_slice user,
	const char *domain, unsigned attempt)
{
	char stem[RK_ACCOUNTS_LABEL_MOST + 1];
	struct rk_handle valid;
	size_t len = stem_make(stem, handle);
	int written;

	if (attempt >= RK_ACCOUNTS_NAMES)
		return false;
	if (attempt == 0) {
		if (len < RK_ACCOUNTS_LABEL_LEAST)
			return false;
		written = snprintf(out, RK_HANDLE_MOST + 1, "%s%s", stem, domain);
	} else {
		uint8_t hash[RK_SHA256_BYTES];
		struct rk_buf letters = {0};

		if (len == 0)
			len = (size_t)snprintf(stem, sizeof(stem), "user");
		len = trimmed(stem, len < STEM_MOST ? len : STEM_MOST);
		rk_sha256(hash, user);
		rk_base32_encode(&letters, rk_slice_make(hash, sizeof(hash)));
		written = snprintf(out, RK_HANDLE_MOST + 1, "%.*s-%.*s%s", (int)len, stem, SUFFIX,
			rk_buf_cstr(&letters) + (size_t)(attempt - 1) * SUFFIX, domain);
		rk_buf_finish(&letters);
	}
	return written <= RK_HANDLE_MOST && rk_handle_parse(&valid, rk_slice_str(out));
}

/* HMAC-SHA-256, RFC 2104. */
static void hmac(uint8_t out[RK_SHA256_BYTES], struct rk_slice key, const struct rk_slice *parts,
	size_t count)
{
	uint8_t block[BLOCK] = {0}, inner[BLOCK], outer[BLOCK], digest[RK_SHA256_BYTES];
	struct rk_slice all[8] = {rk_slice_make(inner, sizeof(inner))};
	const struct rk_slice last[] = {
		rk_slice_make(outer, sizeof(outer)), rk_slice_make(digest, sizeof(digest))};

	if (key.len > BLOCK)
		rk_sha256(block, key);
	else if (key.len > 0)
		memcpy(block, key.data, key.len);
	for (size_t i = 0; i < BLOCK; i++) {
		inner[i] = block[i] ^ 0x36;
		outer[i] = block[i] ^ 0x5c;
	}
	memcpy(all + 1, parts, count * sizeof(*parts));
	rk_sha256_parts(digest, all, count + 1);
	rk_sha256_parts(out, last, 2);
	explicit_bzero(block, sizeof(block));
	explicit_bzero(inner, sizeof(inner));
	explicit_bzero(outer, sizeof(outer));
}

void rk_accounts_password(char out[RK_ACCOUNTS_PASSWORD_SIZE], const char *admin_password,
	struct rk_slice user, const char *name)
{
	static const char purpose[] = "refkey account"; /* with its NUL, which ends the name, too */
	const struct rk_slice parts[] = {rk_slice_make(purpose, sizeof(purpose)),
		rk_slice_make(name, strlen(name) + 1), user};
	uint8_t digest[RK_SHA256_BYTES];
	struct rk_buf letters = {0};

	hmac(digest, rk_slice_str(admin_password), parts, sizeof(parts) / sizeof(parts[0]));
	rk_base32_encode(&letters, rk_slice_make(digest, 20));
	snprintf(out, RK_ACCOUNTS_PASSWORD_SIZE, "%s", rk_buf_cstr(&letters));
	explicit_bzero(digest, sizeof(digest));
	rk_buf_wipe(&letters);
}
