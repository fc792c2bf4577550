/*
 * The settings: one table, from which settings_load.h fills struct rk_settings. Modules receive small option
 * structs made from this, never the whole.
 */
#ifndef RK_CLI_SETTINGS_H
#define RK_CLI_SETTINGS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "mirror/mirror.h"

enum rk_source { RK_SOURCE_PDS, RK_SOURCE_RELAY };
/* Where a value came from. */
enum rk_setting_from { RK_FROM_DEFAULT, RK_FROM_ENVIRONMENT, RK_FROM_FLAG };

enum { RK_SETTINGS_MOST = 64 }; /* rows at most; more does not build */

enum rk_publish { RK_PUBLISH_OFF, RK_PUBLISH_ON, RK_PUBLISH_EXCLUSIVE };

/* Texts are NULL where a setting is unset and has no default. All live until rk_settings_finish. */
struct rk_settings {
	const char *pds_url;        /* origin, as rk_origin_parse spells it */
	const char *pds_public_url; /* origin */
	enum rk_source source;
	const char *plc_url; /* without a slash at the end */
	const char *data_dir;
	const char *listen;    /* host:port or [v6]:port */
	const char *mongo_uri; /* secret */
	const char *mongo_db;
	unsigned mongo_batch; /* statements */
	enum rk_recover_mode recover;
	enum rk_on_delete on_delete;
	const char *guest_user;
	const char *hostname; /* lower case */
	enum rk_publish publish;
	const char *pds_admin_password; /* secret */
	const char *pds_bypass_key;     /* secret */
	const char *admin_password;     /* secret */
	unsigned sweep_seconds;
	unsigned threads;
	enum rk_log_level log_level;
	enum rk_log_format log_format;
	bool allow_private;
	uint8_t from[RK_SETTINGS_MOST]; /* enum rk_setting_from, by place of the row */
	struct rk_arena arena;          /* of the texts */
};

enum rk_setting_kind {
	RK_SETTING_ORIGIN,  /* http(s)://host[:port] */
	RK_SETTING_URL,     /* the same, a path may follow */
	RK_SETTING_HOST,    /* a host name */
	RK_SETTING_ADDRESS, /* host:port to listen on */
	RK_SETTING_PATH,
	RK_SETTING_STRING,    /* printable UTF-8 of least to most bytes, none of `refused` in it */
	RK_SETTING_SECRET,    /* printable bytes; never in a message */
	RK_SETTING_MONGO_URI, /* a secret with a scheme */
	RK_SETTING_INT,       /* least to most */
	RK_SETTING_ENUM,      /* one of names; the value is its place there */
	RK_SETTING_BOOL,
};

/* Whose a setting is, where a running serve carries out a command. */
enum rk_setting_scope {
	RK_SCOPE_SERVICE, /* serve's */
	RK_SCOPE_MONGO,   /* serve's, and what it writes to MongoDB depends on it */
	RK_SCOPE_OWN,     /* each process has its own */
};

struct rk_setting_row {
	const char *env;  /* "REFKEY_PDS_URL" */
	const char *flag; /* "--pds-url" */
	enum rk_setting_kind kind;
	size_t offset;         /* in struct rk_settings */
	const char *value;     /* default, as a user would write it; NULL: none */
	const char *otherwise; /* for help, where value is NULL: what holds instead */
	const char *const
		*required_by;       /* commands that do not run without it, ended by NULL; NULL */
	const char *const *used_by; /* those that mostly need it, beside a serve its; likewise */
	const char *help;
	enum rk_setting_scope scope;
	bool unbuilt;             /* read and checked, but nothing uses it yet */
	unsigned least, most;     /* INT: value; STRING: bytes */
	const char *const *names; /* ENUM: ended by NULL */
	const char *refused;      /* STRING: characters; NULL: none */
};

size_t rk_setting_count(void);
const struct rk_setting_row *rk_setting_row(size_t at);
/* The row of a flag ("--pds-url", any bytes) or a name in the environment; NULL. */
const struct rk_setting_row *rk_setting_by_flag(struct rk_slice flag);
const struct rk_setting_row *rk_setting_by_env(struct rk_slice env);
bool rk_setting_is_required(const struct rk_setting_row *row, const char *command);
/* Whether most of what the command does needs it, for its help. */
bool rk_setting_is_needed(const struct rk_setting_row *row, const char *command);
bool rk_setting_is_secret(const struct rk_setting_row *row);

#endif
