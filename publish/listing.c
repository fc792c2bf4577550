/* See listing.h. */
#include "publish/listing.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/list.h"
#include "records/record.h"

static struct rk_slice text_of(const json_t *value, const char *name)
{
	const json_t *text = json_object_get(value, name);

	return rk_slice_make(json_string_value(text), json_string_length(text));
}

struct rk_slice rk_listing_ref_of(const void *value, const struct rk_collection *collection)
{
	const struct rk_field *field = collection->fields;
	struct rk_slice ref;

	while (field->role != RK_ROLE_REF)
		field++;
	ref = text_of(value, field->name);
	return ref.len == 0 && field->older ? text_of(value, field->older) : ref;
}

void rk_listing_finish(struct rk_listing *listing)
{
	rk_arena_finish(&listing->arena);
	free(listing->refs);
	free(listing->tids);
	*listing = (struct rk_listing){0};
}

int rk_listing_add(struct rk_listing *listing, struct rk_slice rkey, struct rk_slice ref)
{
	uint8_t normal[RK_REF_MOST];
	struct rk_oid oid;
	uint64_t tid;
	char *copy;
	int r;

	if (rk_tid_parse(&tid, rkey)) {
		r = rk_list_grow(&listing->tids, &listing->tid_room, listing->tid_count,
			sizeof(*listing->tids));
		if (r)
			return r;
		listing->tids[listing->tid_count++] = tid;
	}
	if (!rk_ref_normalize(normal, ref) || !rk_oid_parse(&oid, rk_slice_make(normal, ref.len)))
		return 0;
	r = rk_list_grow(
		&listing->refs, &listing->ref_room, listing->ref_count, sizeof(*listing->refs));
	copy = rk_arena_copy(&listing->arena, rkey);
	if (r || !copy)
		return -ENOMEM;
	listing->refs[listing->ref_count++] =
		(struct rk_listing_ref){.ref = oid, .rkey = rk_slice_make(copy, rkey.len)};
	return 0;
}

static int by_ref(const void *a, const void *b)
{
	const struct rk_listing_ref *left = a, *right = b;
	int order = memcmp(&left->ref, &right->ref, sizeof(left->ref));

	return order ? order : rk_slice_compare(left->rkey, right->rkey);
}

static int by_number(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

void rk_listing_seal(struct rk_listing *listing)
{
	if (listing->ref_count)
		qsort(listing->refs, listing->ref_count, sizeof(*listing->refs), by_ref);
	if (listing->tid_count)
		qsort(listing->tids, listing->tid_count, sizeof(*listing->tids), by_number);
}

bool rk_listing_equal(const struct rk_listing *a, const struct rk_listing *b)
{
	if (a->ref_count != b->ref_count || a->tid_count != b->tid_count)
		return false;
	for (size_t i = 0; i < a->ref_count; i++) {
		if (by_ref(&a->refs[i], &b->refs[i]) != 0)
			return false;
	}
	for (size_t i = 0; i < a->tid_count; i++) {
		if (a->tids[i] != b->tids[i])
			return false;
	}
	return true;
}

struct rk_slice rk_listing_ref(const struct rk_listing *listing, const struct rk_oid *ref)
{
	size_t from = 0, to = listing->ref_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (memcmp(&listing->refs[middle].ref, ref, sizeof(*ref)) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	if (from < listing->ref_count && memcmp(&listing->refs[from].ref, ref, sizeof(*ref)) == 0)
		return listing->refs[from].rkey;
	return (struct rk_slice){0};
}

bool rk_listing_taken(const struct rk_listing *listing, uint64_t tid)
{
	return listing->tid_count &&
		bsearch(&tid, listing->tids, listing->tid_count, sizeof(tid), by_number);
}
