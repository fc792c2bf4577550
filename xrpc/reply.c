/* See reply.h. */
#include "xrpc/reply.h"

#include <stdarg.h>
#include <stdio.h>

enum { MESSAGE_MOST = 1024 };

static const struct {
	int status;
	const char *name;
} errors[RK_REPLY_ERROR_COUNT] = {
#define ROW(id, s, n) [RK_REPLY_ERROR_##id] = {.status = s, .name = n},
	RK_REPLY_ERRORS(ROW)
#undef ROW
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{204, "No Content"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{413, "Payload Too Large"},
	{414, "URI Too Long"},
	{417, "Expectation Failed"},
	{429, "Too Many Requests"},
	{431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"},
	{501, "Not Implemented"},
	{503, "Service Unavailable"},
};

void rk_reply_start(struct rk_reply *reply)
{
	reply->status = 200;
	reply->content_type = "application/json; charset=utf-8";
	reply->allow = NULL;
	reply->preflight = false;
	rk_buf_clear(&reply->body);
}

void rk_reply_fail(struct rk_reply *reply, enum rk_reply_error error, const char *format, ...)
{
	char message[MESSAGE_MOST];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	rk_reply_start(reply);
	reply->status = errors[error].status;
	rk_buf_add_byte(&reply->body, '{');
	rk_json_str(&reply->body, "error", errors[error].name);
	rk_json_str(&reply->body, "message", message);
	rk_buf_add_byte(&reply->body, '}');
}

enum rk_reply_error rk_reply_error_of(int status)
{
	for (int i = 0; i < RK_REPLY_ERROR_COUNT; i++) {
		if (errors[i].status == status)
			return (enum rk_reply_error)i;
	}
	return RK_REPLY_ERROR_INTERNAL;
}

const char *rk_reply_reason(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "Error";
}

void rk_json_item(struct rk_buf *out)
{
	uint8_t last = out->len ? out->data[out->len - 1] : '[';

	if (last != '{' && last != '[')
		rk_buf_add_byte(out, ',');
}

void rk_json_key(struct rk_buf *out, const char *name)
{
	rk_json_item(out);
	rk_buf_add_byte(out, '"');
	rk_buf_add_str(out, name);
	rk_buf_add(out, "\":", 2);
}

void rk_json_str(struct rk_buf *out, const char *name, const char *value)
{
	rk_json_text(out, name, rk_slice_str(value));
}

void rk_json_text(struct rk_buf *out, const char *name, struct rk_slice utf8)
{
	rk_json_key(out, name);
	rk_buf_add_json(out, utf8);
}

void rk_json_number(struct rk_buf *out, const char *name, int64_t value)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)value);

	rk_json_key(out, name);
	rk_buf_add(out, digits, (size_t)len);
}

void rk_json_bool(struct rk_buf *out, const char *name, bool value)
{
	rk_json_key(out, name);
	rk_buf_add_str(out, value ? "true" : "false");
}
