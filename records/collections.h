/*
 * THE table of collections: what a mood and a painting are, on the PDS and in MongoDB. Everything
 * that differs between collections is a row or a field of a row here; a new one is one row and one
 * lexicon. Ids are stored in the index: a row's place never changes, new rows go to the end.
 */
#ifndef RK_RECORDS_COLLECTIONS_H
#define RK_RECORDS_COLLECTIONS_H

#include "base/slice.h"

enum rk_collection_id { RK_COLLECTION_MOOD, RK_COLLECTION_PAINTING, RK_COLLECTION_COUNT };

enum rk_field_kind {
	RK_FIELD_STRING,
	RK_FIELD_DATETIME,
	RK_FIELD_URI,
	RK_FIELD_BLOB, /* image/png or image/jpeg */
};

/* What refkey uses a field for, besides keeping it in the record's JSON. */
enum rk_field_role {
	RK_ROLE_NONE,
	RK_ROLE_REF,
	RK_ROLE_WHEN,
	RK_ROLE_CODE,
	RK_ROLE_SLUG,
	RK_ROLE_IMAGE, /* the URL of the image, which follows from the code */
	RK_ROLE_COUNT
};

/* Bounds of the values that lookups are made by. */
enum {
	RK_REF_MOST = 64, /* longer refs are kept in the JSON and cannot be looked up */
	RK_CODE_MOST = 10,
	RK_SLUG_MOST = 128,
};

enum { RK_FIELDS_MOST = 8 };

struct rk_field {
	const char *name;     /* in the record; NULL ends the list */
	const char *older;    /* name that older writers used, or NULL */
	const char *document; /* field of the document that this record owns, or NULL */
	enum rk_field_kind kind;
	enum rk_field_role role;
	uint32_t most; /* bytes; 0: no limit of its own */
	bool required; /* records that lack it are invalid (ref: tolerated, see below) */
};

struct rk_collection {
	const char *nsid;
	const char *documents;    /* MongoDB collection */
	const char *gone;         /* boolean field that marks a document gone */
	const char *noun;         /* for people: "mood" */
	const char *bucket;       /* documents get a `bucket`: of a user's; NULL: none */
	const char *bucket_guest; /* of a guest's, whose documents then have no `user` */
	const char *images;       /* URL of an image without the code at its end; NULL: none */
	struct rk_field fields[RK_FIELDS_MOST];
};

extern const struct rk_collection rk_collections[RK_COLLECTION_COUNT];

/* The field of a document that has a role in records; NULL: none. */
const char *rk_collection_document(const struct rk_collection *collection, enum rk_field_role role);

/* The id of an NSID, or -1 for a foreign one. */
int rk_collection_find(struct rk_slice nsid);

#endif
