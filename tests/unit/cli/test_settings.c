/* Rules of cli/settings: every setting's accepted and refused values, and that secrets stay unsaid. */
#include "tests/unit/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/setting_value.h"
#include "cli/settings_load.h"

static const char *const empty[] = {NULL};

static size_t place(const char *env)
{
	for (size_t i = 0; i < rk_setting_count(); i++) {
		if (strcmp(rk_setting_row(i)->env, env) == 0)
			return i;
	}
	fail_msg("%s is not a setting", env);
	return 0;
}

/* The value a setting has, as text. */
static void printed(char *out, size_t size, const struct rk_settings *settings,
	const struct rk_setting_row *row)
{
	struct rk_buf text = {0};

	rk_setting_print(&text, settings, row);
	snprintf(out, size, "%s", text.len ? rk_buf_cstr(&text) : "(null)");
	rk_buf_finish(&text);
}

/* NULL expected: refused. */
static const struct {
	const char *env, *value, *expected;
} cases[] = {
	{"REFKEY_PDS_URL", "http://localhost:2583/", "http://localhost:2583"},
	{"REFKEY_PDS_URL", "HTTPS://Relay.Example:443", "https://relay.example"},
	{"REFKEY_PDS_URL", "wss://relay.example", NULL},
	{"REFKEY_PDS_URL", "https://relay.example/xrpc", NULL},
	{"REFKEY_PDS_URL", "https://relay.example?x", NULL},
	{"REFKEY_PDS_URL", "relay.example", NULL},
	{"REFKEY_PDS_URL", "http://pds:65535", "http://pds:65535"},
	{"REFKEY_PDS_URL", "http://pds:65536", NULL},
	{"REFKEY_PDS_PUBLIC_URL", "https://pds.example", "https://pds.example"},
	{"REFKEY_PDS_PUBLIC_URL", "pds.example", NULL},
	{"REFKEY_SOURCE", "pds", "pds"},
	{"REFKEY_SOURCE", "relay", "relay"},
	{"REFKEY_SOURCE", "Relay", NULL},
	{"REFKEY_SOURCE", "relays", NULL},
	{"REFKEY_PLC_URL", "http://localhost:2582", "http://localhost:2582"},
	{"REFKEY_PLC_URL", "https://mirror.example/plc/v1//", "https://mirror.example/plc/v1"},
	{"REFKEY_PLC_URL", "https://mirror.example/plc?x", NULL},
	{"REFKEY_PLC_URL", "https://mirror.example/p#x", NULL},
	{"REFKEY_PLC_URL", "ftp://mirror.example/plc", NULL},
	{"REFKEY_PLC_URL", "https:///plc", NULL},
	{"REFKEY_DATA_DIR", "/var/lib/refkey", "/var/lib/refkey"},
	{"REFKEY_DATA_DIR", "data dir", "data dir"},
	{"REFKEY_DATA_DIR", "it's", "it's"},
	{"REFKEY_DATA_DIR", "./data ", NULL},
	{"REFKEY_DATA_DIR", "./data\r", NULL},
	{"REFKEY_DATA_DIR", "\"./data\"", NULL},
	{"REFKEY_DATA_DIR", "'./data'", NULL},
	{"REFKEY_LISTEN", "127.0.0.1:0", "127.0.0.1:0"},
	{"REFKEY_LISTEN", "0.0.0.0:65535", "0.0.0.0:65535"},
	{"REFKEY_LISTEN", "[::1]:3900", "[::1]:3900"},
	{"REFKEY_LISTEN", "Localhost:3900", "localhost:3900"},
	{"REFKEY_LISTEN", "127.0.0.1:65536", NULL},
	{"REFKEY_LISTEN", "127.0.0.1", NULL},
	{"REFKEY_LISTEN", "127.0.0.1:", NULL},
	{"REFKEY_LISTEN", ":3900", NULL},
	{"REFKEY_LISTEN", "3900", NULL},
	{"REFKEY_LISTEN", "::1:3900", NULL},
	{"REFKEY_LISTEN", "[::1]", NULL},
	{"REFKEY_LISTEN", "http://127.0.0.1:3900", NULL},
	{"REFKEY_MONGO_URI", "mongodb://u:p@localhost:27017/?replicaSet=rs0",
		"mongodb://u:p@localhost:27017/?replicaSet=rs0"},
	{"REFKEY_MONGO_URI", "mongodb+srv://cluster.example", "mongodb+srv://cluster.example"},
	{"REFKEY_MONGO_URI", "mongodb://", NULL},
	{"REFKEY_MONGO_URI", "mongodb+srv://", NULL},
	{"REFKEY_MONGO_URI", "MONGODB://localhost", NULL},
	{"REFKEY_MONGO_URI", "localhost:27017", NULL},
	{"REFKEY_MONGO_URI", "mongodb://localhost\n", NULL},
	{"REFKEY_MONGO_DB", "a", "a"},
	{"REFKEY_MONGO_DB", "a23456789012345678901234567890123456789012345678901234567890123",
		"a23456789012345678901234567890123456789012345678901234567890123"},
	{"REFKEY_MONGO_DB", "a234567890123456789012345678901234567890123456789012345678901234",
		NULL},
	{"REFKEY_MONGO_DB", "a.b", NULL},
	{"REFKEY_MONGO_DB", "a b", NULL},
	{"REFKEY_MONGO_DB", "a\xff", NULL},
	{"REFKEY_MONGO_BATCH", "0", NULL},
	{"REFKEY_MONGO_BATCH", "1", "1"},
	{"REFKEY_MONGO_BATCH", "100000", "100000"},
	{"REFKEY_MONGO_BATCH", "100001", NULL},
	{"REFKEY_MONGO_BATCH", "4294967297", NULL},
	{"REFKEY_MONGO_BATCH", "18446744073709551617", NULL},
	{"REFKEY_MONGO_BATCH", "-1", NULL},
	{"REFKEY_MONGO_BATCH", "+1", NULL},
	{"REFKEY_MONGO_BATCH", " 1", NULL},
	{"REFKEY_MONGO_BATCH", "1 ", NULL},
	{"REFKEY_MONGO_BATCH", "01", NULL},
	{"REFKEY_MONGO_BATCH", "0x10", NULL},
	{"REFKEY_MONGO_BATCH", "1e3", NULL},
	{"REFKEY_RECOVER", "new", "new"},
	{"REFKEY_RECOVER", "all", "all"},
	{"REFKEY_RECOVER", "off", "off"},
	{"REFKEY_RECOVER", "on", NULL},
	{"REFKEY_ON_DELETE", "soft", "soft"},
	{"REFKEY_ON_DELETE", "unlink", "unlink"},
	{"REFKEY_ON_DELETE", "keep", "keep"},
	{"REFKEY_ON_DELETE", "hard", NULL},
	{"REFKEY_GUEST_USER", "auth0|63effeeb2a7d55f8098d62f9", "auth0|63effeeb2a7d55f8098d62f9"},
	{"REFKEY_GUEST_USER", "a\tb", NULL},
	{"REFKEY_GUEST_USER", " art-guest", NULL},
	{"REFKEY_GUEST_USER", "\"art-guest\"", NULL},
	{"REFKEY_PDS_URL", "\"http://localhost:2583\"", NULL},
	{"REFKEY_PDS_URL", "http://localhost:2583 ", NULL},
	{"REFKEY_PDS_URL", "http://localhost:2583\r", NULL},
	{"REFKEY_ADMIN_PASSWORD", "\"it may be so\"", "\"it may be so\""},
	{"REFKEY_ADMIN_PASSWORD", "hunter2 ", NULL},
	{"REFKEY_ADMIN_PASSWORD", "hunter2\r", NULL},
	{"REFKEY_GUEST_USER", "\xc3", NULL},
	{"REFKEY_HOSTNAME", "RefKey.Example", "refkey.example"},
	{"REFKEY_HOSTNAME", "localhost", "localhost"},
	{"REFKEY_HOSTNAME", "refkey.example:443", NULL},
	{"REFKEY_HOSTNAME", "https://refkey.example", NULL},
	{"REFKEY_HOSTNAME", "refkey.example.", NULL},
	{"REFKEY_HOSTNAME", "[::1]", NULL},
	{"REFKEY_PUBLISH", "off", "off"},
	{"REFKEY_PUBLISH", "on", "on"},
	{"REFKEY_PUBLISH", "exclusive", "exclusive"},
	{"REFKEY_PUBLISH", "1", NULL},
	{"REFKEY_PDS_ADMIN_PASSWORD", "pass word", "pass word"},
	{"REFKEY_PDS_ADMIN_PASSWORD", "hunter2\n", NULL},
	{"REFKEY_PDS_BYPASS_KEY", "k\xc3\xa9y", "k\xc3\xa9y"},
	{"REFKEY_PDS_BYPASS_KEY", "hunter2\r\nx-other: 1", NULL},
	{"REFKEY_ADMIN_PASSWORD", "a:b", "a:b"},
	{"REFKEY_ADMIN_PASSWORD", "hunter2\x7f", NULL},
	{"REFKEY_SWEEP_SECONDS", "0", NULL},
	{"REFKEY_SWEEP_SECONDS", "1", "1"},
	{"REFKEY_SWEEP_SECONDS", "86400", "86400"},
	{"REFKEY_SWEEP_SECONDS", "86401", NULL},
	{"REFKEY_THREADS", "0", NULL},
	{"REFKEY_THREADS", "1", "1"},
	{"REFKEY_THREADS", "256", "256"},
	{"REFKEY_THREADS", "257", NULL},
	{"REFKEY_LOG_LEVEL", "error", "error"},
	{"REFKEY_LOG_LEVEL", "debug", "debug"},
	{"REFKEY_LOG_LEVEL", "trace", NULL},
	{"REFKEY_LOG_FORMAT", "text", "text"},
	{"REFKEY_LOG_FORMAT", "json", "json"},
	{"REFKEY_LOG_FORMAT", "JSON", NULL},
	{"REFKEY_ALLOW_PRIVATE", "1", "on"},
	{"REFKEY_ALLOW_PRIVATE", "0", "off"},
	{"REFKEY_ALLOW_PRIVATE", "true", "on"},
	{"REFKEY_ALLOW_PRIVATE", "false", "off"},
	{"REFKEY_ALLOW_PRIVATE", "on", "on"},
	{"REFKEY_ALLOW_PRIVATE", "off", "off"},
	{"REFKEY_ALLOW_PRIVATE", "yes", "on"},
	{"REFKEY_ALLOW_PRIVATE", "no", "off"},
	{"REFKEY_ALLOW_PRIVATE", "TRUE", NULL},
	{"REFKEY_ALLOW_PRIVATE", "2", NULL},
};

