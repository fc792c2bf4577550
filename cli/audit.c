/* refkey audit: both sides and the index. What it prints for people is in audit_print.c. */
#include "cli/audit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "atproto/syntax.h"
#include "cli/event.h"
#include "cli/perform.h"
#include "cli/progress.h"
#include "cli/report.h"

enum { FINDINGS_MOST = 1000 }; /* in one event: a line to a command is bounded */

/* The operation */

static json_t *number(uint64_t value, bool known)
{
	return known ? json_integer((json_int_t)value) : json_null();
}

static json_t *collection_json(const struct rk_audit_collection *c, bool documents, bool records)
{
	json_t *counts = json_object();

	json_object_set_new(counts, "documents", number(c->living, documents));
	json_object_set_new(counts, "synced", number(c->synced, documents));
	json_object_set_new(counts, "softDeleted", number(c->gone, documents));
	json_object_set_new(counts, "vanished", number(c->vanished, records));
	json_object_set_new(counts, "records", number(c->record_count, records));
	json_object_set_new(counts, "matched", number(c->matched, records));
	for (int i = 0; i < RK_AUDIT_KIND_COUNT; i++) {
		const struct rk_audit_kind_row *row = &rk_audit_kind_rows[i];
		bool known = i == RK_AUDIT_NOT_SYNCED ? documents : records;

		/* The index alone is compared with nothing. */
		if (row->side == RK_AUDIT_OF_INDEX)
			known = records && documents;
		json_object_set_new(counts, row->name, number(c->counts[i], known));
	}
	json_object_set_new(counts, "indexed", number(c->index.records, records));
	json_object_set_new(counts, "indexLinked", number(c->index.linked, records));
	json_object_set_new(counts, "indexUnknown", number(c->index.unknown, records));
	return counts;
}

static void findings_emit(
	const struct rk_operation_run *run, const struct rk_audit_collection *c, const char *nsid)
{
	for (size_t i = 0; i < c->finding_count;) {
		json_t *list = json_array();

		for (size_t n = 0; n < FINDINGS_MOST && i < c->finding_count; n++, i++) {
			const struct rk_audit_finding *finding = &c->findings[i];

			json_array_append_new(list,
				json_pack("{s:s, s:s, s:o, s:o, s:s}", "kind",
					rk_audit_kind_rows[finding->kind].name, "collection", nsid,
					"ref", rk_event_text_json(finding->ref), "rkey",
					rk_event_text_json(finding->rkey), "reason",
					finding->reason));
		}
		run->emit(run->context,
			json_pack("{s:s, s:o}", "event", "findings", "findings", list));
	}
}

static json_t *rev_json(uint64_t rev)
{
	char text[RK_TID_LEN + 1];

	if (!rev)
		return json_null();
	rk_tid_format(text, rev);
	return json_string(text);
}

void rk_audit_person_emit(
	const struct rk_operation_run *run, const struct rk_audit_person *person, bool index_only)
{
	json_t *collections = json_object();

	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		const struct rk_audit_collection *c = &person->collections[i];

		findings_emit(run, c, rk_collections[i].nsid);
		json_object_set_new(collections, rk_collections[i].nsid,
			collection_json(c, !index_only, !person->unread));
	}
	run->emit(run->context,
		json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "event", "user", "user",
			rk_event_text_json(person->user->id), "handle",
			rk_event_text_json(person->user->handle), "did",
			rk_event_text_json(person->user->did), "rev", rev_json(person->rev),
			"indexRev", rev_json(person->index_rev), "unread",
			person->unread ? rk_event_said_json(rk_slice_str(person->unread))
				       : json_null(),
			"found", (json_int_t)rk_audit_found(person), "collections", collections));
}

struct auditing {
	const struct rk_operation_run *run;
	bool index_only;
	uint64_t found, with_findings, unread;
};

static int person_take(void *context, const struct rk_audit_person *person)
{
	struct auditing *a = context;
	uint64_t found = rk_audit_found(person);

	a->found += found;
	a->with_findings += found > 0;
	a->unread += person->unread != NULL;
	rk_audit_person_emit(a->run, person, a->index_only);
	return 0;
}

