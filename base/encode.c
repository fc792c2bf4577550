/* Hex, base32, base58btc, base64, percent, UTF-8; see encode.h. */
#include "base/encode.h"

#include <ctype.h>

enum { BASE58_INPUT_MOST = 256 };

void rk_hex_encode(struct rk_buf *out, struct rk_slice bytes)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < bytes.len; i++) {
		rk_buf_add_byte(out, (uint8_t)digits[bytes.data[i] >> 4]);
		rk_buf_add_byte(out, (uint8_t)digits[bytes.data[i] & 15]);
	}
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool rk_hex_decode(uint8_t *out, size_t out_len, struct rk_slice in)
{
	if (in.len % 2 || in.len / 2 != out_len)
		return false;
	for (size_t i = 0; i < out_len; i++) {
		int high = hex_digit(in.data[2 * i]), low = hex_digit(in.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* base32 and base64 are the same loop with 5 or 6 bits a letter. */
static void bits_encode(struct rk_buf *out, struct rk_slice in, unsigned bits, const char *alphabet)
{
	uint32_t acc = 0, mask = (1u << bits) - 1;
	unsigned have = 0;
	uint8_t *at =
		rk_buf_reserve(out, in.len / bits * 8 + (in.len % bits * 8 + bits - 1) / bits);

	if (!at)
		return;
	for (size_t i = 0; i < in.len; i++) {
		acc = acc << 8 | in.data[i];
		have += 8;
		while (have >= bits) {
			have -= bits;
			*at++ = (uint8_t)alphabet[acc >> have & mask];
		}
	}
	if (have)
		*at = (uint8_t)alphabet[acc << (bits - have) & mask];
}

static bool bits_decode(
	struct rk_buf *out, struct rk_slice in, unsigned bits, int (*digit)(uint8_t))
{
	size_t before = out->len, left = in.len * bits % 8;
	uint32_t acc = 0;
	unsigned have = 0;

	/* What is left over is padding bits of one letter at most. */
	if (left >= bits)
		return false;
	for (size_t i = 0; i < in.len; i++) {
		int value = digit(in.data[i]);
		if (value < 0)
			goto refuse;
		acc = acc << bits | (uint32_t)value;
		have += bits;
		if (have >= 8) {
			have -= 8;
			rk_buf_add_byte(out, (uint8_t)(acc >> have));
		}
	}
	if (acc & ((1u << have) - 1) || rk_buf_failed(out))
		goto refuse;
	return true;
refuse:
	if (!out->failed)
		out->len = before;
	return false;
}

void rk_base32_encode(struct rk_buf *out, struct rk_slice bytes)
{
	bits_encode(out, bytes, 5, "abcdefghijklmnopqrstuvwxyz234567");
}

static int base32_digit(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

bool rk_base32_decode(struct rk_buf *out, struct rk_slice in)
{
	return bits_decode(out, in, 5, base32_digit);
}

void rk_base64_encode(struct rk_buf *out, struct rk_slice bytes)
{
	bits_encode(
		out, bytes, 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
}

static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static int base64url_digit(uint8_t c)
{
	if (c == '-')
		return 62;
	if (c == '_')
		return 63;
	return c == '+' || c == '/' ? -1 : base64_digit(c);
}

bool rk_base64_decode(struct rk_buf *out, struct rk_slice in, bool url)
{
	if (in.len >= 4 && in.len % 4 == 0 && in.data[in.len - 1] == '=')
		in.len -= in.data[in.len - 2] == '=' ? 2 : 1;
	return bits_decode(out, in, 6, url ? base64url_digit : base64_digit);
}

static const char base58_letters[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* Long division between number systems: digits of `in` in base `from` become base `to`. */
static size_t convert(uint8_t *out, size_t out_most, struct rk_slice in, unsigned from, unsigned to)
{
	size_t len = 0;

	for (size_t i = 0; i < in.len; i++) {
		unsigned carry = in.data[i];
		for (size_t j = 0; j < len || carry; j++) {
			if (j == out_most)
				return 0;
			if (j == len)
				out[len++] = 0;
			carry += out[j] * from;
			out[j] = (uint8_t)(carry % to);
			carry /= to;
		}
	}
	return len;
}

bool rk_base58_encode(struct rk_buf *out, struct rk_slice bytes)
{
	uint8_t digits[BASE58_INPUT_MOST * 2];
	size_t zeros = 0, len;

	if (bytes.len > BASE58_INPUT_MOST)
		return false;
	while (zeros < bytes.len && bytes.data[zeros] == 0) {
		rk_buf_add_byte(out, '1');
		zeros++;
	}
	len = convert(
		digits, sizeof(digits), rk_slice_sub(bytes, zeros, bytes.len - zeros), 256, 58);
	while (len)
		rk_buf_add_byte(out, (uint8_t)base58_letters[digits[--len]]);
	return !rk_buf_failed(out);
}

bool rk_base58_decode(struct rk_buf *out, struct rk_slice in)
{
	uint8_t values[BASE58_INPUT_MOST], digits[BASE58_INPUT_MOST];
	size_t zeros = 0, len;

	if (in.len > BASE58_INPUT_MOST)
		return false;
	for (size_t i = 0; i < in.len; i++) {
		const char *letter = in.data[i] ? strchr(base58_letters, in.data[i]) : NULL;
		if (!letter)
			return false;
		values[i] = (uint8_t)(letter - base58_letters);
	}
	while (zeros < in.len && values[zeros] == 0) {
		rk_buf_add_byte(out, 0);
		zeros++;
	}
	len = convert(
		digits, sizeof(digits), rk_slice_make(values + zeros, in.len - zeros), 58, 256);
	while (len)
		rk_buf_add_byte(out, digits[--len]);
	return !rk_buf_failed(out);
}

void rk_percent_encode(struct rk_buf *out, struct rk_slice text)
{
	static const char digits[] = "0123456789ABCDEF";

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c < 0x80 && (isalnum(c) || strchr("-._~", c)) && c != '\0') {
			rk_buf_add_byte(out, c);
		} else {
			rk_buf_add_byte(out, '%');
			rk_buf_add_byte(out, (uint8_t)digits[c >> 4]);
			rk_buf_add_byte(out, (uint8_t)digits[c & 15]);
		}
	}
}

bool rk_utf8_valid(struct rk_slice in)
{
	const uint8_t *p = in.data, *end = in.data + in.len;

	while (p < end) {
		uint8_t c = *p++;
		unsigned more;
		uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */

		if (c < 0x80)
			continue;
		if (c >= 0xc2 && c <= 0xdf)
			more = 1;
		else if (c >= 0xe0 && c <= 0xef)
			more = 2;
		else if (c >= 0xf0 && c <= 0xf4)
			more = 3;
		else
			return false;
		if (c == 0xe0)
			low = 0xa0;
		else if (c == 0xed)
			high = 0x9f;
		else if (c == 0xf0)
			low = 0x90;
		else if (c == 0xf4)
			high = 0x8f;
		if ((size_t)(end - p) < more || *p < low || *p > high)
			return false;
		for (p++; --more; p++) {
			if (*p < 0x80 || *p > 0xbf)
				return false;
		}
	}
	return true;
}
