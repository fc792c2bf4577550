/* Rules of cli/command and cli/help: command lines, their refusals, and that help is the tables. */
#include "tests/unit/test.h"

#include <string.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/setting_value.h"

enum { ARGS_MOST = 16 };

/* Stand-ins: what a command does is not tested here, only that its own function is called. */
#define STAND_IN(name, code)                                                                       \
	int rk_command_##name(const struct rk_command_call *call)                                  \
	{                                                                                          \
		return code;                                                                       \
	}
STAND_IN(serve, 101)
STAND_IN(recover, 102)
STAND_IN(status, 103)
STAND_IN(check, 104)
STAND_IN(backup, 105)
STAND_IN(reference, 106)
STAND_IN(tail, 107)
STAND_IN(publish, 108)
STAND_IN(accounts, 109)
STAND_IN(audit, 110)
STAND_IN(forget, 111)
STAND_IN(delete, 112)
STAND_IN(repair, 113)
STAND_IN(lexicon, 114)

static int read_line(
	struct rk_command_line *line, const char *const *args, const char *const *environment)
{
	static const char *const none[] = {NULL};
	const char *argv[ARGS_MOST + 2] = {"refkey"};
	int argc = 1;

	for (; args[argc - 1]; argc++)
		argv[argc] = args[argc - 1];
	return rk_command_line_read(line, argc, argv, environment ? environment : none);
}