static void progress_take(void *context, uint64_t done, uint64_t total)
{
	const struct auditing *a = context;

	rk_operation_progress((void *)a->run, done, total);
}

static void waiting_take(void *context, int64_t ms)
{
	const struct auditing *a = context;

	rk_operation_waiting((void *)a->run, ms);
}

static bool refuse(const struct rk_operation_run *run, const char *command, const char *text)
{
	char message[256];

	snprintf(message, sizeof(message), "%s: `%s` reads both sides", text, command);
	rk_operation_error(run, message);
	return false;
}

static bool needs_names(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));

		if (name && strncmp(name, "did:", strlen("did:")) != 0)
			return true;
	}
	return false;
}

bool rk_audit_options_make(struct rk_audit_options *out, const struct rk_operation_run *run,
	const char *command, bool index_only)
{
	const struct rk_settings *settings = run->service->settings;
	bool names = needs_names(json_object_get(run->request, "users")) ||
		needs_names(json_object_get(run->request, "skip"));

	*out = (struct rk_audit_options){
		.mongo_uri = settings->mongo_uri,
		.database = settings->mongo_db,
		.guest_user = settings->guest_user,
		.pds = settings->pds_url,
		.bypass_key = settings->pds_bypass_key,
		.data_dir = settings->data_dir,
		.relay = settings->source == RK_SOURCE_RELAY,
		.allow_private = settings->allow_private,
		.live = run->service->indexer != NULL,
	};
	if (!settings->mongo_uri && !index_only)
		return refuse(run, command, "REFKEY_MONGO_URI is not set");
	if (!settings->pds_url && !index_only)
		return refuse(run, command, "REFKEY_PDS_URL is not set");
	if (settings->mongo_uri || !names)
		return true;
	rk_operation_error(run,
		"REFKEY_MONGO_URI is not set: MongoDB knows who a @handle or an _id is; a DID goes without");
	return false;
}

static int exit_code(int r, const struct auditing *a, const struct rk_audit_summary *summary)
{
	if (r == -EINVAL)
		return RK_EXIT_USAGE;
	return rk_event_exit(r, a->found, summary->stopped);
}

int rk_operation_audit(const struct rk_operation_run *run, json_t *result)
{
	struct auditing a = {
		.run = run, .index_only = json_is_true(json_object_get(run->request, "index"))};
	struct rk_audit_summary summary = {0};
	struct rk_audit_options options;
	const char **users, **skip;
	int r;

	if (!rk_audit_options_make(&options, run, "audit", a.index_only))
		return RK_EXIT_USAGE;
	users = rk_operation_texts(json_object_get(run->request, "users"));
	skip = rk_operation_texts(json_object_get(run->request, "skip"));
	{
		const struct rk_audit_request request = {
			.users = users,
			.skip = skip,
			.max_wait_ms = -1,
			.index_only = a.index_only,
			.person = person_take,
			.progress = progress_take,
			.waiting = waiting_take,
			.context = &a,
			.stop = run->stop,
		};

		r = rk_audit_run(run->service->store, &summary, &options, &request);
	}
	free(users);
	free(skip);
	rk_operation_failed(run, r, summary.error);
	if (r && summary.told == 0)
		return exit_code(r, &a, &summary);
	json_object_set_new(result, "index", json_boolean(a.index_only));
	json_object_set_new(result, "serving", json_boolean(options.live));
	json_object_set_new(result, "users", json_integer((json_int_t)summary.users));
	json_object_set_new(result, "audited", json_integer((json_int_t)summary.told));
	json_object_set_new(result, "withFindings", json_integer((json_int_t)a.with_findings));
	json_object_set_new(result, "unread", json_integer((json_int_t)a.unread));
	json_object_set_new(result, "found", json_integer((json_int_t)a.found));
	json_object_set_new(result, "stopped", json_boolean(summary.stopped));
	return exit_code(r, &a, &summary);
}

/* The command */

struct printing {
	const struct rk_command_options *options;
	struct rk_progress progress;
	json_t *findings; /* of the user who comes next */
	json_t *sums;     /* by collection */
	json_t *users;    /* for the report; NULL: none is wanted */
	json_t *summary;
	struct rk_event_list list;
};

