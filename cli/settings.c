/* The table of settings. See settings.h. */
#include "cli/settings.h"

/* In the order of their enums. */
static const char *const source_names[] = {"pds", "relay", NULL};
static const char *const recover_names[] = {"off", "new", "all", NULL};
static const char *const on_delete_names[] = {"soft", "unlink", "keep", NULL};
static const char *const publish_names[] = {"off", "on", "exclusive", NULL};
static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};
static const char *const format_names[] = {"text", "json", NULL};

static const char *const followers[] = {"serve", "tail", NULL};
static const char *const of_pds[] = {
	"accounts", "audit", "delete", "forget", "publish", "repair", NULL};
static const char *const of_mongo[] = {
	"accounts", "audit", "delete", "forget", "publish", "recover", "repair", NULL};

#define FIELD(name) .offset = offsetof(struct rk_settings, name)

static const struct rk_setting_row rows[] = {
	{"REFKEY_PDS_URL", "--pds-url", RK_SETTING_ORIGIN, FIELD(pds_url), .required_by = followers,
		.used_by = of_pds, .otherwise = "required by serve and tail",
		.help = "the PDS (or a relay) whose firehose is followed"},
	{"REFKEY_PDS_PUBLIC_URL", "--pds-public-url", RK_SETTING_ORIGIN, FIELD(pds_public_url),
		.otherwise = "https:// and the host of the PDS's own did:web",
		.help = "what DID documents name as this PDS when REFKEY_PDS_URL is an inner address; both "
			"are taken as this PDS"},
	{"REFKEY_SOURCE", "--source", RK_SETTING_ENUM, FIELD(source), .value = "pds",
		.names = source_names,
		.help = "relay: the source carries the repos of many PDSs, fetched from where each DID "
			"document says"},
	{"REFKEY_PLC_URL", "--plc-url", RK_SETTING_URL, FIELD(plc_url),
		.value = "https://plc.directory", .help = "the DID directory"},
	{"REFKEY_DATA_DIR", "--data-dir", RK_SETTING_PATH, FIELD(data_dir), .scope = RK_SCOPE_OWN,
		.value = "./data", .help = "folder of the index, created with mode 0700"},
	{"REFKEY_LISTEN", "--listen", RK_SETTING_ADDRESS, FIELD(listen), .value = "127.0.0.1:3900",
		.help = "address of the XRPC server; port 0 picks one and logs it"},
	{"REFKEY_MONGO_URI", "--mongo-uri", RK_SETTING_MONGO_URI, FIELD(mongo_uri),
		.used_by = of_mongo, .scope = RK_SCOPE_MONGO, .otherwise = "unset",
		.help = "the MongoDB that mirrors the records; without it, index and queries only"},
	{"REFKEY_MONGO_DB", "--mongo-db", RK_SETTING_STRING, FIELD(mongo_db),
		.scope = RK_SCOPE_MONGO, .value = "aesthetic", .least = 1, .most = 63,
		.refused = "/\\. \"$*<>:|?", .help = "name of the database"},
	{"REFKEY_MONGO_BATCH", "--mongo-batch", RK_SETTING_INT, FIELD(mongo_batch),
		.scope = RK_SCOPE_MONGO, .value = "1000", .least = 1, .most = 100000,
		.help = "statements in one bulk command"},
	{"REFKEY_RECOVER", "--recover", RK_SETTING_ENUM, FIELD(recover), .scope = RK_SCOPE_MONGO,
		.value = "new", .names = recover_names,
		.help = "documents are inserted for records that appear while refkey watches (new), also for "
			"those found by a first backfill (all), or never"},
	{"REFKEY_ON_DELETE", "--on-delete", RK_SETTING_ENUM, FIELD(on_delete),
		.scope = RK_SCOPE_MONGO, .value = "soft", .names = on_delete_names,
		.help = "when a linked record is deleted, soft marks the document as gone and removes "
			"atproto.rkey, unlink only removes it, keep does nothing"},
	{"REFKEY_GUEST_USER", "--guest-user", RK_SETTING_STRING, FIELD(guest_user),
		.scope = RK_SCOPE_MONGO, .value = "art-guest", .least = 1, .most = 256,
		.help = "_id of the user whose repo guests' documents belong to"},
	{"REFKEY_HOSTNAME", "--hostname", RK_SETTING_HOST, FIELD(hostname), .otherwise = "unset",
		.help = "public host name; turns on did:web, needed for calls proxied by a PDS"},
	{"REFKEY_PUBLISH", "--publish", RK_SETTING_ENUM, FIELD(publish), .value = "off",
		.names = publish_names,
		.help = "on: serve also publishes what MongoDB has and the PDS lacks, leaving documents "
			"younger than 60 s to the site; exclusive: refkey is the only one who publishes, at once; "
			"both refused together with REFKEY_ON_DELETE unlink or keep"},
	{"REFKEY_PDS_ADMIN_PASSWORD", "--pds-admin-password", RK_SETTING_SECRET,
		FIELD(pds_admin_password), .scope = RK_SCOPE_OWN, .otherwise = "unset",
		.help = "of the PDS: what `accounts --create` makes invite codes and passwords with"},
	{"REFKEY_PDS_BYPASS_KEY", "--pds-bypass-key", RK_SETTING_SECRET, FIELD(pds_bypass_key),
		.otherwise = "unset", .help = "sent to the PDS as x-ratelimit-bypass"},
	{"REFKEY_ADMIN_PASSWORD", "--admin-password", RK_SETTING_SECRET, FIELD(admin_password),
		.otherwise = "unset", .unbuilt = true,
		.help = "password of the admin methods, which otherwise answer 401"},
	{"REFKEY_SWEEP_SECONDS", "--sweep-seconds", RK_SETTING_INT, FIELD(sweep_seconds),
		.value = "600", .least = 1, .most = 86400,
		.help = "how often the source's repos are compared with the index, as at every start"},
	{"REFKEY_THREADS", "--threads", RK_SETTING_INT, FIELD(threads), .otherwise = "cores",
		.least = 1, .most = 256,
		.help = "threads that verify, and threads that answer requests; four times as many users are published at once, with images eight times"},
	{"REFKEY_LOG_LEVEL", "--log-level", RK_SETTING_ENUM, FIELD(log_level),
		.scope = RK_SCOPE_OWN, .value = "info", .names = level_names,
		.help = "how much is logged"},
	{"REFKEY_LOG_FORMAT", "--log-format", RK_SETTING_ENUM, FIELD(log_format),
		.scope = RK_SCOPE_OWN, .value = "text", .names = format_names,
		.help = "json: one object a line"},
	{"REFKEY_ALLOW_PRIVATE", "--allow-private", RK_SETTING_BOOL, FIELD(allow_private),
		.value = "off",
		.help = "allow DID documents to point at private addresses (tests, local networks); the "
			"origins of REFKEY_PDS_URL and REFKEY_PLC_URL are always allowed"},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
_Static_assert((int)ROWS <= (int)RK_SETTINGS_MOST, "more settings than flags have room for");

size_t rk_setting_count(void)
{
	return ROWS;
}

const struct rk_setting_row *rk_setting_row(size_t at)
{
	return &rows[at];
}

const struct rk_setting_row *rk_setting_by_flag(struct rk_slice flag)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (rk_slice_equal_str(flag, rows[i].flag))
			return &rows[i];
	}
	return NULL;
}

const struct rk_setting_row *rk_setting_by_env(struct rk_slice env)
{
	for (size_t i = 0; i < ROWS; i++) {
		if (rk_slice_equal_str(env, rows[i].env))
			return &rows[i];
	}
	return NULL;
}

static bool is_among(const char *const *list, const char *command)
{
	for (; list && *list; list++) {
		if (strcmp(*list, command) == 0)
			return true;
	}
	return false;
}

bool rk_setting_is_required(const struct rk_setting_row *row, const char *command)
{
	return is_among(row->required_by, command);
}

bool rk_setting_is_needed(const struct rk_setting_row *row, const char *command)
{
	return is_among(row->required_by, command) || is_among(row->used_by, command);
}

bool rk_setting_is_secret(const struct rk_setting_row *row)
{
	return row->kind == RK_SETTING_SECRET || row->kind == RK_SETTING_MONGO_URI;
}
