/*
 * Parameters of a query string, read by a method's table of rows. Strict: what is unknown, repeated,
 * missing, too long or out of range is refused by name and told what is accepted. Pure.
 *
 * Encoding: application/x-www-form-urlencoded as XRPC clients write it ('+' is a space); a percent
 * sign that is not followed by two hexadecimal digits, bytes that are not UTF-8 and NUL are refused.
 * Source: atproto.com/specs/xrpc ("Lexicon HTTP Endpoints").
 */
#ifndef RK_XRPC_PARAMS_H
#define RK_XRPC_PARAMS_H

#include "atproto/syntax.h"

enum {
	RK_QUERY_MOST =
		32 << 10,   /* bytes of a request's target: 100 AT-URIs, percent-encoded, fit */
	RK_PARAMS_MOST = 8, /* rows of a method */
	RK_PARAM_ITEMS_MOST = 100, /* values of all array parameters together */
};

enum rk_param_kind {
	RK_PARAM_TEXT,    /* of least to most bytes */
	RK_PARAM_INTEGER, /* from least to most */
	RK_PARAM_BOOLEAN,
	RK_PARAM_DATETIME,
	RK_PARAM_REF,        /* of least to most bytes, looked up by rk_ref_normalize */
	RK_PARAM_REPO,       /* a DID or a handle */
	RK_PARAM_COLLECTION, /* one of rk_collections */
	RK_PARAM_RKEY,
	RK_PARAM_URI, /* of a record in one of rk_collections */
};

struct rk_param_row {
	const char *name; /* NULL ends a table */
	enum rk_param_kind kind;
	bool required;
	bool array; /* may be repeated; its values are items */
	int32_t least, most;
	int32_t otherwise; /* an integer that is not given */
};

/* One value. Slices are borrowed from the struct rk_params it is in. */
struct rk_param {
	const struct rk_param_row *row; /* of items only */
	bool given;
	struct rk_slice text; /* as it was asked, decoded */
	union {
		int64_t number;                  /* INTEGER; BOOLEAN: 0 or 1; DATETIME: Unix ms */
		struct rk_slice ref;             /* REF: as it is looked up */
		struct rk_at_identifier account; /* REPO */
		struct rk_at_uri uri;            /* URI */
	};
	int collection; /* COLLECTION, URI; -1 when not given */
};

struct rk_params {
	struct rk_param values[RK_PARAMS_MOST];     /* by row; of arrays only `given` */
	struct rk_param items[RK_PARAM_ITEMS_MOST]; /* of all arrays, in order of appearance */
	size_t item_count;
	char error[768]; /* why rk_params_parse failed, for people; UTF-8 */
	size_t used;
	uint8_t scratch[2 * RK_QUERY_MOST];
};

/* Reads a query (what is behind the '?') by rows, which may be NULL for none. False: see error. */
bool rk_params_parse(struct rk_params *out, const struct rk_param_row *rows, struct rk_slice query);

/* What a row accepts, for people: "an integer from 1 to 100". */
enum { RK_PARAM_ACCEPTED_MOST = 256 };
void rk_param_accepted(char out[RK_PARAM_ACCEPTED_MOST], const struct rk_param_row *row);

#endif
