/*
 * CAR v1 over memory. Enforced: a header of exactly {roots, version: 1} in canonical DAG-CBOR, at
 * least one root, every root and block with a CID of our kind, shortest varints, no block over
 * RK_CAR_BLOCK_MOST, nothing cut off. Roots after the first are checked and not kept.
 */
#include "atproto/car.h"

#include "atproto/cbor.h"

/* A length, then that many bytes. Empty and failed if they are not there. */
static struct rk_slice section_take(struct rk_reader *reader)
{
	uint64_t len = rk_reader_varint(reader);

	if (reader->failed || len > rk_reader_left(reader)) {
		reader->failed = true;
		return (struct rk_slice){0};
	}
	return rk_reader_take(reader, (size_t)len);
}

static bool header_parse(struct rk_cid *root, struct rk_slice in)
{
	struct rk_reader reader = rk_reader_make(in);
	struct rk_cbor_map map;
	struct rk_cbor_item item;
	size_t roots;

	if (!rk_cbor_map_begin(&map, &reader) || map.left != 2)
		return false;
	if (!rk_cbor_map_next(&map, &reader) || !rk_slice_equal_str(map.key, "roots"))
		return false;
	item = rk_cbor_next(&reader);
	if (item.type != RK_CBOR_ARRAY || item.count == 0)
		return false;
	roots = item.count;
	for (size_t i = 0; i < roots; i++) {
		item = rk_cbor_next(&reader);
		if (item.type != RK_CBOR_CID)
			return false;
		if (i == 0)
			*root = item.cid;
	}
	if (!rk_cbor_map_next(&map, &reader) || !rk_slice_equal_str(map.key, "version"))
		return false;
	item = rk_cbor_next(&reader);
	return item.type == RK_CBOR_UINT && item.number == 1 && rk_reader_left(&reader) == 0;
}

bool rk_car_open(struct rk_car *car, struct rk_slice in)
{
	struct rk_slice header;

	*car = (struct rk_car){.reader = rk_reader_make(in), .start = in.data};
	header = section_take(&car->reader);
	if (car->reader.failed || !header_parse(&car->root, header))
		car->reader.failed = true;
	return !car->reader.failed;
}

bool rk_car_next(struct rk_car *car, struct rk_car_block *out)
{
	struct rk_slice section;

	if (car->reader.failed || rk_reader_left(&car->reader) == 0)
		return false;
	section = section_take(&car->reader);
	if (section.len < RK_CID_BYTES || section.len - RK_CID_BYTES > RK_CAR_BLOCK_MOST ||
		!rk_cid_from_bytes(&out->cid, rk_slice_sub(section, 0, RK_CID_BYTES))) {
		car->reader.failed = true;
		return false;
	}
	out->bytes = rk_slice_sub(section, RK_CID_BYTES, section.len - RK_CID_BYTES);
	out->offset = (size_t)(out->bytes.data - car->start);
	return true;
}
