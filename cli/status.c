/* refkey status: what the service is doing, and what is wrong. */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "cli/event.h"
#include "cli/operation.h"
#include "cli/perform.h"

static json_t *records_json(const struct rk_counts *counts)
{
	json_t *list = json_array();

	for (int i = 0; i < RK_COLLECTION_COUNT; i++)
		json_array_append_new(list,
			json_pack("{s:s, s:I}", "collection", rk_collections[i].nsid, "count",
				(json_int_t)counts->records[i]));
	return list;
}

static json_t *issues_json(const struct rk_counts *counts)
{
	json_t *list = json_array();

	for (int i = 0; i < RK_ISSUE_COUNT; i++) {
		if (counts->issues[i])
			json_array_append_new(list,
				json_pack("{s:s, s:I}", "kind", rk_issue_names[i], "count",
					(json_int_t)counts->issues[i]));
	}
	return list;
}

/* The sources whose events the index holds. */
struct sources {
	json_t *list;
	const char *main; /* the one that is followed; NULL: not known */
};

static bool source_visit(void *context, struct rk_slice source, const struct rk_cursor *cursor)
{
	struct sources *sources = context;

	json_array_append_new(sources->list,
		json_pack("{s:s%, s:I, s:I}", "source", source.data, source.len, "cursor",
			(json_int_t)cursor->seq, "epoch", (json_int_t)cursor->epoch));
	return true;
}

/* Without a setting that names it, the only source there is. */
static void sources_json(struct sources *sources, json_t *result)
{
	json_t *one = NULL;
	size_t i;

	if (!sources->main && json_array_size(sources->list) == 1)
		sources->main = json_string_value(
			json_object_get(json_array_get(sources->list, 0), "source"));
	json_object_set_new(
		result, "source", sources->main ? json_string(sources->main) : json_null());
	json_object_set_new(result, "cursor", json_integer(0));
	json_object_set_new(result, "epoch", json_integer(0));
	json_array_foreach(sources->list, i, one)
	{
		if (sources->main &&
			strcmp(json_string_value(json_object_get(one, "source")), sources->main) ==
				0)
			json_object_update_existing(result, one);
	}
	json_object_set(result, "sources", sources->list);
}

static void service_json(const struct rk_operation_run *run, json_t *result)
{
	struct rk_service *service = run->service;
	struct rk_indexer_status indexer = {.lag_ms = -1};
	struct rk_buf reasons = {0};
	bool ready = service->indexer && rk_service_ready(service, &reasons);

	if (service->indexer)
		rk_indexer_status(service->indexer, &indexer);
	json_object_set_new(result, "running", json_boolean(service->indexer != NULL));
	json_object_set_new(result, "ready", json_boolean(ready));
	json_object_set_new(result, "reasons", json_string(rk_buf_cstr(&reasons)));
	json_object_set_new(result, "connected", json_boolean(indexer.connected));
	json_object_set_new(result, "lagSeconds",
		indexer.lag_ms < 0 ? json_null() : json_integer(indexer.lag_ms / 1000));
	rk_buf_finish(&reasons);
}

/* While the dual write is on. */
static void publish_json(struct rk_service *service, json_t *result)
{
	json_int_t waiting = 0, failing = 0;
	bool watched = false;

	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		watched |= atomic_load(&service->turns.watched[i]);
		waiting += (json_int_t)atomic_load(&service->figures[i].waiting);
		failing += (json_int_t)atomic_load(&service->figures[i].failing);
	}
	if (watched)
		json_object_set_new(json_object_get(result, "mongo"), "publish",
			json_pack("{s:I, s:I}", "waiting", waiting, "failing", failing));
}

int rk_operation_status(const struct rk_operation_run *run, json_t *result)
{
	struct rk_service *service = run->service;
	struct sources sources = {.list = json_array(), .main = service->settings->pds_url};
	struct rk_store_space space;
	struct rk_snapshot *snapshot = NULL;
	struct rk_counts counts;
	int r = rk_snapshot_create(&snapshot, service->store);

	if (r == 0)
		r = rk_snapshot_begin(snapshot);
	if (r == 0) {
		r = rk_read_counts(snapshot, &counts);
		if (r == 0)
			r = rk_read_cursors(snapshot, source_visit, &sources);
		rk_snapshot_end(snapshot);
	}
	rk_snapshot_destroy(snapshot);
	if (r) {
		rk_operation_error(run, "the index cannot be read; see `refkey check`");
		json_decref(sources.list);
		return RK_EXIT_FINDINGS;
	}
	rk_store_space(service->store, &space);
	json_object_set_new(result, "version", json_string(REFKEY_VERSION));
	service_json(run, result);
	sources_json(&sources, result);
	json_decref(sources.list);
	json_object_set_new(result, "repos", json_integer((json_int_t)counts.repos));
	json_object_set_new(
		result, "desynchronized", json_integer((json_int_t)counts.desynchronized));
	json_object_set_new(result, "records", records_json(&counts));
	json_object_set_new(result, "issues", issues_json(&counts));
	json_object_set_new(result, "mongo",
		json_pack("{s:b, s:b, s:I}", "configured", service->settings->mongo_uri != NULL,
			"connected", service->mirror && rk_mirror_connected(service->mirror),
			"pending", (json_int_t)counts.pending));
	publish_json(service, result);
	json_object_set_new(result, "index",
		json_pack("{s:I, s:I}", "fileBytes", (json_int_t)space.file_bytes, "usedBytes",
			(json_int_t)space.used_bytes));
	return json_is_true(json_object_get(result, "ready")) ? RK_EXIT_DONE : RK_EXIT_FINDINGS;
}

