/* See service.h. */
#include "cli/service.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "cli/event.h"

enum { LOCKED_MS = 2000 }; /* a command that only looks is done sooner */

bool rk_service_index_exists(const struct rk_settings *settings)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/data.mdb", settings->data_dir);
	return access(path, F_OK) == 0;
}

static bool is_swept(struct rk_service *service)
{
	struct rk_indexer *indexer = service->indexer;
	struct rk_indexer_status status = {0};

	if (indexer)
		rk_indexer_status(indexer, &status);
	return status.swept;
}

/* Whether the service is unready because of repos that are still to be fetched. Behind a relay they hold up
 * nobody for long, and nothing any more once all was in. */
static bool repos_are_awaited(struct rk_service *service, bool swept)
{
	unsigned long long unready = atomic_load(&service->unready);
	bool over;

	if (service->settings->source != RK_SOURCE_RELAY)
		return unready > 0;
	pthread_mutex_lock(&service->lock);
	if (swept)
		rk_patience_note(&service->patience, unready, rk_clock_mono_ms());
	over = rk_patience_is_over(&service->patience, rk_clock_mono_ms());
	pthread_mutex_unlock(&service->lock);
	return unready > 0 && !over && !atomic_load(&service->was_complete);
}

/* A commit alone changes how many repos are awaited: asked before it counts and after, and by whoever wants to know,
 * this misses nothing of what was between. */
bool rk_service_was_complete(struct rk_service *service)
{
	bool swept;

	if (atomic_load(&service->was_complete))
		return true;
	swept = is_swept(service);
	if (swept && !repos_are_awaited(service, swept) &&
		!atomic_exchange(&service->was_complete, true) && service->mirror)
		rk_mirror_filled(service->mirror);
	return atomic_load(&service->was_complete);
}

/* After each commit: what status and health show, without asking the index at every request. */
static void committed(void *context)
{
	struct rk_service *service = context;
	struct rk_indexer *indexer;
	struct rk_mirror *mirror;
	struct rk_counts counts = {0};

	rk_service_was_complete(service);
	if (rk_snapshot_begin(service->counting) == 0) {
		if (rk_read_counts(service->counting, &counts) == 0) {
			atomic_store(&service->desynchronized, counts.desynchronized);
			atomic_store(&service->unready, counts.unready);
			rk_metric_set(RK_METRIC_DESYNCHRONIZED, (int64_t)counts.desynchronized);
			rk_metric_set(RK_METRIC_MONGO_PENDING, (int64_t)counts.pending);
		}
		rk_snapshot_end(service->counting);
	}
	rk_service_was_complete(service);
	mirror = service->mirror;
	if (mirror)
		rk_mirror_wake(mirror);
	indexer = service->indexer;
	/* Its many fetching threads sleep through commits that leave nothing to fetch. */
	if (indexer && counts.desynchronized)
		rk_indexer_wake(indexer);
}

void rk_service_failed(const struct rk_service *service, const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	if (service->serving && service->settings->log_format == RK_LOG_JSON)
		rk_log(RK_LOG_ERROR, "serve", "cannot start", RK_LOG_STR("reason", text));
	else
		rk_event_print_failure(text);
}

static int open_failed(const struct rk_service *service, int result, const char *error)
{
	rk_service_failed(
		service, "%s (REFKEY_DATA_DIR is %.200s)", error, service->settings->data_dir);
	switch (result) {
	case RK_STORE_LOCKED:
		rk_service_failed(
			service, "stop the other process, or give this one a folder of its own");
		return RK_EXIT_USAGE;
	case RK_STORE_NEWER:
		rk_service_failed(
			service, "run the newer version, or restore a backup made by this one");
		return RK_EXIT_USAGE;
	case -EACCES:
	case -ENOENT:
	case -ENOTDIR:
	case -EROFS:
		return RK_EXIT_USAGE;
	default:
		return RK_EXIT_FINDINGS;
	}
}

int rk_service_open(struct rk_service *service)
{
	const struct rk_store_options options = {
		.dir = service->settings->data_dir, .wait_ms = LOCKED_MS};
	char error[256];
	int r;

	pthread_mutex_init(&service->lock, NULL);
	r = rk_store_open(&service->store, &options, error);
	if (r)
		return open_failed(service, r, error);
	r = rk_snapshot_create(&service->counting, service->store);
	if (r == 0)
		r = rk_writer_create(&service->writer, service->store);
	if (r) {
		rk_service_failed(service, "cannot start: %s", strerror(-r));
		rk_service_close(service);
		return RK_EXIT_FINDINGS;
	}
	committed(service);
	rk_writer_add_observer(service->writer, committed, service);
	return 0;
}

int rk_service_mirror(struct rk_service *service)
{
	const struct rk_settings *settings = service->settings;
	const struct rk_mirror_options options = {
		.uri = settings->mongo_uri,
		.database = settings->mongo_db,
		.batch = settings->mongo_batch,
		.recover = settings->recover,
		.on_delete = settings->on_delete,
		.guest_user = settings->guest_user,
		.sweep_seconds = settings->sweep_seconds,
		.on_request_only = !service->serving,
	};
	struct rk_mirror *mirror;
	int r = rk_mirror_create(&mirror, service->store, service->writer, &options);

	if (r == 0) {
		service->mirror = mirror;
		return 0;
	}
	if (r == -EINVAL)
		rk_service_failed(service,
			"REFKEY_MONGO_URI: not a MongoDB connection string the driver accepts");
	else
		rk_service_failed(service, "cannot start the MongoDB side: %s", strerror(-r));
	return r == -EINVAL ? RK_EXIT_USAGE : RK_EXIT_FINDINGS;
}

void rk_service_close(struct rk_service *service)
{
	if (service->writer) {
		rk_writer_remove_observer(service->writer, service);
		rk_writer_give_up(service->writer);
	}
	/* Their threads hand work to the writer: they end first. */
	rk_indexer_destroy(service->indexer);
	rk_mirror_destroy(service->mirror);
	rk_writer_destroy(service->writer);
	rk_snapshot_destroy(service->counting);
	rk_store_close(service->store);
	service->indexer = NULL;
	service->mirror = NULL;
	service->writer = NULL;
	service->counting = NULL;
	service->store = NULL;
}

static void reason(struct rk_buf *reasons, const char *text)
{
	if (reasons->len)
		rk_buf_add_str(reasons, "; ");
	rk_buf_add_str(reasons, text);
}

bool rk_service_ready(struct rk_service *service, struct rk_buf *reasons)
{
	int fault = rk_writer_fault(service->writer);
	struct rk_indexer_status status = {0};

	if (service->indexer)
		rk_indexer_status(service->indexer, &status);
	if (!status.connected)
		reason(reasons, "the firehose is not connected");
	if (!status.swept)
		reason(reasons, "the first comparison with the source is not done");
	if (repos_are_awaited(service, status.swept)) {
		reason(reasons, "");
		rk_buf_printf(reasons, "%llu repos are still to be fetched",
			atomic_load(&service->unready));
	}
	if (fault) {
		reason(reasons, "the index cannot be written: ");
		rk_buf_add_str(reasons, strerror(-fault));
	}
	return reasons->len == 0;
}
