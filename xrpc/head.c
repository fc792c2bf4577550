/* See head.h. The end is looked for first, so that a head which comes in pieces is read once. */
#include "xrpc/head.h"

#include <strings.h>

#include "xrpc/params.h"

enum { METHOD_MOST = 32 };

/* What is met more than once at most is counted. */
struct tally {
	unsigned hosts, lengths, codings;
	bool first_minor; /* HTTP/1.1 or later */
};

static enum rk_head_verdict refuse(struct rk_head *out, enum rk_reply_error error, const char *why)
{
	out->error = error;
	out->why = why;
	return RK_HEAD_REFUSED;
}

static enum rk_head_verdict malformed(struct rk_head *out, const char *why)
{
	return refuse(out, RK_REPLY_ERROR_INVALID_REQUEST, why);
}

static bool is_token(uint8_t c)
{
	/* By 32: digits and signs, capitals, small letters. */
	static const uint32_t sets[4] = {0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff};

	return c < 128 && (sets[c / 32] >> (c % 32) & 1);
}

static size_t token_len(struct rk_slice in)
{
	size_t len = 0;

	while (len < in.len && is_token(in.data[len]))
		len++;
	return len;
}

/* As much of a method as there is could be one. */
static bool method_begins(struct rk_slice in)
{
	size_t len = token_len(in);

	return len <= METHOD_MOST && (len == in.len || (len > 0 && in.data[len] == ' '));
}

/* The first byte that is below `from` or DEL; len: none. Eight at once: this is read of every head. */
static size_t control_find(struct rk_slice in, uint8_t from)
{
	const uint64_t ones = 0x0101010101010101, tops = ones << 7;
	size_t at = 0;

	for (; in.len - at >= 8; at += 8) {
		uint64_t x, del;

		memcpy(&x, in.data + at, 8);
		del = x ^ ones * 0x7f;
		if ((((x - ones * from) & ~x) | ((del - ones) & ~del)) & tops)
			break;
	}
	while (at < in.len && in.data[at] >= from && in.data[at] != 0x7f)
		at++;
	return at;
}

static bool target_is_read(struct rk_slice target)
{
	static const char *const schemes[] = {"http://", "https://"};

	if (control_find(target, ' ' + 1) < target.len)
		return false;
	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(schemes[i]);

		if (target.len > len &&
			strncasecmp((const char *)target.data, schemes[i], len) == 0)
			return true;
	}
	return target.len && (target.data[0] == '/' || rk_slice_equal_str(target, "*"));
}

static enum rk_head_verdict request_line(
	struct rk_head *out, struct tally *tally, struct rk_slice line)
{
	static const struct rk_slice version = RK_SLICE_LIT("HTTP/1.");
	size_t method = token_len(line), end;
	const uint8_t *space;
	struct rk_slice rest;

	if (method == 0 || method > METHOD_MOST || method == line.len || line.data[method] != ' ')
		return malformed(out, "the request does not begin with a method and a space");
	rest = rk_slice_sub(line, method + 1, line.len - method - 1);
	space = rest.len ? memchr(rest.data, ' ', rest.len) : NULL;
	end = space ? (size_t)(space - rest.data) : rest.len;
	if (!target_is_read(rk_slice_sub(rest, 0, end)))
		return malformed(out, "the request's target must be a path such as /xrpc/_health");
	if (end == rest.len)
		return malformed(out, "the request line does not end with HTTP/1.1");
	rest = rk_slice_sub(rest, end + 1, rest.len - end - 1);
	if (rest.len != version.len + 1 || !rk_slice_starts(rest, version) ||
		rest.data[version.len] < '0' || rest.data[version.len] > '9')
		return malformed(out, "the version must be HTTP/1.1 or HTTP/1.0");
	tally->first_minor = rest.data[version.len] != '0';
	return RK_HEAD_WHOLE;
}

static bool is_name(struct rk_slice name, const char *other)
{
	return name.len == strlen(other) &&
		strncasecmp((const char *)name.data, other, name.len) == 0;
}

static enum rk_head_verdict header_line(
	struct rk_head *out, struct tally *tally, struct rk_slice line)
{
	struct rk_slice name = rk_slice_sub(line, 0, token_len(line));