static void each_value_from_environment_and_flag(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t at = place(cases[i].env);
		const struct rk_setting_row *row = rk_setting_row(at);

		for (int as_flag = 0; as_flag < 2; as_flag++) {
			char assignment[512], got[512];
			const char *environment[] = {assignment, NULL};
			struct rk_setting_flags flags = {{NULL}};
			struct rk_settings settings;
			struct rk_buf problems = {0};
			int result;

			snprintf(assignment, sizeof(assignment), "%s=%s", cases[i].env,
				cases[i].value);
			if (as_flag)
				flags.values[at] = cases[i].value;
			result = rk_settings_load(&settings, &problems,
				as_flag ? empty : environment, &flags, "check");
			if (result != (cases[i].expected ? RK_SETTINGS_OK : RK_SETTINGS_REFUSED))
				fail_msg("%s: %s", assignment, rk_buf_cstr(&problems));
			if (cases[i].expected) {
				printed(got, sizeof(got), &settings, row);
				assert_string_equal(got, cases[i].expected);
			} else {
				assert_non_null(strstr(rk_buf_cstr(&problems), cases[i].env));
				assert_non_null(strstr(rk_buf_cstr(&problems), "; accepted: "));
				assert_true(!as_flag == !strstr(rk_buf_cstr(&problems), row->flag));
			}
			rk_settings_finish(&settings);
			rk_buf_finish(&problems);
		}
	}
}

