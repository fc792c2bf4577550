/* The tables of commands and options, and reading a command line. See command.h. */
#include "cli/command.h"

#include <errno.h>

#include "atproto/ascii.h"
#include "cli/help.h"
#include "cli/setting_value.h"

#define FIELD(name) .offset = offsetof(struct rk_command_options, name)

static const struct rk_option_row options[] = {
	{"--user", "@HANDLE", RK_OPTION_IS_LIST, FIELD(users),
		.help = "only this user: @handle, DID or _id; may be repeated"},
	{"--skip", "@HANDLE", RK_OPTION_IS_LIST, FIELD(skip),
		.help = "not this user; may be repeated"},
	{"--limit", "N", RK_OPTION_IS_NUMBER, FIELD(limit), .least = 1, .most = 1000000000,
		.help = "stop after N were written"},
	{"--batch-size", "N", RK_OPTION_IS_NUMBER, FIELD(batch_size), .least = 1, .most = 100000,
		.help = "N in one batch; REFKEY_MONGO_BATCH if not given"},
	{"--delay", "MS", RK_OPTION_IS_NUMBER, FIELD(delay_ms), .least = 0, .most = 3600000,
		.help = "wait so many milliseconds between batches"},
	{"--dry-run", NULL, RK_OPTION_IS_SWITCH, FIELD(dry_run),
		.help = "say what would be done, write nothing"},
	{"--json", NULL, RK_OPTION_IS_SWITCH, FIELD(json), .help = "print JSON"},
	{"--report", "DIR", RK_OPTION_IS_TEXT, FIELD(report),
		.help = "write a report of each record into DIR, mode 0600"},
	{"--restore", NULL, RK_OPTION_IS_SWITCH, FIELD(restore),
		.help = "MongoDB was lost: also insert documents that were there before, for their owners"},
};

enum { OPTIONS = sizeof(options) / sizeof(options[0]) };
_Static_assert(1 << (OPTIONS - 1) == RK_OPTION_RESTORE, "a bit for each row");

