/* computer.aesthetic.refkey.resolve: many records at once, by ref or by AT-URI, in the order asked. */
#include "xrpc/methods.h"

enum { REFS, URIS };
/* Bytes of one answer: more than 100 records of their usual size by far. */
enum { BODY_MOST = 16 << 20 };

const struct rk_param_row rk_resolve_params[] = {
	[REFS] = {.name = "refs",
		.kind = RK_PARAM_REF,
		.array = true,
		.least = 1,
		.most = RK_REF_MOST},
	[URIS] = {.name = "uris", .kind = RK_PARAM_URI, .array = true},
	{0},
};

/* One item: 0 with its view added, ABSENT, or answered with an error (anything else). */
static int item_run(struct rk_call *call, const struct rk_param *item)
{
	struct rk_record record;
	struct rk_repo repo;
	bool unsure = false, by_ref = item->row == &rk_resolve_params[REFS];
	int r;

	if (by_ref)
		r = rk_read_ref(call->snapshot, &record, item->ref, -1);
	else
		r = rk_key_record_read(call, &record, &repo, &unsure, &item->uri.authority,
			item->collection, item->uri.rkey);
	if (unsure) {
		rk_call_not_ready(call, "one of the repos is still to be fetched");
		return -1;
	}
	if (r == RK_STORE_ABSENT)
		return r;
	if (r) {
		rk_call_broken(call, r);
		return r;
	}
	rk_json_item(&call->reply.body);
	return rk_call_view(call, &record, by_ref ? NULL : &repo) ? 0 : -1;
}

void rk_resolve(struct rk_call *call)
{
	struct rk_buf *body = &call->reply.body;
	bool missing[RK_PARAM_ITEMS_MOST], any = false;

	if (call->params.item_count == 0) {
		rk_reply_fail(&call->reply, RK_REPLY_ERROR_INVALID_REQUEST,
			"refs or uris is required: 1 to %d values in all", RK_PARAM_ITEMS_MOST);
		return;
	}
	rk_buf_add_str(body, "{\"records\":[");
	for (size_t i = 0; i < call->params.item_count; i++) {
		int r = item_run(call, &call->params.items[i]);

		missing[i] = r == RK_STORE_ABSENT;
		any |= missing[i];
		if (r != 0 && r != RK_STORE_ABSENT)
			return;
		if (body->len > BODY_MOST) {
			rk_reply_fail(&call->reply, RK_REPLY_ERROR_INVALID_REQUEST,
				"refs and uris: these records are more than %d MiB, ask for fewer",
				BODY_MOST >> 20);
			return;
		}
	}
	rk_buf_add_str(body, "],\"missing\":[");
	for (size_t i = 0; i < call->params.item_count; i++) {
		const struct rk_param *item = &call->params.items[i];

		if (!missing[i])
			continue;
		rk_json_item(body);
		rk_buf_add_byte(body, '{');
		rk_json_text(
			body, item->row == &rk_resolve_params[REFS] ? "ref" : "uri", item->text);
		rk_buf_add_byte(body, '}');
	}
	rk_buf_add_str(body, "]}");
	if (any)
		rk_call_doubt(call);
}
