/*
 * From a document to the record that says the same: the contract's table, read the other way round
 * than mongo/build.h. Pure: no server.
 */
#ifndef RK_MONGO_DRAFT_H
#define RK_MONGO_DRAFT_H

#include "base/buf.h"
#include "mongo/build.h"

enum { RK_DRAFT_REASON_MOST = 128, RK_DRAFT_WORDS_MOST = 64, RK_DRAFT_IMAGE_MOST = 128 };

struct rk_draft {
	int64_t when_ms;
	bool takes_key; /* atproto.rkey can be set, even where no record can be made */
	char reason[RK_DRAFT_REASON_MOST]; /* why no record can be made; "": it can */
	char words
		[RK_DRAFT_WORDS_MOST]; /* the text's first words, on one line; "" if it has none */
	char image[RK_DRAFT_IMAGE_MOST]; /* URL; "": the collection has no images */
};

/* Names of the fields that a draft is made of, and those of rk_document_projection. */
void rk_draft_projection(bson_t *out, const struct rk_collection *collection);
/* Appends the record's JSON, $type and ref in it, which its lexicon takes. False: it cannot be made,
 * out->reason says why, and json is as it was. */
bool rk_draft_make(struct rk_draft *out, struct rk_buf *json, const bson_t *document,
	const struct rk_collection *collection, const struct rk_oid *id);

#endif
