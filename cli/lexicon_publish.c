/* refkey lexicon publish: the lexicons as records in a user's repo. Needs no index. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/event.h"
#include "cli/interrupt.h"
#include "cli/lexicon.h"
#include "net/http.h"
#include "publish/lexicons.h"

struct printing {
	bool json, dry_run;
	json_t *lines;
	struct rk_progress progress;
};

static void line(
	void *context, const char *id, enum rk_lexicons_outcome outcome, const char *reason)
{
	struct printing *p = context;

	json_array_append_new(p->lines,
		json_pack("{s:s, s:s, s:o}", "id", id, "outcome",
			rk_lexicons_outcome_names[outcome], "reason",
			rk_event_said_json(rk_slice_str(reason))));
}

static void waiting(void *context, int64_t ms)
{
	struct printing *p = context;

	rk_progress_wait(&p->progress, ms, "");
}

/* For how many, from this one on, the same is to be said that went wrong. */
static size_t alike(const json_t *lines, size_t from)
{
	const json_t *first = json_array_get(lines, from);
	const char *failed = rk_lexicons_outcome_names[RK_LEXICONS_FAILED];
	size_t count = 1;

	while (strcmp(rk_event_text(first, "outcome"), failed) == 0 &&
		json_equal(json_object_get(first, "outcome"),
			json_object_get(json_array_get(lines, from + count), "outcome")) &&
		json_equal(json_object_get(first, "reason"),
			json_object_get(json_array_get(lines, from + count), "reason")))
		count++;
	return count;
}

static void print_lines(const struct printing *p)
{
	for (size_t i = 0, count; i < json_array_size(p->lines); i += count) {
		const json_t *one = json_array_get(p->lines, i);
		const char *outcome = rk_event_text(one, "outcome");
		const char *reason = rk_event_text(one, "reason");
		bool failed = strcmp(outcome, rk_lexicons_outcome_names[RK_LEXICONS_FAILED]) == 0;
		bool done = strcmp(outcome, rk_lexicons_outcome_names[RK_LEXICONS_UNCHANGED]) == 0;

		count = alike(p->lines, i);
		fputs(failed ? "❌ " : "✅ ", stdout);
		if (count > 1)
			printf("%zu lexicons", count);
		else
			rk_event_print_shown(stdout, rk_event_text(one, "id"));
		printf(" %s%s%s", p->dry_run && !failed && !done ? "would be " : "", outcome,
			*reason ? ": " : "");
		rk_event_print_shown(stdout, reason);
		putchar('\n');
	}
}

/* "computer.aesthetic.refkey.getStatus" is looked up at _lexicon.refkey.aesthetic.computer. */
static json_t *name_of(const char *id)
{
	const char *end = strrchr(id, '.');
	struct rk_buf name = {0};
	json_t *text;

	rk_buf_add_str(&name, "_lexicon");
	while (end && end > id) {
		const char *start = end;

		while (start > id && start[-1] != '.')
			start--;
		rk_buf_add_byte(&name, '.');
		rk_buf_add(&name, start, (size_t)(end - start));
		end = start > id ? start - 1 : NULL;
	}
	text = json_string(rk_buf_cstr(&name));
	rk_buf_finish(&name);
	return text;
}

/* The TXT records by which others find these lexicons, each name once. */
static json_t *names_of(const struct rk_lexicons *set)
{
	json_t *names = json_object(), *list = json_array(), *unused;
	const char *id;
	void *at;

	json_object_foreach_safe(set->by_id, at, id, unused)
	{
		json_t *name = name_of(id);

		if (name && !json_object_get(names, json_string_value(name))) {
			json_object_set_new(names, json_string_value(name), json_true());
			json_array_append(list, name);
		}
		json_decref(name);
	}
	json_decref(names);
	return list;
}

