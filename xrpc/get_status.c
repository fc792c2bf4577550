/* computer.aesthetic.refkey.getStatus: how far the index is and what it holds. */
#include "xrpc/methods.h"

void rk_get_status(struct rk_call *call)
{
	const struct rk_service *service = call->service;
	struct rk_service_status status = {0};
	struct rk_buf *body = &call->reply.body;
	struct rk_cursor cursor = {0};
	struct rk_counts counts = {0};
	int r = rk_read_counts(call->snapshot, &counts);

	if (r == 0 || r == RK_STORE_ABSENT)
		r = rk_read_cursor(call->snapshot, &cursor, service->source);
	if (r != 0 && r != RK_STORE_ABSENT) {
		rk_call_broken(call, r);
		return;
	}
	service->status(service->status_context, &status);
	rk_buf_add_byte(body, '{');
	rk_json_str(body, "version", REFKEY_VERSION);
	rk_json_text(body, "source", service->source);
	rk_json_number(body, "cursor", cursor.seq);
	/* Lexicons know no fractions. */
	rk_json_number(body, "lagSeconds", status.lag_ms / 1000);
	rk_json_number(body, "repos", (int64_t)counts.repos);
	rk_json_number(body, "desynchronized", (int64_t)counts.desynchronized);
	rk_json_key(body, "records");
	rk_buf_add_byte(body, '[');
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		rk_json_item(body);
		rk_buf_add_byte(body, '{');
		rk_json_str(body, "collection", rk_collections[i].nsid);
		rk_json_number(body, "count", (int64_t)counts.records[i]);
		rk_buf_add_byte(body, '}');
	}
	rk_buf_add_byte(body, ']');
	rk_json_key(body, "mongo");
	rk_buf_add_byte(body, '{');
	rk_json_bool(body, "connected", status.mongo_connected);
	rk_json_number(body, "pending", (int64_t)counts.pending);
	if (status.publishing) {
		rk_json_key(body, "publish");
		rk_buf_add_byte(body, '{');
		rk_json_number(body, "waiting", (int64_t)status.publish_waiting);
		rk_json_number(body, "failing", (int64_t)status.publish_failing);
		rk_buf_add_byte(body, '}');
	}
	rk_buf_add_str(body, "}}");
}
