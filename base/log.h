/*
 * The log: one line an event on standard error, as text or as one JSON object. Any thread.
 *
 *   rk_log(RK_LOG_WARN, "resync", "getRepo failed", RK_LOG_STR("did", did), RK_LOG_INT("status", s));
 *
 * The message is a fixed text; what varies goes into fields, so that lines can be counted. Usual
 * field names: did, seq, collection, rkey, host, reason. Never a secret.
 */
#ifndef RK_BASE_LOG_H
#define RK_BASE_LOG_H

#include "base/slice.h"

enum rk_log_level { RK_LOG_ERROR, RK_LOG_WARN, RK_LOG_INFO, RK_LOG_DEBUG };
enum rk_log_format { RK_LOG_TEXT, RK_LOG_JSON };

struct rk_log_field {
	const char *name;
	struct rk_slice text; /* when text.data is not NULL */
	int64_t number;
};

#define RK_LOG_INT(field, value)                                                                   \
	((struct rk_log_field){.name = (field), .number = (int64_t)(value)})
#define RK_LOG_SLICE(field, slice)                                                                 \
	((struct rk_log_field){.name = (field), .text = rk_log_text(slice)})
#define RK_LOG_STR(field, str) RK_LOG_SLICE(field, rk_slice_str(str))

/* An empty text stays a text. */
static inline struct rk_slice rk_log_text(struct rk_slice s)
{
	return s.data ? s : rk_slice_make("", 0);
}

/* The one process-wide setting of the log; call it before threads start. */
void rk_log_setup(enum rk_log_level most, enum rk_log_format format);
bool rk_log_enabled(enum rk_log_level level);

void rk_log_write(enum rk_log_level level, const char *component, const char *message,
	const struct rk_log_field *fields, size_t count);

/* Fields are evaluated only if the level is on. */
#define rk_log(level, component, message, ...)                                                     \
	do {                                                                                       \
		if (rk_log_enabled(level)) {                                                       \
			const struct rk_log_field rk_log_fields[] = {{0}, ##__VA_ARGS__};          \
			rk_log_write((level), (component), (message), rk_log_fields + 1,           \
				sizeof(rk_log_fields) / sizeof(rk_log_fields[0]) - 1);             \
		}                                                                                  \
	} while (0)

/* Names as REFKEY_LOG_LEVEL and REFKEY_LOG_FORMAT take them; false for others. */
bool rk_log_level_parse(enum rk_log_level *out, const char *name);
bool rk_log_format_parse(enum rk_log_format *out, const char *name);

#endif
