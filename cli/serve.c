/* refkey serve: start order, waiting for a signal, stop order. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "atproto/origin.h"
#include "base/log.h"
#include "cli/control.h"
#include "cli/service.h"
#include "cli/settings_load.h"
#include "cli/watch.h"
#include "net/http.h"
#include "xrpc/xrpc.h"

static void status_fill(void *context, struct rk_service_status *out)
{
	struct rk_service *service = context;
	struct rk_indexer_status indexer = {0};
	struct rk_buf reasons = {0};

	out->ready = rk_service_ready(service, &reasons);
	out->was_ready = rk_service_was_complete(service);
	snprintf(out->reasons, sizeof(out->reasons), "%s", rk_buf_cstr(&reasons));
	rk_buf_finish(&reasons);
	if (service->indexer)
		rk_indexer_status(service->indexer, &indexer);
	out->stream_connected = indexer.connected;
	out->lag_ms = indexer.lag_ms;
	out->mongo_configured = service->mirror != NULL;
	out->mongo_connected = service->mirror && rk_mirror_connected(service->mirror);
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		out->publishing |= atomic_load(&service->turns.watched[i]);
		out->publish_waiting += atomic_load(&service->figures[i].waiting);
		out->publish_failing += atomic_load(&service->figures[i].failing);
	}
}

/* Signals are taken by sigwait alone; every thread started later inherits the mask. */
static void signals_block(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void files_raise(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

static int indexer_start(struct rk_service *service)
{
	const struct rk_settings *settings = service->settings;
	const struct rk_indexer_options options = {
		.source = settings->pds_url,
		.relay = settings->source == RK_SOURCE_RELAY,
		.public_origin = settings->pds_public_url,
		.plc = settings->plc_url,
		.data_dir = settings->data_dir,
		.allow_private = settings->allow_private,
		.threads = settings->threads,
		.sweep_seconds = settings->sweep_seconds,
		.user_agent = RK_USER_AGENT,
		.bypass_key = settings->pds_bypass_key,
	};
	struct rk_indexer *indexer;
	int r = rk_indexer_create(&indexer, service->store, service->writer, &options);

	if (r == 0)
		service->indexer = indexer;
	return r;
}

static int xrpc_start(struct rk_service *service, struct rk_xrpc **xrpc)
{
	const struct rk_settings *settings = service->settings;
	const struct rk_xrpc_options options = {
		.listen = settings->listen,
		.threads = settings->threads,
		.source = settings->pds_url,
		.hostname = settings->hostname,
		.admin_password = settings->admin_password,
		.status = status_fill,
		.status_context = service,
	};
	char error[256] = "";
	int r = rk_xrpc_create(xrpc, service->store, &options, error);

	if (r == 0)
		return 0;
	rk_service_failed(service, "REFKEY_LISTEN: %s", error[0] ? error : strerror(-r));
	return RK_EXIT_USAGE;
}

/* A port that was picked is told whatever the level: there is no other way to know it. */
static void listening_tell(const char *asked, const char *address)
{
	const struct rk_log_field addr = RK_LOG_STR("addr", address);
	char host[RK_HOST_SIZE];
	int32_t port;
	bool picked = rk_host_port_parse(host, &port, rk_slice_str(asked)) && port == 0;

	if (picked || rk_log_enabled(RK_LOG_INFO))
		rk_log_write(RK_LOG_INFO, "xrpc", "listening", &addr, 1);
}

int rk_command_serve(const struct rk_command_call *call)
{
	const struct rk_settings *settings = call->settings;
	struct rk_control *control = NULL;
	struct rk_xrpc *xrpc = NULL;
	struct rk_watch *watch = NULL;
	struct rk_service service = {.settings = settings, .serving = true};
	sigset_t signals;
	int signal_number, code, r;

	signals_block(&signals);
	files_raise();
	rk_settings_log_unbuilt(settings);
	if (rk_http_global_init() != 0) {
		rk_service_failed(&service, "libcurl cannot be initialised");
		return RK_EXIT_FINDINGS;
	}
	code = rk_service_open(&service);
	if (code)
		return code;
	if (settings->mongo_uri)
		code = rk_service_mirror(&service);
	else
		rk_log(RK_LOG_INFO, "mirror",
			"REFKEY_MONGO_URI is not set: no recovery to MongoDB");
	if (code == 0)
		code = xrpc_start(&service, &xrpc);
	if (code)
		goto close;
	r = indexer_start(&service);
	if (r == 0)
		r = rk_control_create(&control, &service);
	if (r) {
		rk_service_failed(&service, "cannot start: %s", strerror(-r));
		code = RK_EXIT_FINDINGS;
		goto close;
	}
	code = rk_watch_create(&watch, &service);
	if (code)
		goto close;
	/* Who waits for this line may send commands, too. */
	listening_tell(settings->listen, rk_xrpc_address(xrpc));
	sigwait(&signals, &signal_number);
	rk_log(RK_LOG_INFO, "serve", "stopping", RK_LOG_STR("signal", strsignal(signal_number)));
	pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* a second one ends it at once */
close:
	rk_control_destroy(control);
	rk_watch_destroy(watch);
	rk_xrpc_destroy(xrpc);
	rk_service_close(&service);
	rk_log(RK_LOG_INFO, "serve", "stopped");
	return code;
}
