/* refkey accounts: users with documents and no ATProto account, and accounts for them. Needs no index,
 * so it works by itself. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/shown.h"
#include "cli/accounts_report.h"
#include "cli/command.h"
#include "cli/event.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "net/http.h"

struct printing {
	const struct rk_command_options *options;
	struct rk_accounts_report report;
	struct rk_progress progress;
	json_t *without;  /* for users-without-atproto.json */
	bool lines;       /* of accounts that are made: a line each, not the bar */
	bool begun, told; /* begin was called; a line was printed */
};

static json_t *person_json(const struct rk_accounts_line *line)
{
	const struct rk_accounts_person *person = line->person;

	return rk_event_without(
		person->handle, person->id, person->email, line->reason, person->count);
}

static void begin(void *context, uint64_t users, uint64_t documents)
{
	struct printing *p = context;
	const struct rk_command_options *options = p->options;

	p->begun = true;
	rk_progress_make_way(&p->progress);
	if (options->json)
		fputs("{\"users\":[\n", stdout);
	else
		printf("%sUsers without an ATProto account: %llu, with %llu document%s\n",
			!options->create           ? ""
				: options->dry_run ? "Mode: dry run\n"
						   : "Mode: live\n",
			(unsigned long long)users, (unsigned long long)documents,
			documents == 1 ? "" : "s");
}

static void line_json(struct printing *p, const struct rk_accounts_line *line)
{
	json_t *object = person_json(line);
	char *text;

	if (p->options->create) {
		json_object_set_new(object, "outcome",
			json_string(rk_accounts_outcome_rows[line->outcome].name));
		json_object_set_new(
			object, "account", rk_event_text_json(rk_slice_str(line->name)));
		json_object_set_new(object, "did", rk_event_text_json(rk_slice_str(line->did)));
		json_object_set_new(
			object, "reason", rk_event_text_json(rk_slice_str(line->reason)));
	}
	text = json_dumps(object, JSON_COMPACT);
	printf("%s%s", p->told ? ",\n" : "", text ? text : "null");
	p->told = true;
	free(text);
	json_decref(object);
}

/* One line, as a terminal may have it. */
static void print_shown(struct rk_buf *text)
{
	struct rk_buf shown = {0};

	rk_shown_add(&shown, rk_buf_slice(text));
	puts(rk_buf_cstr(&shown));
	rk_buf_finish(&shown);
	rk_buf_finish(text);
}

static void print_line(struct printing *p, const struct rk_accounts_line *line)
{
	const struct rk_accounts_person *person = line->person;
	struct rk_slice who = person->handle.len ? person->handle : person->id;
	struct rk_buf text = {0};

	if (line->outcome == RK_ACCOUNTS_LISTED || line->outcome == RK_ACCOUNTS_FAILED ||
		p->options->dry_run)
		json_array_append_new(p->without, person_json(line));
	if (!p->options->json && !p->lines && line->outcome != RK_ACCOUNTS_FAILED &&
		line->outcome != RK_ACCOUNTS_LISTED)
		return;
	rk_progress_make_way(&p->progress);
	if (p->options->json) {
		line_json(p, line);
		return;
	}
	if (line->outcome == RK_ACCOUNTS_LISTED) {
		rk_buf_printf(&text, "%8llu  %s%.*s", (unsigned long long)person->count,
			person->handle.len ? "@" : "", RK_SLICE_ARG(who));
		if (person->handle.len)
			rk_buf_printf(&text, "  %.*s", RK_SLICE_ARG(person->id));
		rk_buf_printf(&text, "%s%s%s", *person->email ? "  " : "", person->email,
			person->known ? "" : "  (not in users)");
		print_shown(&text);
		return;
	}
	rk_buf_printf(&text, "[%llu/%llu] %s%.*s - %llu document%s ", (unsigned long long)line->n,
		(unsigned long long)line->total, person->handle.len ? "@" : "", RK_SLICE_ARG(who),
		(unsigned long long)person->count, person->count == 1 ? "" : "s");
	if (line->outcome == RK_ACCOUNTS_FAILED)
		rk_buf_printf(
			&text, "❌ Failed: %s%s%s", line->reason, *line->did ? ", " : "", line->did);
	else
		rk_buf_printf(&text, "✅ %s: %s%s%s", p->options->dry_run ? "Would be made" : "Made",
			line->name, *line->did ? " " : "", line->did);
	print_shown(&text);
}

static void line(void *context, const struct rk_accounts_line *line)
{
	struct printing *p = context;

	print_line(p, line);
	if (!p->options->create)
		return;
	rk_progress_show(&p->progress, line->n, line->total);
	/* Whoever reads along is not to wait for a full buffer. */
	fflush(stdout);
}

static void waiting(void *context, int64_t ms)
{
	struct printing *p = context;

	rk_progress_wait(&p->progress, ms, "");
}

static bool note(void *context, enum rk_accounts_step step, const struct rk_accounts_line *line)
{
	struct printing *p = context;

	return rk_accounts_report_note(&p->report, step, line);
}

static json_t *summary_json(const struct printing *p, const struct rk_accounts_summary *summary)
{
	json_t *object = json_pack("{s:b, s:I, s:I, s:I, s:b, s:b}", "dryRun", p->options->dry_run,
		"users", (json_int_t)summary->users, "documents", (json_int_t)summary->documents,
		"putOff", (json_int_t)summary->put_off, "stopped", summary->stopped, "limited",
		summary->limited);

	for (int i = 0; i < RK_ACCOUNTS_OUTCOME_COUNT; i++)
		json_object_set_new(object, rk_accounts_outcome_rows[i].name,
			json_integer((json_int_t)summary->counts[i]));
	return object;
}

