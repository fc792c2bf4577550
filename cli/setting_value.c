/* See setting_value.h. Each kind has one parser below; rk_setting_set picks it. */
#include "cli/setting_value.h"

#include <errno.h>

#include "atproto/ascii.h"
#include "atproto/origin.h"
#include "base/encode.h"

enum {
	URL_MOST = 1024,
	SECRET_MOST = 4096,
	PATH_MOST = 4095,
	SHOWN_MOST = 200, /* bytes of a value in a message */
};

static const char *const bool_names[][2] = {
	{"off", "on"},
	{"false", "true"},
	{"no", "yes"},
	{"0", "1"},
};

static const char *const mongo_schemes[] = {"mongodb://", "mongodb+srv://"};

static int text_set(struct rk_settings *settings, void *field, struct rk_slice text)
{
	char *copy = rk_arena_copy(&settings->arena, text);

	if (!copy)
		return -ENOMEM;
	memcpy(field, &copy, sizeof(copy));
	return 0;
}

static bool has_control(struct rk_slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < ' ' || text.data[i] == 0x7f)
			return true;
	}
	return false;
}

static bool has_blank_end(struct rk_slice text)
{
	return text.len && (text.data[0] == ' ' || text.data[text.len - 1] == ' ');
}

/* Some readers of files of settings take quotes off, others hand them on. */
static bool is_quoted(struct rk_slice text)
{
	return text.len > 1 && (text.data[0] == '"' || text.data[0] == '\'') &&
		text.data[text.len - 1] == text.data[0];
}

static int origin_set(struct rk_settings *settings, void *field, struct rk_slice text)
{
	char origin[RK_ORIGIN_MOST];

	if (!rk_origin_parse(origin, text))
		return RK_SETTING_WRONG;
	return text_set(settings, field, rk_slice_str(origin));
}

/* An origin and a path of plain characters, slashes at its end taken off. */
static int url_set(struct rk_settings *settings, void *field, struct rk_slice text)
{
	const char *mark = "://";
	char url[RK_ORIGIN_MOST + URL_MOST];
	const uint8_t *authority = memmem(text.data, text.len, mark, strlen(mark)), *slash;
	struct rk_slice path = {0};
	size_t len;

	if (!authority || text.len > URL_MOST)
		return RK_SETTING_WRONG;
	authority += strlen(mark);
	slash = memchr(authority, '/', (size_t)(text.data + text.len - authority));
	if (slash) {
		path = rk_slice_make(slash, (size_t)(text.data + text.len - slash));
		text.len -= path.len;
	}
	if (!rk_origin_parse(url, text))
		return RK_SETTING_WRONG;
	while (path.len && path.data[path.len - 1] == '/')
		path.len--;
	for (size_t i = 0; i < path.len; i++) {
		if (!rk_ascii_is_alnum(path.data[i]) && !strchr("/._~%-", path.data[i]))
			return RK_SETTING_WRONG;
	}
	len = strlen(url);
	if (path.len)
		memcpy(url + len, path.data, path.len);
	return text_set(settings, field, rk_slice_make(url, len + path.len));
}

static int host_set(struct rk_settings *settings, void *field, struct rk_slice text)
{
	char host[RK_HOST_SIZE];
	int32_t port;

	if (!rk_host_valid(text) || !rk_host_port_parse(host, &port, text))
		return RK_SETTING_WRONG;
	return text_set(settings, field, rk_slice_str(host));
}

static int address_set(struct rk_settings *settings, void *field, struct rk_slice text)
{
	char host[RK_HOST_SIZE];
	struct rk_buf address = {0};
	int32_t port;
	int result = RK_SETTING_WRONG;

	if (rk_host_port_parse(host, &port, text) && port >= 0) {
		rk_buf_printf(&address, "%s:%d", host, (int)port);
		result = rk_buf_failed(&address);
		if (!result)
			result = text_set(settings, field, rk_buf_slice(&address));
	}
	rk_buf_finish(&address);
	return result;
}

static int string_set(struct rk_settings *settings, void *field, struct rk_slice text,
	const struct rk_setting_row *row)
{
	if (text.len < row->least || text.len > row->most || has_control(text) ||
		!rk_utf8_valid(text))
		return RK_SETTING_WRONG;
	for (size_t i = 0; row->refused && i < text.len; i++) {
		if (strchr(row->refused, text.data[i]))
			return RK_SETTING_WRONG;
	}
	return text_set(settings, field, text);
}

