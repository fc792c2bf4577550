/* Reading a command line against the tables of commands, options and settings. See command.h. */
#include <errno.h>
#include <getopt.h>

#include "atproto/ascii.h"
#include "base/encode.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/setting_value.h"
#include "cli/settings_load.h"

/* What the reading of one command line has in hand. */
struct reading {
	struct rk_command_line *line;
	const struct rk_command_row *command;
	struct rk_setting_flags flags;
	const char **arguments; /* room for all that is left of argv, and NULL */
	bool lost; /* an unknown option: what follows may be its value, perhaps a secret, so it is not read */
};

static void problem_quoted(
	struct rk_command_line *line, const char *before, struct rk_slice text, const char *after)
{
	rk_buf_add_str(&line->problems, before);
	rk_setting_quote(&line->problems, text);
	rk_buf_add_str(&line->problems, after);
}

/* What is no UTF-8 stands for nobody: requests and answers are JSON, and a --user that was dropped on the way
 * there would mean everybody. */
static bool is_text(struct rk_command_line *line, const char *what, const char *text)
{
	if (rk_utf8_valid(rk_slice_str(text)))
		return true;
	rk_buf_printf(&line->problems, "%s is ", what);
	rk_setting_quote(&line->problems, rk_slice_str(text));
	rk_buf_add_str(&line->problems, ", which is not UTF-8\n");
	return false;
}

/* The flags a command takes, for people who named another. */
static void options_problem(struct rk_command_line *line, const struct rk_command_row *command)
{
	rk_buf_printf(&line->problems, "accepted by %s:", command->name);
	for (size_t i = 0; i < rk_option_count(); i++) {
		if (command->options & 1u << i)
			rk_buf_printf(&line->problems, " %s", rk_option_row(i)->flag);
	}
	rk_buf_printf(
		&line->problems, "%s the flags of settings\n", command->options ? " and" : "");
}

static int number_set(struct reading *reading, const struct rk_option_row *row, const char *text)
{
	struct rk_command_line *line = reading->line;
	uint64_t value = 0;
	size_t len = strlen(text);
	bool good = len > 0 && len <= 15;

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
		rk_buf_printf(
			&line->problems, "%s is empty; accepted: %s\n", row->flag, row->argument);
		return 0;
	}
	if (text && !is_text(line, row->flag, text))
		return 0;
	switch (row->kind) {
	case RK_OPTION_IS_SWITCH:
		*(bool *)field = true;
		return 0;
	case RK_OPTION_IS_NUMBER:
		return number_set(reading, row, text);
	case RK_OPTION_IS_LIST:
		if (row->accepts && !row->accepts(text)) {
			rk_buf_printf(&line->problems, "%s is ", row->flag);
			rk_setting_quote(&line->problems, rk_slice_str(text));
			rk_buf_printf(&line->problems, "; accepted: %s\n", row->accepted);
			return 0;
		}
		return list_add(line, row, text);
	case RK_OPTION_IS_TEXT:
		memcpy(field, &text, sizeof(text));
		return 0;
	}
	return 0;
}

/* What getopt_long returns: an argument that is no option; from ROW on the place of a row, options
 * first, then settings. */
enum { ARGUMENT = 1, ROW = 256 };

/* The options of the command, then every setting, as getopt_long wants them. Switches may have a
 * value as far as it is concerned, so that one that has is refused in words of ours. */
static struct option *getopt_table(struct rk_arena *arena, const struct rk_command_row *command)
{
	size_t options = rk_option_count(), settings = rk_setting_count();
	struct option *table = rk_arena_calloc(arena, options + settings + 1, sizeof(*table));
	struct option *next = table;

	if (!table)
		return NULL;
	for (size_t i = 0; i < options + settings; i++) {
		const struct rk_option_row *option = i < options ? rk_option_row(i) : NULL;
		const struct rk_setting_row *setting = option ? NULL : rk_setting_row(i - options);
		bool wants = option ? option->kind != RK_OPTION_IS_SWITCH
				    : setting->kind != RK_SETTING_BOOL;

		if (option && !(command->options & 1u << i))
			continue;
		*next++ = (struct option){
			.name = (option ? option->flag : setting->flag) + strlen("--"),
			.has_arg = wants ? required_argument : optional_argument,
			.val = ROW + (int)i,
		};
	}
	return table;
}

static bool is_whole(const struct option *table, int found, struct rk_slice flag)
{
	while (table->val != found)
		table++;
	return flag.len > 2 &&
		rk_slice_equal_str(rk_slice_make(flag.data + 2, flag.len - 2), table->name);
}

/* One option that getopt_long found, under the whole name it was given by; next: the argument behind
 * it, or NULL, which a switch of the settings takes if it is a value: "--allow-private off". */