static const struct rk_command_row commands[] = {
	{"serve", NULL, "follow the firehose, keep the index, answer XRPC, recover to MongoDB",
		rk_command_serve},
	{"recover", NULL, "ATProto to MongoDB once: fill missing rkeys, insert missing documents",
		rk_command_recover, .options = RK_OPTION_SHARED | RK_OPTION_RESTORE},
	{"status", NULL, "state of the service and its index", rk_command_status,
		.options = RK_OPTION_JSON},
	{"check", NULL, "prove that the index is consistent", rk_command_check,
		.options = RK_OPTION_JSON},
	{"backup", "DIR", "write a compacted copy of the index into DIR, also beside a running serve",
		rk_command_backup, .options = RK_OPTION_JSON, .least = 1, .most = 1},
	{"reference", "markdown", "the tables of README.md", rk_command_reference, .least = 1,
		.most = 1, .hidden = true},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

size_t rk_command_count(void)
{
	return COMMANDS;
}

const struct rk_command_row *rk_command_row(size_t at)
{
	return &commands[at];
}

const struct rk_command_row *rk_command_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

size_t rk_option_count(void)
{
	return OPTIONS;
}

const struct rk_option_row *rk_option_row(size_t at)
{
	return &options[at];
}

/* What the reading of one command line has in hand. */
struct reading {
	struct rk_command_line *line;
	const struct rk_command_row *command;
	struct rk_setting_flags flags;
	const char **arguments; /* room for all that is left of argv, and NULL */
	bool lost; /* an unknown option: what follows may be its value, perhaps a secret, so it is not read */
};

static void problem_quoted(struct rk_command_line *line, const char *before, struct rk_slice text,
	const char *after)
{
	rk_buf_add_str(&line->problems, before);
	rk_setting_quote(&line->problems, text);
	rk_buf_add_str(&line->problems, after);
}

/* The flags a command takes, for people who named another. */
static void options_problem(struct rk_command_line *line, const struct rk_command_row *command)
{
	rk_buf_printf(&line->problems, "accepted by %s:", command->name);
	for (size_t i = 0; i < OPTIONS; i++) {
		if (command->options & 1u << i)
			rk_buf_printf(&line->problems, " %s", options[i].flag);
	}
	rk_buf_add_str(&line->problems, " and the flags of settings\n");
}

static int number_set(struct reading *reading, const struct rk_option_row *row, const char *text)
{
	struct rk_command_line *line = reading->line;
	uint64_t value = 0;
	size_t len = strlen(text);
	bool good = len > 0 && len <= 12;

	for (size_t i = 0; good && i < len; i++) {
		good = rk_ascii_is_digit((uint8_t)text[i]);
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	if (good && value >= row->least && value <= row->most) {
		memcpy((char *)&line->options + row->offset, &value, sizeof(value));
		return 0;
	}
	rk_buf_printf(&line->problems, "%s is ", row->flag);
	rk_setting_quote(&line->problems, rk_slice_str(text));
	rk_buf_printf(&line->problems, "; accepted: a whole number from %llu to %llu\n",
		(unsigned long long)row->least, (unsigned long long)row->most);
	return 0;
}

/* Adds to a list that is ended by NULL; the old one stays in the arena. */
static int list_add(struct rk_command_line *line, const struct rk_option_row *row, const char *text)
{
	void *field = (char *)&line->options + row->offset;
	const char *const *old;
	const char **list;
	size_t count = 0;

	memcpy(&old, field, sizeof(old));
	while (old && old[count])
		count++;
	list = rk_arena_calloc(&line->arena, count + 2, sizeof(*list));
	if (!list)
		return -ENOMEM;
	if (count)
		memcpy(list, old, count * sizeof(*list));
	list[count] = text;
	memcpy(field, &list, sizeof(list));
	return 0;
}

static int option_set(struct reading *reading, const struct rk_option_row *row, const char *text)
{
	struct rk_command_line *line = reading->line;
	void *field = (char *)&line->options + row->offset;

	if (row->kind != RK_OPTION_IS_SWITCH && !*text) {
		rk_buf_printf(&line->problems, "%s is empty; accepted: %s\n", row->flag, row->argument);
		return 0;
	}
	switch (row->kind) {
	case RK_OPTION_IS_SWITCH:
		*(bool *)field = true;
		return 0;
	case RK_OPTION_IS_NUMBER:
		return number_set(reading, row, text);
	case RK_OPTION_IS_TEXT:
		memcpy(field, &text, sizeof(text));
		return 0;
	case RK_OPTION_IS_LIST:
		return list_add(line, row, text);
	}
	return 0;
}

static const struct rk_option_row *option_find(const struct rk_command_row *command, struct rk_slice flag)
{
	for (size_t i = 0; i < OPTIONS; i++) {
		if (command->options & 1u << i && rk_slice_equal_str(flag, options[i].flag))
			return &options[i];
	}
	return NULL;
}

/*
 * One option at argv[0] and perhaps its value in argv[1]; *used gets how many of them. Names must be
 * whole, unlike getopt_long's: an abbreviation in a script would break with the next option. A value
 * of its own argument may not begin with "--", so that a forgotten one does not swallow --dry-run.
 */
static int option_read(struct reading *reading, size_t *used, const char *const *argv)
{
	struct rk_command_line *line = reading->line;
	const char *equals = strchr(argv[0], '=');
	struct rk_slice flag = rk_slice_str(argv[0]);
	const struct rk_option_row *option;
	const struct rk_setting_row *setting;
	const char *value = NULL;
	bool wants;

	*used = 1;
	if (equals) {
		flag.len = (size_t)(equals - argv[0]);
		value = equals + 1;
	}
	option = option_find(reading->command, flag);
	setting = option ? NULL : rk_setting_by_flag(flag);
	if (!option && !setting) {
		problem_quoted(line, "unknown option ", flag, "; ");
		options_problem(line, reading->command);
		reading->lost = true;
		return 0;
	}
	wants = option ? option->kind != RK_OPTION_IS_SWITCH : setting->kind != RK_SETTING_BOOL;
	if (option && !wants && value) {
		rk_buf_printf(&line->problems, "%s takes no value\n", option->flag);
		return 0;
	}
	if (wants && !value) {
		if (!argv[1] || strncmp(argv[1], "--", 2) == 0) {
			rk_buf_printf(&line->problems, "%.*s needs a value (one that begins with -- as %.*s=--…)\n",
				RK_SLICE_ARG(flag), RK_SLICE_ARG(flag));
			return 0;
		}
		value = argv[1];
		*used = 2;
	}
	if (option)
		return option_set(reading, option, value);
	for (size_t i = 0; i < rk_setting_count(); i++) {
		if (rk_setting_row(i) == setting)
			reading->flags.values[i] = value ? value : "on";
	}
	return 0;
}

static void arguments_check(struct reading *reading)
{
	struct rk_command_line *line = reading->line;
	const struct rk_command_row *command = reading->command;
	size_t count = line->call.argument_count;

	if (count < command->least)
		rk_buf_printf(&line->problems, "%s needs %s\n", command->name, command->arguments);
	if (count > command->most) {
		problem_quoted(line, "unexpected argument ",
			rk_slice_str(reading->arguments[command->most]), "; accepted: refkey ");
		rk_buf_printf(&line->problems, "%s [options]%s%s\n", command->name,
			command->arguments ? " " : "", command->arguments ? command->arguments : "");
	}
}

static int wrong(struct rk_command_line *line, const struct rk_command_row *command)
{
	rk_buf_printf(&line->problems, "see: refkey %s%s--help\n", command && !command->hidden ? command->name : "",
		command && !command->hidden ? " " : "");
	return rk_buf_failed(&line->problems) ? -ENOMEM : RK_COMMAND_WRONG;
}

static int show(struct rk_command_line *line)
{
	return rk_buf_failed(&line->out) ? -ENOMEM : RK_COMMAND_SHOW;
}

static int command_unknown(struct rk_command_line *line, const char *name)
{
	problem_quoted(line, "unknown command ", rk_slice_str(name), "; accepted:");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!commands[i].hidden)
			rk_buf_printf(&line->problems, " %s", commands[i].name);
	}
	rk_buf_add_str(&line->problems, " help --help --version\n");
	return wrong(line, NULL);
}