static int secret_set(struct rk_settings *settings, void *field, struct rk_slice text)
{
	/* A line end in a password that is sent in a header would begin another header. */
	if (text.len > SECRET_MOST || has_control(text))
		return RK_SETTING_WRONG;
	return text_set(settings, field, text);
}

static int mongo_uri_set(struct rk_settings *settings, void *field, struct rk_slice text)
{
	for (size_t i = 0; i < sizeof(mongo_schemes) / sizeof(mongo_schemes[0]); i++) {
		struct rk_slice scheme = rk_slice_str(mongo_schemes[i]);

		if (rk_slice_starts(text, scheme) && text.len > scheme.len)
			return secret_set(settings, field, text);
	}
	return RK_SETTING_WRONG;
}

static int int_set(void *field, struct rk_slice text, const struct rk_setting_row *row)
{
	uint64_t value = 0;
	unsigned narrow;

	if (text.len == 0 || text.len > 10 || (text.data[0] == '0' && text.len > 1))
		return RK_SETTING_WRONG;
	for (size_t i = 0; i < text.len; i++) {
		if (!rk_ascii_is_digit(text.data[i]))
			return RK_SETTING_WRONG;
		value = value * 10 + text.data[i] - '0';
	}
	if (value < row->least || value > row->most)
		return RK_SETTING_WRONG;
	narrow = (unsigned)value;
	memcpy(field, &narrow, sizeof(narrow));
	return 0;
}

static int enum_set(void *field, struct rk_slice text, const struct rk_setting_row *row)
{
	for (unsigned i = 0; row->names[i]; i++) {
		if (rk_slice_equal_str(text, row->names[i])) {
			memcpy(field, &i, sizeof(i));
			return 0;
		}
	}
	return RK_SETTING_WRONG;
}

static int bool_set(bool *field, struct rk_slice text)
{
	for (size_t i = 0; i < sizeof(bool_names) / sizeof(bool_names[0]); i++) {
		for (int value = 0; value < 2; value++) {
			if (rk_slice_equal_str(text, bool_names[i][value])) {
				*field = value;
				return 0;
			}
		}
	}
	return RK_SETTING_WRONG;
}

bool rk_setting_is_switch_value(const char *text)
{
	bool ignored;

	return bool_set(&ignored, rk_slice_str(text)) == 0;
}

int rk_setting_set(
	struct rk_settings *settings, const struct rk_setting_row *row, const char *value)
{
	/* Enums are written through the same bytes as numbers. */
	_Static_assert(sizeof(enum rk_source) == sizeof(unsigned), "enums are as wide as unsigned");
	void *field = (char *)settings + row->offset;
	struct rk_slice text = rk_slice_str(value);

	if (has_blank_end(text) || (row->kind == RK_SETTING_PATH && has_control(text)) ||
		(!rk_setting_is_secret(row) && is_quoted(text)))
		return RK_SETTING_WRONG;
	switch (row->kind) {
	case RK_SETTING_ORIGIN:
		return origin_set(settings, field, text);
	case RK_SETTING_URL:
		return url_set(settings, field, text);
	case RK_SETTING_HOST:
		return host_set(settings, field, text);
	case RK_SETTING_ADDRESS:
		return address_set(settings, field, text);
	case RK_SETTING_PATH:
		return text.len > PATH_MOST ? RK_SETTING_WRONG : text_set(settings, field, text);
	case RK_SETTING_STRING:
		return string_set(settings, field, text, row);
	case RK_SETTING_SECRET:
		return secret_set(settings, field, text);
	case RK_SETTING_MONGO_URI:
		return mongo_uri_set(settings, field, text);
	case RK_SETTING_INT:
		return int_set(field, text, row);
	case RK_SETTING_ENUM:
		return enum_set(field, text, row);
	case RK_SETTING_BOOL:
		return bool_set(field, text);
	}
	return RK_SETTING_WRONG;
}

void rk_setting_print(
	struct rk_buf *out, const struct rk_settings *settings, const struct rk_setting_row *row)
{
	const void *field = (const char *)settings + row->offset;
	const char *text;
	unsigned number;