static void every_setting_has_a_case(void **state)
{
	for (size_t at = 0; at < rk_setting_count(); at++) {
		bool found = false;

		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
			found = found || strcmp(cases[i].env, rk_setting_row(at)->env) == 0;
		if (!found)
			fail_msg("%s", rk_setting_row(at)->env);
	}
}

static void rows_are_whole(void **state)
{
	for (size_t at = 0; at < rk_setting_count(); at++) {
		const struct rk_setting_row *row = rk_setting_row(at);
		char flag[64] = "--";
		size_t len = 2;

		for (const char *c = row->env + strlen("REFKEY_"); *c; c++)
			flag[len++] =
				*c == '_' ? '-' : (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		flag[len] = '\0';
		assert_string_equal(row->flag, flag);
		assert_true(!row->value != !row->otherwise);
		assert_non_null(row->help);
		assert_true((row->kind == RK_SETTING_ENUM) == (row->names != NULL));
		assert_true((row->kind == RK_SETTING_INT || row->kind == RK_SETTING_STRING) ==
			(row->most > 0));
		assert_ptr_equal(rk_setting_by_flag(rk_slice_str(flag)), row);
		assert_ptr_equal(rk_setting_by_env(rk_slice_str(row->env)), row);
		for (size_t other = 0; other < at; other++)
			assert_true(rk_setting_row(other)->offset != row->offset);
	}
}

static void names_are_in_the_order_of_their_enums(void **state)
{
	static const struct {
		const char *env;
		unsigned value;
		const char *name;
	} names[] = {
		{"REFKEY_SOURCE", RK_SOURCE_PDS, "pds"},
		{"REFKEY_SOURCE", RK_SOURCE_RELAY, "relay"},
		{"REFKEY_RECOVER", RK_RECOVER_OFF, "off"},
		{"REFKEY_RECOVER", RK_RECOVER_NEW, "new"},
		{"REFKEY_RECOVER", RK_RECOVER_ALL, "all"},
		{"REFKEY_ON_DELETE", RK_ON_DELETE_SOFT, "soft"},
		{"REFKEY_ON_DELETE", RK_ON_DELETE_UNLINK, "unlink"},
		{"REFKEY_ON_DELETE", RK_ON_DELETE_KEEP, "keep"},
		{"REFKEY_PUBLISH", RK_PUBLISH_OFF, "off"},
		{"REFKEY_PUBLISH", RK_PUBLISH_ON, "on"},
		{"REFKEY_PUBLISH", RK_PUBLISH_EXCLUSIVE, "exclusive"},
	};
	const char *const *texts = rk_setting_row(place("REFKEY_LOG_LEVEL"))->names;
	enum rk_log_level level;
	enum rk_log_format format;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_string_equal(
			rk_setting_row(place(names[i].env))->names[names[i].value], names[i].name);
	for (unsigned i = 0; texts[i]; i++) {
		assert_true(rk_log_level_parse(&level, texts[i]));
		assert_int_equal(level, i);
	}
	texts = rk_setting_row(place("REFKEY_LOG_FORMAT"))->names;
	for (unsigned i = 0; texts[i]; i++) {
		assert_true(rk_log_format_parse(&format, texts[i]));
		assert_int_equal(format, i);
	}
}

static void defaults_are_the_contract(void **state)
{
	struct rk_settings settings;
	struct rk_buf problems = {0};

	assert_int_equal(
		rk_settings_load(&settings, &problems, empty, NULL, "check"), RK_SETTINGS_OK);
	assert_null(settings.pds_url);
	assert_null(settings.pds_public_url);
	assert_int_equal(settings.source, RK_SOURCE_PDS);
	assert_string_equal(settings.plc_url, "https://plc.directory");
	assert_string_equal(settings.data_dir, "./data");
	assert_string_equal(settings.listen, "127.0.0.1:3900");
	assert_null(settings.mongo_uri);
	assert_string_equal(settings.mongo_db, "aesthetic");
	assert_int_equal(settings.mongo_batch, 1000);
	assert_int_equal(settings.recover, RK_RECOVER_NEW);
	assert_int_equal(settings.on_delete, RK_ON_DELETE_SOFT);
	assert_string_equal(settings.guest_user, "art-guest");
	assert_null(settings.hostname);
	assert_int_equal(settings.publish, RK_PUBLISH_OFF);
	assert_null(settings.pds_admin_password);
	assert_null(settings.pds_bypass_key);
	assert_null(settings.admin_password);
	assert_int_equal(settings.sweep_seconds, 600);
	assert_in_range(settings.threads, 1, 256);
	assert_int_equal(settings.log_level, RK_LOG_INFO);
	assert_int_equal(settings.log_format, RK_LOG_TEXT);
	assert_false(settings.allow_private);
	rk_settings_finish(&settings);
	rk_settings_finish(&settings);
	rk_settings_finish(NULL);
	rk_buf_finish(&problems);
}

static void flag_wins_and_empty_is_unset(void **state)
{
	static const char *const environment[] = {"REFKEY_MONGO_BATCH=7",
		"REFKEY_LISTEN=", "REFKEY_HOSTNAME=a.example", "REFKEY_PDS_URL=", "PATH=/bin",
		"REFKEYS=1", "REFKEY=1", "XREFKEY_FOO=1", "REFKEY_TEST_ANY=1",
		"REFKEY_TEST_=", "odd", NULL};
	struct rk_setting_flags flags = {{NULL}};
	struct rk_settings settings;
	struct rk_buf problems = {0};

	flags.values[place("REFKEY_MONGO_BATCH")] = "8";
	flags.values[place("REFKEY_HOSTNAME")] = "";
	assert_int_equal(rk_settings_load(&settings, &problems, environment, &flags, "check"),
		RK_SETTINGS_OK);
	assert_int_equal(settings.mongo_batch, 8);
	assert_string_equal(settings.listen, "127.0.0.1:3900");
	assert_null(settings.hostname);
	assert_null(settings.pds_url);
	rk_settings_finish(&settings);
	/* a wrong value that a flag overrides is not read */
	flags.values[place("REFKEY_LISTEN")] = "127.0.0.1:1";
	assert_int_equal(
		rk_settings_load(&settings, &problems,
			(const char *const[]){"REFKEY_LISTEN=nonsense", NULL}, &flags, "check"),
		RK_SETTINGS_OK);
	rk_settings_finish(&settings);
	rk_buf_finish(&problems);
}

static void only_serve_requires_the_pds(void **state)
{
	static const struct {
		const char *command;
		int result;
	} commands[] = {
		{"serve", RK_SETTINGS_REFUSED},
		{"recover", RK_SETTINGS_OK},
		{"check", RK_SETTINGS_OK},
	};

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		struct rk_settings settings;
		struct rk_buf problems = {0};

		assert_int_equal(
			rk_settings_load(&settings, &problems, empty, NULL, commands[i].command),
			commands[i].result);
		assert_true(
			!strstr(rk_buf_cstr(&problems), "REFKEY_PDS_URL (--pds-url) is not set") ==
			(commands[i].result == RK_SETTINGS_OK));
		rk_settings_finish(&settings);
		rk_buf_finish(&problems);
	}
}

