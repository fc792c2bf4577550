/* See session.h: writing to a repo in batches, its blobs, and listing what it has. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/encode.h"
#include "net/pds_answer.h"
#include "net/session_inside.h"

enum {
	PAGE_MOST = 16 << 20, /* 100 records, each of up to 64 KB or more */
	PAGE_RECORDS = 100,
	PAGES_MOST = 10 * 1000, /* of a listing: a million records */
	BLOB_MOST = 1 << 30,
};

static const struct {
	const char *type;
	unsigned points;
} actions[RK_SESSION_ACTION_COUNT] = {
	[RK_SESSION_CREATE] = {"create", RK_PACE_CREATE},
	[RK_SESSION_UPDATE] = {"update", RK_PACE_UPDATE},
	[RK_SESSION_DELETE] = {"delete", RK_PACE_DELETE},
};

unsigned rk_session_points(enum rk_session_action action)
{
	return actions[action].points;
}

int rk_session_apply_writes(struct rk_session *session, struct rk_pds_reply *reply, bool *told,
	const struct rk_session_write *writes, size_t count, const char *swap)
{
	struct rk_buf body = {0};
	struct rk_session_request call = {.method = "com.atproto.repo.applyWrites",
		.header = &session->access,
		.post = true,
		.counts = RK_PACE_POINTS,
		.paces = true,
		.most = RK_SESSION_ANSWER_MOST};
	json_t *root;
	int rc;

	*told = false;
	rk_buf_add_str(&body, "{\"repo\":");
	rk_buf_add_json(&body, rk_buf_slice(&session->did));
	if (swap) {
		rk_buf_add_str(&body, ",\"swapCommit\":");
		rk_buf_add_json(&body, rk_slice_str(swap));
	}
	rk_buf_add_str(&body, ",\"writes\":[");
	for (size_t i = 0; i < count; i++) {
		call.count += rk_session_points(writes[i].action);
		rk_buf_printf(&body,
			"%s{\"$type\":\"com.atproto.repo.applyWrites#%s\",\"collection\":\"%s\","
			"\"rkey\":",
			i ? "," : "", actions[writes[i].action].type, writes[i].collection);
		rk_buf_add_json(&body, rk_slice_str(writes[i].rkey));
		if (writes[i].action != RK_SESSION_DELETE) {
			rk_buf_add_str(&body, ",\"value\":");
			rk_buf_add_slice(&body, writes[i].record);
		}
		rk_buf_add_byte(&body, '}');
	}
	rk_buf_add_str(&body, "]}");
	if (rk_buf_failed(&body)) {
		rk_buf_finish(&body);
		return -ENOMEM;
	}
	call.body = rk_buf_slice(&body);
	rc = rk_session_perform_open(session, reply, &root, &call);
	/* A yes that cannot be read is one all the same. */
	if (rc == RK_PDS_WRONG && reply->http_status >= 200 && reply->http_status < 300)
		rc = RK_PDS_OK;
	*told = rc == RK_PDS_OK && json_array_size(json_object_get(root, "results")) == count;
	json_decref(root);
	rk_buf_finish(&body);
	return rc;
}

static bool text_take(char *out, size_t size, const json_t *text)
{
	const char *value = json_string_value(text);
	size_t len = json_string_length(text);

	if (!value || len == 0 || len >= size || strlen(value) != len)
		return false;
	memcpy(out, value, len + 1);
	return true;
}

int rk_session_upload_blob(struct rk_session *session, struct rk_pds_reply *reply,
	struct rk_session_blob *out, struct rk_slice bytes, const char *mime)
{
	const struct rk_session_request call = {.method = "com.atproto.repo.uploadBlob",
		.header = &session->access,
		.post = true,
		.body = bytes,
		.type = mime,
		.counts = RK_PACE_BLOBS,
		.count = 1,
		.paces = true,
		.most = RK_SESSION_ANSWER_MOST};
	const json_t *blob;
	json_t *root;
	double size;
	int rc = rk_session_perform_open(session, reply, &root, &call);

	*out = (struct rk_session_blob){0};
	if (rc != RK_PDS_OK)
		return rc;
	blob = json_object_get(root, "blob");
	size = json_number_value(json_object_get(blob, "size"));
	if (!text_take(out->ref, sizeof(out->ref),
		    json_object_get(json_object_get(blob, "ref"), "$link")) ||
		!text_take(out->mime, sizeof(out->mime), json_object_get(blob, "mimeType")) ||
		!(size > 0 && size <= BLOB_MOST))
		rc = rk_pds_wrong(reply, "the answer has no blob");
	else
		out->size = (uint64_t)size;
	json_decref(root);
	return rc;
}

static bool is_cancelled(void *context)
{
	const struct rk_session *session = context;

	return session->options.http.cancel && atomic_load(session->options.http.cancel);
}

/* What is left of text behind the part. False: it does not begin so. */
static bool part_take(struct rk_slice *text, const char *part)
{
	size_t len = strlen(part);

	if (!rk_slice_starts(*text, rk_slice_str(part)))
		return false;
	*text = rk_slice_make(text->data + len, text->len - len);
	return true;
}

/* Of at://DID/COLLECTION/RKEY. False: a record of another repo or collection, or of none. */
static bool rkey_take(
	struct rk_slice *out, const json_t *record, const char *did, const char *collection)
{
	const json_t *uri = json_object_get(record, "uri");

	*out = rk_slice_make(json_string_value(uri), json_string_length(uri));
	return part_take(out, "at://") && part_take(out, did) && part_take(out, "/") &&
		part_take(out, collection) && part_take(out, "/") && out->len > 0 &&
		!memchr(out->data, '/', out->len);
}