static void each_command_runs_its_function(void **state)
{
	static const struct {
		const char *args[5];
		int code;
		size_t count;
	} cases[] = {
		{{"serve", "--pds-url", "http://pds:3000"}, 101, 0},
		{{"serve", "--pds-url=http://pds:3000", "--allow-private"}, 101, 0},
		{{"recover"}, 102, 0},
		{{"status", "--json"}, 103, 0},
		{{"check"}, 104, 0},
		{{"backup", "dir"}, 105, 1},
		{{"backup", "--", "--dir"}, 105, 1},
		{{"backup", "-", "--json"}, 105, 1},
		{{"backup", "--json", "--", "-n"}, 105, 1},
		{{"check", "--allow-private=off", "--json"}, 104, 0},
		{{"reference", "markdown"}, 106, 1},
		{{"tail", "--pds-url=http://pds:3000", "--cursor", "0"}, 107, 0},
		{{"tail", "--pds-url=http://pds:3000", "--cursor=999999999999999", "--unverified"},
			107, 0},
		{{"publish", "moods", "--max-wait=0", "--report=dir"}, 108, 1},
		{{"publish", "--max-wait=86400", "moods", "--guests"}, 108, 1},
		{{"audit", "--all", "--report=dir"}, 110, 0},
		{{"audit", "--index", "--user", "@ada"}, 110, 0},
		{{"repair", "--duplicates", "--plan", "file"}, 113, 0},
		{{"repair", "--undo=file", "--max-wait=1"}, 113, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_command_line line;

		if (read_line(&line, cases[i].args, NULL) != RK_COMMAND_RUN)
			fail_msg("%s: %s", cases[i].args[0], rk_buf_cstr(&line.problems));
		assert_int_equal(line.call.command->run(&line.call), cases[i].code);
		assert_int_equal(line.call.argument_count, cases[i].count);
		assert_null(line.call.arguments[cases[i].count]);
		rk_command_line_finish(&line);
	}
}

static void options_and_settings_reach_the_call(void **state)
{
	static const char *const args[] = {"recover", "--user", "@a", "--limit=5", "--user=@b",
		"--batch-size", "100000", "--delay", "0", "--dry-run", "--json", "--restore",
		"--mongo-batch=9", NULL};
	static const char *const environment[] = {
		"REFKEY_MONGO_BATCH=3", "REFKEY_MONGO_DB=other", NULL};
	const struct rk_command_options *options;
	struct rk_command_line line;

	assert_int_equal(read_line(&line, args, environment), RK_COMMAND_RUN);
	options = line.call.options;
	assert_string_equal(options->users[0], "@a");
	assert_string_equal(options->users[1], "@b");
	assert_null(options->users[2]);
	assert_null(options->skip);
	assert_int_equal(options->limit, 5);
	assert_int_equal(options->batch_size, 100000);
	assert_int_equal(options->delay_ms, 0);
	assert_true(options->dry_run && options->json && options->restore);
	assert_int_equal(line.call.settings->mongo_batch, 9);
	assert_string_equal(line.call.settings->mongo_db, "other");
	rk_command_line_finish(&line);
	rk_command_line_finish(&line);
	rk_command_line_finish(NULL);
}

static void switches_of_settings_take_a_value_or_none(void **state)
{
	static const struct {
		const char *args[6];
		bool on;
		size_t count;
	} cases[] = {
		{{"check", "--allow-private"}, true, 0},
		{{"check", "--allow-private", "--json"}, true, 0},
		{{"check", "--allow-private", "on", "--json"}, true, 0},
		{{"check", "--allow-private", "off"}, false, 0},
		{{"check", "--allow-private=false"}, false, 0},
		{{"backup", "--allow-private", "dir"}, true, 1},
		{{"backup", "--allow-private", "0", "dir"}, false, 1},
		{{"backup", "--allow-private", "--", "off"}, true, 1},
		{{"backup", "off", "--allow-private"}, true, 1},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_command_line line;

		if (read_line(&line, cases[i].args, NULL) != RK_COMMAND_RUN)
			fail_msg("%zu: %s", i, rk_buf_cstr(&line.problems));
		assert_int_equal(line.call.settings->allow_private, cases[i].on);
		assert_int_equal(line.call.argument_count, cases[i].count);
		rk_command_line_finish(&line);
	}
}

static void wrong_lines_say_what_is_accepted(void **state)
{
	static const struct {
		const char *args[5];
		const char *said, *also;
	} cases[] = {
		{{NULL}, "which command?", "see: refkey --help"},
		{{"recvoer"}, "unknown command \"recvoer\"",
			"accepted: serve recover status check backup tail publish "},
		{{""}, "unknown command \"\"", "see: refkey --help"},
		{{"help", "nothing"}, "unknown command \"nothing\"", "see: refkey --help"},
		{{"help", "serve", "more"}, "unexpected argument \"more\"", "refkey help COMMAND"},
		{{"--version", "more"}, "unexpected argument \"more\"", "see: refkey --help"},
		{{"--data-dir=x", "check"},
			"the command comes before its options, not \"--data-dir\"",
			"see: refkey --help"},
		{{"serve", "--bogus"}, "unknown option \"--bogus\"",
			"accepted by serve: the flags of settings"},
		{{"check", "--dry-run"}, "unknown option \"--dry-run\"",
			"accepted by check: --json"},
		{{"recover", "--dry"}, "unknown option \"--dry\"", "--user --skip --limit"},
		{{"recover", "--lim"}, "unknown option \"--lim\"", "accepted by recover: --user"},
		{{"recover", "--limi", "3"}, "unknown option \"--limi\"",
			"and the flags of settings"},
		{{"recover", "--mongo-bat=3"}, "unknown option \"--mongo-bat\"",
			"see: refkey recover --help"},
		{{"recover", "--=3"}, "unknown option \"--\"", "see: refkey recover --help"},
		{{"recover", "-n"}, "unknown option \"-n\"", "see: refkey recover --help"},
		{{"check", "--js=1"}, "unknown option \"--js\"", "see: refkey check --help"},
		{{"check", "--allow-private", "maybe"}, "unexpected argument \"maybe\"",
			"see: refkey check --help"},
		{{"check", "--json=1"}, "--json takes no value", "see: refkey check --help"},
		{{"check", "here"}, "unexpected argument \"here\"", "refkey check [options]"},
		{{"backup"}, "backup needs DIR", "see: refkey backup --help"},
		{{"backup", "a", "b"}, "unexpected argument \"b\"", "refkey backup [options] DIR"},
		{{"recover", "--limit"}, "--limit needs a value", "see: refkey recover --help"},
		{{"recover", "--user", "--dry-run"}, "--user needs a value", "--user=--"},
		{{"recover", "--user", "--dry-run=1"}, "--user needs a value",
			"--dry-run takes no value"},
		{{"recover", "--mongo-batch", "--"}, "--mongo-batch needs a value",
			"--mongo-batch=--"},
		{{"recover", "--user="}, "--user is empty", "@HANDLE"},
		{{"recover", "--limit", "0"}, "--limit is \"0\"",
			"a whole number from 1 to 1000000000"},
		{{"recover", "--limit", "1000000001"}, "--limit is \"1000000001\"",
			"a whole number"},
		{{"recover", "--batch-size", "100001"}, "--batch-size is \"100001\"",
			"from 1 to 100000"},
		{{"recover", "--delay", "3600001"}, "--delay is \"3600001\"", "from 0 to 3600000"},
		{{"recover", "--delay", "-1"}, "--delay is \"-1\"", "from 0 to 3600000"},
		{{"recover", "--delay", "18446744073709551616"}, "--delay is", "from 0 to 3600000"},
		{{"recover", "--mongo-batch", "0"}, "REFKEY_MONGO_BATCH (--mongo-batch) is \"0\"",
			"a whole number from 1 to 100000"},
		{{"tail", "--collection", "moods"}, "--collection is \"moods\"",
			"accepted: an NSID"},
		{{"tail", "--did", "@ada"}, "--did is \"@ada\"", "accepted: a DID"},
		{{"tail", "--did", "did:plc:"}, "--did is", "accepted: a DID"},
		{{"tail", "--cursor", "1000000000000000"}, "--cursor is", "from 0 to"},
		{{"publish"}, "publish needs moods|paintings", "see: refkey publish --help"},
		{{"publish", "moods", "more"}, "unexpected argument \"more\"", ""},
		{{"publish", "moods", "--max-wait", "86401"}, "--max-wait is", "from 0 to"},
		{{"publish", "moods", "--report="}, "--report is empty", "accepted: DIR"},
		{{"publish", "moods", "--restore"}, "restore", ""},
		{{"publish", "moods", "--user", "@\xe4r"}, "--user is hex:40e472", "not UTF-8"},
		{{"publish", "moods", "--skip", "\xff"}, "--skip is hex:ff", "not UTF-8"},
		{{"repair", "--undo", "\xff"}, "--undo is hex:ff", "not UTF-8"},
		{{"forget", "@\xe4r"}, "an argument is hex:40e472", "not UTF-8"},
		{{"delete", "a", "\xff"}, "an argument is hex:ff", "not UTF-8"},
		{{"recover", "--guests"}, "guests", ""},
		{{"tail", "--cursor=-1"}, "--cursor is", "from 0 to"},
		{{"tail", "--user", "@ada"}, "unknown option \"--user\"",
			"accepted by tail: --limit --collection --did --cursor --unverified"},
		{{"tail"}, "REFKEY_PDS_URL (--pds-url) is not set", "see: refkey tail --help"},
		{{"serve"}, "REFKEY_PDS_URL (--pds-url) is not set", "see: refkey serve --help"},
		{{"reference"}, "reference needs markdown", "see: refkey --help"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_command_line line;

		assert_int_equal(read_line(&line, cases[i].args, NULL), RK_COMMAND_WRONG);
		if (!strstr(rk_buf_cstr(&line.problems), cases[i].said) ||
			!strstr(rk_buf_cstr(&line.problems), cases[i].also))
			fail_msg("%s: %s", cases[i].said, rk_buf_cstr(&line.problems));
		assert_int_equal(line.out.len, 0);
		rk_command_line_finish(&line);
	}
}

/* Of every command that has both, in either order. */
static void dry_run_writes_nothing_even_with_yes(void **state)
{
	static const char *const orders[][2] = {{"--yes", "--dry-run"}, {"--dry-run", "--yes"}};
	unsigned both = RK_OPTION_YES | RK_OPTION_DRY_RUN;
	size_t seen = 0;

	for (size_t i = 0; i < rk_command_count() * 2; i++) {
		const struct rk_command_row *row = rk_command_row(i / 2);
		const char *args[] = {row->name, orders[i % 2][0], orders[i % 2][1],
			row->least ? "argument" : NULL, NULL};
		struct rk_command_line line;

		if ((row->options & both) != both)
			continue;
		assert_int_equal(read_line(&line, args, NULL), RK_COMMAND_RUN);
		assert_true(line.options.dry_run && !line.options.yes);
		rk_command_line_finish(&line);
		args[1] = "--yes";
		args[2] = row->least ? "argument" : NULL;
		args[3] = NULL;
		assert_int_equal(read_line(&line, args, NULL), RK_COMMAND_RUN);
		assert_true(line.options.yes && !line.options.dry_run);
		rk_command_line_finish(&line);
		seen++;
	}
	assert_true(seen >= 4);
}

static void number_boundaries_accepted(void **state)
{
	static const char *const args[][4] = {
		{"recover", "--limit", "1"},
		{"recover", "--limit", "1000000000"},
		{"recover", "--batch-size", "1"},
		{"recover", "--delay", "3600000"},
	};

	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		struct rk_command_line line;

		assert_int_equal(read_line(&line, args[i], NULL), RK_COMMAND_RUN);
		rk_command_line_finish(&line);
	}
}

static void misspelt_options_do_not_show_what_follows(void **state)
{
	static const char *const args[][5] = {
		{"check", "--admin-pasword", "hunter2"},
		{"check", "--admin-pasword=hunter2"},
		{"--admin-password=hunter2", "check"},
		{"check", "--mongo-uri", "hunter2"},
		{"check", "--pds-url", "https://me:hunter2@pds.example"},
		{"check", "--admin-password=hunter2\n"},
	};

	for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++) {
		struct rk_command_line line;

		assert_int_equal(read_line(&line, args[i], NULL), RK_COMMAND_WRONG);
		assert_null(strstr(rk_buf_cstr(&line.problems), "hunter2"));
		rk_command_line_finish(&line);
	}
}