static void print_end(const struct printing *p, const struct rk_lexicons *set,
	const struct rk_lexicons_summary *summary, bool done)
{
	json_t *names = names_of(set), *name;
	size_t i;

	if (p->json) {
		json_t *counts = json_object(), *all;

		for (int k = 0; k < RK_LEXICONS_OUTCOME_COUNT; k++)
			json_object_set_new(counts, rk_lexicons_outcome_names[k],
				json_integer((json_int_t)summary->counts[k]));
		json_object_set_new(counts, "dryRun", json_boolean(p->dry_run));
		all = json_pack("{s:O, s:s, s:O, s:o}", "lexicons", p->lines, "did", summary->did,
			"names", names, "summary", counts);
		json_dumpf(all, stdout, JSON_INDENT(2));
		puts("");
		json_decref(all);
	} else {
		print_lines(p);
		if (p->dry_run)
			puts("Dry run: nothing was written.");
	}
	if (!p->json && done) {
		puts("For others to find them, in the DNS:");
		json_array_foreach(names, i, name)
		{
			printf("  %s. TXT \"did=%s\"\n", json_string_value(name), summary->did);
		}
	}
	json_decref(names);
}

static void tell(void *context, const char *path, const char *text)
{
	char line[480];

	snprintf(line, sizeof(line), "%s: %s %s", (const char *)context, path, text);
	rk_event_print_failure(line);
}

/* What the command cannot begin without; NULL: nothing is missing. */
static const char *missing(const struct rk_command_call *call)
{
	const struct rk_settings *settings = call->settings;
	const char *const *users = call->options->users;

	if (!users || !users[0] || users[1])
		return "lexicon publish needs one --user: in whose repo they are to be";
	if (!settings->mongo_uri)
		return "REFKEY_MONGO_URI is not set: `lexicon publish` needs MongoDB";
	if (!settings->pds_url)
		return "REFKEY_PDS_URL is not set: `lexicon publish` needs the PDS";
	if (settings->source != RK_SOURCE_PDS)
		return "REFKEY_SOURCE is relay: `lexicon publish` needs the user's own PDS";
	return NULL;
}

static int run(const struct rk_command_call *call, const struct rk_lexicons *set)
{
	struct printing p = {.json = call->options->json,
		.dry_run = call->options->dry_run,
		.lines = json_array()};
	const json_t *lexicons[RK_LEXICONS_MOST], *lexicon;
	struct rk_lexicons_summary summary;
	struct rk_lexicons_request request = {
		.mongo_uri = call->settings->mongo_uri,
		.database = call->settings->mongo_db,
		.pds = call->settings->pds_url,
		.bypass_key = call->settings->pds_bypass_key,
		.user = call->options->users[0],
		.lexicons = lexicons,
		.dry_run = call->options->dry_run,
		.line = line,
		.waiting = waiting,
		.context = &p,
		.stop = rk_interrupt_take(0),
	};
	const char *id;
	size_t wrong = 0;
	int r;

	json_object_foreach(set->by_id, id, lexicon)
	{
		wrong += rk_lexicon_check(set, lexicon, tell, (void *)id);
		if (request.count < RK_LEXICONS_MOST)
			lexicons[request.count++] = lexicon;
	}
	if (wrong) {
		json_decref(p.lines);
		return RK_EXIT_FINDINGS;
	}
	rk_progress_init(&p.progress);
	rk_progress_show(&p.progress, 0, 0);
	r = rk_lexicons_publish(&summary, &request);
	rk_progress_finish(&p.progress);
	if (r && r != -ECANCELED)
		rk_event_print_failure(summary.error[0] ? summary.error : strerror(-r));
	if (r != -ENOENT)
		print_end(&p, set, &summary, r == 0 && !summary.counts[RK_LEXICONS_FAILED]);
	if (r == -ECANCELED && !p.json)
		puts("Stopped; running it again continues.");
	json_decref(p.lines);
	return rk_event_exit(r, summary.counts[RK_LEXICONS_FAILED], false);
}

int rk_lexicon_publish(const struct rk_command_call *call)
{
	const char *lacks = missing(call);
	struct rk_lexicons set = {0};
	int code = RK_EXIT_FINDINGS;

	if (lacks) {
		fprintf(stderr, "refkey: %s\n", lacks);
		return RK_EXIT_USAGE;
	}
	if (rk_http_global_init() != 0) {
		fputs("refkey: libcurl cannot be initialised\n", stderr);
		return RK_EXIT_FINDINGS;
	}
	if (rk_lexicons_add_own(&set))
		code = run(call, &set);
	rk_lexicons_finish(&set);
	return code;
}
