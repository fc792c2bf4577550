/* computer.aesthetic.refkey.listRecords: a collection by `when`, page by page. */
#include "xrpc/methods.h"
#include "xrpc/page_cursor.h"

enum { COLLECTION, REPO, SINCE, UNTIL, LIMIT, CURSOR, REVERSE };
/* A page ends early behind this many bytes: its cursor goes on. */
enum { PAGE_BYTES = 4 << 20 };

const struct rk_param_row rk_list_records_params[] = {
	[COLLECTION] = {.name = "collection", .kind = RK_PARAM_COLLECTION, .required = true},
	[REPO] = {.name = "repo", .kind = RK_PARAM_REPO},
	[SINCE] = {.name = "since", .kind = RK_PARAM_DATETIME},
	[UNTIL] = {.name = "until", .kind = RK_PARAM_DATETIME},
	[LIMIT] = {.name = "limit",
		.kind = RK_PARAM_INTEGER,
		.least = 1,
		.most = 100,
		.otherwise = 50},
	[CURSOR] = {.name = "cursor",
		.kind = RK_PARAM_TEXT,
		.least = 1,
		.most = RK_PAGE_CURSOR_MOST},
	[REVERSE] = {.name = "reverse", .kind = RK_PARAM_BOOLEAN},
	{0},
};

struct page {
	struct rk_call *call;
	const struct rk_list_query *query;
	int64_t limit, count;
	bool more, broken;
	uint8_t position[RK_LIST_POSITION_MOST]; /* behind the last record of the page */
	size_t position_len;
};

static bool record_visit(void *context, const struct rk_record *record)
{
	struct page *page = context;
	struct rk_buf *body = &page->call->reply.body;

	/* One more than the page holds: only then is there a cursor. */
	if (page->count == page->limit || body->len > PAGE_BYTES) {
		page->more = true;
		return false;
	}
	rk_json_item(body);
	if (!rk_call_view(page->call, record, NULL)) {
		page->broken = true;
		return false;
	}
	page->position_len = rk_list_position(page->position, page->query, record);
	page->count++;
	return true;
}

/* What a cursor is bound to. */
static void query_bytes(struct rk_buf *out, const struct rk_list_query *query, struct rk_slice did)
{
	rk_buf_add_str(out, rk_collections[query->collection].nsid);
	rk_buf_add_str(out, query->oldest_first ? " up " : " down ");
	rk_buf_add_slice(out, did);
	rk_buf_add_byte(out, '\n');
}

static void page_run(struct rk_call *call, struct rk_list_query *query, struct rk_slice did)
{
	const struct rk_param *values = call->params.values;
	struct page page = {.call = call, .query = query, .limit = values[LIMIT].number};
	uint8_t position[RK_LIST_POSITION_MOST], room[RK_DID_MOST + 128];
	/* The limit lies within the room: the buffer never grows and holds nothing to free. */
	struct rk_buf bound = {.data = room, .cap = sizeof(room), .limit = sizeof(room) - 1};
	struct rk_buf *body = &call->reply.body;
	int r;

	query_bytes(&bound, query, did);
	if (values[CURSOR].given) {
		size_t len;

		if (!rk_page_cursor_read(
			    position, &len, rk_buf_slice(&bound), values[CURSOR].text)) {
			rk_reply_fail(&call->reply, RK_REPLY_ERROR_INVALID_REQUEST,
				"cursor must be the one that the page before gave, with the same "
				"collection, repo and reverse");
			return;
		}
		query->position = rk_slice_make(position, len);
		if (!rk_list_position_valid(query, query->position)) {
			rk_reply_fail(&call->reply, RK_REPLY_ERROR_INVALID_REQUEST,
				"cursor is not one of this index: start again without it");
			return;
		}
	}
	rk_buf_add_str(body, "{\"records\":[");
	r = rk_read_list(call->snapshot, query, record_visit, &page);
	if (page.broken)
		return;
	if (r) {
		rk_call_broken(call, r);
		return;
	}
	rk_buf_add_byte(body, ']');
	if (page.more) {
		rk_json_key(body, "cursor");
		rk_buf_add_byte(body, '"');
		rk_page_cursor_add(body, rk_buf_slice(&bound),
			rk_slice_make(page.position, page.position_len));
		rk_buf_add_byte(body, '"');
	}
	rk_buf_add_byte(body, '}');
	if (page.count == 0)
		rk_call_doubt(call);
}

void rk_list_records(struct rk_call *call)
{
	const struct rk_param *values = call->params.values;
	struct rk_repo repo = {0};
	struct rk_list_query query = {
		.collection = (uint8_t)values[COLLECTION].collection,
		.has_since = values[SINCE].given,
		.has_until = values[UNTIL].given,
		.since_ms = values[SINCE].number,
		.until_ms = values[UNTIL].number,
		.oldest_first = values[REVERSE].number != 0,
	};
	int r = 0;

	if (values[REPO].given)
		r = rk_call_repo(call, &repo, &values[REPO].account);
	query.repo = repo.id;
	if (r == 0)
		page_run(call, &query, repo.did);
	else if (r == RK_STORE_ABSENT)
		rk_call_miss(call, RK_REPLY_ERROR_REPO_NOT_FOUND, "the index has no such repo");
	else
		rk_call_broken(call, r);
}