static int page_visit(struct rk_pds_reply *reply, const json_t *records, const char *did,
	const char *collection, rk_session_visit *visit, void *context)
{
	const json_t *item;
	size_t i;
	int rc = 0;

	json_array_foreach(records, i, item)
	{
		struct rk_session_record record = {
			.cid = rk_slice_str(json_string_value(json_object_get(item, "cid"))),
			.value = json_object_get(item, "value")};

		rc = rkey_take(&record.rkey, item, did, collection)
			? visit(context, &record)
			: rk_pds_wrong(reply, "the PDS lists what is no record of the repo");
		if (rc)
			break;
	}
	return rc;
}

/* Why the account has no repo that could be listed. */
static int inactive(struct rk_pds_reply *reply, const json_t *status)
{
	const char *text = json_string_value(json_object_get(status, "status"));

	if (text && strlen(text) < sizeof(reply->account_status))
		snprintf(reply->account_status, sizeof(reply->account_status), "%s", text);
	snprintf(reply->message, sizeof(reply->message), "the account is %s",
		reply->account_status[0] ? reply->account_status : "not active");
	return RK_PDS_INACTIVE;
}

/* The reference PDS says of a repo that is unknown, or is not active, only that the request is wrong: its
 * status is said better. */
static int list_refused(struct rk_session *session, struct rk_pds_reply *reply, const char *did)
{
	const struct rk_pds_reply said = *reply;
	struct rk_buf method = {0};
	struct rk_session_request call = {.most = RK_SESSION_ANSWER_MOST};
	json_t *root;
	int rc = -ENOMEM;

	rk_buf_add_str(&method, "com.atproto.sync.getRepoStatus?did=");
	rk_percent_encode(&method, rk_slice_str(did));
	call.method = rk_buf_cstr(&method);
	if (!rk_buf_failed(&method)) {
		rc = rk_session_perform(session, reply, &root, &call);
		if (rc == RK_PDS_OK && json_is_false(json_object_get(root, "active")))
			rc = inactive(reply, root);
		json_decref(root);
	}
	rk_buf_finish(&method);
	if (rc == RK_PDS_ABSENT || rc == RK_PDS_INACTIVE || rc < 0)
		return rc;
	*reply = said;
	return RK_PDS_WRONG;
}

/* To the next page. Listings end: none goes on for ever, and a cursor that comes again goes round. One is
 * marked at each power of two of pages, so that a round is found before it was gone three times. */
static int cursor_move(struct rk_pds_reply *reply, struct rk_buf *cursor, struct rk_buf *mark,
	unsigned pages, const json_t *next)
{
	if ((pages & (pages - 1)) == 0) {
		rk_buf_clear(mark);
		rk_buf_add_slice(mark, rk_buf_slice(cursor));
	}
	rk_buf_clear(cursor);
	rk_buf_add(cursor, json_string_value(next), json_string_length(next));
	if (pages >= PAGES_MOST || rk_slice_equal(rk_buf_slice(cursor), rk_buf_slice(mark)))
		return rk_pds_wrong(reply, "the PDS's list of records does not end");
	return rk_buf_failed(cursor) || rk_buf_failed(mark) ? -ENOMEM : RK_PDS_OK;
}

int rk_session_list(struct rk_session *session, struct rk_pds_reply *reply, const char *did,
	const char *collection, int64_t wait_most_ms, rk_session_visit *visit, void *context)
{
	struct rk_buf cursor = {0}, mark = {0}, method = {0};
	int rc = RK_PDS_OK;
	unsigned pages = 0;

	*reply = (struct rk_pds_reply){.retry_after_ms = -1};
	for (bool more = true; rc == RK_PDS_OK && more;) {
		struct rk_session_request call = {.paces = true, .most = PAGE_MOST};
		int64_t wait = rk_pace_wait_ms(&session->pace, rk_clock_wall_ms());
		const json_t *records, *next;
		json_t *root;

		if (wait > wait_most_ms) {
			reply->retry_after_ms = wait;
			snprintf(reply->message, sizeof(reply->message), "rate limited");
			rc = RK_PDS_RETRY;
			break;
		}
		if (!rk_clock_pause_unless(wait, is_cancelled, session)) {
			rc = -ECANCELED;
			break;
		}
		rk_buf_clear(&method);
		rk_buf_printf(&method,
			"com.atproto.repo.listRecords?limit=%d&collection=%s&repo=", PAGE_RECORDS,
			collection);
		rk_percent_encode(&method, rk_slice_str(did));
		if (cursor.len) {
			rk_buf_add_str(&method, "&cursor=");
			rk_percent_encode(&method, rk_buf_slice(&cursor));
		}
		if (rk_buf_failed(&method)) {
			rc = -ENOMEM;
			break;
		}
		call.method = rk_buf_cstr(&method);
		rc = rk_session_perform(session, reply, &root, &call);
		if (rc == RK_PDS_WRONG && strcmp(reply->error, "InvalidRequest") == 0)
			rc = list_refused(session, reply, did);
		if (rc != RK_PDS_OK)
			break;
		records = json_object_get(root, "records");
		next = json_object_get(root, "cursor");
		rc = page_visit(reply, records, did, collection, visit, context);
		more = json_array_size(records) > 0 && json_string_length(next) > 0;
		if (!json_is_array(records) && rc == RK_PDS_OK)
			rc = rk_pds_wrong(reply, "the answer has no records");
		if (more && rc == RK_PDS_OK)
			rc = cursor_move(reply, &cursor, &mark, ++pages, next);
		json_decref(root);
	}
	rk_buf_finish(&method);
	rk_buf_finish(&mark);
	rk_buf_finish(&cursor);
	return rc;
}
