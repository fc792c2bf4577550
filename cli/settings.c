/* The settings table and filling it; how one value is read is in setting_value.c. See settings.h. */
#include "cli/settings.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#include "cli/setting_value.h"

enum { THREADS_MOST = 256 };

/* In the order of their enums. */
static const char *const source_names[] = {"pds", "relay", NULL};
static const char *const recover_names[] = {"off", "new", "all", NULL};
static const char *const on_delete_names[] = {"soft", "unlink", "keep", NULL};
static const char *const publish_names[] = {"off", "on", "exclusive", NULL};
static const char *const level_names[] = {"error", "warn", "info", "debug", NULL};
static const char *const format_names[] = {"text", "json", NULL};

static const char *const followers[] = {"serve", "tail", NULL};

#define FIELD(name) .offset = offsetof(struct rk_settings, name)

static const struct rk_setting_row rows[] = {
	{"REFKEY_PDS_URL", "--pds-url", RK_SETTING_ORIGIN, FIELD(pds_url), .required_by = followers,
		.otherwise = "required by serve and tail",
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
		.scope = RK_SCOPE_MONGO, .otherwise = "unset",
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
		FIELD(pds_admin_password), .otherwise = "unset",
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
		.least = 1, .most = THREADS_MOST,
		.help = "threads that verify, and threads that answer requests; four times as many users are published at once"},
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

bool rk_setting_is_required(const struct rk_setting_row *row, const char *command)
{
	for (const char *const *by = row->required_by; by && *by; by++) {
		if (strcmp(*by, command) == 0)
			return true;
	}
	return false;
}

bool rk_setting_is_secret(const struct rk_setting_row *row)
{
	return row->kind == RK_SETTING_SECRET || row->kind == RK_SETTING_MONGO_URI;
}

/* Cores this process may run on. */
static unsigned threads_default(void)
{
	cpu_set_t set;
	long count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
								  : sysconf(_SC_NPROCESSORS_ONLN);

	return count < 1 ? 1 : count > THREADS_MOST ? THREADS_MOST : (unsigned)count;
}

/* Values in the environment by place of their row; names that are no setting become problems. Their
 * values do not: a misspelt name may hold a password. */
static void environment_read(
	const char *values[ROWS], struct rk_buf *problems, const char *const *environment)
{
	struct rk_slice ours = RK_SLICE_LIT("REFKEY_"), tests = RK_SLICE_LIT("REFKEY_TEST_");
	bool unknown = false;

	for (; *environment; environment++) {
		struct rk_slice name = rk_slice_str(*environment);
		const char *equals = strchr(*environment, '=');
		const struct rk_setting_row *row;

		if (!equals)
			continue;
		name.len = (size_t)(equals - *environment);
		if (!rk_slice_starts(name, ours) || rk_slice_starts(name, tests))
			continue;
		row = rk_setting_by_env(name);
		if (row) {
			values[row - rows] = equals + 1;
			continue;
		}
		rk_setting_quote(problems, name);
		rk_buf_add_str(problems, " in the environment is not a setting\n");
		unknown = true;
	}
	if (!unknown)
		return;
	rk_buf_add_str(problems, "accepted:");
	for (size_t i = 0; i < ROWS; i++)
		rk_buf_printf(problems, " %s", rows[i].env);
	rk_buf_add_str(problems, "\n");
}

/* "REFKEY_SOURCE", or "REFKEY_SOURCE (--source)" if it came as a flag. */
static void name_add(struct rk_buf *out, const struct rk_setting_row *row, bool as_flag)
{
	rk_buf_add_str(out, row->env);
	if (as_flag)
		rk_buf_printf(out, " (%s)", row->flag);
}

static void wrong_add(
	struct rk_buf *problems, const struct rk_setting_row *row, const char *value, bool as_flag)
{
	name_add(problems, row, as_flag);
	rk_buf_add_str(problems, " is ");
	rk_setting_show(problems, row, value);
	rk_buf_add_str(problems, "; accepted: ");
	rk_setting_accepts(problems, row);
	rk_setting_hint(problems, value);
	rk_buf_add_str(problems, "\n");
}

/* Rules that join settings. */
static void together_check(struct rk_buf *problems, const struct rk_settings *settings)
{
	if (settings->publish != RK_PUBLISH_OFF && settings->on_delete != RK_ON_DELETE_SOFT)
		rk_buf_printf(problems,
			"REFKEY_PUBLISH is \"%s\" and REFKEY_ON_DELETE is \"%s\"; accepted: with "
			"REFKEY_PUBLISH %s only REFKEY_ON_DELETE %s, or what is deleted on the PDS would "
			"be published again\n",
			publish_names[settings->publish], on_delete_names[settings->on_delete],
			publish_names[settings->publish], on_delete_names[RK_ON_DELETE_SOFT]);
}

int rk_settings_load(struct rk_settings *out, struct rk_buf *problems,
	const char *const *environment, const struct rk_setting_flags *flags, const char *command)
{
	const char *values[ROWS] = {NULL};
	size_t before = problems->len;

	memset(out, 0, sizeof(*out));
	environment_read(values, problems, environment);
	for (size_t i = 0; i < ROWS; i++) {
		const struct rk_setting_row *row = &rows[i];
		const char *flag = flags ? flags->values[i] : NULL;
		const char *value = flag ? flag : values[i];
		bool given = value && *value;
		int result = 0;

		out->from[i] = flag ? RK_FROM_FLAG : given ? RK_FROM_ENVIRONMENT : RK_FROM_DEFAULT;
		if (!given)
			value = row->value;
		if (value)
			result = rk_setting_set(out, row, value);
		if (result < 0)
			return result;
		if (result == RK_SETTING_WRONG)
			wrong_add(problems, row, value, flag);
		if (!value && rk_setting_is_required(row, command)) {
			rk_buf_printf(problems,
				"%s (%s) is not set and %s needs it; accepted: ", row->env,
				row->flag, command);
			rk_setting_accepts(problems, row);
			rk_buf_add_str(problems, "\n");
		}
	}
	if (out->threads == 0)
		out->threads = threads_default();
	together_check(problems, out);
	if (rk_buf_failed(problems))
		return rk_buf_failed(problems);
	return problems->len > before ? RK_SETTINGS_REFUSED : RK_SETTINGS_OK;
}

void rk_settings_log_unbuilt(const struct rk_settings *settings)
{
	for (size_t i = 0; i < ROWS; i++) {
		const char *text;

		if (!rows[i].unbuilt)
			continue;
		memcpy(&text, (const char *)settings + rows[i].offset, sizeof(text));
		if (text)
			rk_log(RK_LOG_WARN, "settings",
				"what this is for is not built yet: no effect",
				RK_LOG_STR("setting", rows[i].env));
	}
}

void rk_settings_finish(struct rk_settings *settings)
{
	if (!settings)
		return;
	for (size_t i = 0; i < ROWS; i++) {
		char *text;

		if (!rk_setting_is_secret(&rows[i]))
			continue;
		memcpy(&text, (char *)settings + rows[i].offset, sizeof(text));
		if (text)
			explicit_bzero(text, strlen(text));
	}
	rk_arena_finish(&settings->arena);
	memset(settings, 0, sizeof(*settings));
}
