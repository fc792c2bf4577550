/*
 * See view.h. What goes in without escapes cannot need any: DIDs, NSIDs, record keys and CIDs by their
 * syntax, the value because it is JSON.
 */
#include "xrpc/view.h"

#include "base/clock.h"
#include "xrpc/reply.h"

static void uri_add(struct rk_buf *out, struct rk_slice did, const struct rk_record *record)
{
	rk_buf_add_str(out, "\"uri\":\"at://");
	rk_buf_add_slice(out, did);
	rk_buf_add_byte(out, '/');
	rk_buf_add_str(out, rk_collections[record->collection].nsid);
	rk_buf_add_byte(out, '/');
	rk_buf_add_slice(out, record->rkey);
	rk_buf_add_byte(out, '"');
}

void rk_view_add(struct rk_buf *out, const struct rk_record *record, struct rk_slice did,
	const struct rk_record *others, size_t given, uint64_t count)
{
	char indexed[RK_CLOCK_ISO_SIZE];

	rk_buf_add_byte(out, '{');
	uri_add(out, did, record);
	rk_buf_add_str(out, ",\"cid\":\"");
	rk_cid_format(out, &record->cid);
	rk_buf_add_str(out, "\",\"value\":");
	rk_buf_add_slice(out, record->json);
	rk_buf_add_str(out, ",\"did\":\"");
	rk_buf_add_slice(out, did);
	rk_buf_add_str(out, "\",\"collection\":\"");
	rk_buf_add_str(out, rk_collections[record->collection].nsid);
	rk_buf_add_str(out, "\",\"rkey\":\"");
	rk_buf_add_slice(out, record->rkey);
	rk_buf_add_byte(out, '"');
	if (record->ref.len)
		rk_json_text(out, "ref", record->ref);
	if (record->link != RK_LINK_UNKNOWN)
		rk_json_bool(out, "linked", record->link == RK_LINK_LINKED);
	/* `moved` goes here once the index knows of accounts that left for another PDS. */
	rk_clock_iso(indexed, record->indexed_us / 1000);
	rk_json_str(out, "indexedAt", indexed);
	if (count) {
		rk_json_key(out, "duplicates");
		rk_buf_add_byte(out, '[');
		for (size_t i = 0; i < given; i++) {
			rk_json_item(out);
			rk_buf_add_byte(out, '{');
			uri_add(out, did, &others[i]);
			rk_buf_add_byte(out, '}');
		}
		rk_buf_add_byte(out, ']');
		rk_json_number(out, "duplicateCount", (int64_t)count);
	}
	rk_buf_add_byte(out, '}');
}