	if (line.data[0] == ' ' || line.data[0] == '\t')
		return malformed(out, "a header is folded over two lines");
	if (name.len == 0 || name.len == line.len || line.data[name.len] != ':')
		return malformed(out, "a header line is not a name with a colon right behind it");
	for (size_t at = name.len + 1; at < line.len; at++) {
		at += control_find(rk_slice_sub(line, at, line.len - at), ' ');
		if (at < line.len && line.data[at] != '\t')
			return malformed(out, "a header holds a control character");
	}
	/* Three lengths of names, most others have another. */
	if (name.len == 4)
		tally->hosts += is_name(name, "host");
	else if (name.len == 14)
		tally->lengths += is_name(name, "content-length");
	else if (name.len == 17)
		tally->codings += is_name(name, "transfer-encoding");
	return RK_HEAD_WHOLE;
}

static enum rk_head_verdict judge(struct rk_head *out, const struct tally *tally)
{
	if (tally->hosts > 1)
		return malformed(out, "Host is given more than once");
	if (tally->hosts == 0 && tally->first_minor)
		return malformed(out, "Host is missing");
	if (tally->lengths > 1)
		return malformed(out, "Content-Length is given more than once");
	if (tally->codings > 1)
		return malformed(out, "Transfer-Encoding is given more than once");
	if (tally->codings && tally->lengths)
		return malformed(out, "Transfer-Encoding and Content-Length are both given");
	if (tally->codings && !tally->first_minor)
		return malformed(out, "HTTP/1.0 has no Transfer-Encoding");
	return RK_HEAD_WHOLE;
}

/* Lines that end with CRLF, the last one empty. */
static enum rk_head_verdict lines_read(struct rk_head *out, struct rk_slice in)
{
	struct tally tally = {0};

	for (size_t at = 0, line = 0;; line++) {
		const uint8_t *end = memchr(in.data + at, '\n', in.len - at);
		struct rk_slice text = rk_slice_sub(in, at, (size_t)(end - in.data) - at - 1);
		enum rk_head_verdict verdict;

		if (text.len == 0)
			return judge(out, &tally);
		if (line > RK_HEAD_LINES_MOST)
			return refuse(out, RK_REPLY_ERROR_HEAD_TOO_LARGE,
				"the request has more than 100 header lines");
		verdict = line ? header_line(out, &tally, text) : request_line(out, &tally, text);
		if (verdict != RK_HEAD_WHOLE)
			return verdict;
		at += text.len + 2;
	}
}

/* Not whole, and no more of it is taken. */
static enum rk_head_verdict too_large(struct rk_head *out, struct rk_slice in)
{
	if (in.len > RK_QUERY_MOST && !memchr(in.data, '\n', RK_QUERY_MOST))
		return refuse(out, RK_REPLY_ERROR_URI_TOO_LONG, "the target is longer than 32 KiB");
	return refuse(out, RK_REPLY_ERROR_HEAD_TOO_LARGE,
		"the request's head is larger than 64 KiB, or than what is free for it");
}

/* Of a head that is not whole: its first line, if that ends behind `seen`. */
static enum rk_head_verdict first_line_read(struct rk_head *out, struct rk_slice in, size_t seen)
{
	const uint8_t *end = memchr(in.data, '\n', in.len);
	size_t len = (size_t)(end - in.data);
	struct tally tally;
	enum rk_head_verdict verdict;

	if (len < seen)
		return RK_HEAD_PARTIAL;
	verdict = request_line(out, &tally, rk_slice_sub(in, 0, len - 1));
	return verdict == RK_HEAD_REFUSED ? verdict : RK_HEAD_PARTIAL;
}

size_t rk_head_skip(struct rk_slice in)
{
	size_t len = 0;

	while (in.len - len >= 2 && in.data[len] == '\r' && in.data[len + 1] == '\n')
		len += 2;
	return len;
}

enum rk_head_verdict rk_head_read(struct rk_head *out, struct rk_slice in, size_t seen, size_t most)
{
	size_t at = seen;

	while (at < in.len) {
		const uint8_t *found = memchr(in.data + at, '\n', in.len - at);

		if (!found)
			break;
		at = (size_t)(found - in.data);
		if (at == 0 || in.data[at - 1] != '\r')
			return malformed(out, "a line of the head does not end with CR LF");
		if (at == 1 || in.data[at - 2] == '\n') {
			out->len = at + 1;
			if (out->len > RK_HEAD_MOST)
				return too_large(out, rk_slice_sub(in, 0, out->len));
			return lines_read(out, rk_slice_sub(in, 0, out->len));
		}
		at++;
	}
	if (!method_begins(in) && !rk_slice_equal_str(in, "\r"))
		return malformed(out, "the request does not begin with a method and a space");
	if (in.len > most)
		return too_large(out, in);
	return at > seen ? first_line_read(out, in, seen) : RK_HEAD_PARTIAL;
}
