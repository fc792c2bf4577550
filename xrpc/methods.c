/* THE table of methods. Routing, the page at "/", the README's reference and the lexicon test are
 * loops over it. */
#include "xrpc/methods.h"

const struct rk_method rk_methods[] = {
	{{RK_XRPC_GROUP "getByRef", "the record that a document's _id (ref) answers with", false,
		 false},
		rk_get_by_ref_params, rk_get_by_ref},
	{{RK_XRPC_GROUP "getByRkey", "the record with a key, and the ref it carries", false, false},
		rk_get_by_rkey_params, rk_get_by_rkey},
	{{RK_XRPC_GROUP "resolve", "up to 100 records by ref or by AT-URI", false, false},
		rk_resolve_params, rk_resolve},
	{{RK_XRPC_GROUP "listRecords", "records of a collection by time, newest first", false,
		 false},
		rk_list_records_params, rk_list_records},
	{{RK_XRPC_GROUP "getPainting", "the painting with a code or a slug", false, false},
		rk_get_painting_params, rk_get_painting},
	{{RK_XRPC_GROUP "getRepoStatus", "what the index holds of an account", false, false},
		rk_get_repo_status_params, rk_get_repo_status},
	{{RK_XRPC_GROUP "getStatus", "how far the index is and what it holds", false, false}, NULL,
		rk_get_status},
	{{RK_XRPC_GROUP "listIssues", "what does not fit between the two sides", false, true}, NULL,
		NULL},
	{{RK_XRPC_GROUP "requestResync", "fetch a repo again", true, true}, NULL, NULL},
	{{RK_XRPC_GROUP "deleteRecord", "delete a record on both sides", true, true}, NULL, NULL},
	{{RK_XRPC_GROUP "forgetRepo", "erase an account's records on both sides", true, true}, NULL,
		NULL},
};

enum { METHOD_COUNT = sizeof(rk_methods) / sizeof(rk_methods[0]) };

const struct rk_method *rk_method_find(struct rk_slice nsid)
{
	for (size_t i = 0; i < METHOD_COUNT; i++) {
		if (rk_slice_equal_str(nsid, rk_methods[i].row.nsid))
			return &rk_methods[i];
	}
	return NULL;
}

size_t rk_xrpc_method_count(void)
{
	return METHOD_COUNT;
}

const struct rk_xrpc_method_row *rk_xrpc_method_row(size_t at)
{
	return at < METHOD_COUNT ? &rk_methods[at].row : NULL;
}
