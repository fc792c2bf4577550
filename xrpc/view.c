/*
 * See view.h. What goes in without escapes cannot need any: DIDs, NSIDs, record keys and CIDs by their
 * syntax, the value because it is JSON.
 */
#include "xrpc/view.h"

#include "base/clock.h"
#include "xrpc/reply.h"

/* Literals with their length, known when compiled: this is written for every answer. */
#define ADD(out, literal) rk_buf_add((out), (literal), sizeof(literal) - 1)

static void uri_add(
	struct rk_buf *out, struct rk_slice did, struct rk_slice nsid, struct rk_slice rkey)
{
	ADD(out, "\"uri\":\"at://");
	rk_buf_add_slice(out, did);
	rk_buf_add_byte(out, '/');
	rk_buf_add_slice(out, nsid);
	rk_buf_add_byte(out, '/');
	rk_buf_add_slice(out, rkey);
	rk_buf_add_byte(out, '"');
}

void rk_view_add(struct rk_buf *out, const struct rk_record *record, const struct rk_repo *repo,
	const struct rk_record *others, size_t given, uint64_t count)
{
	struct rk_slice nsid = rk_slice_str(rk_collections[record->collection].nsid);
	struct rk_slice did = repo->did;
	char indexed[RK_CLOCK_ISO_SIZE];

	rk_buf_add_byte(out, '{');
	uri_add(out, did, nsid, record->rkey);
	ADD(out, ",\"cid\":\"");
	rk_cid_format(out, &record->cid);
	ADD(out, "\",\"value\":");
	rk_buf_add_slice(out, record->json);
	ADD(out, ",\"did\":\"");
	rk_buf_add_slice(out, did);
	ADD(out, "\",\"collection\":\"");
	rk_buf_add_slice(out, nsid);
	ADD(out, "\",\"rkey\":\"");
	rk_buf_add_slice(out, record->rkey);
	rk_buf_add_byte(out, '"');
	if (record->ref.len)
		rk_json_text(out, "ref", record->ref);
	if (record->link == RK_LINK_LINKED)
		ADD(out, ",\"linked\":true");
	else if (record->link != RK_LINK_UNKNOWN)
		ADD(out, ",\"linked\":false");
	if (repo->flags & RK_REPO_MOVED)
		ADD(out, ",\"moved\":true");
	rk_clock_iso(indexed, record->indexed_us / 1000);
	rk_json_str(out, "indexedAt", indexed);
	if (count) {
		ADD(out, ",\"duplicates\":[");
		for (size_t i = 0; i < given; i++) {
			rk_json_item(out);
			rk_buf_add_byte(out, '{');
			uri_add(out, did, nsid, others[i].rkey);
			rk_buf_add_byte(out, '}');
		}
		rk_buf_add_byte(out, ']');
		rk_json_number(out, "duplicateCount", (int64_t)count);
	}
	rk_buf_add_byte(out, '}');
}
