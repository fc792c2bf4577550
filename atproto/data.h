/*
 * The data model's two representations: canonical DAG-CBOR and JSON ($link, $bytes, blobs).
 * Source: atproto.com/specs/data-model.
 */
#ifndef RK_ATPROTO_DATA_H
#define RK_ATPROTO_DATA_H

#include <jansson.h>

#include "atproto/cbor.h"

/* Appends the JSON of one canonical value, as a PDS prints a record: keys in stored order, links as
 * {"$link": cid}, bytes as {"$bytes": base64}. False on anything rk_cbor_check refuses. */
bool rk_data_cbor_to_json(struct rk_buf *out, struct rk_slice cbor);

/* Appends the canonical DAG-CBOR of a JSON value. False on what the data model forbids: floats,
 * integers beyond 64 bits, malformed $link, $bytes or $type, deeper than RK_CBOR_DEPTH_MOST. */
bool rk_data_json_to_cbor(struct rk_buf *out, const json_t *json);

#endif