	switch (row->kind) {
	case RK_SETTING_INT:
		memcpy(&number, field, sizeof(number));
		rk_buf_printf(out, "%u", number);
		break;
	case RK_SETTING_ENUM:
		memcpy(&number, field, sizeof(number));
		rk_buf_add_str(out, row->names[number]);
		break;
	case RK_SETTING_BOOL:
		rk_buf_add_str(out, bool_names[0][*(const bool *)field]);
		break;
	default:
		memcpy(&text, field, sizeof(text));
		rk_buf_add_str(out, text ? text : "");
		break;
	}
}

void rk_setting_hint(struct rk_buf *out, const char *value)
{
	struct rk_slice text = rk_slice_str(value);

	if (is_quoted(text))
		rk_buf_add_str(out, "; its quotes are taken as part of it: leave them out");
	else if (text.len && text.data[text.len - 1] == '\r')
		rk_buf_add_str(out, "; it ends in a carriage return, as lines of Windows files do");
	else if (has_blank_end(text))
		rk_buf_add_str(out, "; without the blank at its end or beginning");
}

void rk_setting_accepts(struct rk_buf *out, const struct rk_setting_row *row)
{
	switch (row->kind) {
	case RK_SETTING_ORIGIN:
		rk_buf_add_str(
			out, "http:// or https://, a host and perhaps a port, nothing after it");
		break;
	case RK_SETTING_URL:
		rk_buf_add_str(out, "http:// or https://, a host, perhaps a port and a path");
		break;
	case RK_SETTING_HOST:
		rk_buf_add_str(out, "a host name, such as refkey.example");
		break;
	case RK_SETTING_ADDRESS:
		rk_buf_add_str(out, "host:port or [v6]:port with a port from 0 to 65535");
		break;
	case RK_SETTING_PATH:
		rk_buf_printf(out, "a path of at most %d bytes", PATH_MOST);
		break;
	case RK_SETTING_STRING:
		rk_buf_printf(out, "%u to %u bytes of printable text", row->least, row->most);
		if (row->refused)
			rk_buf_printf(out, " without any of %s", row->refused);
		break;
	case RK_SETTING_SECRET:
		rk_buf_printf(out, "at most %d bytes on one line", SECRET_MOST);
		break;
	case RK_SETTING_MONGO_URI:
		for (size_t i = 0; i < sizeof(mongo_schemes) / sizeof(mongo_schemes[0]); i++)
			rk_buf_printf(out, "%s%s…", i ? " or " : "", mongo_schemes[i]);
		break;
	case RK_SETTING_INT:
		rk_buf_printf(out, "a whole number from %u to %u", row->least, row->most);
		break;
	case RK_SETTING_ENUM:
		for (size_t i = 0; row->names[i]; i++)
			rk_buf_printf(out, "%s%s",
				!i                          ? ""
					: row->names[i + 1] ? ", "
							    : " or ",
				row->names[i]);
		break;
	case RK_SETTING_BOOL:
		for (size_t i = 0; i < sizeof(bool_names) / sizeof(bool_names[0]); i++)
			rk_buf_printf(
				out, "%s%s/%s", i ? ", " : "", bool_names[i][1], bool_names[i][0]);
		break;
	}
}

void rk_setting_quote(struct rk_buf *out, struct rk_slice text)
{
	struct rk_slice shown = text;

	if (shown.len > SHOWN_MOST) {
		shown.len = SHOWN_MOST;
		while (shown.len && (text.data[shown.len] & 0xc0) == 0x80)
			shown.len--;
	}
	if (rk_utf8_valid(shown)) {
		rk_buf_add_json(out, shown);
	} else {
		rk_buf_add_str(out, "hex:");
		rk_hex_encode(out, shown);
	}
	if (shown.len < text.len)
		rk_buf_add_str(out, "…");
}

void rk_setting_show(struct rk_buf *out, const struct rk_setting_row *row, const char *text)
{
	/* A URL with a user name in it holds a password as often as not. */
	bool url = row->kind == RK_SETTING_ORIGIN || row->kind == RK_SETTING_URL;

	if (rk_setting_is_secret(row) || (url && strchr(text, '@')))
		rk_buf_add_str(out, "(not shown)");
	else
		rk_setting_quote(out, rk_slice_str(text));
}