static void print_user(struct printing *p, const json_t *event)
{
	json_t *user = rk_event_copy(event);
	const json_t *counts = json_object_get(user, "collections");
	const char *id = json_string_value(json_object_get(event, "user"));

	json_object_set(user, "findings", p->findings);
	rk_audit_counts_add(p->sums, counts);
	rk_progress_make_way(&p->progress);
	if (p->options->json) {
		rk_event_list_add(&p->list, user);
	} else {
		json_t *findings = rk_event_shown(p->findings);
		char text[512];
		const struct rk_audit_title title = {.text = text,
			.unread = json_string_value(json_object_get(event, "unread"))};

		snprintf(text, sizeof(text), "user: %s", id ? id : "nobody");
		rk_audit_print(
			&title, counts, findings, p->options->index, p->options->users != NULL);
		json_decref(findings);
	}
	if (p->users)
		json_array_append(p->users, user);
	json_decref(user);
	json_decref(p->findings);
	p->findings = json_array();
}

static void print_summary(struct printing *p, const json_t *event)
{
	char text[64];
	const struct rk_audit_title title = {
		.text = text, .unread_users = rk_event_number(event, "unread")};

	rk_progress_make_way(&p->progress);
	if (!rk_event_has_summary(event))
		return;
	p->summary = rk_event_copy(event);
	json_object_set(p->summary, "collections", p->sums);
	if (p->options->json) {
		rk_event_list_end(&p->list, p->summary);
		return;
	}
	snprintf(text, sizeof(text), "users in all: %" JSON_INTEGER_FORMAT,
		rk_event_number(event, "audited"));
	if (rk_event_number(event, "audited") > 1)
		rk_audit_print(&title, p->sums, NULL, p->options->index, false);
	if (rk_event_number(event, "audited") != 1 || !p->options->users)
		rk_audit_print_users(event);
	rk_audit_print_hint(event, p->sums);
	if (json_is_true(json_object_get(event, "stopped")))
		puts("Stopped before the end.");
	else if (rk_event_number(event, "audited") < rk_event_number(event, "users"))
		puts("Not all users were audited.");
}

static void print(void *context, const json_t *event)
{
	struct printing *p = context;
	const char *kind = json_string_value(json_object_get(event, "event"));

	if (!kind)
		return;
	if (strcmp(kind, "findings") == 0) {
		json_array_extend(p->findings, json_object_get(rk_event_exact(event), "findings"));
	} else if (strcmp(kind, "user") == 0) {
		print_user(p, event);
	} else if (!rk_event_print_usual(&p->progress, event)) {
		print_summary(p, event);
	}
}

static int report(const struct printing *p, int code)
{
	json_t *all;
	bool ok;

	if (!p->users || !p->summary)
		return code;
	all = json_pack("{s:O, s:O}", "users", p->users, "summary", p->summary);
	ok = rk_report_write(p->options->report, "audit.json", all);
	json_decref(all);
	return ok || code != RK_EXIT_DONE ? code : RK_EXIT_FINDINGS;
}

int rk_command_audit(const struct rk_command_call *call)
{
	const struct rk_command_options *options = call->options;
	struct printing p = {.options = options, .list.name = "users"};
	json_t *request;
	int code = rk_report_folder(options->report);

	if (options->all && options->users) {
		fputs("refkey: --all and --user: one or the other\n", stderr);
		return RK_EXIT_USAGE;
	}
	if (code)
		return code;
	request = json_pack("{s:b}", "index", options->index);
	if (!request)
		return RK_EXIT_FINDINGS;
	rk_operation_list_set(request, "users", options->users);
	rk_operation_list_set(request, "skip", options->skip);
	p.findings = json_array();
	p.sums = json_object();
	p.users = options->report ? json_array() : NULL;
	rk_progress_init(&p.progress);
	rk_progress_show(&p.progress, 0, 0);
	code = rk_operation_perform(call, "audit", request, print, &p);
	rk_progress_finish(&p.progress);
	code = report(&p, code);
	json_decref(p.findings);
	json_decref(p.sums);
	json_decref(p.users);
	json_decref(p.summary);
	return code;
}
