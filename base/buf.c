/* See buf.h. Growth doubles; a failure sticks until rk_buf_clear. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void rk_buf_init(struct rk_buf *buf, size_t limit)
{
	*buf = (struct rk_buf){.limit = limit};
}

void rk_buf_finish(struct rk_buf *buf)
{
	if (!buf)
		return;
	free(buf->data);
	*buf = (struct rk_buf){.limit = buf->limit};
}

void rk_buf_wipe(struct rk_buf *buf)
{
	if (buf && buf->data)
		explicit_bzero(buf->data, buf->cap);
	rk_buf_finish(buf);
}

void rk_buf_clear(struct rk_buf *buf)
{
	buf->len = 0;
	buf->failed = false;
}

bool rk_buf_grow(struct rk_buf *buf, size_t len)
{
	size_t need, cap;
	uint8_t *data;

	if (buf->failed)
		return false;
	if (__builtin_add_overflow(buf->len, len, &need) || need == SIZE_MAX ||
		(buf->limit && need > buf->limit)) {
		buf->failed = true;
		return false;
	}
	if (need < buf->cap)
		return true;
	cap = buf->cap ? buf->cap : 256;
	while (cap <= need) {
		if (__builtin_mul_overflow(cap, 2, &cap)) {
			buf->failed = true;
			return false;
		}
	}
	data = realloc(buf->data, cap);
	if (!data) {
		buf->failed = true;
		return false;
	}
	buf->data = data;
	buf->cap = cap;
	return true;
}

void rk_buf_add_str(struct rk_buf *buf, const char *str)
{
	rk_buf_add(buf, str, strlen(str));
}

void rk_buf_printf(struct rk_buf *buf, const char *format, ...)
{
	va_list args, again;
	uint8_t *at;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	/* grow always leaves room for the NUL that vsnprintf writes. */
	at = len < 0 ? NULL : rk_buf_reserve(buf, (size_t)len);
	if (at)
		vsnprintf((char *)at, (size_t)len + 1, format, again);
	else
		buf->failed = true;
	va_end(again);
}

void rk_buf_add_json(struct rk_buf *buf, struct rk_slice utf8)
{
	static const char hex[] = "0123456789abcdef";
	size_t start = 0;

	rk_buf_add_byte(buf, '"');
	for (size_t i = 0; i < utf8.len; i++) {
		uint8_t c = utf8.data[i];
		const char *escape = NULL;
		char unicode[7];

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		switch (c) {
		case '"':
			escape = "\\\"";
			break;
		case '\\':
			escape = "\\\\";
			break;
		case '\b':
			escape = "\\b";
			break;
		case '\f':
			escape = "\\f";
			break;
		case '\n':
			escape = "\\n";
			break;
		case '\r':
			escape = "\\r";
			break;
		case '\t':
			escape = "\\t";
			break;
		default:
			memcpy(unicode, "\\u00", 4);
			unicode[4] = hex[c >> 4];
			unicode[5] = hex[c & 15];
			unicode[6] = '\0';
			escape = unicode;
		}
		rk_buf_add(buf, utf8.data + start, i - start);
		rk_buf_add_str(buf, escape);
		start = i + 1;
	}
	if (start < utf8.len) /* an empty slice may be NULL, to which nothing may be added */
		rk_buf_add(buf, utf8.data + start, utf8.len - start);
	rk_buf_add_byte(buf, '"');
}

const char *rk_buf_cstr(struct rk_buf *buf)
{
	if (buf->failed || !rk_buf_grow(buf, 0) || !buf->data)
		return "";
	buf->data[buf->len] = '\0';
	return (const char *)buf->data;
}

int rk_buf_failed(const struct rk_buf *buf)
{
	return buf->failed ? -ENOMEM : 0;
}
