/*
 * Documents as BSON: what is read of one, and the inserts, filters and updates made for one. Pure:
 * no server. Which fields a document has follows from the table of collections.
 */
#ifndef RK_MONGO_BUILD_H
#define RK_MONGO_BUILD_H

#include <bson/bson.h>

#include "atproto/syntax.h"
#include "base/arena.h"
#include "base/buf.h"
#include "records/collections.h"

/* How a field stands in a document: filters must repeat it. */
enum rk_presence { RK_PRESENCE_MISSING, RK_PRESENCE_NULL, RK_PRESENCE_STRING, RK_PRESENCE_OTHER };

struct rk_document_field {
	enum rk_presence presence;
	bson_type_t type;     /* OTHER */
	struct rk_slice text; /* STRING */
};

struct rk_document {
	struct rk_oid id;
	struct rk_document_field user, rkey;
	int64_t when_ms; /* 0: it is no date */
	bool gone;
	bool bare;            /* atproto itself is null: it has no fields to set */
	bool has_uri;         /* atproto.uri is there, of whatever type */
	struct rk_slice uri;  /* empty if it is no string */
	struct rk_slice code; /* likewise, or if the collection has none */
};

/* Names of the fields that rk_document_read looks at, for a projection. */
void rk_document_projection(bson_t *out, const struct rk_collection *collection);
/* False: its _id is not an ObjectId (the rest is read all the same), or no memory (then *failed is set).
 * Slices live in the arena. */
bool rk_document_read(struct rk_document *out, struct rk_arena *arena, const bson_t *bson,
	const struct rk_collection *collection, bool *failed);
/* The users._id that it belongs to: its user, or who stands for guests; NULL data: a user that is no text. */
struct rk_slice rk_document_owner(const struct rk_document *document, const char *guest_user);
/* The key it names its record by; empty: none, and so is whatever is no text. */
struct rk_slice rk_document_rkey(const struct rk_document *document);
/* Appends its _id, for people: an ObjectId's digits, anything else as extended JSON, bounded. */
enum { RK_DOCUMENT_ID_MOST = 128 };
void rk_document_id_text(struct rk_buf *out, const bson_t *bson);

struct rk_build {
	const struct rk_collection *collection;
	struct rk_oid id;
	struct rk_slice user; /* users._id; empty: a guest's, which has none */
	struct rk_slice did, rkey;
	struct rk_slice json; /* the record as the PDS prints it */
};

/* A whole new document. NULL, or static text: why the record cannot be one. */
const char *rk_build_insert(bson_t *out, const struct rk_build *build)
	__attribute__((warn_unused_result));

/* Matches the document only while it is as it was read. */
void rk_build_filter(
	bson_t *out, const struct rk_document *document, const struct rk_collection *collection);

enum rk_build_change {
	RK_BUILD_RKEY = 1,   /* atproto.rkey is set; an atproto.uri of another record removed */
	RK_BUILD_FIELDS = 2, /* the fields the record owns are set */
	RK_BUILD_GONE = 4,   /* marked gone */
	RK_BUILD_UNLINK = 8, /* atproto.rkey and atproto.uri removed */
};
/* changes: of enum rk_build_change. NULL, or static text as above. */
const char *rk_build_update(bson_t *out, const struct rk_document *document,
	const struct rk_build *build, unsigned changes) __attribute__((warn_unused_result));

#endif
