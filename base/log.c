/* See log.h. A line is built in memory and written whole (base/line.h). */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/encode.h"
#include "base/line.h"
#include "base/shown.h"

enum { LINE_MOST = 8192, VALUE_MOST = 1024 };

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *const format_names[] = {"text", "json"};

static struct {
	enum rk_log_level most;
	enum rk_log_format format;
} log_setup = {RK_LOG_INFO, RK_LOG_TEXT};

static int name_find(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

bool rk_log_level_parse(enum rk_log_level *out, const char *name)
{
	int at = name_find(level_names, 4, name);

	if (at >= 0)
		*out = (enum rk_log_level)at;
	return at >= 0;
}

bool rk_log_format_parse(enum rk_log_format *out, const char *name)
{
	int at = name_find(format_names, 2, name);

	if (at >= 0)
		*out = (enum rk_log_format)at;
	return at >= 0;
}

void rk_log_setup(enum rk_log_level most, enum rk_log_format format)
{
	log_setup.most = most;
	log_setup.format = format;
}

bool rk_log_enabled(enum rk_log_level level)
{
	return level <= log_setup.most;
}

/* Text from outside may be long or broken: cut at a character, escape, never fail. */
static void add_value(struct rk_buf *line, struct rk_slice text, bool json)
{
	bool plain = !json && text.len > 0;

	if (text.len > VALUE_MOST) {
		text.len = VALUE_MOST;
		while (text.len && (text.data[text.len] & 0xc0) == 0x80)
			text.len--;
	}
	if (!rk_utf8_valid(text)) {
		rk_buf_add_str(line, json ? "\"hex:" : "hex:");
		rk_hex_encode(line, text);
		rk_buf_add_str(line, json ? "\"" : "");
		return;
	}
	plain = plain && rk_shown_is_plain(text);
	for (size_t i = 0; plain && i < text.len; i++)
		plain = text.data[i] > ' ' && text.data[i] != '"' && text.data[i] != '=' &&
			text.data[i] != '\\';
	if (plain) {
		rk_buf_add_slice(line, text);
	} else if (json) {
		rk_buf_add_json(line, text);
	} else {
		struct rk_buf quoted = {0};

		rk_buf_add_json(&quoted, text);
		rk_shown_add(line, rk_buf_slice(&quoted));
		rk_buf_finish(&quoted);
	}
}

void rk_log_write(enum rk_log_level level, const char *component, const char *message,
	const struct rk_log_field *fields, size_t count)
{
	bool json = log_setup.format == RK_LOG_JSON;
	char when[RK_CLOCK_ISO_SIZE];
	struct rk_buf line = {.limit = LINE_MOST};

	rk_clock_iso(when, rk_clock_wall_ms());
	if (json) {
		rk_buf_printf(&line,
			"{\"time\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"message\":", when,
			level_names[level], component);
		rk_buf_add_json(&line, rk_slice_str(message));
	} else {
		rk_buf_printf(
			&line, "%s %-5s %s: %s", when, level_names[level], component, message);
	}
	for (size_t i = 0; i < count; i++) {
		size_t before = line.len;
		rk_buf_printf(&line, json ? ",\"%s\":" : " %s=", fields[i].name);
		if (fields[i].text.data)
			add_value(&line, fields[i].text, json);
		else
			rk_buf_printf(&line, "%lld", (long long)fields[i].number);
		if (line.failed || line.len > LINE_MOST - 8) { /* leave out what does not fit */
			line.failed = false;
			line.len = before;
			break;
		}
	}
	rk_buf_add_str(&line, json ? "}\n" : "\n");
	if (!line.failed)
		rk_line_write(rk_buf_slice(&line));
	rk_buf_finish(&line);
}