static void publish_goes_with_soft_only(void **state)
{
	static const char *const publish[] = {"off", "on", "exclusive"};
	static const char *const on_delete[] = {"soft", "unlink", "keep"};

	for (size_t p = 0; p < 3; p++) {
		for (size_t d = 0; d < 3; d++) {
			struct rk_setting_flags flags = {{NULL}};
			struct rk_settings settings;
			struct rk_buf problems = {0};

			flags.values[place("REFKEY_PUBLISH")] = publish[p];
			flags.values[place("REFKEY_ON_DELETE")] = on_delete[d];
			assert_int_equal(
				rk_settings_load(&settings, &problems, empty, &flags, "check"),
				p && d ? RK_SETTINGS_REFUSED : RK_SETTINGS_OK);
			if (p && d) {
				assert_non_null(strstr(rk_buf_cstr(&problems), "REFKEY_PUBLISH"));
				assert_non_null(strstr(rk_buf_cstr(&problems), "REFKEY_ON_DELETE"));
				assert_non_null(strstr(rk_buf_cstr(&problems), on_delete[d]));
			}
			rk_settings_finish(&settings);
			rk_buf_finish(&problems);
		}
	}
}

static void unknown_names_are_refused_without_their_value(void **state)
{
	static const char *const names[] = {
		"REFKEY_ADMIN_PASWORD",
		"REFKEY_",
		"REFKEY_TEST",
		"REFKEY_pds_url",
		"REFKEY_PDS_URL ",
		"REFKEY_PDS_URLS",
		"REFKEY_NEW\nLINE",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char assignment[64];
		const char *environment[] = {assignment, NULL};
		struct rk_settings settings;
		struct rk_buf problems = {0};

		snprintf(assignment, sizeof(assignment), "%s=hunter2", names[i]);
		assert_int_equal(rk_settings_load(&settings, &problems, environment, NULL, "check"),
			RK_SETTINGS_REFUSED);
		if (!strchr(names[i], '\n'))
			assert_non_null(strstr(rk_buf_cstr(&problems), names[i]));
		assert_non_null(strstr(rk_buf_cstr(&problems), "accepted: REFKEY_PDS_URL "));
		assert_null(strstr(rk_buf_cstr(&problems), "hunter2"));
		rk_settings_finish(&settings);
		rk_buf_finish(&problems);
	}
}

