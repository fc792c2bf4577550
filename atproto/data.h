/*
 * The data model's two representations: canonical DAG-CBOR and JSON ($link, $bytes, blobs).
 * Source: atproto.com/specs/data-model.
 */
#ifndef RK_ATPROTO_DATA_H
#define RK_ATPROTO_DATA_H

#include <jansson.h>

#include "atproto/cbor.h"

/* Appends the JSON of one canonical value, byte for byte as the reference PDS prints a record:
 * links as {"$link": cid}, bytes as {"$bytes": base64}, keys in stored order but those that are array
 * indexes ("0" to "4294967294") first, as JSON.stringify has it. False, and nothing appended, on
 * anything rk_cbor_check refuses; look at out for its own failure. */
bool rk_data_cbor_to_json(struct rk_buf *out, struct rk_slice cbor);

/* Appends the canonical DAG-CBOR of a JSON object. False on another value and on what the data
 * model forbids: floats (1.0 is an integer), integers beyond 64 bits, malformed $link, $bytes, $type or
 * blob, deeper than RK_CBOR_DEPTH_MOST. False too if out fails: look there first. */
bool rk_data_json_to_cbor(struct rk_buf *out, const json_t *json);

#endif