static int option_take(struct reading *reading, int found, struct rk_slice flag, const char *next)
{
	struct rk_command_line *line = reading->line;
	size_t at = (size_t)(found - ROW), options = rk_option_count();
	const struct rk_option_row *option = at < options ? rk_option_row(at) : NULL;

	if (!option) {
		if (!optarg && next && rk_setting_is_switch_value(next)) {
			optarg = (char *)next;
			optind++;
		}
		reading->flags.values[at - options] = optarg ? optarg : "on";
		return 0;
	}
	if (option->kind == RK_OPTION_IS_SWITCH && optarg) {
		rk_buf_printf(&line->problems, "%.*s takes no value\n", RK_SLICE_ARG(flag));
		return 0;
	}
	return option_set(reading, option, optarg);
}

/*
 * Options and arguments by getopt_long, which hands on arguments in place ("-") and says apart what
 * is unknown and what lacks its value (":"). Stricter than it in two ways: names must be whole, for
 * an abbreviation in a script would break with the next option; and a value of its own argument may
 * not begin with "--", so that a forgotten one does not swallow --dry-run.
 */
static int options_read(struct reading *reading, int argc, char *const *argv)
{
	struct rk_command_line *line = reading->line;
	const struct option *table = getopt_table(&line->arena, reading->command);
	int result = 0;

	if (!table)
		return -ENOMEM;
	optind = 0; /* begin anew */
	opterr = 0;
	while (!reading->lost && result == 0) {
		int at = optind ? optind : 1, found = getopt_long(argc, argv, "-:", table, NULL);
		struct rk_slice flag;

		if (found == -1)
			break;
		if (found == ARGUMENT) {
			reading->arguments[line->call.argument_count++] = optarg;
			continue;
		}
		flag = rk_slice_make(argv[at], strcspn(argv[at], "="));
		if (found == '?' || !is_whole(table, found == ':' ? optopt : found, flag)) {
			problem_quoted(line, "unknown option ", flag, "; ");
			options_problem(line, reading->command);
			reading->lost = true;
		} else if (found == ':' ||
			(optarg == argv[at + 1] && optarg && strncmp(optarg, "--", 2) == 0)) {
			rk_buf_printf(&line->problems,
				"%.*s needs a value (one that begins with -- as %.*s=--…)\n",
				RK_SLICE_ARG(flag), RK_SLICE_ARG(flag));
			optind = at + 1; /* what it would have swallowed is read for itself */
		} else {
			result = option_take(reading, found, flag, argv[optind]);
		}
	}
	for (; !reading->lost && argv[optind]; optind++) /* after "--" */
		reading->arguments[line->call.argument_count++] = argv[optind];
	return result;
}

static void arguments_check(struct reading *reading)
{
	struct rk_command_line *line = reading->line;
	const struct rk_command_row *command = reading->command;
	size_t count = line->call.argument_count;

	if (count < command->least)
		rk_buf_printf(&line->problems, "%s needs %s\n", command->name, command->arguments);
	for (size_t i = 0; i < count; i++)
		is_text(line, "an argument", reading->arguments[i]);
	if (count > command->most) {
		problem_quoted(line, "unexpected argument ",
			rk_slice_str(reading->arguments[command->most]), "; accepted: refkey ");
		rk_buf_printf(&line->problems, "%s [options]%s%s\n", command->name,
			command->arguments ? " " : "",
			command->arguments ? command->arguments : "");
	}
}

static int wrong(struct rk_command_line *line, const struct rk_command_row *command)
{
	rk_buf_printf(&line->problems, "see: refkey %s%s--help\n",
		command && !command->hidden ? command->name : "",
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
	for (size_t i = 0; i < rk_command_count(); i++) {
		if (!rk_command_row(i)->hidden)
			rk_buf_printf(&line->problems, " %s", rk_command_row(i)->name);
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

/* Options, arguments and settings of a command; argv begins with its name. */
static int command_read(
	struct reading *reading, int argc, const char *const *argv, const char *const *environment)
{
	struct rk_command_line *line = reading->line;
	const struct rk_command_row *command = reading->command;
	int result;

	/* Help is shown whatever else is wrong; after "--" all are arguments. */
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (is_help(argv[i])) {
			rk_help_command(&line->out, command);
			return show(line);
		}
	}
	reading->arguments =
		rk_arena_calloc(&line->arena, (size_t)argc + 1, sizeof(*reading->arguments));
	if (!reading->arguments)
		return -ENOMEM;
	/* getopt_long moves none of argv's strings where "-" begins its short options. */
	result = options_read(reading, argc, (char *const *)argv);
	if (result)
		return result;
	if (!reading->lost)
		arguments_check(reading);
	/* A dry run writes nothing, whatever else is said. */
	line->options.yes = line->options.yes && !line->options.dry_run;
	if (!command->hidden) {
		result = rk_settings_load(&line->settings, &line->problems, environment,
			&reading->flags, command->name);
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
	line->options.cursor = RK_CURSOR_NOW;
	line->options.max_wait_sec = RK_MAX_WAIT_ANY;
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
	return command_read(&reading, argc - 1, argv + 1, environment);
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