static void wrong_values_from_files_say_why(void **state)
{
	static const struct {
		const char *env, *value, *said;
	} wrong[] = {
		{"REFKEY_DATA_DIR", "\"./data\"", "leave them out"},
		{"REFKEY_SWEEP_SECONDS", "'600'", "leave them out"},
		{"REFKEY_RECOVER", "new\r", "carriage return"},
		{"REFKEY_LISTEN", "127.0.0.1:3900 ", "blank"},
		{"REFKEY_ADMIN_PASSWORD", "hunter2 ", "blank"},
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct rk_setting_flags flags = {{NULL}};
		struct rk_settings settings;
		struct rk_buf problems = {0};

		flags.values[place(wrong[i].env)] = wrong[i].value;
		assert_int_equal(rk_settings_load(&settings, &problems, empty, &flags, "check"),
			RK_SETTINGS_REFUSED);
		assert_non_null(strstr(rk_buf_cstr(&problems), wrong[i].env));
		assert_non_null(strstr(rk_buf_cstr(&problems), wrong[i].said));
		assert_null(strstr(rk_buf_cstr(&problems), "hunter2"));
		rk_settings_finish(&settings);
		rk_buf_finish(&problems);
	}
}

static void secrets_are_never_shown(void **state)
{
	for (size_t at = 0; at < rk_setting_count(); at++) {
		const struct rk_setting_row *row = rk_setting_row(at);
		/* wrong for every kind: a control character, and a user name where a URL may have one */
		const char *value =
			rk_setting_is_secret(row) ? "hunter2\n" : "https://me:hunter2@a.example/\n";
		bool may_show = !rk_setting_is_secret(row) && row->kind != RK_SETTING_ORIGIN &&
			row->kind != RK_SETTING_URL;
		struct rk_setting_flags flags = {{NULL}};
		struct rk_settings settings;
		struct rk_buf problems = {0};

		flags.values[at] = value;
		assert_int_equal(rk_settings_load(&settings, &problems, empty, &flags, "check"),
			RK_SETTINGS_REFUSED);
		if (!may_show)
			assert_null(strstr(rk_buf_cstr(&problems), "hunter2"));
		rk_settings_finish(&settings);
		rk_buf_finish(&problems);
	}
}