static void print_summary(struct printing *p, const struct rk_accounts_summary *summary)
{
	const uint64_t *counts = summary->counts;

	rk_progress_make_way(&p->progress);
	if (p->options->json) {
		json_t *object = summary_json(p, summary);
		char *text = json_dumps(object, JSON_COMPACT);

		printf("%s],\n\"summary\":%s}\n", p->told ? "\n" : "", text ? text : "null");
		free(text);
		json_decref(object);
		return;
	}
	if (p->options->create)
		printf("%sMade:    %llu%s\nFailed:  %llu\n",
			p->options->dry_run
				? "Dry run: nothing was made. What the PDS refuses only then (a name that it reserves: the user gets another; an e-mail that is taken) is not known yet.\n"
				: "",
			(unsigned long long)(counts[RK_ACCOUNTS_CREATED] +
				counts[RK_ACCOUNTS_ADOPTED]),
			counts[RK_ACCOUNTS_ADOPTED] ? ", some of them by an earlier run" : "",
			(unsigned long long)counts[RK_ACCOUNTS_FAILED]);
	if (summary->put_off)
		printf("Left:    %llu, a limit of the PDS lasts longer than --max-wait; running it again continues.\n",
			(unsigned long long)summary->put_off);
	if (summary->stopped)
		puts("Stopped; running it again continues.");
	if (summary->limited)
		rk_event_print_limited(!p->options->dry_run &&
			summary->counts[RK_ACCOUNTS_CREATED] +
					summary->counts[RK_ACCOUNTS_ADOPTED] >
				0);
}

static int exit_code(int result, const struct rk_accounts_summary *summary)
{
	if (result == -EACCES || result == -EINVAL)
		return RK_EXIT_USAGE;
	return rk_event_exit(
		result, summary->counts[RK_ACCOUNTS_FAILED] || summary->put_off, summary->stopped);
}

/* What the command cannot begin without; NULL: nothing is missing. */
static const char *missing(const struct rk_command_call *call)
{
	const struct rk_settings *settings = call->settings;

	if (!settings->mongo_uri)
		return "REFKEY_MONGO_URI is not set: `accounts` needs MongoDB";
	if (!call->options->create)
		return NULL;
	if (!settings->pds_url)
		return "REFKEY_PDS_URL is not set: `accounts --create` needs the PDS";
	if (settings->source != RK_SOURCE_PDS)
		return "REFKEY_SOURCE is relay: `accounts --create` needs the users' own PDS";
	if (!settings->pds_admin_password)
		return "REFKEY_PDS_ADMIN_PASSWORD is not set: `accounts --create` needs it";
	if (!call->options->report && !call->options->dry_run)
		return "--create needs --report DIR: every account that is made is written there";
	return NULL;
}

static int run(struct printing *p, const struct rk_settings *settings)
{
	const struct rk_command_options *options = p->options;
	const struct rk_accounts_options how = {
		.mongo_uri = settings->mongo_uri,
		.database = settings->mongo_db,
		.guest_user = settings->guest_user,
		.pds = settings->pds_url,
		.bypass_key = settings->pds_bypass_key,
		.admin_password = settings->pds_admin_password,
		.allow_private = settings->allow_private,
	};
	const struct rk_accounts_request request = {
		.users = options->users,
		.skip = options->skip,
		.limit = options->limit,
		.create = options->create,
		.dry_run = options->dry_run,
		.max_wait_ms = options->max_wait_sec == RK_MAX_WAIT_ANY
			? -1
			: (int64_t)options->max_wait_sec * 1000,
		.begin = begin,
		.line = line,
		.waiting = waiting,
		.note = note,
		.context = p,
		.stop = rk_interrupt_take(0),
	};
	struct rk_accounts_summary summary;
	int r = rk_accounts_run(&summary, &how, &request), code = exit_code(r, &summary);

	if (r)
		rk_event_print_failure(summary.error[0] ? summary.error : strerror(-r));
	if (summary.nobody) {
		char text[RK_EVENT_NOBODY];

		rk_event_nobody(text, settings->mongo_db);
		rk_event_print_failure(text);
	}
	if (p->begun)
		print_summary(p, &summary);
	if (options->report && p->begun &&
		!rk_report_write(options->report, "users-without-atproto.json", p->without) &&
		code == RK_EXIT_DONE)
		code = RK_EXIT_FINDINGS;
	return code;
}

int rk_command_accounts(const struct rk_command_call *call)
{
	const struct rk_command_options *options = call->options;
	const char *lacks = missing(call);
	struct printing p = {.options = options,
		.report.fd = -1,
		.lines = options->verbose || !isatty(STDOUT_FILENO)};
	int code;

	if (lacks) {
		fprintf(stderr, "refkey: %s\n", lacks);
		return RK_EXIT_USAGE;
	}
	if (rk_http_global_init() != 0) {
		fputs("refkey: libcurl cannot be initialised\n", stderr);
		return RK_EXIT_FINDINGS;
	}
	code = rk_report_folder(options->report);
	if (code == RK_EXIT_DONE && options->create && !options->dry_run)
		code = rk_accounts_report_open(&p.report, options->report);
	if (code)
		return code;
	p.without = json_array();
	rk_progress_init(&p.progress);
	rk_progress_show(&p.progress, 0, 0);
	code = run(&p, call->settings);
	rk_progress_finish(&p.progress);
	json_decref(p.without);
	rk_accounts_report_close(&p.report);
	return code;
}
