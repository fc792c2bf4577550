/* See watch.h. */
#include "cli/watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "cli/event.h"
#include "cli/publish_inside.h"

struct one {
	struct rk_service *service;
	enum rk_collection_id collection;
	const struct rk_operation_run *run; /* NULL: serve's own */
	const atomic_bool *stop;
	uint64_t n;
};

struct rk_watch {
	struct one list[RK_COLLECTION_COUNT];
	pthread_t threads[RK_COLLECTION_COUNT];
	size_t count;
	atomic_bool stop;
};

/* Where the index is not as the PDS is, what was deleted there meanwhile could be published again. */
static bool is_ready(void *context)
{
	const struct one *one = context;
	struct rk_indexer *indexer = one->service->indexer;
	struct rk_indexer_status status = {0};

	if (indexer)
		rk_indexer_status(indexer, &status);
	return status.connected && status.swept && !rk_writer_fault(one->service->writer);
}

static bool begin(void *context)
{
	const struct one *one = context;

	return rk_turn_watch(&one->service->turns);
}

static void end(void *context)
{
	const struct one *one = context;

	rk_turn_watch_end(&one->service->turns);
}

static void line(void *context, const struct rk_publish_line *line, bool deleted)
{
	struct one *one = context;
	struct rk_publish_line numbered = *line;
	json_t *event;

	if (!one->run)
		return;
	numbered.n = ++one->n;
	numbered.total = 0;
	event = rk_publish_line_json(&numbered);
	json_object_set_new(event, "deleted", json_boolean(deleted));
	one->run->emit(one->run->context, event);
}

/* What serve and a command ask for alike. */
static struct rk_watch_request request_of(struct one *one)
{
	struct rk_service *service = one->service;

	return (struct rk_watch_request){
		.collection = one->collection,
		.at_once = service->settings->publish == RK_PUBLISH_EXCLUSIVE,
		/* A command without a serve has an index that nobody keeps. */
		.ready = service->indexer || !one->run ? is_ready : NULL,
		.begin = begin,
		.end = end,
		.line = line,
		.lines_say = one->run && !service->indexer,
		.context = one,
		.figures = &service->figures[one->collection],
		.stop = one->stop,
	};
}

static void *work(void *context)
{
	struct one *one = context;
	const struct rk_publish_options options = rk_publish_options_of(one->service->settings);
	struct rk_watch_request request = request_of(one);
	struct rk_watch_summary summary;
	int r;

	request.guests = true;
	r = rk_publish_watch(
		one->service->store, one->service->writer, &summary, &options, &request);
	if (r)
		rk_log(RK_LOG_ERROR, "publish", "cannot begin", RK_LOG_STR("reason", strerror(-r)));
	return NULL;
}

int rk_watch_create(struct rk_watch **out, struct rk_service *service)
{
	const struct rk_settings *settings = service->settings;
	const char *wrong = rk_operation_pds_refusal(settings);
	struct rk_watch *watch;

	*out = NULL;
	if (settings->publish == RK_PUBLISH_OFF)
		return RK_EXIT_DONE;
	if (!settings->mongo_uri)
		wrong = "REFKEY_MONGO_URI is not set: `%s` needs MongoDB";
	if (wrong) {
		rk_service_failed(service, wrong, "REFKEY_PUBLISH");
		return RK_EXIT_USAGE;
	}
	watch = calloc(1, sizeof(*watch));
	for (; watch && watch->count < RK_COLLECTION_COUNT; watch->count++) {
		struct one *one = &watch->list[watch->count];

		*one = (struct one){.service = service,
			.collection = (enum rk_collection_id)watch->count,
			.stop = &watch->stop};
		rk_turns_watch(&service->turns, one->collection);
		if (pthread_create(&watch->threads[watch->count], NULL, work, one) != 0)
			break;
	}
	if (watch && watch->count == RK_COLLECTION_COUNT) {
		*out = watch;
		return RK_EXIT_DONE;
	}
	rk_watch_destroy(watch);
	rk_service_failed(service, "cannot start to publish: out of memory");
	return RK_EXIT_FINDINGS;
}

void rk_watch_destroy(struct rk_watch *watch)
{
	if (!watch)
		return;
	atomic_store(&watch->stop, true);
	for (size_t i = 0; i < watch->count; i++)
		pthread_join(watch->threads[i], NULL);
	free(watch);
}

static int refuse(const struct rk_operation_run *run, const char *message)
{
	rk_operation_error(run, message);
	return RK_EXIT_USAGE;
}

static void result_fill(json_t *result, const struct rk_watch_summary *summary)
{
	uint64_t found = 0;

	for (int i = 0; i < RK_PUBLISH_OUTCOME_COUNT; i++) {
		found += summary->counts[i];
		json_object_set_new(result, rk_publish_outcome_rows[i].name,
			json_integer((json_int_t)summary->counts[i]));
	}
	json_object_set_new(result, "found", json_integer((json_int_t)found));
	json_object_set_new(result, "deleted", json_integer((json_int_t)summary->deleted));
	json_object_set_new(result, "failing", json_integer((json_int_t)summary->failing));
	json_object_set_new(result, "stopped", json_true());
}

int rk_operation_watch(
	const struct rk_operation_run *run, json_t *result, enum rk_collection_id collection)
{
	struct rk_service *service = run->service;
	const struct rk_settings *settings = service->settings;
	const struct rk_publish_options options = rk_publish_options_of(settings);
	struct one one = {
		.service = service, .collection = collection, .run = run, .stop = run->stop};
	struct rk_watch_request request = request_of(&one);
	const char *wrong = rk_operation_pds_refusal(settings);
	struct rk_watch_summary summary = {0};
	char text[256];
	int r;

	if (wrong) {
		snprintf(text, sizeof(text), wrong, "publish --watch");
		return refuse(run, text);
	}
	if (settings->on_delete != RK_ON_DELETE_SOFT)
		return refuse(run,
			"--watch: with REFKEY_ON_DELETE unlink or keep, what is deleted on the PDS would be published again");
	if (!rk_turns_watch(&service->turns, collection))
		return refuse(run,
			settings->publish != RK_PUBLISH_OFF && service->indexer
				? "the running serve does this already, by REFKEY_PUBLISH"
				: "another publish --watch is under way: stop it first");
	request.users = rk_operation_texts(json_object_get(run->request, "users"));
	request.skip = rk_operation_texts(json_object_get(run->request, "skip"));
	request.batch_size = rk_operation_number(run->request, "batchSize");
	request.delay_ms = rk_operation_number(run->request, "delay");
	request.guests = json_is_true(json_object_get(run->request, "guests"));
	request.skip_blobs = json_is_true(json_object_get(run->request, "skipBlobs"));
	run->emit(
		run->context, json_pack("{s:s, s:b}", "event", "begin", "atOnce", request.at_once));
	r = rk_publish_watch(service->store, service->writer, &summary, &options, &request);
	rk_turns_unwatch(&service->turns, collection);
	free((void *)request.users);
	free((void *)request.skip);
	if (r) {
		refuse(run, summary.error[0] ? summary.error : strerror(-r));
		return r == -ENOENT ? RK_EXIT_USAGE : RK_EXIT_FINDINGS;
	}
	result_fill(result, &summary);
	return summary.failing ? RK_EXIT_FINDINGS : RK_EXIT_DONE;
}