static void help_and_version_need_no_settings(void **state)
{
	static const char *const environment[] = {
		"REFKEY_NEW=1", "REFKEY_SOURCE=x", "REFKEY_ADMIN_PASSWORD=hunter2", NULL};
	static const struct {
		const char *args[5];
		const char *said;
	} cases[] = {
		{{"--version"}, "refkey " REFKEY_VERSION "\n"},
		{{"--help"}, "Usage: refkey COMMAND"},
		{{"-h"}, "Usage: refkey COMMAND"},
		{{"help"}, "Usage: refkey COMMAND"},
		{{"help", "--help"}, "Usage: refkey COMMAND"},
		{{"help", "recover"}, "Usage: refkey recover [options]\n"},
		{{"--help", "recover"}, "Usage: refkey recover [options]\n"},
		{{"recover", "--help"}, "Usage: refkey recover [options]\n"},
		{{"recover", "--nonsense", "--help"}, "Usage: refkey recover [options]\n"},
		{{"backup", "-h"}, "Usage: refkey backup [options] DIR\n"},
		{{"lexicon", "--help"}, "--records"},
		{{"help", "lexicon"}, "--records"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_command_line line;

		assert_int_equal(read_line(&line, cases[i].args, environment), RK_COMMAND_SHOW);
		assert_non_null(strstr(rk_buf_cstr(&line.out), cases[i].said));
		assert_null(strstr(rk_buf_cstr(&line.out), "hunter2"));
		assert_int_equal(line.problems.len, 0);
		rk_command_line_finish(&line);
	}
}

static void help_after_two_dashes_is_an_argument(void **state)
{
	static const char *const args[] = {"backup", "--", "--help", NULL};
	struct rk_command_line line;

	assert_int_equal(read_line(&line, args, NULL), RK_COMMAND_RUN);
	assert_string_equal(line.call.arguments[0], "--help");
	rk_command_line_finish(&line);
}

static void hidden_commands_run_without_settings(void **state)
{
	static const char *const args[] = {"reference", "markdown", NULL};
	static const char *const environment[] = {"REFKEY_NEW=1", NULL};
	struct rk_command_line line;

	assert_int_equal(read_line(&line, args, environment), RK_COMMAND_RUN);
	rk_command_line_finish(&line);
}

static void help_names_every_row(void **state)
{
	struct rk_buf program = {0}, reference = {0};

	rk_help_program(&program);
	rk_help_reference(&reference);
	for (size_t i = 0; i < rk_setting_count(); i++) {
		const struct rk_setting_row *row = rk_setting_row(i);
		const char *holds = row->value ? row->value : row->otherwise;

		assert_non_null(strstr(rk_buf_cstr(&program), row->env));
		assert_non_null(strstr(rk_buf_cstr(&program), row->flag));
		assert_non_null(strstr(rk_buf_cstr(&reference), row->env));
		assert_non_null(strstr(rk_buf_cstr(&reference), holds));
	}
	for (size_t i = 0; i < rk_command_count(); i++) {
		const struct rk_command_row *row = rk_command_row(i);
		struct rk_buf help = {0};

		assert_int_equal(strstr(rk_buf_cstr(&program), row->help) == NULL, row->hidden);
		assert_int_equal(strstr(rk_buf_cstr(&reference), row->help) == NULL, row->hidden);
		rk_help_command(&help, row);
		for (size_t o = 0; o < rk_option_count(); o++)
			assert_int_equal(strstr(rk_buf_cstr(&help), rk_option_row(o)->flag) != NULL,
				(row->options >> o) & 1);
		assert_ptr_equal(rk_command_find(row->name), row);
		assert_non_null(row->run);
		assert_true(row->least <= row->most);
		assert_true((row->most > 0) == (row->arguments != NULL));
		rk_buf_finish(&help);
	}
	for (const char *line = rk_buf_cstr(&program); *line; line += strcspn(line, "\n") + 1)
		assert_in_range(strcspn(line, "\n"), 0, 100);
	rk_buf_finish(&program);
	rk_buf_finish(&reference);
}

/* In one command's help there is no word of the others, and what it needs is there. */
static void help_of_a_command_is_of_that_command(void **state)
{
	static const struct {
		const char *command, *says, *says_not;
	} cases[] = {
		{"tail", "stop after N events", "were written"},
		{"recover", "stop after N were written", "tail"},
		{"accounts", "the N users with the most documents", "tail"},
		{"publish", "200 at most", "REFKEY_MONGO_BATCH"},
		{"recover", "if not given, REFKEY_MONGO_BATCH", "publish"},
		{"repair", "200 at most", "REFKEY_MONGO_BATCH"},
		{"lexicon", "publish in the repo of this user", "only this user"},
		{"audit", "only this user", "in the repo of"},
		{"audit", "all users, as without --user", "repair"},
		{"repair", "all four kinds", "audit"},
		{"recover", "Needs REFKEY_MONGO_URI (--mongo-uri)", "Needs REFKEY_PDS_URL"},
		{"publish", "Needs REFKEY_MONGO_URI (--mongo-uri)", "Needs REFKEY_DATA_DIR"},
		{"publish", "Needs REFKEY_PDS_URL (--pds-url)", "Needs REFKEY_PLC_URL"},
		{"serve", "Needs REFKEY_PDS_URL (--pds-url)", "Beside a running serve"},
		{"accounts", "Needs REFKEY_PDS_URL (--pds-url)", "Beside a running serve"},
		{"status", "Beside a running serve, that one", "Needs"},
		{"check", "\nExit: 0 done, 1 ", "Needs"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rk_buf help = {0};

		rk_help_command(&help, rk_command_find(cases[i].command));
		if (!strstr(rk_buf_cstr(&help), cases[i].says) ||
			strstr(rk_buf_cstr(&help), cases[i].says_not))
			fail_msg(
				"%s, %s:\n%s", cases[i].command, cases[i].says, rk_buf_cstr(&help));
		rk_buf_finish(&help);
	}
}

/* A command that never goes through serve reads it, and no other: a difference from serve's is nobody's concern. */
static void what_accounts_alone_uses_is_its_own(void **state)
{
	assert_false(rk_command_find("accounts")->by_serve);
	assert_int_equal(
		rk_setting_by_env(rk_slice_str("REFKEY_PDS_ADMIN_PASSWORD"))->scope, RK_SCOPE_OWN);
}

static void flags_of_options_and_settings_differ(void **state)
{
	for (size_t i = 0; i < rk_option_count(); i++) {
		const struct rk_option_row *row = rk_option_row(i);

		assert_null(rk_setting_by_flag(rk_slice_str(row->flag)));
		assert_true((row->kind == RK_OPTION_IS_SWITCH) == (row->argument == NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_command_runs_its_function),
		cmocka_unit_test(options_and_settings_reach_the_call),
		cmocka_unit_test(switches_of_settings_take_a_value_or_none),
		cmocka_unit_test(wrong_lines_say_what_is_accepted),
		cmocka_unit_test(dry_run_writes_nothing_even_with_yes),
		cmocka_unit_test(number_boundaries_accepted),
		cmocka_unit_test(misspelt_options_do_not_show_what_follows),
		cmocka_unit_test(help_and_version_need_no_settings),
		cmocka_unit_test(help_after_two_dashes_is_an_argument),
		cmocka_unit_test(hidden_commands_run_without_settings),
		cmocka_unit_test(help_names_every_row),
		cmocka_unit_test(help_of_a_command_is_of_that_command),
		cmocka_unit_test(what_accounts_alone_uses_is_its_own),
		cmocka_unit_test(flags_of_options_and_settings_differ),
	};
	return cmocka_run_group_tests_name("cli/command", tests, NULL, NULL);
}
