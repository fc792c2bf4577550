/* What is answered besides methods: health, metrics, the service's own DID document, a page for people. */
#include <stdio.h>

#include "atproto/verify.h"
#include "base/metrics.h"
#include "xrpc/methods.h"

static void health(struct rk_call *call)
{
	struct rk_service_status status = {0};
	struct rk_buf *body = &call->reply.body;

	call->service->status(call->service->status_context, &status);
	if (status.ready) {
		rk_buf_add_byte(body, '{');
	} else {
		rk_call_not_ready(call, status.reasons);
		/* The version stands in both: the error is opened again. */
		if (body->len)
			body->len--;
	}
	rk_json_str(body, "version", REFKEY_VERSION);
	rk_buf_add_byte(body, '}');
}

static void metric_head(struct rk_buf *body, const char *name, const char *help, const char *type)
{
	rk_buf_printf(body, "# HELP refkey_%s %s\n# TYPE refkey_%s %s\n", name, help, name, type);
}

static void metrics(struct rk_call *call)
{
	struct rk_buf *body = &call->reply.body;

	call->reply.content_type = "text/plain; version=0.0.4; charset=utf-8";
	for (int i = 0; i < RK_METRIC_COUNT; i++) {
		const struct rk_metric_row *row = &rk_metric_rows[i];

		metric_head(body, row->name, row->help,
			row->kind == RK_METRIC_KIND_COUNTER ? "counter" : "gauge");
		rk_buf_printf(body, "refkey_%s %lld\n", row->name,
			(long long)rk_metric_get((enum rk_metric)i));
	}
	metric_head(body, "refused_total", "What was refused, by reason", "counter");
	for (unsigned i = RK_VERDICT_OK + 1; i < RK_VERDICT_COUNT; i++)
		rk_buf_printf(body, "refkey_refused_total{reason=\"%s\"} %lld\n",
			rk_verdict_rows[i].name, (long long)rk_metric_refused_get(i));
}

static void did_document(struct rk_call *call)
{
	struct rk_slice host = call->service->hostname;
	struct rk_buf *body = &call->reply.body;

	if (host.len == 0) {
		rk_reply_fail(&call->reply, RK_REPLY_ERROR_NOT_FOUND,
			"this service has no public host name");
		return;
	}
	rk_buf_add_str(body, "{\"@context\":[\"https://www.w3.org/ns/did/v1\"],\"id\":\"did:web:");
	/* A port's colon is percent-encoded in a did:web. */
	for (size_t i = 0; i < host.len; i++) {
		if (host.data[i] == ':')
			rk_buf_add_str(body, "%3A");
		else
			rk_buf_add_byte(body, host.data[i]);
	}
	rk_buf_add_str(body,
		"\",\"service\":[{\"id\":\"#refkey\",\"type\":\"RefkeyService\","
		"\"serviceEndpoint\":\"https://");
	rk_buf_add_slice(body, host);
	rk_buf_add_str(body, "\"}]}");
}

static void front(struct rk_call *call)
{
	struct rk_buf *body = &call->reply.body;

	call->reply.content_type = "text/plain; charset=utf-8";
	rk_buf_printf(body,
		"refkey %s: an index of AT Protocol records and the documents they mirror\n\n",
		REFKEY_VERSION);
	for (size_t i = 0; i < rk_xrpc_method_count(); i++) {
		const struct rk_xrpc_method_row *row = rk_xrpc_method_row(i);

		rk_buf_printf(body, "%-4s /xrpc/%s%s\n     %s\n", row->post ? "POST" : "GET",
			row->nsid, row->admin ? " (administrator)" : "", row->summary);
	}
	rk_buf_add_str(body, "\nGET  /xrpc/_health\nGET  /metrics\n");
}

const struct rk_page rk_pages[] = {
	{"/xrpc/_health", health},
	{"/metrics", metrics},
	{"/.well-known/did.json", did_document},
	{"/", front},
	{NULL, NULL},
};

const struct rk_page *rk_page_find(struct rk_slice path)
{
	for (const struct rk_page *page = rk_pages; page->path; page++) {
		if (rk_slice_equal_str(path, page->path))
			return page;
	}
	return NULL;
}