static bool is_help(const char *text)
{
	return strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0;
}

/* help, help COMMAND, --help, --version: all but a command. argv begins after the program's name. */
static int shown_read(struct rk_command_line *line, const char *const *argv)
{
	const struct rk_command_row *command = NULL;

	if (strcmp(argv[0], "--version") == 0 && !argv[1]) {
		rk_buf_add_str(&line->out, "refkey " REFKEY_VERSION "\n");
		return show(line);
	}
	if (strcmp(argv[0], "--version") == 0 || (argv[1] && argv[2])) {
		problem_quoted(line, "unexpected argument ", rk_slice_str(argv[argv[2] ? 2 : 1]),
			"; accepted: refkey help COMMAND, refkey --help or refkey --version\n");
		return wrong(line, NULL);
	}
	if (argv[1] && !is_help(argv[1])) {
		command = rk_command_find(argv[1]);
		if (!command)
			return command_unknown(line, argv[1]);
	}
	if (command)
		rk_help_command(&line->out, command);
	else
		rk_help_program(&line->out);
	return show(line);
}

/* Options, arguments and settings of a command; argv begins after its name. */
static int command_read(struct reading *reading, const char *const *argv, const char *const *environment)
{
	struct rk_command_line *line = reading->line;
	const struct rk_command_row *command = reading->command;
	size_t count = 0, used;
	bool plain = false; /* after "--" all are arguments */
	int result;

	for (; argv[count]; count++) {
		if (strcmp(argv[count], "--") == 0)
			plain = true;
		if (!plain && is_help(argv[count])) {
			rk_help_command(&line->out, command);
			return show(line);
		}
	}
	reading->arguments = rk_arena_calloc(&line->arena, count + 1, sizeof(*reading->arguments));
	if (!reading->arguments)
		return -ENOMEM;
	plain = false;
	for (size_t i = 0; i < count && !reading->lost; i += used) {
		used = 1;
		if (!plain && strcmp(argv[i], "--") == 0) {
			plain = true;
		} else if (!plain && argv[i][0] == '-' && argv[i][1] != '\0') {
			result = option_read(reading, &used, argv + i);
			if (result)
				return result;
		} else {
			reading->arguments[line->call.argument_count++] = argv[i];
		}
	}
	if (!reading->lost)
		arguments_check(reading);
	if (!command->hidden) {
		result = rk_settings_load(&line->settings, &line->problems, environment, &reading->flags,
			command->name);
		if (result < 0)
			return result;
	}
	if (line->problems.len || line->problems.failed)
		return wrong(line, command);
	line->call.command = command;
	line->call.settings = &line->settings;
	line->call.options = &line->options;
	line->call.arguments = reading->arguments;
	return RK_COMMAND_RUN;
}

int rk_command_line_read(struct rk_command_line *line, int argc, const char *const *argv,
	const char *const *environment)
{
	struct reading reading = {.line = line};

	memset(line, 0, sizeof(*line));
	if (argc < 2) {
		rk_buf_add_str(&line->problems, "which command?\n");
		return wrong(line, NULL);
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--version") == 0 || is_help(argv[1]))
		return shown_read(line, argv + 1);
	if (argv[1][0] == '-') {
		problem_quoted(line, "the command comes before its options, not ",
			rk_slice_make(argv[1], strcspn(argv[1], "=")), "\n");
		return wrong(line, NULL);
	}
	reading.command = rk_command_find(argv[1]);
	if (!reading.command)
		return command_unknown(line, argv[1]);
	return command_read(&reading, argv + 2, environment);
}

void rk_command_line_finish(struct rk_command_line *line)
{
	if (!line)
		return;
	rk_settings_finish(&line->settings);
	rk_arena_finish(&line->arena);
	rk_buf_finish(&line->out);
	rk_buf_finish(&line->problems);
	memset(line, 0, sizeof(*line));
}
