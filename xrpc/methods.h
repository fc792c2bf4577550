/*
 * The methods: one row each in methods.c, one file each for what they do. Parameters are referred to
 * by their place in the method's rows.
 */
#ifndef RK_XRPC_METHODS_H
#define RK_XRPC_METHODS_H

#include "xrpc/call.h"

/* A status that getRepoStatus has beside those of accounts: there is no DID document to go by. */
#define RK_REPO_STATUS_UNREADABLE "unreadable"

typedef void rk_method_run(struct rk_call *call);

struct rk_method {
	struct rk_xrpc_method_row row;
	const struct rk_param_row *params; /* NULL: none */
	rk_method_run *run;                /* NULL: admin only, refused before it would run */
};

extern const struct rk_method rk_methods[];
/* NULL: no such method. */
const struct rk_method *rk_method_find(struct rk_slice nsid);

#define RK_XRPC_GROUP "computer.aesthetic.refkey."

extern const struct rk_param_row rk_get_by_ref_params[], rk_get_by_rkey_params[],
	rk_resolve_params[], rk_list_records_params[], rk_get_painting_params[],
	rk_get_repo_status_params[];

rk_method_run rk_get_by_ref, rk_get_by_rkey, rk_resolve, rk_list_records, rk_get_painting,
	rk_get_repo_status, rk_get_status;

/* The record a key names, if its account is active: as rk_read_record. *unsure: not there, but its
 * repo is still to be fetched. */
int rk_key_record_read(struct rk_call *call, struct rk_record *out, struct rk_repo *repo,
	bool *unsure, const struct rk_at_identifier *account, int collection, struct rk_slice rkey);

/* What is not a method: "/", "/metrics", "/.well-known/did.json", "/xrpc/_health". */
typedef void rk_page_run(struct rk_call *call);
struct rk_page {
	const char *path;
	rk_page_run *run;
};
extern const struct rk_page rk_pages[];
const struct rk_page *rk_page_find(struct rk_slice path);

#endif