static void messages_show_values_on_one_line(void **state)
{
	static const struct {
		const char *value, *shown;
	} values[] = {
		{"no\nlevel", "\"no\\nlevel\""},
		{"\xff\x01", "hex:ff01"},
		{"\"", "\"\\\"\""},
	};
	struct rk_setting_flags flags = {{NULL}};
	char longest[1001];

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct rk_settings settings;
		struct rk_buf problems = {0};

		flags.values[place("REFKEY_LOG_LEVEL")] = values[i].value;
		assert_int_equal(rk_settings_load(&settings, &problems, empty, &flags, "check"),
			RK_SETTINGS_REFUSED);
		assert_non_null(strstr(rk_buf_cstr(&problems), values[i].shown));
		assert_int_equal(strcspn(rk_buf_cstr(&problems), "\n"), problems.len - 1);
		rk_settings_finish(&settings);
		rk_buf_finish(&problems);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	{
		struct rk_settings settings;
		struct rk_buf problems = {0};

		flags.values[place("REFKEY_LOG_LEVEL")] = longest;
		assert_int_equal(rk_settings_load(&settings, &problems, empty, &flags, "check"),
			RK_SETTINGS_REFUSED);
		assert_true(problems.len < 400);
		rk_settings_finish(&settings);
		rk_buf_finish(&problems);
	}
}

