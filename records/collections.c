/* The rows; see collections.h. `when` in a document is a date, everything else a string. */
#include "records/collections.h"

/* clang-format off */
const struct rk_collection rk_collections[RK_COLLECTION_COUNT] = {
	[RK_COLLECTION_MOOD] = {
		.nsid = "computer.aesthetic.mood",
		.documents = "moods",
		.gone = "deleted",
		.noun = "mood",
		.fields = {
			{"mood", "text", "mood", RK_FIELD_STRING, RK_ROLE_NONE, 5000, true},
			{"when", NULL, "when", RK_FIELD_DATETIME, RK_ROLE_WHEN, 0, true},
			{"ref", "mongoId", NULL, RK_FIELD_STRING, RK_ROLE_REF, 0, false},
		},
	},
	[RK_COLLECTION_PAINTING] = {
		.nsid = "computer.aesthetic.painting",
		.documents = "paintings",
		.gone = "nuked",
		.noun = "painting",
		.bucket = "user-aesthetic-computer",
		.bucket_guest = "art-aesthetic-computer",
		.images = "https://aesthetic.computer/media/paintings/",
		.fields = {
			{"slug", NULL, "slug", RK_FIELD_STRING, RK_ROLE_SLUG, RK_SLUG_MOST, true},
			{"code", NULL, "code", RK_FIELD_STRING, RK_ROLE_CODE, RK_CODE_MOST, true},
			{"imageUrl", NULL, NULL, RK_FIELD_URI, RK_ROLE_IMAGE, 512, true},
			{"when", NULL, "when", RK_FIELD_DATETIME, RK_ROLE_WHEN, 0, true},
			{"ref", "mongoId", NULL, RK_FIELD_STRING, RK_ROLE_REF, 24, false},
			{"thumbnail", NULL, NULL, RK_FIELD_BLOB, RK_ROLE_NONE, 1000000, false},
			{"recordingUrl", NULL, NULL, RK_FIELD_URI, RK_ROLE_NONE, 0, false},
		},
	},
};
/* clang-format on */

int rk_collection_find(struct rk_slice nsid)
{
	for (int i = 0; i < RK_COLLECTION_COUNT; i++) {
		if (rk_slice_equal_str(nsid, rk_collections[i].nsid))
			return i;
	}
	return -1;
}

const char *rk_collection_document(const struct rk_collection *collection, enum rk_field_role role)
{
	for (int i = 0; i < RK_FIELDS_MOST && collection->fields[i].name; i++) {
		if (collection->fields[i].role == role)
			return collection->fields[i].document;
	}
	return NULL;
}
