/* refkey lexicon: its parts, and the lexicons against the specification. Records are in
 * lexicon_records.c, publishing in lexicon_publish.c. */
#include "cli/lexicon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/event.h"

static void tell(void *findings, const char *path, const char *text)
{
	json_array_append_new(findings,
		json_pack("{s:o, s:o}", "path", rk_event_said_json(rk_slice_str(path)), "text",
			rk_event_said_json(rk_slice_str(text))));
}

static void print(const char *name, const json_t *findings)
{
	const json_t *finding;
	size_t i;

	fputs(json_array_size(findings) ? "❌ " : "✅ ", stdout);
	rk_event_print_shown(stdout, name);
	putchar('\n');
	json_array_foreach(findings, i, finding)
	{
		const char *path = rk_event_text(finding, "path");

		fputs("  ", stdout);
		rk_event_print_shown(stdout, *path ? path : "the lexicon");
		putchar(' ');
		rk_event_print_shown(stdout, rk_event_text(finding, "text"));
		putchar('\n');
	}
}

/* One lexicon, under its id or, where it has none, the name of its file. Printed, or added to what is printed
 * with --json at the end. */
static size_t validate(
	json_t *out, const struct rk_lexicons *set, const json_t *lexicon, const char *file)
{
	const char *id = json_string_value(json_object_get(lexicon, "id"));
	const char *name = id ? id : file;
	json_t *findings = json_array();
	size_t wrong = rk_lexicon_check(set, lexicon, tell, findings);

	if (!out)
		print(name, findings);
	else
		json_array_append_new(out,
			json_pack("{s:o, s:O}", "id", rk_event_said_json(rk_slice_str(name)),
				"findings", findings));
	json_decref(findings);
	return wrong;
}

/* NULL, after saying why. */
static json_t *file_load(const char *path)
{
	FILE *file = fopen(path, "re");
	json_error_t error = {0};
	json_t *lexicon = file ? json_loadf(file, JSON_REJECT_DUPLICATES, &error) : NULL;
	const char *why = file ? error.text : strerror(errno);

	if (!json_is_object(lexicon)) {
		fprintf(stderr, "refkey: %s: ", path);
		rk_event_print_shown(stderr, lexicon ? "is no JSON object" : why);
		fputc('\n', stderr);
		json_decref(lexicon);
		lexicon = NULL;
	}
	if (file)
		fclose(file);
	return lexicon;
}

/* Files are checked as a set of their own, over what refkey has. */
static int files_load(
	struct rk_lexicons *set, json_t **lexicons, const char *const *files, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		lexicons[i] = file_load(files[i]);
		if (!lexicons[i])
			return RK_EXIT_USAGE;
		if (set->by_id)
			json_object_del(
				set->by_id, json_string_value(json_object_get(lexicons[i], "id")));
		rk_lexicons_add(set, lexicons[i]);
	}
	return RK_EXIT_DONE;
}

static int validate_all(const struct rk_command_call *call)
{
	const char *const *files = call->arguments + 1;
	size_t count = call->argument_count - 1, checked = 0, wrong = 0;
	json_t **lexicons = calloc(count + 1, sizeof(*lexicons));
	json_t *out = call->options->json ? json_array() : NULL;
	struct rk_lexicons set = {0};
	int code = RK_EXIT_FINDINGS;

	if (lexicons && rk_lexicons_add_own(&set))
		code = files_load(&set, lexicons, files, count);
	if (code == RK_EXIT_DONE && count == 0) {
		const json_t *lexicon;
		const char *id;

		json_object_foreach(set.by_id, id, lexicon)
		{
			wrong += validate(out, &set, lexicon, id);
			checked++;
		}
	}
	for (; code == RK_EXIT_DONE && checked < count; checked++)
		wrong += validate(out, &set, lexicons[checked], files[checked]);
	if (code == RK_EXIT_DONE && out) {
		json_t *all = json_pack("{s:O, s:{s:I, s:I}}", "lexicons", out, "summary",
			"lexicons", (json_int_t)checked, "findings", (json_int_t)wrong);

		json_dumpf(all, stdout, JSON_INDENT(2));
		puts("");
		json_decref(all);
	} else if (code == RK_EXIT_DONE) {
		printf("%zu lexicon%s, %zu finding%s\n", checked, checked == 1 ? "" : "s", wrong,
			wrong == 1 ? "" : "s");
	}
	for (size_t i = 0; lexicons && i < count; i++)
		json_decref(lexicons[i]);
	free(lexicons);
	json_decref(out);
	rk_lexicons_finish(&set);
	return code == RK_EXIT_DONE && wrong ? RK_EXIT_FINDINGS : code;
}

int rk_command_lexicon(const struct rk_command_call *call)
{
	const char *what = call->arguments[0];
	bool records = call->options->records;

	if (strcmp(what, "validate") == 0 &&
		((call->options->users && call->options->users[0]) || call->options->dry_run)) {
		fputs("refkey: lexicon validate: --user and --dry-run are of publish\n", stderr);
		return RK_EXIT_USAGE;
	}
	if (strcmp(what, "validate") == 0 && records && call->argument_count == 1)
		return rk_lexicon_records(call);
	if (strcmp(what, "validate") == 0 && !records)
		return validate_all(call);
	if (strcmp(what, "publish") == 0 && !records && call->argument_count == 1)
		return rk_lexicon_publish(call);
	fputs("refkey: lexicon: accepted: validate [FILE…], validate --records, publish\n", stderr);
	return RK_EXIT_USAGE;
}