static void long_texts_in_pairs(void **state)
{
	static const struct {
		const char *env;
		size_t most;
	} texts[] = {
		{"REFKEY_DATA_DIR", 4095},
		{"REFKEY_GUEST_USER", 256},
		{"REFKEY_ADMIN_PASSWORD", 4096},
		{"REFKEY_MONGO_DB", 63},
		{"REFKEY_HOSTNAME", 63},
	};
	char text[5000];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (size_t over = 0; over < 2; over++) {
			struct rk_setting_flags flags = {{NULL}};
			struct rk_settings settings;
			struct rk_buf problems = {0};

			memset(text, 'a', sizeof(text));
			text[texts[i].most + over] = '\0';
			flags.values[place(texts[i].env)] = text;
			assert_int_equal(
				rk_settings_load(&settings, &problems, empty, &flags, "check"),
				over ? RK_SETTINGS_REFUSED : RK_SETTINGS_OK);
			rk_settings_finish(&settings);
			rk_buf_finish(&problems);
		}
	}
}

static void all_problems_at_once(void **state)
{
	static const char *const environment[] = {
		"REFKEY_SOURCE=x", "REFKEY_NEW=1", "REFKEY_THREADS=0", NULL};
	struct rk_settings settings;
	struct rk_buf problems = {0};

	assert_int_equal(rk_settings_load(&settings, &problems, environment, NULL, "serve"),
		RK_SETTINGS_REFUSED);
	assert_non_null(
		strstr(rk_buf_cstr(&problems), "REFKEY_SOURCE is \"x\"; accepted: pds or relay\n"));
	assert_non_null(strstr(rk_buf_cstr(&problems), "\"REFKEY_NEW\""));
	assert_non_null(strstr(rk_buf_cstr(&problems),
		"REFKEY_THREADS is \"0\"; accepted: a whole number from 1 to 256\n"));
	assert_non_null(strstr(rk_buf_cstr(&problems), "REFKEY_PDS_URL (--pds-url) is not set"));
	rk_settings_finish(&settings);
	rk_buf_finish(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_value_from_environment_and_flag),
		cmocka_unit_test(every_setting_has_a_case),
		cmocka_unit_test(rows_are_whole),
		cmocka_unit_test(names_are_in_the_order_of_their_enums),
		cmocka_unit_test(defaults_are_the_contract),
		cmocka_unit_test(flag_wins_and_empty_is_unset),
		cmocka_unit_test(only_serve_requires_the_pds),
		cmocka_unit_test(publish_goes_with_soft_only),
		cmocka_unit_test(unknown_names_are_refused_without_their_value),
		cmocka_unit_test(wrong_values_from_files_say_why),
		cmocka_unit_test(secrets_are_never_shown),
		cmocka_unit_test(messages_show_values_on_one_line),
		cmocka_unit_test(long_texts_in_pairs),
		cmocka_unit_test(all_problems_at_once),
	};
	return cmocka_run_group_tests_name("cli/settings", tests, NULL, NULL);
}