static const char *yes_no(const json_t *value)
{
	return json_is_true(value) ? "yes" : "no";
}

static void print_text(const json_t *status)
{
	const json_t *mongo = json_object_get(status, "mongo"), *one;
	const json_t *publish = json_object_get(mongo, "publish");
	const char *reasons = json_string_value(json_object_get(status, "reasons"));
	json_int_t lag = json_integer_value(json_object_get(status, "lagSeconds"));
	size_t i;

	printf("refkey %s\n", json_string_value(json_object_get(status, "version")));
	printf("running         %s\n", yes_no(json_object_get(status, "running")));
	printf("ready           %s%s%s\n", yes_no(json_object_get(status, "ready")),
		reasons && *reasons ? ": " : "", reasons ? reasons : "");
	if (json_is_string(json_object_get(status, "source")))
		printf("source          %s\n",
			json_string_value(json_object_get(status, "source")));
	printf("connected       %s\n", yes_no(json_object_get(status, "connected")));
	printf("cursor          %" JSON_INTEGER_FORMAT "\n",
		json_integer_value(json_object_get(status, "cursor")));
	json_array_foreach(json_object_get(status, "sources"), i, one)
	{
		if (!json_equal(json_object_get(one, "source"), json_object_get(status, "source")))
			printf("cursor          %" JSON_INTEGER_FORMAT " of %s\n",
				json_integer_value(json_object_get(one, "cursor")),
				json_string_value(json_object_get(one, "source")));
	}
	if (json_is_integer(json_object_get(status, "lagSeconds")))
		printf("lag             %" JSON_INTEGER_FORMAT " s\n", lag);
	printf("repos           %" JSON_INTEGER_FORMAT ", to be fetched %" JSON_INTEGER_FORMAT "\n",
		json_integer_value(json_object_get(status, "repos")),
		json_integer_value(json_object_get(status, "desynchronized")));
	json_array_foreach(json_object_get(status, "records"), i, one)
		printf("records         %" JSON_INTEGER_FORMAT " %s\n",
			json_integer_value(json_object_get(one, "count")),
			json_string_value(json_object_get(one, "collection")));
	json_array_foreach(json_object_get(status, "issues"), i, one)
		printf("issues          %" JSON_INTEGER_FORMAT " %s\n",
			json_integer_value(json_object_get(one, "count")),
			json_string_value(json_object_get(one, "kind")));
	printf("MongoDB         %s, %" JSON_INTEGER_FORMAT " records to be looked at\n",
		!json_is_true(json_object_get(mongo, "configured"))         ? "not configured"
			: json_is_true(json_object_get(mongo, "connected")) ? "connected"
									    : "not connected",
		json_integer_value(json_object_get(mongo, "pending")));
	if (publish)
		printf("publish         %" JSON_INTEGER_FORMAT
		       " documents wait, %" JSON_INTEGER_FORMAT
		       " of them failed and are tried again\n",
			json_integer_value(json_object_get(publish, "waiting")),
			json_integer_value(json_object_get(publish, "failing")));
	printf("index           %" JSON_INTEGER_FORMAT " bytes\n",
		json_integer_value(json_object_get(json_object_get(status, "index"), "fileBytes")));
}

static void print(void *context, const json_t *event)
{
	const bool *as_json = context;
	const char *kind = json_string_value(json_object_get(event, "event"));

	if (kind && strcmp(kind, "error") == 0) {
		rk_event_print_error(event);
	} else if (*as_json) {
		json_t *copy = rk_event_copy(event);

		json_dumpf(copy, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(copy);
	} else if (json_object_get(event, "version")) {
		print_text(event);
	}
}

int rk_command_status(const struct rk_command_call *call)
{
	bool as_json = call->options->json;

	return rk_operation_perform(call, "status", json_object(), print, &as_json);
}
