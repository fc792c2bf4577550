/* See help.h. */
#include "cli/help.h"

#include "cli/setting_value.h"

enum { WIDTH = 90, INDENT = 6 };

/* Words at the indent, broken at the width. */
static void wrapped_add(struct rk_buf *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column && column + 1 + word > WIDTH - INDENT) {
			rk_buf_add_str(out, "\n");
			column = 0;
		}
		rk_buf_printf(out, "%*s%.*s", column ? 1 : INDENT, "", (int)word, text);
		column += (column ? 1 : 0) + word;
		text += word + (text[word] == ' ');
	}
	rk_buf_add_str(out, "\n");
}

/* What a flag wants after it, in capitals; "" for switches. */
static const char *setting_argument(const struct rk_setting_row *row)
{
	switch (row->kind) {
	case RK_SETTING_ORIGIN:
	case RK_SETTING_URL:
		return " URL";
	case RK_SETTING_HOST:
		return " HOST";
	case RK_SETTING_ADDRESS:
		return " HOST:PORT";
	case RK_SETTING_PATH:
		return " DIR";
	case RK_SETTING_STRING:
		return " TEXT";
	case RK_SETTING_SECRET:
		return " SECRET";
	case RK_SETTING_MONGO_URI:
		return " URI";
	case RK_SETTING_INT:
		return " N";
	case RK_SETTING_ENUM:
		return " NAME";
	case RK_SETTING_BOOL:
		return "[=off]";
	}
	return "";
}

/* Kinds whose help says what is accepted. */
static bool is_choice(const struct rk_setting_row *row)
{
	return row->kind == RK_SETTING_INT || row->kind == RK_SETTING_ENUM;
}

/* Behind the text of what is in a table and does nothing yet. */
static void unbuilt_add(struct rk_buf *out, const struct rk_setting_row *row)
{
	if (row->unbuilt)
		rk_buf_add_str(out, "; not built yet: no effect");
}

static void setting_add(struct rk_buf *out, const struct rk_setting_row *row)
{
	struct rk_buf text = {0};

	rk_buf_printf(out, "  %s, %s%s\n", row->env, row->flag, setting_argument(row));
	rk_buf_printf(&text, "%s (", row->help);
	if (is_choice(row)) {
		rk_setting_accepts(&text, row);
		rk_buf_add_str(&text, "; ");
	}
	rk_buf_printf(&text, "%s%s",
		row->required_by ? "" : "default: ", row->value ? row->value : row->otherwise);
	unbuilt_add(&text, row);
	rk_buf_add_str(&text, ")");
	wrapped_add(out, rk_buf_cstr(&text));
	rk_buf_finish(&text);
}

static void exits_add(struct rk_buf *out)
{
	rk_buf_add_str(out,
		"\nExit: 0 done, 1 done with failures or findings, 2 wrong usage or settings, "
		"3 a needed\nservice stayed unreachable.\n");
}

void rk_help_program(struct rk_buf *out)
{
	rk_buf_add_str(out,
		"refkey follows the firehose of an AT Protocol PDS, keeps references between its records\n"
		"and MongoDB documents, answers queries in both directions and recovers documents.\n\n"
		"Usage: refkey COMMAND [options]\n"
		"       refkey help COMMAND\n"
		"       refkey --help | --version\n\n"
		"Commands:\n");
	for (size_t i = 0; i < rk_command_count(); i++) {
		const struct rk_command_row *row = rk_command_row(i);

		if (row->hidden)
			continue;
		rk_buf_printf(out, "  %-9s %s\n", row->name, row->help);
	}
	rk_buf_add_str(out,
		"\nSettings, from the environment or as flags of any command; a flag wins, an empty "
		"value is\nas good as none:\n");
	for (size_t i = 0; i < rk_setting_count(); i++)
		setting_add(out, rk_setting_row(i));
	exits_add(out);
}

void rk_help_command(struct rk_buf *out, const struct rk_command_row *command)
{
	rk_buf_printf(out, "Usage: refkey %s [options]%s%s\n\n%s\n", command->name,
		command->arguments ? " " : "", command->arguments ? command->arguments : "",
		command->help);
	if (command->options)
		rk_buf_add_str(out, "\nOptions:\n");
	for (size_t i = 0; i < rk_option_count(); i++) {
		const struct rk_option_row *row = rk_option_row(i);

		if (!(command->options & 1u << i))
			continue;
		rk_buf_printf(out, "  %s%s%s\n", row->flag, row->argument ? " " : "",
			row->argument ? row->argument : "");
		wrapped_add(out, rk_option_help(row, command));
	}
	for (size_t i = 0; i < rk_setting_count(); i++) {
		const struct rk_setting_row *row = rk_setting_row(i);

		if (rk_setting_is_needed(row, command->name))
			rk_buf_printf(
				out, "\nNeeds %s (%s): %s.\n", row->env, row->flag, row->help);
	}
	if (command->by_serve)
		rk_buf_add_str(out,
			"\nBeside a running serve, that one carries it out, with its own settings.\n");
	if (!command->hidden)
		rk_buf_add_str(out, "\nSettings are options too; refkey --help lists them.\n");
	exits_add(out);
}

void rk_help_block_begin(struct rk_buf *out, const char *name)
{
	rk_buf_printf(out, "<!-- reference: %s -->\n", name);
}

void rk_help_block_end(struct rk_buf *out)
{
	rk_buf_add_str(out, "<!-- end of reference -->\n");
}

void rk_help_cell(struct rk_buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			rk_buf_add_byte(out, '\\');
		rk_buf_add_byte(out, (uint8_t)*text);
	}
}

void rk_help_reference(struct rk_buf *out)
{
	rk_help_block_begin(out, "settings");
	rk_buf_add_str(out, "| setting | flag | default | |\n| --- | --- | --- | --- |\n");
	for (size_t i = 0; i < rk_setting_count(); i++) {
		const struct rk_setting_row *row = rk_setting_row(i);
		const char *code = row->value ? "`" : "";

		rk_buf_printf(out, "| `%s` | `%s` | %s%s%s | ", row->env, row->flag, code,
			row->value ? row->value : row->otherwise, code);
		rk_help_cell(out, row->help);
		if (is_choice(row)) {
			rk_buf_add_str(out, " (");
			rk_setting_accepts(out, row);
			rk_buf_add_str(out, ")");
		}
		unbuilt_add(out, row);
		rk_buf_add_str(out, " |\n");
	}
	rk_help_block_end(out);
	rk_help_block_begin(out, "commands");
	rk_buf_add_str(out, "| command | | options |\n| --- | --- | --- |\n");
	for (size_t i = 0; i < rk_command_count(); i++) {
		const struct rk_command_row *row = rk_command_row(i);
		const char *comma = "";

		if (row->hidden)
			continue;
		rk_buf_printf(out, "| `%s%s", row->name, row->arguments ? " " : "");
		rk_help_cell(out, row->arguments ? row->arguments : "");
		rk_buf_add_str(out, "` | ");
		rk_help_cell(out, row->help);
		rk_buf_add_str(out, " | ");
		for (size_t o = 0; o < rk_option_count(); o++) {
			const struct rk_option_row *option = rk_option_row(o);

			if (!(row->options & 1u << o))
				continue;
			rk_buf_printf(out, "%s`%s%s%s`", comma, option->flag,
				option->argument ? " " : "",
				option->argument ? option->argument : "");
			comma = ", ";
		}
		rk_buf_add_str(out, " |\n");
	}
	rk_help_block_end(out);
}
